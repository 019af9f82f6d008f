//! What the link can carry, from what arrived when it was full.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/link_capacity_estimator.cc`, signalapp/webrtc bd635df347.

use plenary_wire::Bitrate;

use super::number::{bps, rate};

#[derive(Clone, Debug)]
pub(crate) struct LinkCapacity {
    /// In kbit/s.
    estimate: Option<f64>,
    /// Variance over estimate, in kbit/s.
    deviation: f64,
}

/// How much of a sample is taken over.
const WEIGHT: f64 = 0.05;
/// 14 kbit/s at 500 kbit/s.
const DEVIATION_MIN: f64 = 0.4;
/// 35 kbit/s at 500 kbit/s.
const DEVIATION_MAX: f64 = 2.5;

impl Default for LinkCapacity {
    fn default() -> Self {
        Self { estimate: None, deviation: DEVIATION_MIN }
    }
}

impl LinkCapacity {
    pub(crate) fn estimate(&self) -> Option<Bitrate> {
        self.estimate.map(|kbps| rate(kbps * 1e3))
    }

    /// Three standard deviations above.
    pub(crate) fn upper(&self) -> Option<Bitrate> {
        self.estimate.map(|kbps| rate((kbps + 3.0 * self.standard_deviation(kbps)) * 1e3))
    }

    /// Three standard deviations below.
    pub(crate) fn lower(&self) -> Option<Bitrate> {
        self.estimate.map(|kbps| rate((kbps - 3.0 * self.standard_deviation(kbps)) * 1e3))
    }

    /// The estimate is wrong; how much estimates vary is not.
    pub(crate) const fn reset(&mut self) {
        self.estimate = None;
    }

    /// So much arrived while the queue grew.
    pub(crate) fn add(&mut self, acknowledged: Bitrate) {
        let sample = bps(acknowledged) / 1e3;
        let estimate = self.estimate.map_or(sample, |before| (1.0 - WEIGHT) * before + WEIGHT * sample);
        self.estimate = Some(estimate);
        let error = estimate - sample;
        self.deviation = (1.0 - WEIGHT) * self.deviation + WEIGHT * error * error / libm::fmax(estimate, 1.0);
        self.deviation = self.deviation.clamp(DEVIATION_MIN, DEVIATION_MAX);
    }

    fn standard_deviation(&self, kbps: f64) -> f64 {
        libm::sqrt(self.deviation * kbps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_three_deviations_away() {
        let mut capacity = LinkCapacity::default();
        assert_eq!((capacity.estimate(), capacity.upper(), capacity.lower()), (None, None, None));
        capacity.add(Bitrate::from_kbps(500));
        // √(0.4 · 500) = 14.142 kbit/s.
        assert_eq!(capacity.estimate(), Some(Bitrate::from_kbps(500)));
        assert_eq!(capacity.upper(), Some(Bitrate::from_bps(542_426)));
        assert_eq!(capacity.lower(), Some(Bitrate::from_bps(457_573)));
        capacity.add(Bitrate::from_kbps(600));
        // 475 + 30; (505 - 600)² / 505 = 17.87; 0.95 · 0.4 + 0.05 · 17.87 = 1.2735; √(1.2735 · 505) = 25.36.
        assert_eq!(capacity.estimate(), Some(Bitrate::from_kbps(505)));
        assert_eq!(capacity.upper().unwrap().as_bps() / 1_000, 581);
        capacity.reset();
        assert_eq!(capacity.upper(), None);
    }
}
