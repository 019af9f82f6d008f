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

/// Those of a feedback that did not come in the order of arrival; its room is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals(Vec<Arrived>);

impl Arrivals {
    /// Each in its turn.
    pub(crate) fn for_each(&mut self, feedback: &Feedback<'_>, clock: &mut Clock, mut each: impl FnMut(&Arrived)) {
        if feedback.arrived().is_sorted_by_key(|(_, at)| at) {
            feedback.arrived().for_each(|(report, at)| each(&arrived(report, at, clock)));
            return;
        }
        self.0.clear();
        self.0.extend(feedback.arrived().map(|(report, at)| arrived(report, at, clock)));
        // Those that arrived at once stay in the order of their departure.
        self.0.sort_unstable_by_key(|packet| (packet.at, packet.sent));
        self.0.iter().for_each(each);
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
