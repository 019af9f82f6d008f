use std::any::Any;
use std::fmt;
use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};
use thiserror::Error;

use crate::{Cause, Explanation, Feedback, ProbeCluster, SentPacket};

/// A send-side congestion controller of one transport: it is told what left and what arrived, and says how fast to send.
///
/// It reads no clock, draws no chance and, once warm, allocates nothing. All times that it is told are of one clock but
/// [`ArrivalTime`](crate::ArrivalTime), which is the receiver's. Calls come in the order of time. What a peer had a say
/// in (feedback, limits) never makes it panic, and never leaves its rates outside the limits of [`Streams`].
///
/// Only [`handle_feedback`](Self::handle_feedback) and [`rates`](Self::rates) must be written; what is not is ignored.
/// A controller is `Clone`: [`Branch`] comes of that.
pub trait Controller: Branch + fmt::Debug {
    /// A packet leaves. Its `number` is one more than the last's.
    fn handle_sent(&mut self, _packet: &SentPacket) {}

    /// Feedback came: what is known now of packets that left, in the order of their numbers, each once. A packet that was
    /// reported lost may come again, as recovered.
    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant);

    /// The round-trip time was measured by other means (RTCP sender reports).
    fn handle_round_trip(&mut self, _sample: Duration, _now: Instant) {}

    /// The receiver allows no more (REMB): `None` once it has not said so for long.
    fn handle_remote_limit(&mut self, _limit: Option<Bitrate>, _now: Instant) {}

    /// A receiver report told how many packets were expected and how many of them were lost since the last: for peers
    /// without transport-wide feedback.
    fn handle_loss(&mut self, _lost: u64, _expected: u64, _now: Instant) {}

    /// What may be sent, and what there is to send, has changed.
    fn handle_streams(&mut self, _streams: &Streams, _now: Instant) {}

    /// Packets leave by another way from now on: what was learnt of the old one does not hold.
    fn handle_route_change(&mut self, _route: &Route, _now: Instant) {}

    /// Time has come to [`poll_timeout`](Self::poll_timeout), or beyond it.
    fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; every call may change it.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next probe that is to be sent, each once.
    fn poll_probe(&mut self) -> Option<ProbeCluster> {
        None
    }

    /// How fast to send now; any call but `poll_*` may change it.
    fn rates(&self) -> Rates;

    /// Why the target last changed; [`Cause::Unknown`] of one that does not say.
    fn explain(&self) -> Explanation {
        Explanation { cause: Cause::Unknown, to: self.rates().target, ..Explanation::default() }
    }
}

/// Whichever scores best today, all cases together: a test holds `SCOREBOARD.md` against it.
impl Default for Box<dyn Controller> {
    fn default() -> Self {
        Box::new(crate::Gcc::default())
    }
}

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// For all that is sent with its headers (IP and UDP too): media, retransmissions, FEC. What encoders and the
    /// allocator share.
    pub target: Bitrate,
    /// The pacer's: how fast a queue leaves, somewhat above the target.
    pub pacing: Bitrate,
    /// Filled up to this with padding if media does not.
    pub padding: Bitrate,
    /// Bytes on the way at most, if the controller bounds them: beyond it nothing leaves but sound.
    pub window: Option<DataSize>,
}

impl Rates {
    /// A target, paced at itself, without padding or window.
    #[must_use]
    pub const fn target(target: Bitrate) -> Self {
        Self { target, pacing: target, padding: Bitrate::ZERO, window: None }
    }
}

/// What may be sent, and what there is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The target never goes below. Default: 10 kbit/s.
    pub min: Bitrate,
    /// The target never goes above. Default: 10 Mbit/s.
    pub max: Bitrate,
    /// The first target. Default: 300 kbit/s.
    pub start: Bitrate,
    /// What would be sent if the path took it: all streams at full quality, those that are paused for want of rate too.
    /// Probing is for reaching it, and goes to twice of it at most; at zero there is none. Default: zero.
    pub demand: Bitrate,
    /// Padding may be sent up to here, to learn whether there is room. Default: zero.
    pub padding_max: Bitrate,
    /// Less is sent than the target as there is no more: the pacer's queue is empty most of the time.
    pub is_application_limited: bool,
    /// This transport's share when several of one sender share a bottleneck, to their sum (RFC 8867 §6.1); 256 is one
    /// ordinary flow. Default: 256.
    pub priority: u16,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            min: Bitrate::from_kbps(10),
            max: Bitrate::from_mbps(10),
            start: Bitrate::from_kbps(300),
            demand: Bitrate::ZERO,
            padding_max: Bitrate::ZERO,
            is_application_limited: false,
            priority: 256,
        }
    }
}

impl Streams {
    /// The nearest that is within the limits; [`min`](Self::min), if the limits cross.
    #[must_use]
    pub fn clamp(&self, rate: Bitrate) -> Bitrate {
        rate.min(self.max).max(self.min)
    }
}

/// The way that packets take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Another number is another way.
    pub id: u32,
    /// A rate that is known to hold there; `None` begins with [`Streams::start`], or less.
    pub known: Option<Bitrate>,
}

/// A controller as it was: to go on from there twice (what if?), or to replay.
pub struct Snapshot(Box<dyn Any + Send>);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

/// The snapshot is of a controller of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the snapshot is of another kind of controller")]
pub struct WrongSnapshot;

/// Snapshots of whatever is `Clone`; nobody writes it.
pub trait Branch: Send {
    /// All that it knows.
    fn snapshot(&self) -> Snapshot;

    /// Is as it was when the snapshot was taken.
    ///
    /// # Errors
    ///
    /// [`WrongSnapshot`], and nothing has changed.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), WrongSnapshot>;
}

impl<T: Clone + Send + 'static> Branch for T {
    fn snapshot(&self) -> Snapshot {
        Snapshot(Box::new(self.clone()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), WrongSnapshot> {
        self.clone_from(snapshot.0.downcast_ref().ok_or(WrongSnapshot)?);
        Ok(())
    }
}
