//! The largest gaps between arrivals of a window, while packets come and go.

/// So many are known: when the largest leave the window, the next ones are there without a walk over it.
const KNOWN: usize = 8;

/// In microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    /// The largest first, then zeros.
    largest: [u32; KNOWN],
    known: usize,
    /// All that are larger are known.
    bar: u32,
}

impl Gaps {
    /// There are some, and nothing is known of them.
    pub(super) const UNKNOWN: Self = Self { largest: [0; KNOWN], known: 0, bar: u32::MAX };

    /// The excess can be told.
    pub(super) const fn are_known(&self) -> bool {
        self.known > 1 || self.bar == 0
    }

    /// How much longer the largest is than the second.
    pub(super) fn excess(&self) -> i64 {
        i64::from(self.largest[0] - self.largest[1])
    }

    pub(super) fn add(&mut self, gap: u32) {
        if gap <= self.bar {
            return;
        }
        let place = self.largest[..self.known].partition_point(|known| *known >= gap);
        if self.known == KNOWN {
            self.bar = self.largest[KNOWN - 1];
        } else {
            self.known += 1;
        }
        if place < KNOWN {
            self.largest[place..self.known].rotate_right(1);
            self.largest[place] = gap;
        }
    }

    pub(super) fn remove(&mut self, gap: u32) {
        if gap < self.bar {
            return;
        }
        if let Some(place) = self.largest[..self.known].iter().rposition(|known| *known == gap) {
            self.largest[place..self.known].rotate_left(1);
            self.known -= 1;
            self.largest[self.known] = 0;
        }
    }
}
