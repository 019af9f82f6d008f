use std::time::{Duration, Instant};

use plenary_wire::{DataSize, Ecn};

use crate::ProbeId;

/// What a packet is sent for, in the order in which a pacer lets them go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Sound.
    Audio,
    /// Again, as it was lost.
    Retransmission,
    /// Pictures, or FEC for them.
    Video,
    /// Nothing: to fill a probe or keep a rate.
    Padding,
}

/// A packet that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// Counts the transport's packets, without wrapping.
    pub number: u64,
    /// When it left.
    pub at: Instant,
    /// With all headers: RTP, SRTP, UDP, IP.
    pub size: DataSize,
    /// What left before it and since the last packet, and is not reported on (RTCP, STUN).
    pub untracked: DataSize,
    /// What for.
    pub purpose: Purpose,
    /// The probe that it belongs to.
    pub probe: Option<ProbeId>,
    /// On the way and not reported on, with this packet.
    pub in_flight: DataSize,
}

/// An instant of the receiver's clock, which counts from anywhere: only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrivalTime(i64);

impl ArrivalTime {
    /// Microseconds since the receiver's own zero.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the receiver's own zero.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Microseconds from `earlier` to here; negative if it was later. Saturates.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketReport {
    /// As it left.
    pub sent: SentPacket,
    /// When it arrived; `None` is lost.
    pub arrived: Option<ArrivalTime>,
    /// Its ECN bits on arrival; [`Ecn::NotEct`] where feedback does not tell.
    pub ecn: Ecn,
    /// It was reported lost before, and has arrived after all.
    pub is_recovered: bool,
}

/// One message of feedback, joined with what was sent.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// In the order of their numbers; never empty.
    pub packets: &'a [PacketReport],
    /// On the way and not reported on, after this.
    pub in_flight: DataSize,
    /// From the newest packet's departure to now, without the time that the receiver kept the report, where that is
    /// known (RFC 8888), else with it. `None` if a newer packet is known to have arrived: this feedback is late.
    pub round_trip: Option<Duration>,
}

impl Feedback<'_> {
    /// Those that arrived.
    pub fn arrived(&self) -> impl Iterator<Item = (&PacketReport, ArrivalTime)> {
        self.packets.iter().filter_map(|packet| packet.arrived.map(|at| (packet, at)))
    }

    /// How many did not.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.packets.iter().filter(|packet| packet.arrived.is_none()).count()
    }
}
