//! How near a thread is to what it can do.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// How long it is looked at.
const WINDOW: Duration = Duration::from_secs(1);

/// At this share of its time or places, in thousandths, a thread takes no new allocations, and takes them again below the other.
const CLOSED_AT: u64 = 950;
const OPEN_BELOW: u64 = 900;

/// By the time of a processor that a thread has used: who waits for one because others have them is not near its end.
#[derive(Debug)]
pub(crate) struct Load {
    since: Instant,
    used: Duration,
    busy_permille: u64,
    is_closed: bool,
}

impl Load {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, used: Duration::ZERO, busy_permille: 0, is_closed: false }
    }

    /// Looks at it once a second, by what the thread has used since it began; says whether it was time.
    pub(crate) fn look(&mut self, now: Instant, used: impl FnOnce() -> Duration) -> bool {
        let passed = now.saturating_duration_since(self.since);
        if passed < WINDOW {
            return false;
        }
        let used = used();
        let busy = used.saturating_sub(self.used);
        self.busy_permille = (busy.as_micros() * 1000 / passed.as_micros().max(1)).min(1000) as u64;
        (self.since, self.used) = (now, used);
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

/// The time of a processor that this thread has used.
pub(crate) fn thread_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.cast_unsigned(), u32::try_from(tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_busy_closes_and_opens_again_with_some_patience() {
        let start = Instant::now();
        let mut load = Load::new(start);
        let (mut seen, mut used) = (Vec::new(), Duration::ZERO);
        for (second, busy) in [500, 949, 950, 940, 900, 899, 940, 1000].into_iter().enumerate() {
            let begin = start + WINDOW * second as u32;
            used += Duration::from_millis(busy);
            assert!(!load.look(begin + WINDOW / 2, || unreachable!("it is not time")));
            assert!(load.look(begin + WINDOW, || used));
            let saturation = load.saturation(&[10, 300]);
            assert_eq!(saturation, busy);
            seen.push(load.admits(saturation));
        }
        assert_eq!(seen, [true, true, false, false, false, true, true, false]);
        assert_eq!(load.saturation(&[10, 1000]), 1000);
    }

    #[test]
    fn what_a_thread_uses_is_its_own() {
        let before = thread_time();
        std::thread::sleep(Duration::from_millis(20));
        let asleep = thread_time() - before;
        while thread_time() - before < Duration::from_millis(20) {}
        assert!(asleep < Duration::from_millis(10), "{asleep:?} of 20 ms asleep");
    }
}
