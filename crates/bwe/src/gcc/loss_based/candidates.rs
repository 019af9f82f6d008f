//! The channels that are compared, and the best of them.

use super::observations::Below;
use super::state::Bounds;
use super::{Channel, LossBased};
use crate::gcc::number::Time;

/// The factors', what is acknowledged, and what delay says.
const CANDIDATES: usize = 5;

impl LossBased {
    /// The likeliest; of two that are as likely, the faster.
    pub(super) fn best(&self, current: Channel, bounds: &Bounds, is_application_limited: bool, now: Time) -> Channel {
        let limit = libm::fmax(current.bandwidth, self.state.limit().unwrap_or(self.max));
        let bandwidths = self.bandwidths(current, bounds, is_application_limited, now);
        let bandwidths = bandwidths.map(|bandwidth| bandwidth.map(|bandwidth| libm::fmin(bandwidth, limit)));
        let (mut best, mut objective) = (current, f64::NEG_INFINITY);
        let mut below = Below::of(&self.observations, current.bandwidth);
        for (index, bandwidth) in bandwidths.into_iter().enumerate() {
            let Some(bandwidth) = bandwidth.filter(|_| !bandwidths[..index].contains(&bandwidth)) else { continue };
            if !below.is_below(bandwidth) {
                below = Below::of(&self.observations, bandwidth);
            }
            let candidate = Channel { bandwidth, ..current }.feasible(&self.config);
            let candidate = candidate.improved(&self.observations, &below, &self.config);
            let value = candidate.objective(&self.observations, &below, &self.config);
            if value > objective || value == objective && candidate.bandwidth > best.bandwidth {
                (best, objective) = (candidate, value);
            }
        }
        best
    }

    pub(super) fn bandwidths(
        &self,
        current: Channel,
        bounds: &Bounds,
        is_application_limited: bool,
        now: Time,
    ) -> [Option<f64>; CANDIDATES] {
        let [up, same, down] = self.config.candidates.map(|factor| Some(factor * current.bandwidth));
        // Who sends less than it may has less acknowledged for that, unless padding makes up for it.
        let is_meaningful = !is_application_limited || self.state.is_padding(now);
        let acknowledged = bounds.acknowledged.filter(|_| is_meaningful);
        let delay_based = bounds.delay_based.filter(|rate| *rate > current.bandwidth);
        [up, same, down, acknowledged, delay_based]
    }
}
