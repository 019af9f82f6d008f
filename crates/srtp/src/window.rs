//! Which indexes of a stream were used, and the index that a sequence number stands for.

/// How many RTP packets one SSRC may have: the index has 48 bits (RFC 3711 §3.3.1).
pub(crate) const RTP_INDEXES: u64 = 1 << 48;

/// Why an index can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Used,
    TooOld,
}

/// The highest index used, and a bit for each of those right below it.
///
/// An index older than the bits counts as used: the sender can't know that it was not, and the receiver need not care.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// One above the highest index used; 0 as long as none was.
    next: u64,
    /// The bit of an index is bit `index % 64` of word `index / 64 % words.len()`. Empty before the first index, and
    /// when the window is [shut](Self::shut).
    words: Box<[u64]>,
}

impl Window {
    /// One above the highest index used; 0 as long as none was.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    #[inline]
    pub(crate) fn check(&self, index: u64) -> Result<(), Refused> {
        if index >= self.next {
            return Ok(());
        }
        if self.next - 1 - index >= self.words.len() as u64 * 64 {
            return Err(Refused::TooOld);
        }
        if self.words[self.word(index)] >> (index % 64) & 1 == 1 { Err(Refused::Used) } else { Ok(()) }
    }

    /// Marks an index that [`check`](Self::check) has let pass. `size` is the window in packets, a power of two from
    /// 64 on and always the same; memory for it is taken at the first index.
    #[inline]
    pub(crate) fn mark(&mut self, index: u64, size: u32) {
        if self.words.is_empty() {
            // What was used before the window was shut is not known any more: all of it counts as used.
            let word = if self.next == 0 { 0 } else { u64::MAX };
            self.words = vec![word; size as usize / 64].into_boxed_slice();
        }
        if index >= self.next {
            self.skip_to(index);
            self.next = index + 1;
        }
        let word = self.word(index);
        self.words[word] |= 1 << (index % 64);
    }

    /// Gives the memory back: every index up to the highest counts as used from now on.
    pub(crate) fn shut(&mut self) {
        self.words = Box::default();
    }

    /// Clears the bits of the indexes between the highest so far and `index`: they were those of indexes that fall out
    /// of the window.
    #[inline]
    fn skip_to(&mut self, index: u64) {
        if index - self.next >= self.words.len() as u64 * 64 {
            self.words.fill(0);
            return;
        }
        let mut from = self.next;
        while from < index {
            let to = (index - 1).min(from | 63);
            let bits = u64::MAX << (from % 64) & u64::MAX >> (63 - to % 64);
            let word = self.word(from);
            self.words[word] &= !bits;
            from = to + 1;
        }
    }

    #[inline]
    const fn word(&self, index: u64) -> usize {
        (index / 64) as usize & (self.words.len() - 1)
    }
}

/// RFC 3711 §3.3.1 and appendix A: the index closest to the highest so far that ends with `sequence`.
///
/// `next` is one above the highest index so far; 0 before the first packet, which is taken to be in the first 2^16. The
/// result may lie beyond [`RTP_INDEXES`]; `None` is an index from before the first of all.
#[inline]
pub(crate) fn estimate(next: u64, sequence: u16) -> Option<u64> {
    let Some(highest) = next.checked_sub(1) else { return Some(u64::from(sequence)) };
    let (roc, last) = (highest >> 16, highest as u16);
    let roc = if last < 0x8000 {
        if sequence.saturating_sub(last) > 0x8000 { roc.checked_sub(1)? } else { roc }
    } else if last - 0x8000 > sequence {
        roc + 1
    } else {
        roc
    };
    Some(roc << 16 | u64::from(sequence))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Checks and, if it passes, marks.
    fn take(window: &mut Window, index: u64) -> Result<(), Refused> {
        window.check(index)?;
        window.mark(index, 64);
        Ok(())
    }

    #[test]
    fn the_window_is_exactly_as_wide_as_it_says() {
        let mut window = Window::default();
        assert_eq!(take(&mut window, 1000), Ok(()));
        assert_eq!(take(&mut window, 1000), Err(Refused::Used));
        assert_eq!(take(&mut window, 1000 - 63), Ok(()));
        assert_eq!(take(&mut window, 1000 - 64), Err(Refused::TooOld));
        assert_eq!(take(&mut window, 1001), Ok(()));
        assert_eq!(take(&mut window, 1000 - 63), Err(Refused::TooOld));
        assert_eq!(take(&mut window, 1000 - 62), Ok(()));
    }

    #[test]
    fn a_window_that_was_shut_takes_only_what_is_higher() {
        let mut window = Window::default();
        for index in [5, 9] {
            assert_eq!(take(&mut window, index), Ok(()));
        }
        window.shut();
        assert_eq!(take(&mut window, 9), Err(Refused::TooOld));
        assert_eq!(take(&mut window, 12), Ok(()));
        assert_eq!(take(&mut window, 11), Ok(()));
        for index in 0..=9 {
            assert_eq!(take(&mut window, index), Err(Refused::Used));
        }
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(
            steps in prop::collection::vec(prop_oneof![-70..70i64, -10..10i64, -10..5000i64], 1..300),
        ) {
            let (mut window, mut used, mut highest) = (Window::default(), BTreeSet::new(), 10_000i64);
            for step in steps {
                let index = (highest + step).max(0);
                let expected = match used.last() {
                    Some(&last) if last - index >= 128 => Err(Refused::TooOld),
                    _ if used.contains(&index) => Err(Refused::Used),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(index as u64), expected);
                if expected.is_ok() {
                    window.mark(index as u64, 128);
                    used.insert(index);
                    highest = highest.max(index);
                }
            }
        }

        // RFC 3711 §3.3.1: of the three candidates, the one closest to the highest index.
        #[test]
        fn the_estimate_is_the_closest_candidate(highest in 0..RTP_INDEXES, sequence: u16) {
            let index = estimate(highest + 1, sequence);
            let closest = (-1..=1i64)
                .map(|turn| (((highest >> 16) as i64 + turn) << 16) | i64::from(sequence))
                .min_by_key(|candidate| candidate.abs_diff(highest as i64))
                .unwrap();
            let before_the_first = i64::from(sequence) - 0x1_0000;
            let distance = index.map_or(before_the_first, |index| index as i64).abs_diff(highest as i64);
            prop_assert_eq!(distance, closest.abs_diff(highest as i64));
            prop_assert!(distance <= 0x8000);
        }
    }

    // RFC 3711 appendix A, its branches and their edges.
    #[test]
    fn estimate_follows_appendix_a() {
        let at = |roc: u64, last: u16| (roc << 16 | u64::from(last)) + 1;
        for (next, sequence, expected) in [
            (at(7, 0x1000), 0x1001, Some(0x7_1001)),
            (at(7, 0x1000), 0x9000, Some(0x7_9000)), // exactly 2^15 ahead
            (at(7, 0x1000), 0x9001, Some(0x6_9001)),
            (at(7, 0x1000), 0x0fff, Some(0x7_0fff)),
            (at(7, 0xffff), 0x0000, Some(0x8_0000)),
            (at(7, 0x9000), 0x0fff, Some(0x8_0fff)),
            (at(7, 0x9000), 0x1000, Some(0x7_1000)), // exactly 2^15 behind
            (at(0, 0x0002), 0xffff, None),
            (at(0xffff_ffff, 0xffff), 0, Some(RTP_INDEXES)),
        ] {
            assert_eq!(estimate(next, sequence), expected, "{next:x} {sequence:x}");
        }
        assert_eq!(estimate(0, 9), Some(9));
    }
}
