//! What was sent, until feedback tells what became of it.
//!
//! The rules are those of libwebrtc's `modules/congestion_controller/rtp/transport_feedback_adapter.cc` (revision
//! bd635df347); where we differ, the difference is said.

mod ccfb;
mod config;
mod counters;
mod ecn;
mod report_clock;
mod streams;
mod twcc;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use plenary_rtp::rtcp::ReferenceClock;
use plenary_rtp::{ExtendedSeqNo, SeqNo, Ssrc};
use plenary_wire::{DataSize, Ecn};

pub use self::config::{Config, ConfigError, Overhead};
pub use self::counters::Counters;
pub use self::ecn::EcnPath;
use self::ecn::EcnValidation;
use self::report_clock::ReportClock;
use self::streams::Streams;
use crate::{ArrivalTime, Feedback, PacketReport, ProbeId, Purpose, SentPacket};

/// The packets of one transport that have left, and what feedback says of them: joins the two into [`Feedback`].
///
/// Each packet is told of once: as arrived or as lost. One that was told lost and arrives after all is told of once
/// more, as recovered. Whatever else feedback says of it changes nothing but a counter.
///
/// A packet that no feedback names is not known to be lost: perhaps the feedback on it was. It is no longer in flight
/// once feedback passes beyond it, but is not told of.
#[derive(Clone, Debug)]
pub struct History {
    config: Config,
    overhead: Overhead,
    /// In the order of their numbers, without gaps.
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// What was sent before went another way.
    route_first: u64,
    /// Feedback has passed beyond all packets below.
    passed: u64,
    /// The newest packet that is known to have arrived.
    newest_arrived: Option<(u64, Instant)>,
    in_flight: DataSize,
    untracked: DataSize,
    streams: Streams,
    reference: ReferenceClock,
    report_clock: ReportClock,
    feedback_count: Option<u8>,
    ecn: EcnValidation,
    counters: Counters,
    /// What the feedback at hand tells.
    reports: Vec<PacketReport>,
}

/// A packet that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Bytes of its datagram: RTP with what SRTP adds, without UDP and IP, which are the history's [`Overhead`].
    pub size: DataSize,
    /// What for.
    pub purpose: Purpose,
    /// The probe that it belongs to.
    pub probe: Option<ProbeId>,
    /// The ECN bits that it leaves with.
    pub ecn: Ecn,
    /// Its SSRC and sequence number, where feedback is RFC 8888's; `None` where it goes by transport-wide numbers.
    pub rtp: Option<(Ssrc, SeqNo)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    sent: SentPacket,
    ecn: Ecn,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    /// Feedback went beyond it and did not name it.
    Passed,
    /// Told of as lost.
    Lost,
    /// Told of as arrived.
    Arrived,
    /// It never left.
    Unsent,
}

impl History {
    /// A history without packets.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a limit is out of its range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        // The first cycle is 1, so that numbers before the first have room.
        let first = (1 << 16) + u64::from(config.first.0);
        Ok(Self {
            config,
            overhead: config.overhead,
            entries: VecDeque::new(),
            first,
            route_first: first,
            passed: first,
            newest_arrived: None,
            in_flight: DataSize::ZERO,
            untracked: DataSize::ZERO,
            streams: Streams::new(config.streams_max),
            reference: ReferenceClock::default(),
            report_clock: ReportClock::default(),
            feedback_count: None,
            ecn: EcnValidation::default(),
            counters: Counters::default(),
            reports: Vec::new(),
        })
    }

    /// The number of the next packet: the transport-wide sequence number is its low 16 bits. One more after each
    /// [`handle_sent`](Self::handle_sent); a caller that numbers packets itself begins with [`Config::first`].
    #[inline]
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// A packet leaves: gives what a controller is to be told.
    #[inline]
    pub fn handle_sent(&mut self, departure: Departure, now: Instant) -> SentPacket {
        self.forget_old(now);
        let number = self.next_number();
        let size = self.overhead.with(departure.size);
        self.in_flight = self.in_flight.saturating_add(size);
        let sent = SentPacket {
            number,
            at: now,
            size,
            untracked: std::mem::take(&mut self.untracked),
            purpose: departure.purpose,
            probe: departure.probe,
            in_flight: self.in_flight,
        };
        self.entries.push_back(Entry { sent, ecn: departure.ecn, state: State::InFlight });
        if let Some((ssrc, seq)) = departure.rtp
            && !self.streams.note(ssrc, seq, number, self.first)
        {
            self.counters.streams_full += 1;
        }
        sent
    }

    /// A datagram leaves that no feedback will be on (RTCP, STUN, DTLS): its size without UDP and IP. It goes with the
    /// next packet, as [`SentPacket::untracked`].
    pub fn handle_untracked(&mut self, size: DataSize) {
        self.untracked = self.untracked.saturating_add(self.overhead.with(size));
    }

    /// The packet of this number was given to [`handle_sent`](Self::handle_sent), but could not be sent after all: it is
    /// not in flight, and not lost.
    pub fn handle_unsent(&mut self, number: u64) {
        self.land(number);
        if let Some(entry) = self.entry_mut(number) {
            entry.state = State::Unsent;
        }
    }

    /// Packets leave by another way from now on, with so much around them: what was sent before is not in flight, and not
    /// told of any more.
    pub fn handle_route_change(&mut self, overhead: Overhead) {
        self.overhead = overhead;
        let next = self.next_number();
        (self.first, self.route_first, self.passed) = (next, next, next);
        self.entries.clear();
        self.newest_arrived = None;
        self.in_flight = DataSize::ZERO;
        self.untracked = DataSize::ZERO;
        self.ecn = EcnValidation::default();
    }

    /// Bytes of what is on the way, with all headers: sent on this route, and feedback has not passed beyond it.
    #[must_use]
    pub const fn in_flight(&self) -> DataSize {
        self.in_flight
    }

    /// What the path does to ECN marks, as far as feedback of RFC 8888 has shown.
    #[must_use]
    pub const fn ecn(&self) -> EcnPath {
        self.ecn.path()
    }

    /// What was ignored, and why.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The number that is written `seq`, by the shorter way from the next.
    fn unwrap(&self, seq: SeqNo) -> u64 {
        ExtendedSeqNo(self.next_number()).nearest(seq).0
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let index = number.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    /// Those of these numbers that are held, as indices.
    fn held(&self, numbers: Range<u64>) -> Range<usize> {
        let end = numbers.end.min(self.next_number());
        let start = numbers.start.clamp(self.first, end.max(self.first));
        (start - self.first) as usize..end.saturating_sub(self.first) as usize
    }

    /// The packet is no longer in flight.
    fn land(&mut self, number: u64) {
        if let Some(entry) = self.entry_mut(number)
            && entry.state == State::InFlight
        {
            entry.state = State::Passed;
            let size = entry.sent.size;
            self.in_flight = self.in_flight.saturating_sub(size);
        }
    }

    /// Feedback is on packets up to this number, exclusive.
    fn pass(&mut self, end: u64) {
        let end = end.min(self.next_number());
        for number in self.passed.max(self.first)..end {
            self.land(number);
        }
        self.passed = self.passed.max(end);
    }

    /// Feedback says that a packet arrived, and with which ECN bits if it can.
    fn mark_arrived(&mut self, number: u64, arrived: ArrivalTime, ecn: Option<Ecn>) {
        self.land(number);
        let unheld = match number {
            number if number >= self.next_number() => &mut self.counters.unsent,
            number if number < self.route_first => &mut self.counters.other_route,
            _ => &mut self.counters.forgotten,
        };
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) else {
            *unheld += 1;
            return;
        };
        let before = std::mem::replace(&mut entry.state, State::Arrived);
        match before {
            State::InFlight | State::Passed | State::Lost => {}
            State::Arrived => {
                self.counters.again += 1;
                return;
            }
            State::Unsent => {
                entry.state = State::Unsent;
                self.counters.unsent += 1;
                return;
            }
        }
        self.reports.push(PacketReport {
            sent: entry.sent,
            arrived: Some(arrived),
            ecn: ecn.unwrap_or_default(),
            is_recovered: before == State::Lost,
        });
        if let Some(ecn) = ecn {
            self.ecn.note(entry.ecn, ecn);
        }
    }

    /// Feedback says, or shows, that of these packets those have not arrived which are not known to have.
    fn mark_lost(&mut self, numbers: Range<u64>) {
        for entry in self.entries.range_mut(self.held(numbers)) {
            if entry.state == State::Passed {
                entry.state = State::Lost;
                self.reports.push(PacketReport {
                    sent: entry.sent,
                    arrived: None,
                    ecn: Ecn::NotEct,
                    is_recovered: false,
                });
            }
        }
    }

    /// The reports as feedback, if there are any. `reported` is when the receiver made them, on its own clock.
    fn finish(&mut self, now: Instant, reported: Option<ArrivalTime>) -> Option<Feedback<'_>> {
        let newest = self.reports.iter().rev().find_map(|report| Some((report.sent, report.arrived?)));
        let newer = newest.filter(|(sent, _)| self.newest_arrived.is_none_or(|(number, _)| sent.number > number));
        let round_trip = newer.map(|(sent, arrived)| {
            self.newest_arrived = Some((sent.number, sent.at));
            let held = reported.map_or(0, |reported| reported.micros_since(arrived).max(0));
            now.saturating_duration_since(sent.at).saturating_sub(Duration::from_micros(held.unsigned_abs()))
        });
        self.forget_late();
        if self.reports.is_empty() {
            return None;
        }
        Some(Feedback { packets: &self.reports, in_flight: self.in_flight, round_trip })
    }

    /// Lets go what is too old, or too many.
    #[inline]
    fn forget_old(&mut self, now: Instant) {
        while let Some(front) = self.entries.front()
            && (self.entries.len() >= usize::from(self.config.packets_max)
                || now.saturating_duration_since(front.sent.at) > self.config.age_max)
        {
            self.forget_first();
        }
    }

    /// Lets go what left long before the newest packet that has arrived.
    fn forget_late(&mut self) {
        let Some((_, newest)) = self.newest_arrived else { return };
        while let Some(front) = self.entries.front()
            && newest.saturating_duration_since(front.sent.at) > self.config.late_max
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let number = self.first;
        self.land(number);
        if let Some(entry) = self.entries.pop_front() {
            self.first = number + 1;
            self.counters.unanswered += u64::from(entry.state == State::Passed);
        }
    }
}
