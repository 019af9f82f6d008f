//! What several targets have in common: how they read their input, and what they hold against it.

pub mod client;
mod payloads;
mod sender;

pub use payloads::Payloads;
pub use sender::Sender;
