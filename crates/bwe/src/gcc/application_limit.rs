//! Whether the application sends less than it may (ALR): a budget that a part of the rate fills, and packets empty.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/alr_detector.cc` and `modules/pacing/interval_budget.cc`,
//! signalapp/webrtc bd635df347. It differs in that time counts in microseconds, and without packets too: who sends
//! nothing is limited by that, and may be probed for.

use plenary_wire::Bitrate;

use super::number::{Time, bps};

/// When the application is the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationLimitConfig {
    /// The part of the target that fills the budget of half a second. Default: 0.65.
    pub usage: f64,
    /// Above this part of the budget the application is the limit. Default: 0.8.
    pub start: f64,
    /// Below this part it no more is. Default: 0.5.
    pub stop: f64,
}

impl Default for ApplicationLimitConfig {
    fn default() -> Self {
        Self { usage: 0.65, start: 0.8, stop: 0.5 }
    }
}

/// What a budget holds, in time.
const WINDOW: i64 = 500_000;

#[derive(Clone, Debug)]
pub(crate) struct ApplicationLimit {
    config: ApplicationLimitConfig,
    /// In bits for each second.
    rate: i64,
    /// In millionths of a bit, so that a rate times microseconds is exact.
    budget: i64,
    last: Option<Time>,
    since: Option<Time>,
}

impl ApplicationLimit {
    pub(crate) const fn new(config: ApplicationLimitConfig) -> Self {
        Self { config, rate: 0, budget: 0, last: None, since: None }
    }

    /// Since when.
    pub(crate) const fn since(&self) -> Option<Time> {
        self.since
    }

    pub(crate) fn set_target(&mut self, target: Bitrate) {
        // Below 2^42 bit/s nothing overflows.
        self.rate = ((bps(target) * self.config.usage) as i64).clamp(0, 1 << 42);
        self.budget = self.budget.clamp(-self.budget_max(), self.budget_max());
    }

    pub(crate) fn add(&mut self, bytes: i64, now: Time) {
        if self.last.is_some() {
            self.budget = self.budget.saturating_sub(bytes.saturating_mul(8_000_000)).max(-self.budget_max());
        }
        self.advance(now);
    }

    pub(crate) fn advance(&mut self, now: Time) {
        let elapsed = self.last.map_or(0, |last| now.since(last)).clamp(0, 2 * WINDOW);
        self.last = Some(now);
        self.budget = (self.budget + self.rate * elapsed).min(self.budget_max());
        let full = self.budget_max() as f64;
        if self.since.is_none() && self.budget as f64 > self.config.start * full {
            self.since = Some(now);
        } else if self.since.is_some() && (self.budget as f64) < self.config.stop * full {
            self.since = None;
        }
    }

    const fn budget_max(&self) -> i64 {
        self.rate * WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 1,000 bytes each 10 ms, 800 kbit/s.
    fn run(limit: &mut ApplicationLimit, from: i64, packets: i64) -> Option<i64> {
        for packet in from..from + packets {
            limit.add(1_000, Time::from_micros(packet * 10_000));
        }
        limit.since().map(|since| since.as_micros() / 1_000)
    }

    #[test]
    fn it_begins_and_ends_with_the_budget() {
        let mut limit = ApplicationLimit::new(ApplicationLimitConfig::default());
        limit.set_target(Bitrate::from_kbps(1_000));
        // 650 kbit/s fill, 800 empty.
        assert_eq!(run(&mut limit, 0, 200), None);
        // 1,300 fill: the empty budget of 650 kbit gains 5 kbit with each packet, and begins above 520 kbit.
        limit.set_target(Bitrate::from_kbps(2_000));
        limit.budget = 0;
        assert_eq!(run(&mut limit, 200, 104), None);
        assert_eq!(run(&mut limit, 304, 1), Some(3_040));
        // 650 fill, of 325 kbit; 1.5 kbit less with each packet, until it is below 162.5.
        limit.set_target(Bitrate::from_kbps(1_000));
        assert_eq!(run(&mut limit, 305, 108), Some(3_040));
        assert_eq!(run(&mut limit, 413, 1), None);
    }

    #[test]
    fn who_sends_nothing_is_limited_by_it() {
        let mut limit = ApplicationLimit::new(ApplicationLimitConfig::default());
        limit.set_target(Bitrate::from_kbps(300));
        limit.advance(Time::from_micros(0));
        limit.advance(Time::from_micros(400_000));
        assert_eq!(limit.since(), None);
        limit.advance(Time::from_micros(401_000));
        assert!(limit.since().is_some());
        limit.set_target(Bitrate::MAX);
        limit.advance(Time::from_micros(i64::MAX));
        limit.add(i64::MAX, Time::from_micros(i64::MIN));
    }
}
