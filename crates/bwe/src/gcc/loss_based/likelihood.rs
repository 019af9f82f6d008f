//! How likely a channel is to have lost what was lost.

use super::observations::{Below, Observations};
use super::{Channel, LossBasedConfig};
use crate::gcc::number::bps;

/// No loss is certain, none impossible.
const UNCERTAIN: f64 = 1e-6;
/// How sharply the preference for higher rates ends at its loss.
const BIAS_SMOOTHING: f64 = 2e-3;

impl Channel {
    /// How likely a packet is lost, sent at that rate (in bit/s).
    pub(super) fn loss(&self, sending: f64) -> f64 {
        let inherent = self.inherent_loss.clamp(0.0, 1.0);
        let excess = if sending > self.bandwidth { (sending - self.bandwidth) / sending } else { 0.0 };
        (inherent + (1.0 - inherent) * excess).clamp(UNCERTAIN, 1.0 - UNCERTAIN)
    }

    /// The nearest inherent loss that such a channel can have.
    pub(super) fn feasible(self, config: &LossBasedConfig) -> Self {
        let most = if self.bandwidth > 0.0 {
            libm::fmin(config.inherent_loss_max + bps(config.inherent_loss_balance) / self.bandwidth, 1.0)
        } else {
            1.0
        };
        Self { inherent_loss: libm::fmin(libm::fmax(self.inherent_loss, config.inherent_loss_min), most), ..self }
    }

    /// One step of Newton's method towards the inherent loss that is likeliest.
    pub(super) fn improved(self, observations: &Observations, below: &Below, config: &LossBasedConfig) -> Self {
        let (mut first, mut second) = (0.0, 0.0);
        self.for_each_loss(observations, below, |loss, lost, arrived| {
            let (lost, arrived) = (lost / loss, arrived / (1.0 - loss));
            first += lost - arrived;
            second -= lost / loss + arrived / (1.0 - loss);
        });
        // It is below zero by its nature, and zero if nothing was sent.
        let second = if second < 0.0 { second } else { -UNCERTAIN };
        let inherent_loss = self.inherent_loss - config.newton_step * first / second;
        Self { inherent_loss, ..self }.feasible(config)
    }

    /// The logarithm of the likelihood, with what higher rates are preferred.
    pub(super) fn objective(&self, observations: &Observations, below: &Below, config: &LossBasedConfig) -> f64 {
        let mut likelihood = 0.0;
        self.for_each_loss(observations, below, |loss, lost, arrived| {
            likelihood += arrived * libm::log(1.0 - loss);
            if lost > 0.0 {
                likelihood += lost * libm::log(loss);
            }
        });
        likelihood + observations.total() * self.bias(observations.loss(), config)
    }

    fn bias(&self, loss: f64, config: &LossBasedConfig) -> f64 {
        let distance = config.bias_loss - loss;
        let kbps = self.bandwidth / 1e3;
        (config.bias * kbps + config.bias_log * libm::log(1.0 + kbps)) * distance
            / (BIAS_SMOOTHING + libm::fabs(distance))
    }

    /// What was lost and what arrived, weighed, of each loss there is: all that was sent below the bandwidth is one.
    fn for_each_loss(&self, observations: &Observations, below: &Below, mut each: impl FnMut(f64, f64, f64)) {
        for (observation, weight) in observations.weighed().filter(|_| !below.is_all()) {
            if observation.sending > self.bandwidth {
                each(self.loss(observation.sending), weight * observation.lost, weight * observation.arrived);
            }
        }
        each(self.loss(0.0), below.lost, below.arrived);
    }
}
