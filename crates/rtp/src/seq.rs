//! Sequence numbers (RFC 3550 §5.1): 16 bits that wrap, and what they stand for.

use crate::serial::{extended_number, wrapping_number};

/// A 16-bit sequence number, which wraps.
///
/// It has no `Ord`: which of two is newer depends on the shorter way round (serial arithmetic, RFC 1982).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNo(pub u16);

wrapping_number!(SeqNo, u16, i16);

/// A sequence number that never wraps: the cycle in the upper 48 bits, the [`SeqNo`] in the lower 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedSeqNo(pub u64);

extended_number!(ExtendedSeqNo, SeqUnwrapper, SeqNo, u16, seq_no);

impl ExtendedSeqNo {
    /// How often the number has wrapped. From [`SeqUnwrapper`] the first cycle is 1.
    #[inline]
    pub const fn cycle(self) -> u64 {
        self.0 >> 16
    }
}

/// Gives the sequence numbers of one stream their cycle.
///
/// Each is taken for the nearest to the newest that was seen. The newest only goes forward, so that late packets,
/// however many, can't pull it back below its start: the first cycle is 1, and there is room for what was reordered
/// around the start. A jump of more than 32767 is taken for a step back; whether a stream has restarted is not decided
/// here (RFC 3550 appendix A.1): if it has, start with a new unwrapper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqUnwrapper {
    newest: Option<ExtendedSeqNo>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unwrapped(numbers: &[u16]) -> Vec<u64> {
        let mut unwrapper = SeqUnwrapper::new();
        numbers.iter().map(|&number| unwrapper.unwrap(SeqNo(number)).0).collect()
    }

    #[test]
    fn newer_is_by_the_shorter_way_round() {
        assert!(SeqNo(0).is_newer_than(SeqNo(65535)));
        assert!(!SeqNo(65535).is_newer_than(SeqNo(0)));
        assert!(!SeqNo(7).is_newer_than(SeqNo(7)));
        assert_eq!(SeqNo(65530).distance_to(SeqNo(4)), 10);
        assert_eq!(SeqNo(4).distance_to(SeqNo(65530)), -10);
        assert_eq!(SeqNo(65535).wrapping_add(2), SeqNo(1));
        assert_eq!(SeqNo(1).wrapping_sub(2), SeqNo(65535));
    }

    #[test]
    fn of_two_numbers_half_a_cycle_apart_neither_is_newer() {
        assert!(!SeqNo(0).is_newer_than(SeqNo(32768)));
        assert!(!SeqNo(32768).is_newer_than(SeqNo(0)));
        assert_eq!(SeqNo(0).distance_to(SeqNo(32768)), -32768);
    }

    #[test]
    fn a_wrap_is_followed_and_a_late_packet_from_before_it_keeps_its_cycle() {
        assert_eq!(unwrapped(&[65534, 65535, 1, 0, 65533, 2]), [131070, 131071, 131073, 131072, 131069, 131074]);
    }

    #[test]
    fn reordering_around_the_start_does_not_go_below_zero() {
        assert_eq!(unwrapped(&[1, 65535, 0]), [65537, 65535, 65536]);
    }

    #[test]
    fn jumps_up_to_half_a_cycle_are_forward_and_no_number_of_late_ones_pulls_back() {
        assert_eq!(unwrapped(&[0, 32767, 65534]), [65536, 98303, 131070]);
        assert_eq!(unwrapped(&[0, 32768, 1, 32769, 32770]), [65536, 32768, 65537, 32769, 32770]);
    }

    #[test]
    fn peeking_remembers_nothing() {
        let mut unwrapper = SeqUnwrapper::new();
        assert_eq!((unwrapper.peek(SeqNo(9)), unwrapper.newest()), (ExtendedSeqNo(65545), None));
        unwrapper.unwrap(SeqNo(65535));
        assert_eq!(unwrapper.peek(SeqNo(0)), ExtendedSeqNo(131072));
        assert_eq!(unwrapper.newest(), Some(ExtendedSeqNo(131071)));
    }

    #[test]
    fn the_nearest_below_zero_is_taken_one_cycle_up() {
        assert_eq!(ExtendedSeqNo(1).nearest(SeqNo(65535)), ExtendedSeqNo(65535));
        assert_eq!(ExtendedSeqNo(u64::MAX).nearest(SeqNo(0)).seq_no(), SeqNo(0));
    }

    proptest! {
        #[test]
        fn steps_within_half_a_cycle_of_the_newest_are_unwrapped_as_they_were_made(
            start: u16,
            steps in prop::collection::vec(-32768..=32767i64, 0..200),
        ) {
            let mut unwrapper = SeqUnwrapper::new();
            let mut newest = 65536 + i64::from(start);
            prop_assert_eq!(unwrapper.unwrap(SeqNo(start)).0 as i64, newest);
            for step in steps {
                let number = newest + step;
                prop_assert_eq!(unwrapper.unwrap(SeqNo(number as u16)).0 as i64, number);
                newest = newest.max(number);
            }
        }
    }
}
