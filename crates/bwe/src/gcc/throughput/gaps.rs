//! The largest gaps between arrivals of a window, while packets come and go.

/// So many are known: when the largest leave the window, the next ones are there without a walk over it.
const KNOWN: usize = 8;

/// In microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    /// The largest first, then zeros.
    largest: [u32; KNOWN],
    known: usize,
    /// How many more there are, none of which is larger.
    others: usize,
}

impl Gaps {
    /// So many, of which nothing is known.
    pub(super) fn unknown(count: usize) -> Self {
        Self { others: count, ..Self::default() }
    }

    /// The excess can be told.
    pub(super) const fn are_known(&self) -> bool {
        self.known > 1 || self.others == 0
    }

    /// How much longer the largest is than the second.
    pub(super) fn excess(&self) -> i64 {
        i64::from(self.largest[0] - self.largest[1])
    }

    pub(super) fn add(&mut self, gap: u32) {
        let place = self.largest[..self.known].partition_point(|known| *known >= gap);
        if place == KNOWN || place == self.known && self.others > 0 {
            self.others += 1;
            return;
        }
        if self.known == KNOWN {
            self.others += 1;
        } else {
            self.known += 1;
        }
        self.largest[place..self.known].rotate_right(1);
        self.largest[place] = gap;
    }

    pub(super) fn remove(&mut self, gap: u32) {
        match self.largest[..self.known].iter().rposition(|known| *known == gap) {
            Some(place) => {
                self.largest[place..self.known].rotate_left(1);
                self.known -= 1;
                self.largest[self.known] = 0;
            }
            None => self.others -= 1,
        }
    }
}
