#![doc = include_str!("../README.md")]

mod certificate;
mod config;
mod data;
mod description;
mod dtls;
mod early;
mod error;
mod event;
mod fingerprint;
mod media;
mod relay;
mod transport;

pub use certificate::Certificate;
pub use config::{Config, DtlsVersions};
pub use data::{
    Channel, ChannelConfig, ChannelError, ChannelId, ChannelState, DataCloseReason, DataConfig, DataDropReason,
    DataParameters, Message, MessageKind, Reliability,
};
pub use description::{Parameters, Setup};
pub use error::{CertificateError, ConfigError, DropReason, Error, ParseError, RelayError};
pub use event::{CloseReason, Connected, DtlsRole, DtlsVersion, Event, Path};
pub use fingerprint::{Fingerprint, HashFunction};
pub use relay::Wrapped;
pub use transport::{Handled, Transport};

// Promises kept at compile time: a transport and its certificate cross threads.
const _: () = {
    const fn send<T: Send>() {}
    const fn sync<T: Sync>() {}
    send::<Transport>();
    send::<Certificate>();
    sync::<Certificate>();
};
