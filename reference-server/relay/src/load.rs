//! How near a thread is to what it can do.

use std::time::{Duration, Instant};

/// How long it is looked at.
const WINDOW: Duration = Duration::from_secs(1);

/// At this share of its time or places, in thousandths, a thread takes no new allocations, and takes them again below the other.
const CLOSED_AT: u64 = 950;
const OPEN_BELOW: u64 = 900;

#[derive(Debug)]
pub(crate) struct Load {
    since: Instant,
    busy: Duration,
    busy_permille: u64,
    is_closed: bool,
}

impl Load {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, busy: Duration::ZERO, busy_permille: 0, is_closed: false }
    }

    /// It was awake for so long; says whether a second is over, and what is told has changed.
    pub(crate) fn add(&mut self, awake: Duration, now: Instant) -> bool {
        self.busy += awake;
        let passed = now.saturating_duration_since(self.since);
        if passed < WINDOW {
            return false;
        }
        self.busy_permille = (self.busy.as_micros() * 1000 / passed.as_micros().max(1)).min(1000) as u64;
        (self.since, self.busy) = (now, Duration::ZERO);
        true
    }

    /// The largest of the shares of its time and of these places, in thousandths.
    pub(crate) fn saturation(&self, places: &[u64]) -> u64 {
        places.iter().copied().fold(self.busy_permille, u64::max)
    }

    /// Whether it takes new allocations with this saturation.
    pub(crate) fn admits(&mut self, saturation: u64) -> bool {
        self.is_closed = saturation >= if self.is_closed { OPEN_BELOW } else { CLOSED_AT };
        !self.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_busy_closes_and_opens_again_with_some_patience() {
        let start = Instant::now();
        let mut load = Load::new(start);
        let mut seen = Vec::new();
        for (second, busy) in [500, 949, 950, 940, 900, 899, 940, 1000].into_iter().enumerate() {
            let begin = start + WINDOW * second as u32;
            assert!(!load.add(Duration::from_millis(busy / 2), begin + WINDOW / 2));
            assert!(load.add(Duration::from_millis(busy - busy / 2), begin + WINDOW));
            let saturation = load.saturation(&[10, 300]);
            assert_eq!(saturation, busy);
            seen.push(load.admits(saturation));
        }
        assert_eq!(seen, [true, true, false, false, false, true, true, false]);
        assert_eq!(load.saturation(&[10, 1000]), 1000);
    }
}
