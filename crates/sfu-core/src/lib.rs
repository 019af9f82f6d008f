#![doc = include_str!("../README.md")]

mod config;
mod connection;
mod error;
mod event;
mod extensions;
mod frame;
mod ids;
mod log;
mod negotiation;
mod session;
mod sfu;
mod slot;
mod timers;
mod track;

pub use config::Config;
pub use error::{ConfigError, DropReason, Error};
pub use event::{Event, SlotChange, SlotContent};
pub use extensions::Extensions;
pub use ids::{RoomId, SessionId, SubscriptionId, TrackId, TransportId};
pub use negotiation::{Answered, NegotiationError, PublishRequest, QUIRKS, Quirk, RoomCodec, RoomConfig};
pub use sfu::{Handled, LAYERS_MAX, LayerConfig, Publication, Sfu, TrackInfo};
pub use slot::{Format, SlotConfig};
pub use track::Kind;

// Promises kept at compile time: an engine is made on one thread and may run on another.
const _: () = {
    const fn send<T: Send>() {}
    send::<Sfu>();
};
