use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_rtp::extension::FeedbackRequest;
use plenary_rtp::rtcp::{Arrival, TwccWriter};
use plenary_rtp::{ExtendedSeqNo, SeqNo, SeqUnwrapper, Ssrc};
use plenary_wire::{Bitrate, DataSize};

use super::Counters;
use super::restart::Restart;

/// How often transport-wide feedback is sent, and how far back it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwccConfig {
    /// Who reports.
    pub sender_ssrc: Ssrc,
    /// The least time between two messages. Default: 50 ms.
    pub interval_min: Duration,
    /// The longest. Default: 250 ms.
    pub interval_max: Duration,
    /// Until [`TwccGenerator::set_rate`] is told a rate. Default: 100 ms.
    pub interval: Duration,
    /// A packet that comes later than the next ones by no more than this is still told of: with them, once more. Default:
    /// 500 ms.
    pub back: Duration,
    /// Arrivals that are kept at most, those that were told of included. Default: 8192, of 24 bytes: 16,000 packets a second
    /// for [`back`](Self::back).
    pub arrivals_max: usize,
    /// Feedback only when asked for: where `transport-wide-cc-02` is negotiated. Default: no.
    pub is_on_request: bool,
}

impl Default for TwccConfig {
    fn default() -> Self {
        Self {
            sender_ssrc: Ssrc(0),
            interval_min: Duration::from_millis(50),
            interval_max: Duration::from_millis(250),
            interval: Duration::from_millis(100),
            back: Duration::from_millis(500),
            arrivals_max: 8192,
            is_on_request: false,
        }
    }
}

/// Writes transport-wide feedback: when packets arrived, by their number among all of their transport
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3).
///
/// The rules are those of libwebrtc's `modules/remote_bitrate_estimator/transport_sequence_number_feedback_generator.cc`
/// (revision bd635df347): the interval is such that feedback takes 5 % of the rate of its own direction; a packet that
/// comes after it was reported lost is reported again, with all that came after it. Where we differ: nothing is sent
/// sooner than 25 ms after the first packet that it is on, so that a frame after a pause is told of at once, rather than
/// in part.
#[derive(Clone, Debug)]
pub struct TwccGenerator {
    config: TwccConfig,
    interval: Duration,
    unwrapper: SeqUnwrapper,
    restart: Restart,
    /// In the order of their numbers.
    arrivals: VecDeque<Arrival>,
    /// Arrivals below are not known any more.
    floor: ExtendedSeqNo,
    /// The number that the next feedback begins with.
    next: ExtendedSeqNo,
    writer: TwccWriter,
    /// What arrival times count from.
    epoch: Option<Instant>,
    last: Option<Instant>,
    due: Option<Instant>,
    counters: Counters,
}

/// A message with IPv4, UDP and SRTP, of the average of what 50 and 250 ms take: what the interval is reckoned by.
const MESSAGE_SIZE: DataSize = DataSize::from_bytes(68);

/// 5 % of the rate are for feedback.
const SHARE: u64 = 20;

/// No feedback leaves sooner after the first packet that it is on.
const WAIT: Duration = Duration::from_millis(25);

impl TwccGenerator {
    /// A generator that knows of no packet.
    #[must_use]
    pub fn new(config: TwccConfig) -> Self {
        Self {
            config,
            interval: config.interval,
            unwrapper: SeqUnwrapper::new(),
            restart: Restart::default(),
            arrivals: VecDeque::new(),
            floor: ExtendedSeqNo(0),
            next: ExtendedSeqNo(u64::MAX),
            writer: TwccWriter::new(config.sender_ssrc, Ssrc(0)),
            epoch: None,
            last: None,
            due: None,
            counters: Counters::default(),
        }
    }

    /// A packet came, of this stream and with this transport-wide number. May change when feedback is due.
    pub fn handle_packet(&mut self, ssrc: Ssrc, seq: SeqNo, now: Instant) {
        self.writer.set_media_ssrc(ssrc);
        self.forget_old(now);
        let Some(seq) = self.place(seq, now) else { return };
        let at = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        if !self.insert(Arrival { seq, at }) {
            self.counters.duplicate += 1;
            return;
        }
        if self.config.is_on_request {
            return;
        }
        self.next = self.next.min(seq);
        let soonest = now + WAIT;
        let due = self.last.map_or(soonest, |last| soonest.max(last + self.interval));
        self.due.get_or_insert(due);
    }

    /// A packet, already told to [`handle_packet`](Self::handle_packet), asks for feedback on itself and those before it:
    /// it is due at once. With arrival times, whether they were asked for or not.
    pub fn handle_request(&mut self, seq: SeqNo, request: FeedbackRequest, now: Instant) {
        let count = u64::from(request.count());
        if count == 0 {
            return;
        }
        let first = ExtendedSeqNo((self.unwrapper.peek(seq).0 + 1).saturating_sub(count)).max(self.floor);
        while self.arrivals.front().is_some_and(|front| front.seq < first) {
            self.forget_first();
        }
        self.next = if self.due.is_some() { self.next.min(first) } else { first };
        self.due = Some(now);
    }

    /// The rate at which this end may send: the interval is such that feedback takes 5 % of it, within its limits.
    pub fn set_rate(&mut self, rate: Bitrate) {
        let share = Bitrate::from_bps(rate.as_bps() / SHARE);
        let interval = share.time_for(MESSAGE_SIZE).unwrap_or(Duration::MAX);
        self.interval = interval.min(self.config.interval_max).max(self.config.interval_min);
    }

    /// When feedback is due. Every call may change it.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Appends a message of `size_max` bytes at most, if one is due: to be called until it answers `false`. It needs 44
    /// bytes; what does not fit waits, and is due.
    pub fn write(&mut self, now: Instant, size_max: usize, out: &mut Vec<u8>) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        let told = self.arrivals.partition_point(|arrival| arrival.seq < self.next);
        let arrivals = self.arrivals.make_contiguous().get(told..).unwrap_or_default();
        if arrivals.is_empty() {
            self.due = None;
            return false;
        }
        let Ok(taken) = self.writer.write(self.next, arrivals, size_max, out) else { return false };
        let Some(last) = arrivals.get(taken.wrapping_sub(1)) else { return false };
        self.next = ExtendedSeqNo(last.seq.0 + 1);
        if taken == arrivals.len() {
            self.due = None;
            self.last = Some(now);
        }
        true
    }

    /// What is not told of, and why.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The number that never wraps; `None` if the packet is too late to be told of.
    fn place(&mut self, seq: SeqNo, now: Instant) -> Option<ExtendedSeqNo> {
        if self.unwrapper.peek(seq) >= self.floor {
            self.restart.note_fit();
            return Some(self.unwrapper.unwrap(seq));
        }
        if !self.restart.note_misfit(now) {
            self.counters.out_of_range += 1;
            return None;
        }
        self.counters.restarts += 1;
        self.arrivals.clear();
        self.floor = ExtendedSeqNo(0);
        self.unwrapper = SeqUnwrapper::new();
        let seq = self.unwrapper.unwrap(seq);
        self.next = seq;
        self.due = None;
        Some(seq)
    }

    /// Whether it is the first of its number.
    fn insert(&mut self, arrival: Arrival) -> bool {
        let index = match self.arrivals.back() {
            Some(back) if back.seq >= arrival.seq => self.arrivals.partition_point(|known| known.seq < arrival.seq),
            _ => self.arrivals.len(),
        };
        if self.arrivals.get(index).is_some_and(|known| known.seq == arrival.seq) {
            return false;
        }
        self.arrivals.insert(index, arrival);
        true
    }

    /// Lets go what is too old to be told once more, and what is too many.
    fn forget_old(&mut self, now: Instant) {
        let now = self.epoch.map_or(Duration::ZERO, |epoch| now.saturating_duration_since(epoch));
        while let Some(front) = self.arrivals.front() {
            let is_told = front.seq < self.next || self.config.is_on_request;
            let is_old = now.saturating_sub(front.at) > self.config.back && is_told;
            if !is_old && self.arrivals.len() < self.config.arrivals_max.max(1) {
                break;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(front) = self.arrivals.pop_front() else { return };
        self.floor = ExtendedSeqNo(front.seq.0 + 1);
        if front.seq >= self.next && !self.config.is_on_request {
            // To begin with it would say that it is lost.
            self.next = self.floor;
            self.counters.forgotten += 1;
        }
    }
}
