use std::collections::VecDeque;
use std::time::Instant;

use plenary_rtp::rtcp::{ArrivalOffset, CcfbBlock, Metric};
use plenary_rtp::{ExtendedSeqNo, SeqNo, SeqUnwrapper, Ssrc};
use plenary_wire::Ecn;

use super::restart::Restart;

/// Statuses that are kept once they were reported, for packets that come late.
const KEPT: usize = 64;

/// What arrived of one stream: libwebrtc's `modules/remote_bitrate_estimator/congestion_control_feedback_tracker.cc`
/// (revision bd635df347).
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    pub(super) ssrc: Ssrc,
    /// When a packet last came.
    pub(super) newest: Instant,
    unwrapper: SeqUnwrapper,
    restart: Restart,
    /// By number, from `first` on; the last has arrived.
    statuses: VecDeque<Status>,
    first: u64,
    /// The number that the next report begins with.
    next: u64,
}

/// When a packet came, and with which ECN bits; `None` if it did not.
type Status = Option<(Instant, Ecn)>;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is to be reported.
    New,
    /// It is to be reported, and the stream's numbers begin anew with it.
    Restarted,
    Duplicate,
    OutOfRange,
}

impl Tracker {
    pub(super) fn new(ssrc: Ssrc, now: Instant) -> Self {
        Self {
            ssrc,
            newest: now,
            unwrapper: SeqUnwrapper::new(),
            restart: Restart::default(),
            statuses: VecDeque::new(),
            first: 0,
            next: 0,
        }
    }

    /// A packet came; `room` is by how many statuses the tracker may grow.
    pub(super) fn note(&mut self, seq: SeqNo, ecn: Ecn, room: usize, now: Instant) -> Noted {
        self.newest = now;
        let number = self.unwrapper.peek(seq);
        if self.statuses.is_empty() {
            if room < KEPT {
                return Noted::OutOfRange;
            }
            self.begin(number);
        }
        if !self.fits(number, room) {
            if !self.restart.note_misfit(now) {
                return Noted::OutOfRange;
            }
            self.unwrapper = SeqUnwrapper::new();
            self.begin(self.unwrapper.peek(seq));
            self.set(seq, ecn, now);
            return Noted::Restarted;
        }
        self.restart.note_fit();
        self.set(seq, ecn, now)
    }

    /// Statuses that are held.
    pub(super) fn len(&self) -> usize {
        self.statuses.len()
    }

    /// Statuses that the next report is on.
    pub(super) fn pending(&self) -> usize {
        (self.end() - self.next) as usize
    }

    /// Appends as many metrics as are to be reported, `count_max` at most, and gives the number of the first. A late or
    /// marked packet is reported again, with those that follow it.
    pub(super) fn report(&mut self, count_max: usize, now: Instant, metrics: &mut Vec<Metric>) -> SeqNo {
        let begin = self.next;
        let start = (begin - self.first) as usize;
        let count = self.pending().min(count_max);
        metrics.extend(self.statuses.range(start..start + count).map(|status| metric(*status, now)));
        self.next += count as u64;
        let kept_from = self.next.saturating_sub(KEPT as u64);
        let past = (kept_from.saturating_sub(self.first) as usize).min(self.statuses.len());
        self.statuses.drain(..past);
        self.first += past as u64;
        ExtendedSeqNo(begin).seq_no()
    }

    const fn reach(&self) -> u64 {
        self.first + CcfbBlock::METRICS_MAX as u64
    }

    fn end(&self) -> u64 {
        self.first + self.statuses.len() as u64
    }

    fn fits(&self, number: ExtendedSeqNo, room: usize) -> bool {
        let grows = (number.0 + 1).saturating_sub(self.end());
        number.0 >= self.first && number.0 < self.reach() && grows <= room as u64
    }

    /// Begins with this packet; there is room for some that were sent before it and come later.
    fn begin(&mut self, number: ExtendedSeqNo) {
        self.statuses.clear();
        self.statuses.resize(KEPT, None);
        self.first = number.0 + 1 - KEPT as u64;
        self.next = number.0;
    }

    fn set(&mut self, seq: SeqNo, ecn: Ecn, now: Instant) -> Noted {
        let number = self.unwrapper.unwrap(seq).0;
        let index = (number - self.first) as usize;
        if index >= self.statuses.len() {
            self.statuses.resize(index + 1, None);
        }
        let Some(status) = self.statuses.get_mut(index) else { return Noted::OutOfRange };
        match status {
            None => *status = Some((now, ecn)),
            // RFC 8888 §3.1: the time is that of the first copy, and a mark on any copy is told.
            Some((_, known)) if ecn == Ecn::Ce && *known != Ecn::Ce => *known = Ecn::Ce,
            Some(_) => return Noted::Duplicate,
        }
        self.next = self.next.min(number);
        Noted::New
    }
}

fn metric(status: Status, now: Instant) -> Metric {
    let Some((at, ecn)) = status else { return Metric::Lost };
    let ticks = now.saturating_duration_since(at).as_nanos() * 1024 / 1_000_000_000;
    Metric::Received { ecn, offset: ArrivalOffset::from_ticks(u64::try_from(ticks).unwrap_or(u64::MAX)) }
}
