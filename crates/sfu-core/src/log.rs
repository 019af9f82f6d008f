//! What was published of one layer: the clear packets in the order that they came in, for all who read them.

mod store;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use plenary_rtp::{ExtendedSeqNo, Packet, RtpTime};

use crate::frame::Facts;

use store::{Place, Store};

/// A packet's place in its log, which it keeps: 0, 1, 2 and so on.
pub(crate) type Position = u64;

/// Once nothing has come for so long, nothing is kept: what an old picture takes is not held for one who has stopped.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How much a log keeps: as long as somebody may ask for a packet again, and no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    pub(crate) packets_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) age_max: Duration,
    /// Bytes that are had at once.
    pub(crate) chunk: usize,
}

/// A packet of the log, without its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: ExtendedSeqNo,
    pub(crate) timestamp: RtpTime,
    pub(crate) arrived: Instant,
    pub(crate) marker: bool,
    pub(crate) facts: Facts,
    place: Place,
    payload: Range<u16>,
}

impl Entry {
    pub(crate) fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Whether it carries nothing: padding that probes for bandwidth.
    pub(crate) fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }
}

/// The packets of one layer, bounded by count, bytes and time. It is written once for each packet and read by every
/// subscriber.
#[derive(Debug)]
pub(crate) struct Log {
    limits: LogLimits,
    entries: VecDeque<Entry>,
    /// Of the first entry.
    first: Position,
    store: Store,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(limits: LogLimits) -> Self {
        Self { limits, entries: VecDeque::new(), first: 0, store: Store::new(limits.chunk), bytes: 0 }
    }

    /// Keeps a packet, and answers where.
    pub(crate) fn append(&mut self, packet: &Packet<'_>, seq: ExtendedSeqNo, facts: Facts, now: Instant) -> Position {
        let range = packet.payload_range();
        let bytes = &packet.bytes()[..range.end];
        self.make_room(bytes.len(), now);
        let place = self.store.append(bytes);
        self.bytes += bytes.len();
        let (timestamp, marker) = (packet.timestamp(), packet.marker());
        // A datagram has less than 2^16 bytes.
        let payload = range.start as u16..range.end as u16;
        self.entries.push_back(Entry { seq, timestamp, arrived: now, marker, facts, place, payload });
        self.end() - 1
    }

    /// Before the packet is added, so that the ring need not grow beyond its limit.
    fn make_room(&mut self, bytes: usize, now: Instant) {
        while let Some(oldest) = self.entries.front() {
            let fits = self.entries.len() < self.limits.packets_max && self.bytes + bytes <= self.limits.bytes_max;
            if fits && now.saturating_duration_since(oldest.arrived) <= self.limits.age_max {
                break;
            }
            self.bytes -= oldest.place.len();
            self.entries.pop_front();
            self.first += 1;
        }
        self.store.keep_from(self.entries.front().map(|oldest| &oldest.place));
    }

    /// Gives back what nobody has added to for long. Whoever has read all of it is not behind.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let is_idle = |newest: &Entry| now.saturating_duration_since(newest.arrived) > IDLE_MAX;
        if self.entries.back().is_some_and(is_idle) {
            (self.first, self.entries, self.bytes) = (self.end(), VecDeque::new(), 0);
            self.store.keep_from(None);
        }
    }

    /// Forgets all packets. Whoever reads is behind what is kept from now on, even if he had read all of it.
    pub(crate) fn clear(&mut self) {
        self.first = self.end() + 1;
        self.entries.clear();
        self.bytes = 0;
        self.store.keep_from(None);
    }

    /// Bytes of payload that came in after this instant, as far as they are kept.
    pub(crate) fn bytes_since(&self, instant: Option<Instant>) -> usize {
        let recent =
            self.entries.iter().rev().take_while(|entry| instant.is_none_or(|instant| entry.arrived > instant));
        recent.map(Entry::payload_len).sum()
    }

    /// The packet at this position, if it is still there.
    pub(crate) fn get(&self, position: Position) -> Option<&Entry> {
        let index = position.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// The packets from this position on, which is kept or the end.
    pub(crate) fn from(&self, position: Position) -> impl Iterator<Item = &Entry> {
        let index = position.saturating_sub(self.first).min(self.entries.len() as u64);
        self.entries.range(index as usize..)
    }

    pub(crate) fn payload(&self, entry: &Entry) -> &[u8] {
        let range = usize::from(entry.payload.start)..usize::from(entry.payload.end);
        &self.store.get(&entry.place)[range]
    }

    /// A part of the header, by where it stands in the packet.
    pub(crate) fn header(&self, entry: &Entry, range: Range<u16>) -> &[u8] {
        &self.store.get(&entry.place)[usize::from(range.start)..usize::from(range.end)]
    }

    /// Of the oldest packet that is kept.
    pub(crate) const fn start(&self) -> Position {
        self.first
    }

    /// Behind the newest.
    pub(crate) fn end(&self) -> Position {
        self.first + self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests;
