#![doc = include_str!("../README.md")]

mod associations;
mod buffers;
mod chance;
mod config;
mod connection;
mod counters;
mod dtls;
mod flows;
mod icmp;
mod identity;
mod listeners;
mod load;
mod message;
mod own;
mod pause;
mod poller;
mod ports;
mod relay;
mod send;
mod sockets;
mod streams;
mod tls;
mod udp;
mod ways;
mod worker;

pub use config::{Config, RelayAddress, StartError, THREADS_MAX};
pub use identity::{Identity, IdentityError};
pub use relay::Relay;
