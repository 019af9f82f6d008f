use std::collections::BTreeMap;

use super::Sack;

/// Puts segments in order.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The next number expected.
    next: u64,
    /// Up to where the owner was told.
    told: u64,
    /// What has come and was not told yet, by its first number.
    pending: BTreeMap<u64, Vec<u8>>,
    /// What has come behind a hole: from where to where. All of it lies within the window of `next`.
    ranges: BTreeMap<u64, u64>,
    /// Numbers in the ranges that were last added to, the latest first.
    recent: [u64; 3],
    /// Where the FIN stands.
    fin: Option<u64>,
    ended: bool,
    window: u64,
    filler: u64,
}

impl Receiver {
    pub(super) const fn new(window: u64) -> Self {
        Self {
            next: 0,
            told: 0,
            pending: BTreeMap::new(),
            ranges: BTreeMap::new(),
            recent: [0; 3],
            fin: None,
            ended: false,
            window,
            filler: 0,
        }
    }

    /// The SYN has come.
    pub(super) const fn open(&mut self) {
        (self.next, self.told) = (1, 1);
    }

    /// The next number expected.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// A segment has come; `end` is the number after its last byte.
    pub(super) fn take(&mut self, (seq, end): (u64, u64), data: Vec<u8>, fin: Option<u64>) {
        if end > self.next.saturating_add(self.window) {
            return;
        }
        self.fin = self.fin.or(fin);
        if end <= self.next || end == seq {
            return;
        }
        let longer = self.pending.get(&seq).is_none_or(|kept| kept.len() < data.len());
        if !data.is_empty() && longer {
            self.pending.insert(seq, data);
        }
        self.note(seq, end);
    }

    fn note(&mut self, mut start: u64, mut end: u64) {
        while let Some((&from, &to)) = self.ranges.range(..=end).next_back().filter(|range| *range.1 >= start) {
            self.ranges.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        if start <= self.next {
            self.next = self.next.max(end);
            return;
        }
        self.ranges.insert(start, end);
        if !(start..end).contains(&self.recent[0]) {
            self.recent = [start, self.recent[0], self.recent[1]];
        }
    }

    /// What has come behind a hole, as far as three blocks tell it (RFC 2018).
    pub(super) fn sack(&self) -> Sack {
        let mut sack = Sack::default();
        if self.ranges.is_empty() {
            return sack;
        }
        for (block, recent) in sack.iter_mut().zip(self.recent) {
            let range = self.ranges.range(..=recent).next_back().filter(|range| *range.1 > recent);
            *block = range.map_or((0, 0), |(start, end)| (*start, *end));
        }
        sack
    }

    /// The next bytes in order.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() < self.next) {
            let seq = *entry.key();
            let mut data = entry.remove();
            let known = self.told.saturating_sub(seq) as usize;
            if known < data.len() {
                data.drain(..known);
                self.told += data.len() as u64;
                return Some(data);
            }
        }
        self.filler += self.next - self.told;
        self.told = self.next;
        if self.fin == Some(self.next) {
            self.next += 1;
            self.told += 1;
            self.ended = true;
        }
        None
    }

    /// How much filler has come in order since this was last asked.
    pub(super) const fn take_filler(&mut self) -> u64 {
        std::mem::replace(&mut self.filler, 0)
    }

    /// Whether the FIN and all before it has come.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }
}
