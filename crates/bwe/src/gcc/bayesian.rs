//! What arrives in a second, by samples of a window that are weighed by how surprising they are.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/bitrate_estimator.cc` and
//! `acknowledged_bitrate_estimator.cc`, signalapp/webrtc bd635df347.

use std::time::Duration;

use plenary_wire::Bitrate;

use super::arrivals::Arrived;
use super::number::{Time, micros, rate, rate_of};
use crate::ArrivalTime;

/// How samples are taken and weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct BayesianConfig {
    /// The first sample's time: the estimate begins with it. Range: 150 ms to 1 s, the nearest is taken. Default: 500 ms.
    pub first_window: Duration,
    /// Each later one's. Range and what is outside: the same. Default: 150 ms.
    pub window: Duration,
    /// How much a sample is doubted for its distance from the estimate. Default: 10.
    pub doubt: f64,
    /// How much the estimate is doubted at first: its variance, in (kbit/s)². Default: 50.
    pub variance: f64,
}

impl Default for BayesianConfig {
    fn default() -> Self {
        Self {
            first_window: Duration::from_millis(500),
            window: Duration::from_millis(150),
            doubt: 10.0,
            variance: 50.0,
        }
    }
}

/// The estimate is doubted more with each sample: rates change.
const VARIANCE_STEP: f64 = 5.0;
/// And much more when the application begins to send as much as it may.
const VARIANCE_JUMP: f64 = 200.0;

#[derive(Clone, Debug)]
pub(crate) struct Bayesian {
    config: BayesianConfig,
    first_window: i64,
    window: i64,
    /// In kbit/s.
    estimate: Option<f64>,
    variance: f64,
    last: Option<ArrivalTime>,
    /// Of the sample that is being taken: microseconds and bytes.
    elapsed: i64,
    bytes: i64,
    limit_ended: Option<Time>,
}

impl Bayesian {
    pub(crate) fn new(config: BayesianConfig) -> Self {
        let window = |time| micros(time).clamp(150_000, 1_000_000);
        Self {
            first_window: window(config.first_window),
            window: window(config.window),
            variance: config.variance,
            config,
            estimate: None,
            last: None,
            elapsed: 0,
            bytes: 0,
            limit_ended: None,
        }
    }

    pub(crate) const fn handle_limit_ended(&mut self, now: Time) {
        self.limit_ended = Some(now);
    }

    pub(crate) fn rate(&self) -> Option<Bitrate> {
        self.estimate.map(|kbps| rate(kbps * 1e3))
    }

    pub(crate) fn first_rate(&self) -> Option<Bitrate> {
        (self.elapsed > 0).then(|| rate_of(self.bytes, self.elapsed))
    }

    pub(crate) fn add(&mut self, packet: &Arrived) {
        if self.limit_ended.is_some_and(|ended| packet.sent > ended) {
            self.variance += VARIANCE_JUMP;
            self.limit_ended = None;
        }
        if let Some(sample) = self.sample(packet.at, packet.total()) {
            self.weigh(sample);
        }
    }

    /// A sample in kbit/s, if it is complete.
    fn sample(&mut self, at: ArrivalTime, bytes: i64) -> Option<f64> {
        let window = if self.estimate.is_some() { self.window } else { self.first_window };
        let since = self.last.map_or(0, |last| at.micros_since(last));
        if since < 0 {
            (self.bytes, self.elapsed) = (0, 0);
        } else {
            self.elapsed = self.elapsed.saturating_add(since);
            if since > window {
                (self.bytes, self.elapsed) = (0, self.elapsed % window);
            }
        }
        self.last = Some(at);
        let mut sample = None;
        if self.elapsed >= window {
            sample = Some(self.bytes as f64 * 8e3 / window as f64);
            self.elapsed -= window;
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        sample
    }

    fn weigh(&mut self, sample: f64) {
        let Some(estimate) = self.estimate else {
            self.estimate = Some(sample);
            return;
        };
        let doubt = self.config.doubt * libm::fabs(estimate - sample) / libm::fmax(estimate, 1e-3);
        let sample_variance = doubt * doubt;
        let variance = self.variance + VARIANCE_STEP;
        let sum = sample_variance + variance;
        self.estimate = Some((sample_variance * estimate + variance * sample) / sum);
        self.variance = sample_variance * variance / sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet each 10 ms, from `start` on.
    fn run(bayesian: &mut Bayesian, start: i64, packets: i64, size: i64) {
        for packet in 0..packets {
            let at = (start + packet) * 10_000;
            let (sent, at) = (Time::from_micros(at), ArrivalTime::from_micros(at));
            bayesian.add(&Arrived { sent, at, size, untracked: 0, probe: None });
        }
    }

    #[test]
    fn samples_are_weighed_as_computed_by_hand() {
        let mut bayesian = Bayesian::new(BayesianConfig::default());
        run(&mut bayesian, 0, 50, 1_000);
        assert_eq!((bayesian.rate(), bayesian.first_rate().is_some()), (None, true));
        run(&mut bayesian, 50, 1, 1_000);
        assert_eq!(bayesian.rate(), Some(Bitrate::from_kbps(800)));
        // The same again is believed: the variance goes.
        run(&mut bayesian, 51, 15, 1_000);
        assert_eq!((bayesian.rate(), bayesian.variance), (Some(Bitrate::from_kbps(800)), 0.0));
        // One of 400: doubt (10 · 400 / 800)² = 25, against 0 + 5: (25 · 800 + 5 · 413.3) / 30.
        run(&mut bayesian, 66, 14, 500);
        assert_eq!(bayesian.rate(), Some(Bitrate::from_kbps(800)));
        run(&mut bayesian, 80, 1, 500);
        let sample = (1_000 + 14 * 500) as f64 * 8.0 / 150.0;
        let doubt = libm::pow(10.0 * (800.0 - sample) / 800.0, 2.0);
        let expected = (doubt * 800.0 + 5.0 * sample) / (doubt + 5.0);
        assert_eq!(bayesian.rate(), Some(rate(expected * 1e3)));
        assert!((730.0..740.0).contains(&expected), "{expected}");
    }

    #[test]
    fn it_follows_faster_after_the_application_was_the_limit() {
        let after = |ended: bool| {
            let mut bayesian = Bayesian::new(BayesianConfig::default());
            run(&mut bayesian, 0, 100, 100);
            if ended {
                bayesian.handle_limit_ended(Time::from_micros(1_000_000));
            }
            run(&mut bayesian, 101, 31, 1_000);
            bayesian.rate().unwrap()
        };
        assert!(after(false) < Bitrate::from_kbps(90), "{}", after(false));
        assert!(after(true) > Bitrate::from_kbps(130), "{}", after(true));
    }

    #[test]
    fn a_clock_that_jumps_does_no_harm() {
        let mut bayesian = Bayesian::new(BayesianConfig::default());
        for at in [0, i64::MAX, i64::MIN, 0, 1_000_000, -1].into_iter().cycle().take(100) {
            let (sent, at) = (Time::from_micros(0), ArrivalTime::from_micros(at));
            bayesian.add(&Arrived { sent, at, size: 1_200, untracked: 0, probe: None });
            assert!(bayesian.estimate.is_none_or(f64::is_finite));
        }
    }
}
