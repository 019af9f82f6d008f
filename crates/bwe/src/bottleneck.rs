//! One bottleneck with a drop-tail queue, for unit tests: the scoreboard has the real ones.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize, Ecn};

use crate::{ArrivalTime, Controller, Feedback, PacketReport, Purpose, SentPacket};

const SIZE: DataSize = DataSize::from_bytes(1200);

/// A sender that always has as much to send as it may, and what it sends over.
pub(crate) struct Bottleneck {
    pub(crate) capacity: Bitrate,
    pub(crate) one_way: Duration,
    pub(crate) queue_max: Duration,
    /// Every so-manieth packet is lost besides.
    pub(crate) loses_each: u64,
    /// Packets that wait longer are marked.
    pub(crate) marks_above: Option<Duration>,
    pub(crate) now: Instant,
    start: Instant,
    number: u64,
    next_send: Instant,
    next_feedback: Instant,
    /// When the link has sent all that waits.
    busy_until: Instant,
    /// In the order of their arrival; each with when it arrives, if it does.
    on_the_way: VecDeque<(Instant, PacketReport)>,
    in_flight: DataSize,
}

/// What a while has brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) utilisation: f64,
    pub(crate) queueing_max: Duration,
    pub(crate) lost: u64,
}

impl Bottleneck {
    pub(crate) fn new(capacity: Bitrate, one_way: Duration) -> Self {
        let start = plenary_netsim::base();
        Self {
            capacity,
            one_way,
            queue_max: Duration::from_millis(300),
            loses_each: u64::MAX,
            marks_above: None,
            now: start,
            start,
            number: 0,
            next_send: start,
            next_feedback: start + Duration::from_millis(100),
            busy_until: start,
            on_the_way: VecDeque::new(),
            in_flight: DataSize::ZERO,
        }
    }

    pub(crate) fn run(&mut self, controller: &mut dyn Controller, time: Duration) -> Passed {
        let end = self.now + time;
        let mut passed = Passed::default();
        let mut sent = DataSize::ZERO;
        loop {
            let timeout = controller.poll_timeout().unwrap_or(end);
            self.now = self.next_send.min(self.next_feedback).min(timeout.max(self.now)).min(end);
            if self.now == end {
                passed.utilisation = sent.as_bytes() as f64 / self.capacity.data_in(time).as_bytes() as f64;
                return passed;
            }
            if timeout <= self.now {
                controller.handle_timeout(self.now);
            }
            if self.next_send <= self.now {
                self.send(controller, &mut passed, &mut sent);
            }
            if self.next_feedback <= self.now {
                self.report(controller);
                self.next_feedback += Duration::from_millis(100);
            }
        }
    }

    fn send(&mut self, controller: &mut dyn Controller, passed: &mut Passed, through: &mut DataSize) {
        let rates = controller.rates();
        self.next_send = self.now + rates.target.time_for(SIZE).unwrap_or(Duration::MAX).min(Duration::from_secs(1));
        if rates.window.is_some_and(|window| self.in_flight + SIZE > window) {
            self.next_send = self.now + Duration::from_millis(1);
            return;
        }
        self.number += 1;
        self.in_flight += SIZE;
        let sent = SentPacket {
            number: self.number,
            at: self.now,
            size: SIZE,
            untracked: DataSize::ZERO,
            purpose: Purpose::Video,
            probe: None,
            in_flight: self.in_flight,
        };
        controller.handle_sent(&sent);
        let waits = self.busy_until.saturating_duration_since(self.now);
        let is_lost = waits > self.queue_max || self.number.is_multiple_of(self.loses_each);
        passed.lost += u64::from(is_lost);
        if !is_lost {
            passed.queueing_max = passed.queueing_max.max(waits);
            *through += SIZE;
            self.busy_until = self.busy_until.max(self.now) + self.capacity.time_for(SIZE).unwrap();
        }
        let arrives = self.busy_until.max(self.now) + self.one_way;
        let arrived = (!is_lost).then(|| ArrivalTime::from_micros((arrives - self.start).as_micros() as i64 - 77));
        let is_marked = self.marks_above.is_some_and(|most| waits > most);
        let ecn = if is_marked { Ecn::Ce } else { Ecn::Ect1 };
        self.on_the_way.push_back((arrives, PacketReport { sent, arrived, ecn, is_recovered: false }));
    }

    /// What arrived a way back ago is known now.
    fn report(&mut self, controller: &mut dyn Controller) {
        let known = self.on_the_way.iter().take_while(|(arrives, _)| *arrives + self.one_way <= self.now).count();
        let packets: Vec<_> = self.on_the_way.drain(..known).map(|(_, packet)| packet).collect();
        let Some(newest) = packets.iter().rev().find(|packet| packet.arrived.is_some()) else { return };
        self.in_flight = self.in_flight.saturating_sub(DataSize::from_bytes(1200 * packets.len() as u64));
        let round_trip = Some(self.now - newest.sent.at);
        controller.handle_feedback(&Feedback { packets: &packets, in_flight: self.in_flight, round_trip }, self.now);
    }
}
