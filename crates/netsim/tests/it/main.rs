//! What the network does, feature by feature.

mod aqm;
mod driver;
mod link;
mod nat;
mod network;
mod stream;
mod traffic;
