use std::time::Duration;

use plenary_wire::{Bitrate, DataSize};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// How fast a link is, when: steps of a rate over time. A rate of zero is an outage; [`Bitrate::MAX`] has no limit
/// and takes no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateSchedule {
    /// From when on which rate holds; the first from zero on, later ones in order.
    steps: Vec<(Duration, Bitrate)>,
    /// After how long the steps begin anew, and what is done by then.
    period: Option<(Duration, Work)>,
}

/// Work of a transmitter: bits times a billion, so that rate × nanoseconds needs no division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work(pub(crate) u128);

impl Work {
    pub(crate) const fn of(size: DataSize) -> Self {
        Self(size.as_bytes() as u128 * 8 * NANOS_PER_SECOND)
    }
}

impl From<Bitrate> for RateSchedule {
    fn from(rate: Bitrate) -> Self {
        Self { steps: vec![(Duration::ZERO, rate)], period: None }
    }
}

impl RateSchedule {
    /// From each instant (since the start of the simulation) on, that rate; the last holds for ever.
    ///
    /// # Panics
    ///
    /// If there is no step, the first is not at zero, or one is not later than the one before.
    pub fn steps(steps: &[(Duration, Bitrate)]) -> Self {
        assert!(steps.first().is_some_and(|first| first.0.is_zero()), "the first step is at zero");
        assert!(steps.is_sorted_by(|a, b| a.0 < b.0), "each step is later than the one before");
        Self { steps: steps.to_vec(), period: None }
    }

    /// The same steps again and again, each time after `period`: a recorded trace.
    ///
    /// # Panics
    ///
    /// As [`steps`](Self::steps), and if `period` does not end after the last step begins.
    pub fn repeating(steps: &[(Duration, Bitrate)], period: Duration) -> Self {
        let once = Self::steps(steps);
        assert!(once.steps.last().is_some_and(|last| last.0 < period), "the period holds all steps");
        let work = once.done(Duration::ZERO, period);
        Self { period: Some((period, work)), ..once }
    }

    /// What this leaves of a link of a rate: that rate less this one, at each instant; zero where this one is higher.
    pub fn beside(&self, link: Bitrate) -> Self {
        let steps: Vec<_> = self.steps.iter().map(|(at, rate)| (*at, link.saturating_sub(*rate))).collect();
        match self.period {
            Some((period, _)) => Self::repeating(&steps, period),
            None => Self::steps(&steps),
        }
    }

    /// Whether no step is without a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.steps.iter().all(|step| step.1 < Bitrate::MAX)
    }

    /// The rate at an instant.
    pub fn at(&self, time: Duration) -> Bitrate {
        self.segment(time).0
    }

    /// The rate at an instant, and from when on it may be another.
    fn segment(&self, time: Duration) -> (Bitrate, Option<Duration>) {
        let (start, next) = self.place(time);
        let rate = self.steps[next - 1].1;
        let period = self.period.map(|(period, _)| period);
        let end = self.steps.get(next).map(|step| step.0).or(period).map(|end| start.saturating_add(end));
        (rate, end)
    }

    /// When the steps that hold at an instant began, and how many of them had begun by then: one or more.
    fn place(&self, time: Duration) -> (Duration, usize) {
        let (start, inside) = match self.period {
            Some((period, _)) => {
                let inside = from_nanos(time.as_nanos() % period.as_nanos());
                (time - inside, inside)
            }
            None => (Duration::ZERO, time),
        };
        (start, self.steps.partition_point(|step| step.0 <= inside))
    }

    /// The latest rate above zero by an instant; `None` if there was none.
    pub(crate) fn latest_above_zero(&self, time: Duration) -> Option<Bitrate> {
        let (start, next) = self.place(time);
        let (now, later) = self.steps.split_at(next);
        let before = if start.is_zero() { &[] } else { later };
        now.iter().rev().chain(before.iter().rev()).map(|step| step.1).find(|rate| *rate > Bitrate::ZERO)
    }

    /// When the work that begins at `from` is done; `None` if never.
    pub(crate) fn finish(&self, from: Duration, work: Work) -> Option<Duration> {
        let (mut now, mut left) = (from, work.0);
        if let Some((period, each)) = self.period {
            let whole = left.checked_div(each.0)?;
            // One period less than whole ones, so that the walk below ends on the step where the work does.
            let skipped = whole.saturating_sub(1);
            now = now.saturating_add(from_nanos(skipped.saturating_mul(period.as_nanos())));
            left -= skipped * each.0;
        }
        loop {
            let (rate, end) = self.segment(now);
            if rate == Bitrate::MAX || left == 0 {
                return Some(now);
            }
            let rate = u128::from(rate.as_bps());
            let possible = end.map(|end| rate.saturating_mul((end - now).as_nanos()));
            if rate > 0 && possible.is_none_or(|possible| possible >= left) {
                return Some(now.saturating_add(from_nanos(left.div_ceil(rate))));
            }
            left -= possible?;
            // At the end of time nothing goes on.
            now = end.filter(|end| *end > now)?;
        }
    }

    /// How much is done from one instant to another.
    pub(crate) fn done(&self, from: Duration, to: Duration) -> Work {
        let (mut now, mut done) = (from, 0u128);
        if let Some((period, each)) = self.period {
            let whole = to.saturating_sub(from).as_nanos() / period.as_nanos();
            now += from_nanos(whole * period.as_nanos());
            done = whole.saturating_mul(each.0);
        }
        while now < to {
            let (rate, end) = self.segment(now);
            let end = end.unwrap_or(to).min(to);
            done = done.saturating_add(u128::from(rate.as_bps()).saturating_mul((end - now).as_nanos()));
            now = end;
        }
        Work(done)
    }
}

/// Saturates at [`Duration::MAX`].
const fn from_nanos(nanos: u128) -> Duration {
    let seconds = nanos / NANOS_PER_SECOND;
    if seconds > u64::MAX as u128 {
        return Duration::MAX;
    }
    Duration::new(seconds as u64, (nanos % NANOS_PER_SECOND) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn work_goes_on_across_steps_and_outages() {
        let schedule = RateSchedule::steps(&[
            (ms(0), Bitrate::from_kbps(8)),
            (ms(100), Bitrate::ZERO),
            (ms(300), Bitrate::from_kbps(16)),
        ]);
        // 8 kb/s is a byte each millisecond.
        let bytes = |count| Work::of(DataSize::from_bytes(count));
        assert_eq!(schedule.finish(ms(0), bytes(100)), Some(ms(100)));
        assert_eq!(schedule.finish(ms(0), bytes(102)), Some(ms(301)));
        assert_eq!(schedule.finish(ms(150), bytes(2)), Some(ms(301)));
        assert_eq!(schedule.done(ms(90), ms(310)), bytes(30));
        assert_eq!(schedule.at(ms(299)), Bitrate::ZERO);
        assert_eq!(schedule.at(ms(300)), Bitrate::from_kbps(16));
    }

    #[test]
    fn a_trace_repeats() {
        let schedule = RateSchedule::repeating(&[(ms(0), Bitrate::from_kbps(8)), (ms(10), Bitrate::ZERO)], ms(20));
        let bytes = |count| Work::of(DataSize::from_bytes(count));
        for (from, count, end) in [(0, 10, 10), (0, 11, 21), (5, 5, 10), (5, 6, 21), (15, 25, 65), (0, 1_000, 1_990)] {
            assert_eq!(schedule.finish(ms(from), bytes(count)), Some(ms(end)), "{count} bytes from {from} ms");
            assert_eq!(schedule.done(ms(from), ms(end)), bytes(count));
        }
        assert_eq!(schedule.at(ms(35)), Bitrate::ZERO);
        let never = RateSchedule::repeating(&[(ms(0), Bitrate::ZERO)], ms(1));
        assert_eq!(never.finish(ms(0), bytes(1)), None);
    }

    #[test]
    fn an_outage_remembers_the_rate_before_it() {
        let (slow, fast) = (Bitrate::from_kbps(8), Bitrate::from_kbps(16));
        let steps = [(ms(0), Bitrate::ZERO), (ms(10), slow), (ms(20), fast), (ms(30), Bitrate::ZERO)];
        let once = RateSchedule::steps(&steps);
        let again = RateSchedule::repeating(&steps, ms(40));
        for (time, first, later) in [(5, None, Some(fast)), (15, Some(slow), Some(slow)), (35, Some(fast), Some(fast))]
        {
            assert_eq!(once.latest_above_zero(ms(time)), first, "{time} ms");
            assert_eq!(again.latest_above_zero(ms(time)), first, "{time} ms");
            assert_eq!(again.latest_above_zero(ms(40 + time)), later, "{time} ms of the second period");
        }
        assert_eq!(again.done(ms(15), ms(4_015)).0, 100 * again.done(ms(0), ms(40)).0);
    }

    #[test]
    fn extremes_neither_overflow_nor_go_on_for_ever() {
        let (max, most) = (Duration::MAX, Bitrate::from_bps(u64::MAX - 1));
        let work = Work::of(DataSize::MAX);
        for schedule in [
            RateSchedule::repeating(&[(ms(0), Bitrate::MAX)], max),
            RateSchedule::steps(&[(ms(0), most), (max, Bitrate::ZERO)]),
            RateSchedule::repeating(&[(ms(0), Bitrate::from_bps(1))], ms(10)),
            RateSchedule::repeating(&[(ms(0), most), (ms(1), Bitrate::ZERO)], max),
        ] {
            for from in [ms(0), max / 2, max] {
                assert!(schedule.finish(from, work).is_none_or(|end| end >= from));
                assert!(schedule.finish(from, Work::of(DataSize::from_bytes(1))).is_none_or(|end| end >= from));
                let _ = (schedule.done(from, max), schedule.at(from), schedule.latest_above_zero(from));
            }
        }
    }

    #[test]
    fn no_limit_takes_no_time_and_an_outage_for_ever() {
        let work = Work::of(DataSize::from_bytes(1_500));
        assert_eq!(RateSchedule::from(Bitrate::MAX).finish(ms(5), work), Some(ms(5)));
        assert_eq!(RateSchedule::from(Bitrate::ZERO).finish(ms(5), work), None);
    }

    #[test]
    #[should_panic(expected = "each step is later")]
    fn steps_out_of_order_are_refused() {
        let _ = RateSchedule::steps(&[(ms(0), Bitrate::MAX), (ms(0), Bitrate::ZERO)]);
    }
}
