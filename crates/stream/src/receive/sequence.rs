//! Where a packet stands in its stream (RFC 3550 appendix A.1), and whether it came before.

use plenary_rtp::{ExtendedSeqNo, SeqNo};

/// Follows the sequence numbers of a stream.
///
/// Extended numbers only grow, over a restart too: the new life begins two cycles later, so that no number of one life is
/// near one of the other.
#[derive(Debug)]
pub(crate) struct Sequence {
    newest: Option<ExtendedSeqNo>,
    /// RFC 3550 §A.1, `bad_seq`: what follows the packet that did not fit. A second such packet proves a restart.
    restart_at: Option<SeqNo>,
    dropout_max: u16,
    /// Which of the newest numbers came: a bit each, at its place modulo their count, a power of two.
    came: Box<[u64]>,
}

/// What a number is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first of the stream, or of its new life.
    Start { seq: ExtendedSeqNo },
    /// Newer than all others; so many numbers were left out before it.
    Ahead { seq: ExtendedSeqNo, gap: u16 },
    /// Older than the newest; `new` if it did not come before.
    Behind { seq: ExtendedSeqNo, new: bool },
    /// Too far from the newest to belong to it, unless its successor comes.
    Jump,
}

impl Sequence {
    /// `misorder_max` is a power of two, 64 or more.
    pub(crate) fn new(misorder_max: u16, dropout_max: u16) -> Self {
        let came = vec![0; usize::from(misorder_max / 64)].into_boxed_slice();
        Self { newest: None, restart_at: None, dropout_max, came }
    }

    pub(crate) const fn newest(&self) -> Option<ExtendedSeqNo> {
        self.newest
    }

    /// How far behind the newest a number may be and belong to it.
    fn misorder_max(&self) -> u64 {
        self.came.len() as u64 * 64
    }

    #[inline]
    pub(crate) fn handle(&mut self, number: SeqNo) -> Step {
        let Some(newest) = self.newest else {
            // The first cycle is 1, so that there is room for what was reordered around the start.
            return self.start(ExtendedSeqNo(1 << 16 | u64::from(number.0)));
        };
        let seq = newest.nearest(number);
        if seq > newest && seq.0 - newest.0 < u64::from(self.dropout_max) {
            self.forget(newest.0 + 1, seq.0);
            self.mark(seq);
            self.newest = Some(seq);
            self.restart_at = None;
            return Step::Ahead { seq, gap: (seq.0 - newest.0 - 1) as u16 };
        }
        if seq <= newest && newest.0 - seq.0 < self.misorder_max() {
            return Step::Behind { seq, new: self.mark(seq) };
        }
        if self.restart_at == Some(number) {
            return self.start(ExtendedSeqNo(((newest.cycle() + 2) << 16) | u64::from(number.0)));
        }
        self.restart_at = Some(number.wrapping_add(1));
        Step::Jump
    }

    /// The extended number that a number means without moving anything; `None` if it is not within reach behind the newest.
    pub(crate) fn locate(&self, number: SeqNo) -> Option<ExtendedSeqNo> {
        let newest = self.newest?;
        let seq = newest.nearest(number);
        (seq <= newest && newest.0 - seq.0 < self.misorder_max()).then_some(seq)
    }

    fn start(&mut self, seq: ExtendedSeqNo) -> Step {
        self.came.fill(0);
        self.newest = Some(seq);
        self.restart_at = None;
        self.mark(seq);
        Step::Start { seq }
    }

    /// Notes a number within reach as come, and says whether that is new.
    #[inline]
    pub(crate) fn mark(&mut self, seq: ExtendedSeqNo) -> bool {
        let (word, bit) = self.place(seq.0);
        let new = self.came[word] & bit == 0;
        self.came[word] |= bit;
        new
    }

    /// Makes room for the numbers `first` to `last`.
    #[inline]
    fn forget(&mut self, first: u64, last: u64) {
        if last - first >= self.misorder_max() {
            self.came.fill(0);
            return;
        }
        let mut number = first;
        while number <= last {
            let (word, bit) = self.place(number);
            if bit == 1 && last - number >= 63 {
                self.came[word] = 0;
                number += 64;
            } else {
                self.came[word] &= !bit;
                number += 1;
            }
        }
    }

    #[inline]
    fn place(&self, number: u64) -> (usize, u64) {
        let word = (number / 64) as usize & (self.came.len() - 1);
        (word, 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sequence() -> Sequence {
        Sequence::new(64, 3000)
    }

    #[test]
    fn a_stream_begins_in_cycle_1_and_wraps() {
        let mut sequence = sequence();
        let steps = [65535, 1, 0, 65534, 0].map(|number| sequence.handle(SeqNo(number)));
        let at = ExtendedSeqNo;
        assert_eq!(
            steps,
            [
                Step::Start { seq: at(0x1_ffff) },
                Step::Ahead { seq: at(0x2_0001), gap: 1 },
                Step::Behind { seq: at(0x2_0000), new: true },
                Step::Behind { seq: at(0x1_fffe), new: true },
                Step::Behind { seq: at(0x2_0000), new: false },
            ]
        );
    }

    #[test]
    fn two_packets_in_sequence_elsewhere_are_a_restart_and_one_is_not() {
        let mut sequence = sequence();
        sequence.handle(SeqNo(100));
        assert_eq!(sequence.handle(SeqNo(50_000)), Step::Jump);
        assert_eq!(sequence.handle(SeqNo(50_002)), Step::Jump, "not the successor");
        assert_eq!(sequence.handle(SeqNo(50_003)), Step::Start { seq: ExtendedSeqNo(0x3_0000 + 50_003) });
        assert_eq!(sequence.handle(SeqNo(50_002)), Step::Behind { seq: ExtendedSeqNo(0x3_0000 + 50_002), new: true });
    }

    // Two strays of the same old run, with the stream going on between them, are no restart.
    #[test]
    fn a_packet_in_sequence_ends_the_suspicion_of_a_restart() {
        let mut sequence = sequence();
        sequence.handle(SeqNo(1000));
        assert_eq!(sequence.handle(SeqNo(500)), Step::Jump);
        assert_eq!(sequence.handle(SeqNo(1001)), Step::Ahead { seq: ExtendedSeqNo(0x1_0000 + 1001), gap: 0 });
        assert_eq!(sequence.handle(SeqNo(501)), Step::Jump);
    }

    #[test]
    fn dropout_max_and_misorder_max_are_the_first_that_do_not_belong() {
        for (number, belongs) in [(1000 + 2999, true), (1000 + 3000, false), (1000 - 63, true), (1000 - 64, false)] {
            let mut sequence = sequence();
            sequence.handle(SeqNo(1000));
            assert_eq!(sequence.handle(SeqNo(number)) != Step::Jump, belongs, "{number}");
        }
    }

    #[test]
    fn a_number_is_located_behind_the_newest_only() {
        let mut sequence = sequence();
        assert_eq!(sequence.locate(SeqNo(5)), None);
        sequence.handle(SeqNo(5));
        assert_eq!(sequence.locate(SeqNo(65_535)), Some(ExtendedSeqNo(0xffff)));
        assert_eq!(sequence.locate(SeqNo(6)), None);
        assert_eq!(sequence.locate(SeqNo(5u16.wrapping_sub(64))), None);
    }

    proptest! {
        // The bits agree with a set that forgets nothing.
        #[test]
        fn what_came_before_is_known_within_reach(steps in prop::collection::vec(-70..90i64, 1..400)) {
            let mut sequence = sequence();
            let mut newest = 0x1_0000 + 30_000;
            let mut seen = BTreeSet::from([newest]);
            sequence.handle(SeqNo(30_000));
            for step in steps {
                let number = newest + step;
                let expected = if step > 0 {
                    Step::Ahead { seq: ExtendedSeqNo(number as u64), gap: (step - 1) as u16 }
                } else if step > -64 {
                    Step::Behind { seq: ExtendedSeqNo(number as u64), new: !seen.contains(&number) }
                } else {
                    continue; // may restart: another test
                };
                prop_assert_eq!(sequence.handle(SeqNo(number as u16)), expected);
                newest = newest.max(number);
                seen.insert(number);
            }
        }
    }
}
