#![doc = include_str!("../README.md")]

mod clock;
mod driver;
mod drops;
mod link;
mod link_trace;
mod machine;
mod nat;
mod network;
mod protocol;
mod rng;
mod rtp_log;
mod stream;
mod tcp_flow;
mod trace;
mod traffic;

pub use clock::base;
pub use driver::{
    EVENTS_PER_INSTANT_MAX, Occurrence, Simulation, TIME_MAX, TRANSMITS_PER_INSTANT_MAX, WAKES_PER_INSTANT_MAX,
};
pub use drops::{DropReason, Drops};
pub use link::{
    Aqm, Arrival, CoDel, Condition, Conditions, DROPPED_KEPT_MAX, Dropped, DualPi2, GilbertElliott, Link, LinkConfig,
    LinkCounters, Loss, Packet, QueueLimit, RateSchedule, Reorder,
};
#[cfg(feature = "gym")]
pub use link_trace::Direction;
pub use link_trace::{
    LinkTrace, Place, TRACE_BYTES_MAX, TRACE_RATE_MAX, TRACE_STEPS_MAX, TraceError, TraceProblem, TraceStep,
};
pub use machine::Machine;
pub use nat::{Dependence, Hairpin, Nat, NatConfig, Pooling, PortPolicy, Rebind, Refresh, TcpRule};
pub use network::{
    Delivery, Input, LinkId, LinkLog, LinkRecord, Network, NetworkCounters, NodeId, Outgoing, STREAMS_MAX, SiteConfig,
    SiteId, TRAFFIC_PER_INSTANT_MAX, TrafficId,
};
pub use protocol::Protocol;
pub use rng::{Probability, Random};
pub use rtp_log::RtpRecord;
pub use stream::{Closed, Congestion, STREAM_ATTEMPTS_MAX, STREAM_BUFFER_MAX, STREAM_SEGMENT, STREAM_WINDOW};
pub use tcp_flow::{TcpEnd, TcpFlow, TcpSegment};
pub use trace::Trace;
pub use traffic::{Cbr, OnOff, ShortTcp, Tcp, Traffic, TrafficCounters};

// Promises kept at compile time: a sweep of seeds runs on several threads.
const _: () = {
    const fn send<T: Send>() {}
    send::<Network>();
    send::<Link<Vec<u8>>>();
};
