//! What the receiver tells the sender of arrivals.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_bwe::{ArrivalTime, PacketReport, SentPacket};
use plenary_wire::{DataSize, Ecn};

const INTERVAL: Duration = Duration::from_millis(100);

/// A message of feedback, on its way.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    arrivals: Vec<(u64, Duration, Ecn)>,
    at: Duration,
}

impl Message {
    /// Bytes with IP and UDP headers.
    pub(crate) const fn size(&self) -> usize {
        48 + 2 * self.arrivals.len()
    }
}

/// The receiver's side.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    seen: Vec<(u64, Duration, Ecn)>,
    due: Option<Duration>,
}

impl Reporter {
    pub(crate) fn handle_packet(&mut self, number: u64, ecn: Ecn, now: Duration) {
        self.seen.push((number, now, ecn));
        self.due.get_or_insert(now + INTERVAL);
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        self.due.unwrap_or(Duration::MAX)
    }

    pub(crate) fn poll_feedback(&mut self, now: Duration) -> Option<Message> {
        self.due.take_if(|due| *due <= now)?;
        Some(Message { arrivals: std::mem::take(&mut self.seen), at: now })
    }
}

/// The sender's side: what left and is not reported on.
#[derive(Debug, Default)]
pub(crate) struct History {
    sent: VecDeque<SentPacket>,
    in_flight: u64,
    reports: Vec<PacketReport>,
}

impl History {
    pub(crate) const fn in_flight(&self) -> DataSize {
        DataSize::from_bytes(self.in_flight)
    }

    pub(crate) fn handle_sent(&mut self, mut packet: SentPacket) -> SentPacket {
        self.in_flight += packet.size.as_bytes();
        packet.in_flight = self.in_flight();
        self.sent.push_back(packet);
        packet
    }

    /// What is known now, and the round trip.
    pub(crate) fn handle_feedback(
        &mut self,
        message: &Message,
        base: Instant,
        now: Duration,
    ) -> Option<(&[PacketReport], Duration)> {
        self.reports.clear();
        for (number, arrived, ecn) in &message.arrivals {
            while let Some(sent) = self.sent.front().copied().filter(|sent| sent.number <= *number) {
                self.sent.pop_front();
                self.in_flight -= sent.size.as_bytes();
                let arrived = ArrivalTime::from_micros(arrived.as_micros() as i64);
                let arrived = (sent.number == *number).then_some(arrived);
                self.reports.push(PacketReport { sent, arrived, ecn: *ecn, is_recovered: false });
            }
        }
        let newest = self.reports.last()?;
        let round_trip = (base + now) - newest.sent.at - (message.at - message.arrivals.last()?.1);
        Some((&self.reports, round_trip))
    }
}
