use std::collections::VecDeque;

use crate::gcc::inter_arrival::Deltas;
use crate::gcc::overuse::Usage;

/// Deltas between departures of which the least is taken for the frame interval.
const PERIODS_MAX: usize = 60;
/// A delta counts the same from here on.
const DELTAS_MAX: u32 = 1000;
/// Until so many deltas the noise is learnt faster.
const STARTUP_DELTAS: u32 = 300;
/// The noise is filtered as is right for so many frames in a millisecond.
const FRAMES_PER_MILLI: f64 = 30.0 / 1000.0;
/// What is further off than so many deviations counts as if it were just so far off: key frames are.
const OUTLIER: f64 = 3.0;
/// The variance of the slope and of the offset that a step adds.
const PROCESS_NOISE: [f64; 2] = [1e-13, 1e-3];

/// Finds the queueing delay's gradient by a Kalman filter of two states: how long a byte takes on the link, and by how
/// much the queue grows from group to group.
///
/// libwebrtc's `modules/remote_bitrate_estimator/overuse_estimator.cc` (revision bd635df347).
#[derive(Clone, Debug)]
pub(super) struct OveruseEstimator {
    deltas: u32,
    /// Milliseconds a byte.
    slope: f64,
    /// Milliseconds a group.
    offset: f64,
    offset_before: f64,
    covariance: [[f64; 2]; 2],
    noise_mean: f64,
    /// In milliseconds, squared.
    noise_variance: f64,
    /// Milliseconds between departures.
    periods: VecDeque<f64>,
}

impl Default for OveruseEstimator {
    fn default() -> Self {
        Self {
            deltas: 0,
            slope: 8.0 / 512.0,
            offset: 0.0,
            offset_before: 0.0,
            covariance: [[100.0, 0.0], [0.0, 1e-1]],
            noise_mean: 0.0,
            noise_variance: 50.0,
            periods: VecDeque::with_capacity(PERIODS_MAX),
        }
    }
}

impl OveruseEstimator {
    /// By how many milliseconds the queue grows with each group.
    pub(super) const fn offset(&self) -> f64 {
        self.offset
    }

    /// A group arrived; the path has seemed to be `usage` so far.
    pub(super) fn update(&mut self, deltas: Deltas, usage: Usage) {
        let period = self.period(deltas.sent);
        self.deltas = (self.deltas + 1).min(DELTAS_MAX);
        let [[slope_noise, _], [_, offset_noise]] = &mut self.covariance;
        *slope_noise += PROCESS_NOISE[0];
        *offset_noise += PROCESS_NOISE[1];
        let turns = match usage {
            Usage::Over => self.offset < self.offset_before,
            Usage::Under => self.offset > self.offset_before,
            Usage::Normal => false,
        };
        if turns {
            *offset_noise += 10.0 * PROCESS_NOISE[1];
        }

        let size = deltas.size as f64;
        let residual = deltas.arrived - deltas.sent - self.slope * size - self.offset;
        if usage == Usage::Normal {
            let bound = OUTLIER * libm::sqrt(self.noise_variance);
            self.note_noise(residual.clamp(-bound, bound), period);
        }

        let [[ss, so], [os, oo]] = self.covariance;
        let (slope_gain, offset_gain) = (ss * size + so, os * size + oo);
        let total = self.noise_variance + size * slope_gain + offset_gain;
        let (slope_gain, offset_gain) = (slope_gain / total, offset_gain / total);
        let (a, b) = (1.0 - slope_gain * size, -slope_gain);
        let (c, d) = (-offset_gain * size, 1.0 - offset_gain);
        self.covariance = [[ss * a + os * b, so * a + oo * b], [ss * c + os * d, so * c + oo * d]];
        self.slope += slope_gain * residual;
        self.offset_before = self.offset;
        self.offset += offset_gain * residual;
    }

    /// The least time between departures of late, this one included.
    fn period(&mut self, sent: f64) -> f64 {
        if self.periods.len() >= PERIODS_MAX {
            self.periods.pop_front();
        }
        self.periods.push_back(sent);
        self.periods.iter().copied().fold(sent, libm::fmin)
    }

    fn note_noise(&mut self, residual: f64, period: f64) {
        let alpha = if self.deltas > STARTUP_DELTAS { 0.002 } else { 0.01 };
        let kept = libm::pow(1.0 - alpha, period * FRAMES_PER_MILLI);
        self.noise_mean = kept * self.noise_mean + (1.0 - kept) * residual;
        let off = self.noise_mean - residual;
        self.noise_variance = libm::fmax(kept * self.noise_variance + (1.0 - kept) * off * off, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(estimator: &mut OveruseEstimator, groups: u32, size: impl Fn(u32) -> i64, arrived: impl Fn(u32) -> f64) {
        for group in 0..groups {
            let deltas = Deltas { sent: 10.0, arrived: arrived(group), size: size(group) };
            estimator.update(deltas, Usage::Normal);
        }
    }

    #[test]
    fn the_first_step_is_as_computed_by_hand() {
        let mut estimator = OveruseEstimator::default();
        estimator.update(Deltas { sent: 10.0, arrived: 12.0, size: 0 }, Usage::Normal);
        // The gain is 0.101 / (variance + 0.101), where the variance has taken in a residual of 2.
        let kept = 0.99_f64.powf(0.3);
        let mean = (1.0 - kept) * 2.0;
        let variance = kept * 50.0 + (1.0 - kept) * (mean - 2.0) * (mean - 2.0);
        let expected = 2.0 * 0.101 / (variance + 0.101);
        assert!((estimator.offset() - expected).abs() < 1e-12, "{}", estimator.offset());
    }

    #[test]
    fn a_queue_that_grows_is_an_offset_and_a_larger_frame_is_not() {
        let mut estimator = OveruseEstimator::default();
        run(&mut estimator, 2000, |_| 0, |_| 10.5);
        assert!((estimator.offset() - 0.5).abs() < 0.01, "{}", estimator.offset());

        // A link of 1 Mb/s: 8 µs a byte. Groups are 500 bytes larger and smaller in turn.
        let mut estimator = OveruseEstimator::default();
        let size = |group: u32| if group.is_multiple_of(2) { 500 } else { -500 };
        run(&mut estimator, 2000, size, |group| 10.0 + 0.008 * size(group) as f64);
        assert!(estimator.offset().abs() < 0.01, "{}", estimator.offset());
        assert!((estimator.slope - 0.008).abs() < 1e-4, "{}", estimator.slope);
    }

    #[test]
    fn extremes_leave_it_finite() {
        let mut estimator = OveruseEstimator::default();
        for group in 0..10_000_u32 {
            let sign = if group.is_multiple_of(3) { 1.0 } else { -1.0 };
            let size = if group.is_multiple_of(2) { 1 << 40 } else { -(1 << 40) };
            let deltas = Deltas { sent: sign * 32_000.0, arrived: -sign * 1e12, size };
            estimator.update(deltas, [Usage::Normal, Usage::Over, Usage::Under][group as usize % 3]);
            assert!(estimator.offset().is_finite() && estimator.noise_variance.is_finite(), "{estimator:?}");
        }
    }
}
