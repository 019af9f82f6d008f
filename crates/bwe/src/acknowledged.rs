use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};

/// Bytes are counted in parts of this.
const STEP: Duration = Duration::from_millis(50);

/// Steps that a rate is taken over: half a second.
const WINDOW: usize = 10;

/// Half seconds whose best is remembered: ten seconds.
const BEST: usize = 20;

/// How much was acknowledged, by the sender's clock alone: a receiver can lie about when a packet arrived, but not make
/// more of them than were sent.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    /// Bytes of each step.
    steps: [u64; WINDOW],
    current: usize,
    /// When the current step began.
    began: Option<Instant>,
    /// The best rate of each of the last half seconds, in bytes of a window.
    best: [u64; BEST],
    best_current: usize,
    steps_of_best: usize,
}

impl Acknowledged {
    pub(crate) const fn new() -> Self {
        Self { steps: [0; WINDOW], current: 0, began: None, best: [0; BEST], best_current: 0, steps_of_best: 0 }
    }

    /// So much was reported to have arrived.
    pub(crate) fn handle_arrived(&mut self, size: DataSize, now: Instant) {
        self.advance(now);
        self.steps[self.current] = self.steps[self.current].saturating_add(size.as_bytes());
        let sum = self.sum();
        self.best[self.best_current] = self.best[self.best_current].max(sum);
    }

    /// The rate of the last half second.
    pub(crate) fn rate(&self) -> Bitrate {
        over_window(self.sum())
    }

    /// One and a half times the highest of such rates within ten seconds: no target is above it, nor above where it began.
    pub(crate) fn bound(&self, start: Bitrate) -> Bitrate {
        let best = over_window(self.best.iter().copied().max().unwrap_or(0)).as_bps();
        Bitrate::from_bps(best.saturating_add(best / 2)).max(start)
    }

    fn sum(&self) -> u64 {
        self.steps.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    fn advance(&mut self, now: Instant) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let steps = now.saturating_duration_since(began).as_nanos() / STEP.as_nanos();
        // After a silence of ten seconds nothing of it is left.
        let whole = usize::try_from(steps).unwrap_or(usize::MAX).min(WINDOW * BEST);
        for _ in 0..whole {
            self.current = (self.current + 1) % WINDOW;
            self.steps[self.current] = 0;
            self.steps_of_best += 1;
            if self.steps_of_best == WINDOW {
                self.steps_of_best = 0;
                self.best_current = (self.best_current + 1) % BEST;
                self.best[self.best_current] = 0;
            }
        }
        if whole > 0 {
            self.began = Some(if steps == whole as u128 { began + STEP * whole as u32 } else { now });
        }
    }
}

fn over_window(bytes: u64) -> Bitrate {
    DataSize::from_bytes(bytes).rate_over(STEP * WINDOW as u32).unwrap_or(Bitrate::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_half_second_is_known_for_ten() {
        let start = plenary_netsim::base();
        let mut acknowledged = Acknowledged::new();
        let mut run = |from: u64, to: u64, bytes: u64| {
            for ms in (from..to).step_by(10) {
                acknowledged.handle_arrived(DataSize::from_bytes(bytes), start + Duration::from_millis(ms));
            }
            (acknowledged.rate().as_bps() / 1000, acknowledged.bound(Bitrate::from_kbps(20)).as_bps() / 1000)
        };
        assert_eq!(run(0, 100, 125), (20, 30));
        assert_eq!(run(100, 2000, 1250), (1000, 1500));
        assert_eq!(run(2000, 11_400, 125), (100, 1500));
        assert_eq!(run(11_400, 13_000, 125), (100, 150));
        // A silence, however long.
        assert_eq!(run(10_000_000, 10_000_010, 125), (2, 20));
    }
}
