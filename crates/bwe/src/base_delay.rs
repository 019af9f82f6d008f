use std::time::{Duration, Instant};

use crate::ArrivalTime;

/// How long a minute's least is remembered: the clocks of both ends drift apart, and routes change (RFC 6817 §4.2).
const PERIODS: usize = 10;

/// A least is kept for so long before the next is begun.
const PERIOD: Duration = Duration::from_secs(60);

/// The least that packets have needed from sender to receiver within ten minutes: what they need longer is queueing.
///
/// Both clocks count from anywhere, so that a delay by itself means nothing: it may be negative.
#[derive(Clone, Debug)]
pub(crate) struct BaseDelay {
    /// The sender's clock is counted from here.
    epoch: Option<Instant>,
    /// The least of each period, `i64::MAX` if it had no packet.
    least: [i64; PERIODS],
    current: usize,
    began: Option<Instant>,
}

impl BaseDelay {
    pub(crate) const fn new() -> Self {
        Self { epoch: None, least: [i64::MAX; PERIODS], current: 0, began: None }
    }

    /// What was learnt does not hold any more.
    pub(crate) const fn reset(&mut self) {
        self.least = [i64::MAX; PERIODS];
        self.began = None;
    }

    /// Time has passed: perhaps another period begins.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        if now.saturating_duration_since(began) >= PERIOD {
            self.began = Some(now);
            self.current = (self.current + 1) % PERIODS;
            self.least[self.current] = i64::MAX;
        }
    }

    /// Takes in a packet's way, and tells how long it was: microseconds, of which only differences mean something.
    pub(crate) fn handle_packet(&mut self, sent: Instant, arrived: ArrivalTime) -> i64 {
        let epoch = *self.epoch.get_or_insert(sent);
        // What left before the epoch (of a packet that was reported late) left there, to us.
        let sent = i64::try_from(sent.saturating_duration_since(epoch).as_micros()).unwrap_or(i64::MAX);
        let delay = arrived.micros_since(ArrivalTime::from_micros(sent));
        let least = &mut self.least[self.current];
        *least = delay.min(*least);
        delay
    }

    /// How much longer than the least this delay is.
    pub(crate) fn queueing(&self, delay: i64) -> Duration {
        let least = self.least.iter().copied().min().unwrap_or(i64::MAX);
        Duration::from_micros(u64::try_from(delay.saturating_sub(least)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_least_is_forgotten_after_ten_minutes() {
        let start = plenary_netsim::base();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut base = BaseDelay::new();
        // The receiver's clock is behind by far.
        let mut sample = |seconds: u64, queued: i64| {
            base.handle_time(at(seconds));
            let arrived = ArrivalTime::from_micros(seconds as i64 * 1_000_000 - 5_000_000_000 + queued);
            let delay = base.handle_packet(at(seconds), arrived);
            base.queueing(delay)
        };
        assert_eq!(sample(0, 50_000), Duration::ZERO);
        assert_eq!(sample(1, 80_000), Duration::from_millis(30));
        assert_eq!(sample(2, 40_000), Duration::ZERO);
        for minute in 1..10 {
            assert_eq!(sample(minute * 60, 70_000), Duration::from_millis(30), "minute {minute}");
        }
        assert_eq!(sample(600, 70_000), Duration::ZERO, "the first minute is forgotten");
    }

    #[test]
    fn absurd_arrivals_are_borne() {
        let start = plenary_netsim::base();
        let mut base = BaseDelay::new();
        for arrived in [i64::MAX, i64::MIN, 0] {
            let delay = base.handle_packet(start, ArrivalTime::from_micros(arrived));
            let _ = base.queueing(delay);
        }
        assert_eq!(base.queueing(i64::MIN), Duration::ZERO);
    }
}
