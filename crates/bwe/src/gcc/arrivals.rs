//! What a feedback says has arrived, in the order of arrival.

use super::number::{Clock, Time, bytes};
use crate::{ArrivalTime, Feedback, PacketReport, ProbeId};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) sent: Time,
    pub(crate) at: ArrivalTime,
    /// In bytes.
    pub(crate) size: i64,
    /// Bytes that left before it and are not reported on.
    pub(crate) untracked: i64,
    pub(crate) probe: Option<ProbeId>,
}

impl Arrived {
    /// With what left before it and is not reported on.
    pub(crate) const fn total(&self) -> i64 {
        self.size + self.untracked
    }
}

/// Of one feedback at a time; its room is kept.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals(Vec<Arrived>);

/// What one feedback has at most, most of the time: with more, room is made for once.
const USUAL_MAX: usize = 256;

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(USUAL_MAX))
    }

    pub(crate) fn fill(&mut self, feedback: &Feedback<'_>, clock: &mut Clock) {
        self.0.clear();
        self.0.extend(feedback.arrived().map(|(report, at)| arrived(report, at, clock)));
        if !self.0.is_sorted_by_key(|packet| packet.at) {
            // Those that arrived at once stay in the order of their departure.
            self.0.sort_unstable_by_key(|packet| (packet.at, packet.sent));
        }
    }

    pub(crate) fn packets(&self) -> &[Arrived] {
        &self.0
    }
}

fn arrived(report: &PacketReport, at: ArrivalTime, clock: &mut Clock) -> Arrived {
    let sent = &report.sent;
    Arrived {
        sent: clock.time(sent.at),
        at,
        size: bytes(sent.size),
        untracked: bytes(sent.untracked),
        probe: sent.probe,
    }
}
