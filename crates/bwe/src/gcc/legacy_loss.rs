//! The rate by loss as receiver reports tell it: for peers without transport-wide feedback.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/send_side_bandwidth_estimation.cc`
//! (`UpdatePacketsLost`, `UpdateEstimate`), signalapp/webrtc bd635df347. It differs in that the least target of the last
//! second is known to 50 ms, and that no rise is to below the target.

use std::time::Duration;

use plenary_wire::Bitrate;

use super::number::{Time, bps, micros, rate};

/// How loss moves the target.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyLossConfig {
    /// Up to here it rises. Default: 0.02.
    pub low: f64,
    /// Above it falls. Default: 0.1.
    pub high: f64,
    /// Loss lowers no target that is below. Default: zero.
    pub rate_min: Bitrate,
    /// What it is multiplied with in a second of rising. Default: 1.08.
    pub increase: f64,
    /// It falls no sooner than this and a round trip after it has fallen. Default: 300 ms.
    pub interval: Duration,
    /// Reports are gathered until they are of so many packets. Default: 20.
    pub packets_min: u64,
    /// A report moves the target for so long. Default: 6 s.
    pub report_time: Duration,
}

impl Default for LegacyLossConfig {
    fn default() -> Self {
        Self {
            low: 0.02,
            high: 0.1,
            rate_min: Bitrate::ZERO,
            increase: 1.08,
            interval: Duration::from_millis(300),
            packets_min: 20,
            report_time: Duration::from_secs(6),
        }
    }
}

/// So that it rises from low rates too.
const INCREASE_MORE: f64 = 1_000.0;

#[derive(Clone, Debug)]
pub(crate) struct LegacyLoss {
    config: LegacyLossConfig,
    lost: u64,
    expected: u64,
    /// Of the last report, 0 to 1.
    fraction: f64,
    last_report: Option<Time>,
    has_fallen: bool,
    least: LeastTarget,
}

/// What loss says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Rise(Bitrate),
    Fall(Bitrate),
    Stay,
}

impl LegacyLoss {
    pub(crate) fn new(config: LegacyLossConfig) -> Self {
        Self {
            config,
            lost: 0,
            expected: 0,
            fraction: 0.0,
            last_report: None,
            has_fallen: false,
            least: LeastTarget::default(),
        }
    }

    pub(crate) const fn fraction(&self) -> f64 {
        self.fraction
    }

    /// The target is set by something else: it rises from there.
    pub(crate) fn restart(&mut self, target: Bitrate, now: Time) {
        self.least = LeastTarget::default();
        self.least.add(target, now);
    }

    /// A report; whether there are packets enough now to go by.
    pub(crate) fn add(&mut self, lost: u64, expected: u64, now: Time) -> bool {
        self.lost = self.lost.saturating_add(lost);
        self.expected = self.expected.saturating_add(expected);
        if expected == 0 || self.expected < self.config.packets_min {
            return false;
        }
        self.fraction = libm::fmin(self.lost as f64 / self.expected as f64, 1.0);
        (self.lost, self.expected, self.has_fallen) = (0, 0, false);
        self.last_report = Some(now);
        true
    }

    /// Where the target should go, which last fell `fallen`; the round trip in microseconds.
    pub(crate) fn judge(&mut self, target: Bitrate, fallen: Option<Time>, round_trip: i64, now: Time) -> Verdict {
        let least = self.least.add(target, now);
        let Some(report) = self.last_report else { return Verdict::Stay };
        if now.since(report) >= micros(self.config.report_time) {
            return Verdict::Stay;
        }
        if target < self.config.rate_min || self.fraction <= self.config.low {
            return Verdict::Rise(rate(bps(least) * self.config.increase + INCREASE_MORE).max(target));
        }
        let interval = micros(self.config.interval).saturating_add(round_trip);
        if self.fraction > self.config.high && !self.has_fallen && now.is_past(fallen, interval) {
            self.has_fallen = true;
            return Verdict::Fall(rate(bps(target) * (1.0 - 0.5 * self.fraction)));
        }
        Verdict::Stay
    }
}

/// The least target of the last second: of each twentieth.
#[derive(Clone, Debug, Default)]
struct LeastTarget {
    bins: [Option<Bitrate>; 20],
    newest: i64,
}

impl LeastTarget {
    fn add(&mut self, target: Bitrate, now: Time) -> Bitrate {
        let bins = self.bins.len() as i64;
        let bin = now.as_micros().div_euclid(1_000_000 / bins);
        for step in 0..bin.saturating_sub(self.newest).clamp(0, bins) {
            self.bins[(bin - step).rem_euclid(bins) as usize] = None;
        }
        self.newest = bin;
        let place = &mut self.bins[bin.rem_euclid(bins) as usize];
        *place = Some(place.map_or(target, |least| least.min(target)));
        self.bins.iter().flatten().copied().min().unwrap_or(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn judged(lost: u64, ms: i64) -> Verdict {
        let mut loss = LegacyLoss::new(LegacyLossConfig::default());
        loss.add(lost, 100, at(0));
        loss.judge(Bitrate::from_kbps(500), None, 100_000, at(ms))
    }

    #[test]
    fn it_rises_stays_and_falls_by_loss() {
        assert_eq!(judged(2, 0), Verdict::Rise(Bitrate::from_kbps(541)));
        assert_eq!(judged(3, 0), Verdict::Stay);
        assert_eq!(judged(10, 0), Verdict::Stay);
        assert_eq!(judged(20, 0), Verdict::Fall(Bitrate::from_kbps(450)));
        assert_eq!(judged(500, 0), Verdict::Fall(Bitrate::from_kbps(250)));
        assert_eq!(judged(20, 5_999), Verdict::Fall(Bitrate::from_kbps(450)));
        assert_eq!(judged(20, 6_000), Verdict::Stay);
    }

    #[test]
    fn reports_of_few_packets_are_gathered() {
        let mut loss = LegacyLoss::new(LegacyLossConfig::default());
        assert!(!loss.add(3, 10, at(0)) && !loss.add(0, 0, at(0)) && !loss.add(0, 9, at(0)));
        assert_eq!(loss.judge(Bitrate::from_kbps(500), None, 0, at(0)), Verdict::Stay);
        assert!(loss.add(1, 1, at(0)));
        assert_eq!(loss.fraction(), 0.2);
        assert!(loss.add(u64::MAX, u64::MAX, at(0)) && loss.fraction() == 1.0);
    }

    #[test]
    fn it_falls_once_for_each_report_and_interval() {
        let mut loss = LegacyLoss::new(LegacyLossConfig::default());
        let target = Bitrate::from_kbps(500);
        loss.add(20, 100, at(1_000));
        assert_eq!(loss.judge(target, Some(at(700)), 100_000, at(1_000)), Verdict::Stay);
        assert!(matches!(loss.judge(target, Some(at(600)), 100_000, at(1_000)), Verdict::Fall(_)));
        assert_eq!(loss.judge(target, None, 0, at(2_000)), Verdict::Stay);
    }

    #[test]
    fn it_rises_by_8_percent_of_the_least_of_the_last_second() {
        let mut loss = LegacyLoss::new(LegacyLossConfig::default());
        let mut target = Bitrate::from_kbps(500);
        for step in 0..60 {
            loss.add(0, 100, at(step * 100));
            if let Verdict::Rise(next) = loss.judge(target, None, 0, at(step * 100)) {
                target = next;
            }
        }
        // 6 steps of 8 % and 1 kbit/s: one at once, and one each second.
        let expected = (0..6).fold(500_000.0, |rate, _| rate * 1.08 + 1_000.0);
        assert_eq!(target.as_bps() / 1_000, expected as u64 / 1_000);
    }
}
