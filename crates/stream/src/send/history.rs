//! What was sent and may be asked for again, without its payload.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_rtp::{ExtendedSeqNo, SeqNo};
use plenary_wire::DataSize;

use crate::{ConfigError, RoundTrip};

/// How much is remembered, and how much of it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Packets remembered. Default: 1024, two seconds of 5 Mbit/s, and 24 kB. From 1 to 32767.
    pub packets_max: u16,
    /// Bytes of packets remembered. Default: 2 MB, for whoever keeps the payload for as long.
    pub size_max: DataSize,
    /// How long. Default: 1 s; who asks later has gone on without it.
    pub age_max: Duration,
    /// A packet that was repeated is not repeated again before a round trip has passed, nor before this. Default: 10 ms,
    /// which bounds what one can ask for on a short path, or before the round trip is known.
    pub again_min: Duration,
    /// Retransmissions per 256 bytes sent for the first time. Default: 128, half as much again: what a loss of a third
    /// needs.
    pub budget_ratio: u8,
    /// Retransmissions saved up at most, and there to begin with. Default: 128 kB, one large key frame.
    pub budget_max: DataSize,
    /// The first number of the RTX stream. A random one, below 32768 so that no receiver guesses its cycle wrong.
    pub rtx_first: SeqNo,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            packets_max: 1024,
            size_max: DataSize::from_bytes(2_000_000),
            age_max: Duration::from_secs(1),
            again_min: Duration::from_millis(10),
            budget_ratio: 128,
            budget_max: DataSize::from_bytes(128_000),
            rtx_first: SeqNo(0),
        }
    }
}

/// A packet to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// What the caller named it by.
    pub token: u64,
    /// Its number in its own stream: the OSN of RFC 4588.
    pub original: SeqNo,
    /// Its number in the RTX stream, which is spent.
    pub sequence_number: SeqNo,
    /// Its size when it was sent first.
    pub size: DataSize,
}

/// What was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryCounters {
    /// Retransmissions handed out.
    pub retransmitted: u64,
    /// Numbers that are not remembered: too old, or never sent.
    pub unknown: u64,
    /// Refused since they were sent less than a round trip ago.
    pub too_soon: u64,
    /// Refused since the budget was spent.
    pub over_budget: u64,
}

/// Remembers what was sent, by sequence number, and answers NACKs with what is to be sent again.
///
/// It holds no payload. For each packet the caller gives a `token` by which it finds the payload again: a forwarder the
/// place in its log, an endpoint the index into a ring of buffers. If that ring has
/// [`packets_max`](HistoryConfig::packets_max) buffers and is filled in turn, no token of the history is ever stale.
#[derive(Debug)]
pub struct SendHistory {
    config: HistoryConfig,
    round_trip: Duration,
    epoch: Instant,
    /// The latest time that was told.
    latest: Instant,
    /// The packets in order without gaps: numbers that were left out have an entry of size 0.
    entries: VecDeque<Entry>,
    /// The number of the first entry; of the next packet, if there is none.
    first: ExtendedSeqNo,
    size: DataSize,
    /// When those that are too old were looked for.
    evicted_at: u32,
    /// In bytes.
    budget: u64,
    rtx_next: SeqNo,
    counters: HistoryCounters,
}

/// Times are milliseconds since the epoch and wrap after 49 days, far beyond any age.
#[derive(Clone, Copy, Debug)]
struct Entry {
    token: u64,
    /// When it was sent the last time.
    at: u32,
    /// When it was sent first.
    sent: u32,
    size: u32,
    repeated: bool,
}

impl SendHistory {
    /// Nothing sent yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::PacketsMax`] if the limit of packets is out of its range.
    pub fn new(config: HistoryConfig, now: Instant) -> Result<Self, ConfigError> {
        if config.packets_max == 0 || config.packets_max > 32_767 {
            return Err(ConfigError::PacketsMax(config.packets_max));
        }
        Ok(Self {
            round_trip: Duration::ZERO,
            config,
            epoch: now,
            latest: now,
            entries: VecDeque::new(),
            first: ExtendedSeqNo(0),
            size: DataSize::ZERO,
            evicted_at: 0,
            budget: config.budget_max.as_bytes(),
            rtx_next: config.rtx_first,
            counters: HistoryCounters::default(),
        })
    }

    /// Remembers a packet that is sent now, of a size that is not 0. Numbers that were skipped are unknown until they are
    /// sent, as a forwarder does whose hole is filled late; one that is sent again means the later packet. A number
    /// further than [`packets_max`](HistoryConfig::packets_max) from the newest begins a new history.
    pub fn handle_sent(&mut self, number: SeqNo, token: u64, size: DataSize, now: Instant) {
        let budget = size.as_bytes().saturating_mul(self.config.budget_ratio.into()) / 256;
        self.budget = self.budget.saturating_add(budget).min(self.config.budget_max.as_bytes());

        let at = self.millis(now);
        let size = u32::try_from(size.as_bytes()).unwrap_or(u32::MAX);
        let entry = Entry { token, at, sent: at, size, repeated: false };
        let (next, packets_max) = (self.next(), u64::from(self.config.packets_max));
        let seq = next.nearest(number);
        if self.entries.is_empty() || seq.0 >= next.0 + packets_max || seq.0 + packets_max < next.0 {
            self.entries.clear();
            self.size = DataSize::ZERO;
            // Above zero by a cycle: no number asked for lies below it.
            self.first = ExtendedSeqNo(1 << 16 | u64::from(number.0));
        } else if seq < next {
            self.replace(seq, entry);
            self.evict_at_times(at);
            return;
        } else {
            let skipped = (seq.0 - next.0) as usize;
            self.make_room(skipped + 1);
            let vacant = Entry { token: 0, size: 0, ..entry };
            self.entries.extend((0..skipped).map(|_| vacant));
        }
        self.entries.push_back(entry);
        self.size = self.size.saturating_add(DataSize::from_bytes(size.into()));
        self.evict_at_times(at);
    }

    /// The oldest are far from the newest in memory: who is too old is looked for eight times in an age, and whenever
    /// somebody asks for packets.
    fn evict_at_times(&mut self, at: u32) {
        let since = u128::from(at.wrapping_sub(self.evicted_at));
        if self.size > self.config.size_max || since * 8 >= self.config.age_max.as_millis() {
            self.evict(at);
        }
    }

    /// The number behind the newest.
    fn next(&self) -> ExtendedSeqNo {
        ExtendedSeqNo(self.first.0 + self.entries.len() as u64)
    }

    /// Puts a packet where it was left out, or over the one that was there, if it is not older than all that are remembered.
    fn replace(&mut self, seq: ExtendedSeqNo, entry: Entry) {
        let index = seq.0.checked_sub(self.first.0);
        let Some(before) = index.and_then(|index| self.entries.get_mut(index as usize)) else { return };
        // It leaves with its neighbours: entries are in the order of their age.
        let before = std::mem::replace(before, Entry { sent: before.sent, ..entry });
        self.size = self.size.saturating_sub(DataSize::from_bytes(before.size.into()));
        self.size = self.size.saturating_add(DataSize::from_bytes(entry.size.into()));
    }

    /// Time never goes back here: a packet may be sent at a later `now` than that of the NACK behind it.
    fn millis(&mut self, now: Instant) -> u32 {
        self.latest = self.latest.max(now);
        self.latest.saturating_duration_since(self.epoch).as_millis() as u32
    }

    /// Before, not after more are added: else the ring would grow to twice of what it needs.
    fn make_room(&mut self, count: usize) {
        while !self.entries.is_empty() && self.entries.len() + count > self.config.packets_max.into() {
            self.forget_first();
        }
    }

    fn evict(&mut self, at: u32) {
        self.evicted_at = at;
        let age_max = self.config.age_max.as_millis();
        while let Some(entry) = self.entries.front() {
            let kept = self.size <= self.config.size_max && u128::from(at.wrapping_sub(entry.sent)) <= age_max;
            if kept {
                return;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.size = self.size.saturating_sub(DataSize::from_bytes(entry.size.into()));
            self.first.0 += 1;
        }
    }

    /// The round-trip time to the peer, as it is best known. Held to [`RoundTrip::SAMPLE_MAX`].
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(RoundTrip::SAMPLE_MAX);
    }

    /// Answers a NACK: what of the `lost` packets is to be sent again, in their order. The rest is counted by reason.
    ///
    /// Each item is decided when it is taken; what is not taken has not happened.
    pub fn handle_nack<I>(&mut self, lost: I, now: Instant) -> Retransmissions<'_, I::IntoIter>
    where
        I: IntoIterator<Item = SeqNo>,
    {
        let at = self.millis(now);
        self.evict(at);
        Retransmissions { history: self, lost: lost.into_iter(), at }
    }

    fn retransmit(&mut self, number: SeqNo, at: u32) -> Option<Retransmission> {
        let again_min = self.config.again_min.max(self.round_trip).as_millis();
        let index = self.first.nearest(number).0.checked_sub(self.first.0);
        let entry = index.and_then(|index| self.entries.get_mut(index as usize)).filter(|entry| entry.size > 0);
        let Some(entry) = entry else {
            self.counters.unknown += 1;
            return None;
        };
        // A packet that only just left may be asked for: the one behind it has shown the gap.
        if entry.repeated && u128::from(at.wrapping_sub(entry.at)) < again_min {
            self.counters.too_soon += 1;
            return None;
        }
        let Some(budget) = self.budget.checked_sub(entry.size.into()) else {
            self.counters.over_budget += 1;
            return None;
        };
        self.budget = budget;
        entry.at = at;
        entry.repeated = true;
        let (token, size) = (entry.token, DataSize::from_bytes(entry.size.into()));
        self.counters.retransmitted += 1;
        Some(Retransmission { token, original: number, sequence_number: self.take_rtx_number(), size })
    }

    /// Spends a number of the RTX stream, for a packet that the history knows nothing of: padding that probes for bandwidth.
    pub const fn take_rtx_number(&mut self) -> SeqNo {
        let number = self.rtx_next;
        self.rtx_next = number.wrapping_add(1);
        number
    }

    /// What was asked for so far.
    pub const fn counters(&self) -> &HistoryCounters {
        &self.counters
    }

    /// Packets remembered, those that were skipped between them included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Whether none are remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the packets remembered.
    pub const fn size(&self) -> DataSize {
        self.size
    }
}

/// What is to be sent again: see [`SendHistory::handle_nack`].
#[derive(Debug)]
pub struct Retransmissions<'a, I> {
    history: &'a mut SendHistory,
    lost: I,
    at: u32,
}

impl<I: Iterator<Item = SeqNo>> Iterator for Retransmissions<'_, I> {
    type Item = Retransmission;

    fn next(&mut self) -> Option<Retransmission> {
        self.lost.by_ref().find_map(|number| self.history.retransmit(number, self.at))
    }
}
