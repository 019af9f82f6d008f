use std::time::Instant;

use plenary_wire::Bitrate;

use crate::Feedback;
use crate::gcc::number::{Clock, bytes, scaled};
use crate::gcc::proof::Proof;

/// A target is no higher than so many times what was seen to pass.
const FACTOR: f64 = 1.5;

/// Keeps a target near what was acknowledged: in half a second of departures, by the sender's own clock. A receiver that
/// makes up arrival times, or keeps its feedback to tell all of it at once, gains nothing.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    clock: Clock,
    proof: Proof,
    proven: Bitrate,
    start: Bitrate,
}

impl Bound {
    /// Begins with a rate that is trusted.
    pub(crate) fn new(start: Bitrate) -> Self {
        Self { clock: Clock::default(), proof: Proof::new(), proven: Bitrate::ZERO, start }
    }

    pub(crate) fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        for (packet, _) in feedback.arrived() {
            self.proof.add(self.clock.time(packet.sent.at), bytes(packet.sent.size));
        }
        self.proven = self.proof.rate(self.clock.time(now));
    }

    /// What was acknowledged of the best half second in three.
    pub(crate) const fn proven(&self) -> Bitrate {
        self.proven
    }

    /// The highest that a target may be.
    pub(crate) fn highest(&self) -> Bitrate {
        scaled(self.proven, FACTOR).max(self.start)
    }
}
