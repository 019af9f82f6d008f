use std::time::{Duration, Instant};

/// How often something may be done: a bucket that fills steadily.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    interval: Duration,
    burst: Duration,
    /// When the bucket is full.
    full_at: Instant,
}

impl Rate {
    /// So many in each second, and at once if there were none for long.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        Self { interval, burst: interval * burst, full_at: now }
    }

    /// When it may be done next.
    pub(crate) fn due(&self) -> Instant {
        let full = self.full_at + self.interval;
        full.checked_sub(self.burst).unwrap_or(full)
    }

    /// Does it, or says no.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.due() > now {
            return false;
        }
        self.full_at = self.full_at.max(now) + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 3, start);
        let ms = |ms| start + Duration::from_millis(ms);
        assert_eq!([0, 0, 0, 0].map(|at| rate.take(ms(at))), [true, true, true, false]);
        assert_eq!(rate.due(), ms(100));
        assert_eq!([99, 100, 101, 200].map(|at| rate.take(ms(at))), [false, true, false, true]);
        assert_eq!([10_000; 4].map(|at| rate.take(ms(at))), [true, true, true, false], "it holds no more than a burst");
    }
}
