use std::time::{Duration, Instant};

use plenary_wire::Bitrate;

use crate::ProbeId;

/// Why a controller's target last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Explanation {
    /// What did it.
    pub cause: Cause,
    /// When; `None` if it never changed.
    pub at: Option<Instant>,
    /// The target before.
    pub from: Bitrate,
    /// The target after.
    pub to: Bitrate,
    /// What it was concluded from.
    pub evidence: Evidence,
}

/// What changes a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It is the first.
    #[default]
    Start,
    /// There was no sign of congestion.
    Increase,
    /// Packets took longer and longer, or too long.
    Delay,
    /// Packets were lost.
    Loss,
    /// Packets were marked (ECN).
    Mark,
    /// What a probe has shown.
    Probe(ProbeId),
    /// The round-trip time is far too long.
    RoundTrip,
    /// Too much is on the way.
    Window,
    /// The receiver's limit (REMB).
    RemoteLimit,
    /// No feedback came.
    Silence,
    /// The limits of what may be sent.
    Streams,
    /// Another route.
    Route,
    /// A schedule that was known before.
    Schedule,
    /// The controller does not say: it is a program of its own, or another library's.
    Unknown,
}

/// What a change was concluded from: what does not apply is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The first and the last packet of what was looked at.
    pub packets: Option<(u64, u64)>,
    /// What arrived in a second.
    pub acknowledged: Option<Bitrate>,
    /// The queueing delay, as it is seen.
    pub delay: Option<Duration>,
    /// The share that was lost, 0 to 1.
    pub loss: Option<f64>,
}
