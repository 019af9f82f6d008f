use std::time::Duration;

use plenary_wire::{Bitrate, DataSize, Ecn};

use crate::stream::{Congestion, StreamConfig};
use crate::{RateSchedule, STREAM_SEGMENT};

/// Traffic of others, which [`Network::add_traffic`](crate::Network::add_traffic) makes without any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// UDP packets at a rate that only time changes: RFC 8868 §5.3.
    Cbr(Cbr),
    /// The same, with pauses.
    OnOff(OnOff),
    /// One TCP flow that never has sent everything.
    LongTcp(Tcp),
    /// File after file, each over a TCP flow of its own, with pauses.
    ShortTcp(ShortTcp),
}

/// UDP at a constant bit rate, or one that changes at set times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cbr {
    /// Bits per second, with headers. Each packet leaves when its time at this rate is over.
    pub rate: RateSchedule,
    /// The size of a packet, with headers. [`Cbr::new`]: 1500 bytes.
    pub packet: DataSize,
    /// The ECN bits. [`Cbr::new`]: none.
    pub ecn: Ecn,
}

impl Cbr {
    /// Packets of 1500 bytes without ECN.
    pub fn new(rate: impl Into<RateSchedule>) -> Self {
        Self { rate: rate.into(), packet: DataSize::from_bytes(1_500), ecn: Ecn::NotEct }
    }

    /// What leaves as much of a link of this rate as the schedule says: how RFC 8867 §5 changes the capacity that there
    /// is by background traffic, and not by the link.
    pub fn leaving(free: &RateSchedule, link: Bitrate) -> Self {
        Self::new(free.beside(link))
    }
}

/// UDP at a constant bit rate for exponentially distributed times, with exponentially distributed pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnOff {
    /// Bits per second while it is on, with headers.
    pub rate: Bitrate,
    /// The size of a packet, with headers.
    pub packet: DataSize,
    /// The ECN bits.
    pub ecn: Ecn,
    /// How long it is on, on average.
    pub on: Duration,
    /// How long it is off, on average.
    pub off: Duration,
    /// Whether it begins with a time that it is on.
    pub starts_on: bool,
}

/// How a flow of TCP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Default: NewReno.
    pub congestion: Congestion,
    /// Whether its data is ECN-capable: ECT(0), and ECE and CWR by RFC 3168. Default: no. [`Congestion::Dctcp`] always
    /// sends ECT(1) and is told of each mark.
    pub ecn: bool,
    /// Bytes that may be on the way. Default: 4 MiB, which is 30 Mb/s over 1.1 s.
    pub window: DataSize,
}

impl Default for Tcp {
    fn default() -> Self {
        Self { congestion: Congestion::NewReno, ecn: false, window: DataSize::from_bytes(4 << 20) }
    }
}

impl Tcp {
    /// With this congestion control, and otherwise the default.
    pub fn new(congestion: Congestion) -> Self {
        Self { congestion, ..Self::default() }
    }

    pub(crate) fn stream(self) -> StreamConfig {
        // A window that holds no segment would never send one.
        let window = self.window.as_bytes().clamp(2 * STREAM_SEGMENT as u64, u64::from(u32::MAX));
        StreamConfig { congestion: self.congestion, ecn: self.ecn, window, filler: true }
    }
}

/// Short TCP flows as RFC 8868 §5.1 has them: a sequence of downloads with idle periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortTcp {
    /// How each flow is.
    pub tcp: Tcp,
    /// The smallest and the largest file; all between are equally likely. Default: 30 and 50 kB.
    pub file: [DataSize; 2],
    /// How long it is idle after each file, on average of an exponential distribution. Default: 10 s.
    pub idle: Duration,
    /// Whether it begins with a file. Default: no.
    pub starts_on: bool,
}

impl Default for ShortTcp {
    fn default() -> Self {
        Self {
            tcp: Tcp::default(),
            file: [DataSize::from_bytes(30_000), DataSize::from_bytes(50_000)],
            idle: Duration::from_secs(10),
            starts_on: false,
        }
    }
}

/// What a source of cross traffic did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounters {
    /// Packets that it sent: of TCP those that carry something, also again.
    pub sent: u64,
    /// Those that TCP sent again.
    pub resent: u64,
    /// How often TCP waited in vain for an answer.
    pub timeouts: u64,
    /// What has arrived at the destination, without headers; of TCP, in order and once.
    pub received: DataSize,
    /// TCP flows, or times that UDP was on, that began.
    pub begun: u64,
    /// Those that are over: TCP flows whose bytes have all arrived.
    pub completed: u64,
}
