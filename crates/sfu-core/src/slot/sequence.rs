//! Sequence numbers of what a slot sends, made from those of its source.

use std::collections::VecDeque;

use plenary_rtp::ExtendedSeqNo;

/// Numbers left out that are remembered, for packets that come late from before them: more than a probe has packets.
const SKIPS_MAX: usize = 32;

/// How numbers of one run of a source become numbers of the slot: one by one, less those that were left out on purpose.
///
/// A packet that is missing keeps its number, so that its repair finds it free; one that is left out as the newest costs
/// none. What lies before the first packet of the run has no number.
#[derive(Debug)]
pub(super) struct Sequence {
    first: u64,
    /// What the first becomes.
    base: u64,
    /// Behind the newest that was sent or left out.
    next: u64,
    /// From which number on how many were left out: in order, the newest last.
    skips: VecDeque<(u64, u64)>,
    /// Below this number, what was left out is forgotten.
    known_from: u64,
}

impl Sequence {
    pub(super) fn new(first: ExtendedSeqNo, base: u64) -> Self {
        Self { first: first.0, base, next: first.0, skips: VecDeque::new(), known_from: first.0 }
    }

    /// The slot's number for this one of the source.
    pub(super) fn number(&self, seq: ExtendedSeqNo) -> Option<u64> {
        let steps = seq.0.checked_sub(self.first).filter(|_| seq.0 >= self.known_from)?;
        let left_out = self.skips.iter().rev().find(|(from, _)| *from <= seq.0).map_or(0, |(_, count)| *count);
        Some(self.base + steps - left_out)
    }

    /// What lies before this one has no number any more.
    pub(super) fn forget_before(&mut self, seq: ExtendedSeqNo) {
        self.known_from = self.known_from.max(seq.0);
    }

    /// Whether a newer one was sent or left out.
    pub(super) const fn is_late(&self, seq: ExtendedSeqNo) -> bool {
        seq.0 < self.next
    }

    /// The packet was sent.
    pub(super) fn sent(&mut self, seq: ExtendedSeqNo) {
        self.next = self.next.max(seq.0 + 1);
    }

    /// Leaves a packet out. `false` if it came late, so that its number is taken already and must be sent.
    pub(super) fn skip(&mut self, seq: ExtendedSeqNo) -> bool {
        if self.is_late(seq) {
            return false;
        }
        self.next = seq.0 + 1;
        let count = self.skips.back().map_or(0, |(_, count)| *count) + 1;
        match self.skips.back_mut() {
            // One after the other: packets that came in between would have been sent.
            Some((from, back)) if *from == seq.0 => (*from, *back) = (self.next, count),
            _ => {
                if self.skips.len() == SKIPS_MAX {
                    // What lies before the oldest that is still known would be numbered too low.
                    self.skips.pop_front();
                    let oldest = self.skips.front().map_or(self.first, |(from, _)| *from);
                    self.known_from = self.known_from.max(oldest);
                }
                self.skips.push_back((self.next, count));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seq: u64) -> ExtendedSeqNo {
        ExtendedSeqNo(seq)
    }

    #[test]
    fn what_is_missing_keeps_its_number_and_what_is_left_out_has_none() {
        let mut sequence = Sequence::new(at(100), 7);
        assert_eq!(sequence.number(at(100)), Some(7));
        sequence.sent(at(100));
        // 101 is missing; 102 and 103 are left out.
        assert!(sequence.skip(at(102)) && sequence.skip(at(103)));
        assert_eq!(sequence.number(at(104)), Some(9));
        sequence.sent(at(104));
        assert_eq!(sequence.number(at(101)), Some(8));
        assert!(!sequence.skip(at(101)), "its number is between two that were sent");
        assert_eq!(sequence.number(at(99)), None);
    }

    #[test]
    fn what_was_left_out_too_long_ago_is_forgotten() {
        let mut sequence = Sequence::new(at(0), 0);
        for seq in 0..100 {
            if seq % 2 == 0 { assert!(sequence.skip(at(seq))) } else { sequence.sent(at(seq)) }
        }
        assert_eq!(sequence.number(at(99)), Some(49));
        assert_eq!(sequence.number(at(37)), Some(18));
        assert_eq!(sequence.number(at(35)), None);
    }

    proptest! {
        /// In whatever order packets come, no number is used twice, and the order is that of the source.
        #[test]
        fn numbers_keep_the_order(
            steps in prop::collection::vec((0u64..6, any::<bool>()), 1..200),
        ) {
            let mut sequence = Sequence::new(at(1000), 65_530);
            let (mut newest, mut seen, mut sent) = (1000, BTreeSet::new(), Vec::new());
            for (back, skipped) in steps {
                // Some come early, and leave a hole that is filled later.
                let seq = (newest + 3 - back).max(1000);
                if !seen.insert(seq) {
                    continue;
                }
                newest = newest.max(seq);
                if skipped && sequence.skip(at(seq)) {
                    continue;
                }
                if let Some(number) = sequence.number(at(seq)) {
                    sequence.sent(at(seq));
                    sent.push((seq, number));
                }
            }
            sent.sort_unstable();
            prop_assert!(sent.windows(2).all(|pair| pair[0].1 < pair[1].1), "{sent:?}");
            prop_assert!(sent.windows(2).all(|pair| pair[1].1 - pair[0].1 <= pair[1].0 - pair[0].0), "{sent:?}");
        }
    }
}
