/// Intervals that the mean is of, and their weights, the newest first (RFC 5348 §5.4).
const WEIGHTS: [f64; 8] = [1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2];

/// How many packets arrive between one loss and the next.
#[derive(Clone, Debug)]
pub(super) struct LossIntervals {
    /// The newest first.
    intervals: [u32; WEIGHTS.len()],
    known: usize,
    /// Packets since the last loss.
    since: u32,
    /// Whether there was one at all.
    has_lost: bool,
}

impl LossIntervals {
    pub(super) const fn new() -> Self {
        Self { intervals: [0; WEIGHTS.len()], known: 0, since: 0, has_lost: false }
    }

    pub(super) const fn handle_arrived(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// Losses side by side are one.
    pub(super) fn handle_lost(&mut self) {
        if self.has_lost && self.since == 0 {
            return;
        }
        self.intervals.rotate_right(1);
        self.intervals[0] = self.since;
        self.known = (self.known + 1).min(WEIGHTS.len());
        (self.since, self.has_lost) = (0, true);
    }

    /// The way since the last loss, in mean distances of losses; `None` without any.
    pub(super) fn since_last_in_means(&self) -> Option<f64> {
        let weighted = self.intervals.iter().zip(&WEIGHTS).take(self.known);
        let (sum, weights) = weighted.fold((0.0, 0.0), |(sum, weights), (interval, weight)| {
            (sum + f64::from(*interval) * weight, weights + weight)
        });
        self.has_lost.then(|| f64::from(self.since) / f64::max(sum / f64::max(weights, 1.0), 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_weighted() {
        let mut losses = LossIntervals::new();
        assert_eq!(losses.since_last_in_means(), None);
        let mut lose_after = |packets: u32| {
            (0..packets).for_each(|_| losses.handle_arrived());
            losses.handle_lost();
            losses.handle_lost();
        };
        [40, 10, 10, 10, 10].iter().copied().for_each(&mut lose_after);
        (0..30).for_each(|_| losses.handle_arrived());
        // (4 × 10 + 0.8 × 40) / 4.8 = 15
        assert_eq!(losses.since_last_in_means(), Some(2.0));
    }
}
