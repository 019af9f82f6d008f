use std::collections::VecDeque;

use plenary_rtp::{ExtendedSeqNo, SeqNo, Ssrc};

/// A sequence number that was not sent.
const NONE: u64 = u64::MAX;

/// A stream whose numbers leap further is taken to begin anew: more would not fit a block of feedback (RFC 8888 §3.1).
const LEAP_MAX: u64 = 16_384;

/// Numbers that are kept of a stream at most: of more, 16 bits would not tell which.
const NUMBERS_MAX: usize = 32_768;

/// Which packet of the transport is which of a stream.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// By SSRC.
    streams: Vec<Stream>,
    streams_max: usize,
    /// Where the last packet was found: the next is often of the same stream.
    last: usize,
}

#[derive(Clone, Debug)]
struct Stream {
    ssrc: Ssrc,
    newest: ExtendedSeqNo,
    /// The packets' numbers, by sequence number: the last is that of `newest`.
    numbers: VecDeque<u64>,
}

impl Streams {
    pub(super) const fn new(streams_max: u16) -> Self {
        Self { streams: Vec::new(), streams_max: streams_max as usize, last: 0 }
    }

    /// A packet leaves; those with numbers below `first` are no longer asked for. `false` if there are too many streams.
    #[inline]
    pub(super) fn note(&mut self, ssrc: Ssrc, seq: SeqNo, number: u64, first: u64) -> bool {
        if let Some(stream) = self.streams.get_mut(self.last).filter(|stream| stream.ssrc == ssrc) {
            stream.note(seq, number, first);
            return true;
        }
        let index = match self.find(ssrc) {
            Ok(index) => index,
            Err(_) if self.streams.len() >= self.streams_max && !self.evict(first) => return false,
            Err(_) => {
                let index = self.find(ssrc).unwrap_or_else(|index| index);
                self.streams.insert(index, Stream::new(ssrc, seq));
                index
            }
        };
        self.last = index;
        if let Some(stream) = self.streams.get_mut(index) {
            stream.note(seq, number, first);
        }
        true
    }

    /// The packet's number, if it is known.
    pub(super) fn number(&mut self, ssrc: Ssrc, seq: SeqNo) -> Option<u64> {
        self.last = self.find(ssrc).ok()?;
        self.streams.get(self.last)?.number(seq)
    }

    fn find(&self, ssrc: Ssrc) -> Result<usize, usize> {
        match self.streams.get(self.last) {
            Some(stream) if stream.ssrc == ssrc => Ok(self.last),
            _ => self.streams.binary_search_by_key(&ssrc, |stream| stream.ssrc),
        }
    }

    /// Makes room by a stream of which no packet is held.
    fn evict(&mut self, first: u64) -> bool {
        let stale = |stream: &Stream| stream.numbers.back().is_none_or(|&number| number < first);
        let index = self.streams.iter().position(stale);
        index.map(|index| self.streams.remove(index)).is_some()
    }
}

impl Stream {
    const fn new(ssrc: Ssrc, seq: SeqNo) -> Self {
        Self { ssrc, newest: ExtendedSeqNo(1 << 16 | seq.0 as u64), numbers: VecDeque::new() }
    }

    fn note(&mut self, seq: SeqNo, number: u64, first: u64) {
        while let Some(&oldest) = self.numbers.front()
            && (oldest < first || oldest == NONE || self.numbers.len() >= NUMBERS_MAX)
        {
            self.numbers.pop_front();
        }
        if seq == self.newest.seq_no().wrapping_add(1) && !self.numbers.is_empty() {
            self.numbers.push_back(number);
            self.newest = ExtendedSeqNo(self.newest.0 + 1);
            return;
        }
        let extended = self.newest.nearest(seq);
        if let Some(known) = self.index(extended).and_then(|index| self.numbers.get_mut(index)) {
            // The same number again, as sound is that is repeated without RTX: feedback is on the last.
            *known = number;
            return;
        }
        let ahead = extended.0.wrapping_sub(self.newest.0);
        let leaps = ahead > LEAP_MAX || self.numbers.len() + ahead as usize > NUMBERS_MAX;
        if leaps || self.numbers.is_empty() {
            self.numbers.clear();
        } else {
            self.numbers.extend(std::iter::repeat_n(NONE, ahead as usize - 1));
        }
        self.numbers.push_back(number);
        self.newest = extended;
    }

    fn number(&self, seq: SeqNo) -> Option<u64> {
        let index = self.index(self.newest.nearest(seq))?;
        self.numbers.get(index).copied().filter(|&number| number != NONE)
    }

    fn index(&self, extended: ExtendedSeqNo) -> Option<usize> {
        let back = usize::try_from(self.newest.0.checked_sub(extended.0)?).ok()?;
        self.numbers.len().checked_sub(1)?.checked_sub(back)
    }
}
