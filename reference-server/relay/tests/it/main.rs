//! The relay on sockets of loopback addresses, by clients that are `plenary-turn`'s.

mod client;
mod data;
mod dtls;
mod icmp;
mod joined;
mod limits;
mod narrow;
mod nat;
mod near;
mod secure;
mod slow;
mod socket;
mod start;
mod starved;
mod tls;
