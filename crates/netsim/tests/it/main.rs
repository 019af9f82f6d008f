//! What the network does, feature by feature.

mod driver;
mod link;
mod nat;
mod network;
mod stream;
