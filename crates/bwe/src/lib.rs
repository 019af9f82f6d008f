#![doc = include_str!("../README.md")]

mod base_delay;
#[cfg(test)]
mod bottleneck;
mod bound;
mod controller;
mod explanation;
mod fixed;
pub mod gcc;
pub mod history;
#[cfg(feature = "interceptor")]
mod interceptor;
mod nada;
mod oracle;
mod pacer;
mod probe;
pub mod receiver;
mod report;
mod scream;

pub use controller::{Branch, Controller, Rates, Route, Snapshot, Streams, WrongSnapshot};
pub use explanation::{Cause, Evidence, Explanation};
pub use fixed::Fixed;
pub use gcc::{Gcc, GccConfig};
#[cfg(feature = "interceptor")]
pub use interceptor::Estimator;
pub use nada::{Nada, NadaConfig};
pub use oracle::Oracle;
pub use pacer::{Grant, Pacer, PacerConfig, PacerError, Prober, ProberConfig, StreamId};
pub use probe::{ProbeCluster, ProbeId};
pub use report::{ArrivalTime, Feedback, PacketReport, Purpose, SentPacket};
pub use scream::{Scream, ScreamConfig};

// Promises kept at compile time: any controller can be boxed, and moved to another thread.
const _: () = {
    const fn send<T: Send + ?Sized>() {}
    send::<dyn Controller>();
    send::<Snapshot>();
};
