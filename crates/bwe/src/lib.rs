#![doc = include_str!("../README.md")]

mod controller;
mod explanation;
mod fixed;
mod oracle;
mod probe;
mod report;

pub use controller::{Branch, Controller, Rates, Route, Snapshot, Streams, WrongSnapshot};
pub use explanation::{Cause, Evidence, Explanation};
pub use fixed::Fixed;
pub use oracle::Oracle;
pub use probe::{ProbeCluster, ProbeId};
pub use report::{ArrivalTime, Feedback, PacketReport, Purpose, SentPacket};

// Promises kept at compile time: any controller can be boxed, and moved to another thread.
const _: () = {
    const fn send<T: Send + ?Sized>() {}
    send::<dyn Controller>();
    send::<Snapshot>();
};
