#![doc = include_str!("../README.md")]

mod error;
mod feedback;
mod ntp_clock;
mod receive;
mod reference_time;
mod round_trip;
mod send;

pub use error::ConfigError;
pub use feedback::{
    Departure, PictureRequest, PictureRequestConfig, ReportWriter, RequestKind, Schedule, ScheduleConfig,
};
pub use ntp_clock::NtpClock;
pub use receive::{
    NackConfig, REORDERING_WAIT_PACKETS_MAX, ReceiveConfig, ReceiveCounters, ReceiveStream, Received, ReceivedPacket,
    Repair,
};
pub use reference_time::ReferenceTime;
pub use round_trip::RoundTrip;
pub use send::{
    HistoryConfig, HistoryCounters, Reception, Retransmission, Retransmissions, SendConfig, SendHistory, SendStream,
    SentPacket,
};

// Promises kept at compile time: streams may move to another thread, and hold no more than they say.
const _: () = {
    const fn send<T: Send>() {}
    send::<ReceiveStream>();
    send::<SendStream>();
    send::<SendHistory>();
    send::<Schedule>();
    assert!(size_of::<ReceiveStream>() <= 640);
};
