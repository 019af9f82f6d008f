//! What the network does, feature by feature.

mod aqm;
mod driver;
mod link;
mod link_trace;
mod nat;
mod network;
mod stream;
mod topologies;
mod traffic;
