#![doc = include_str!("../README.md")]

mod admission;
mod allocate;
mod allocation;
mod allocations;
mod answer;
mod authenticate;
mod bind;
mod challenge;
mod channel;
pub mod client;
mod config;
mod counters;
mod credentials;
mod entropy;
mod error;
mod event;
mod flood;
mod handled;
mod icmp;
mod lifetime;
mod mobility;
mod nonce;
mod outbox;
mod peers;
mod pending;
mod permission;
mod quota;
mod refresh;
mod relay;
mod reservation;
mod server;
mod settings;
mod stream;
mod tcp;
mod timers;
mod tuple;

pub use admission::Admission;
pub use allocation::{AllocationId, Usage};
pub use bind::{Bound, Family, PortWish};
pub use config::{Config, User};
pub use counters::Counters;
pub use credentials::{Keys, TimeLimited};
pub use error::{BindError, ConfigError, ConnectError, DropReason, Error};
pub use event::{Event, Identity, Released, RequestId};
pub use handled::{Handled, Head, Relay};
pub use icmp::Icmp;
pub use peers::{PeerPolicy, Prefix, PrefixError};
pub use pending::{Authenticated, Denied};
pub use server::Server;
pub use stream::{Carries, Streamed};
pub use tuple::FiveTuple;

// Promises kept at compile time: a server crosses threads, and what is handed back stays small.
const _: () = {
    const fn send<T: Send>() {}
    send::<Server>();
    send::<Event>();
    assert!(size_of::<Handled<'static>>() <= 160);
    assert!(size_of::<allocation::Allocation>() <= 640);
};
