//! How long a missing packet may still come by itself.

/// Fates that are remembered: enough to tell a habit from an accident, few enough that a change of path is soon known.
const FATES: usize = 128;

/// A stream that is reordered further than this many packets is asked for at once all the same: waiting longer costs more
/// than the needless retransmissions.
pub const REORDERING_WAIT_PACKETS_MAX: u8 = 9;

/// What became of the last missing packets: how many newer ones came before each that came by itself.
#[derive(Debug)]
pub(crate) struct Reordering {
    /// 0 for those that did not come by themselves, or later than is waited for.
    fates: [u8; FATES],
    /// How many of them are known.
    len: usize,
    next: usize,
    counts: [u8; REORDERING_WAIT_PACKETS_MAX as usize + 1],
    wait: u8,
}

impl Reordering {
    pub(crate) const fn new() -> Self {
        Self { fates: [0; FATES], len: 0, next: 0, counts: [0; REORDERING_WAIT_PACKETS_MAX as usize + 1], wait: 0 }
    }

    /// How many newer packets to wait for before a missing one is asked for: 0 if it had better be asked for at once.
    ///
    /// If at least half of the missing came by themselves, it is the distance that covers nine tenths of those.
    pub(crate) const fn wait(&self) -> u8 {
        self.wait
    }

    /// A missing packet came by itself, when the newest was so many numbers further.
    pub(crate) fn note_reordered(&mut self, distance: u64) {
        self.note(u8::try_from(distance).ok().filter(|distance| *distance <= REORDERING_WAIT_PACKETS_MAX).unwrap_or(0));
    }

    /// Missing packets were repaired or given up. Of a burst the first few tell as much as all.
    pub(crate) fn note_lost(&mut self, count: usize) {
        for _ in 0..count.min(FATES / 8) {
            self.note(0);
        }
    }

    fn note(&mut self, fate: u8) {
        if self.len == FATES {
            self.counts[usize::from(self.fates[self.next])] -= 1;
        } else {
            self.len += 1;
        }
        self.fates[self.next] = fate;
        self.counts[usize::from(fate)] += 1;
        self.next = (self.next + 1) % FATES;

        let reordered = self.len - usize::from(self.counts[0]);
        self.wait = 0;
        if reordered * 2 < self.len {
            return;
        }
        let mut covered = 0;
        for (distance, count) in (0..).zip(self.counts).skip(1) {
            covered += usize::from(count);
            if covered * 10 >= reordered * 9 {
                self.wait = distance;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_waited_for_where_packets_are_lost() {
        let mut reordering = Reordering::new();
        assert_eq!(reordering.wait(), 0);
        reordering.note_lost(2);
        reordering.note_reordered(3);
        assert_eq!(reordering.wait(), 0, "one of three");
        reordering.note_reordered(3);
        assert_eq!(reordering.wait(), 3, "two of four");
    }

    #[test]
    fn nine_tenths_of_the_reordered_are_waited_for() {
        let mut reordering = Reordering::new();
        (0..8).for_each(|_| reordering.note_reordered(2));
        reordering.note_reordered(5);
        reordering.note_reordered(9);
        assert_eq!(reordering.wait(), 5);
    }

    #[test]
    fn distances_beyond_the_longest_wait_are_not_waited_for() {
        let mut reordering = Reordering::new();
        reordering.note_reordered(u64::from(REORDERING_WAIT_PACKETS_MAX) + 1);
        assert_eq!(reordering.wait(), 0);
        reordering.note_reordered(u64::MAX);
        reordering.note_reordered(u64::from(REORDERING_WAIT_PACKETS_MAX));
        reordering.note_reordered(u64::from(REORDERING_WAIT_PACKETS_MAX));
        assert_eq!(reordering.wait(), REORDERING_WAIT_PACKETS_MAX);
    }

    #[test]
    fn a_habit_is_forgotten_after_as_many_fates_as_are_kept() {
        let mut reordering = Reordering::new();
        (0..1000).for_each(|_| reordering.note_reordered(1));
        assert_eq!(reordering.wait(), 1);
        for _ in 0..FATES / 32 {
            reordering.note_lost(1000);
        }
        assert_eq!(reordering.wait(), 1, "sixteen of each burst count: half of all");
        reordering.note_lost(1);
        assert_eq!(reordering.wait(), 0);
    }
}
