//! The rate by loss: what the path loses anyway, and from which rate on it loses what is above.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/loss_based_bwe_v2.cc`, signalapp/webrtc bd635df347,
//! without what is off there (acceleration, smoothed sending rates, the upper bound as a candidate). It differs in that a
//! packet that arrives after all is not counted twice.

mod candidates;
mod likelihood;
mod observations;
mod state;

use std::time::Duration;

use plenary_wire::Bitrate;

use self::observations::Observations;
use self::state::{Bounds, State};
use super::number::{Time, bps, rate};
use crate::Feedback;

pub(crate) use self::state::Phase;

/// What the path is taken to be, and how fast that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct LossBasedConfig {
    /// Observations that are looked at. Range: 2 to 64, the nearest is taken; 40 bytes each. Default: 15.
    pub observations: usize,
    /// Without so many there is no rate by loss. Default: 3.
    pub observations_min: u64,
    /// How long one is at least. Default: 250 ms.
    pub observation_time: Duration,
    /// What an observation counts, of what the one after it does. Default: 0.9.
    pub weight: f64,
    /// Whether loss is counted in bytes, not in packets. Default: in bytes.
    pub counts_bytes: bool,
    /// What the rate is multiplied with to find better ones. Default: 1.02, 1.0 and 0.95.
    pub candidates: [f64; 3],
    /// What the path loses anyway, 0 to 1, at first. Default: 0.01.
    pub inherent_loss: f64,
    /// At least. Default: 0.001.
    pub inherent_loss_min: f64,
    /// At most, of a path without limit; the more so the less the path can carry. Default: 0.05.
    pub inherent_loss_max: f64,
    /// At this rate the most is one more. Default: 100 kbit/s.
    pub inherent_loss_balance: Bitrate,
    /// How far a step of Newton's method goes. Default: 0.75.
    pub newton_step: f64,
    /// How much a kbit/s more is preferred. Default: 0.0002.
    pub bias: f64,
    /// How much a logarithm of kbit/s more is. Default: 0.02.
    pub bias_log: f64,
    /// Above this loss less is preferred. Default: 0.2.
    pub bias_loss: f64,
    /// The rate is this over the loss above [`inherent_loss_max`](Self::inherent_loss_max) at most. Default: 100 kbit/s.
    pub upper_bound_balance: Bitrate,
    /// It rises to so many times what is acknowledged at most, while loss limits it. Default: 1.5.
    pub ramp_up: f64,
    /// The same, after a hold, while what is acknowledged is below `hold_threshold` of what was held. Default: 1.2.
    pub ramp_up_in_hold: f64,
    /// Default: 1.3.
    pub hold_threshold: f64,
    /// How much longer each hold is than the one before. The first is 300 ms, the longest 60 s. Default: 2.
    pub hold_growth: f64,
    /// It rises by this factor at most in each `increase_window`, while loss limits it. Default: 1.3.
    pub increase_max: f64,
    /// Default: 300 ms.
    pub increase_window: Duration,
    /// For how long padding helps it to rise, each time that it has risen; zero is never. Default: 2 s.
    pub padding_time: Duration,
    /// A burst is an observation sent so many times faster than the median: its loss counts. Default: 2.
    pub burst: f64,
}

impl Default for LossBasedConfig {
    fn default() -> Self {
        Self {
            observations: 15,
            observations_min: 3,
            observation_time: Duration::from_millis(250),
            weight: 0.9,
            counts_bytes: true,
            candidates: [1.02, 1.0, 0.95],
            inherent_loss: 0.01,
            inherent_loss_min: 1e-3,
            inherent_loss_max: 0.05,
            inherent_loss_balance: Bitrate::from_kbps(100),
            newton_step: 0.75,
            bias: 2e-4,
            bias_log: 0.02,
            bias_loss: 0.2,
            upper_bound_balance: Bitrate::from_kbps(100),
            ramp_up: 1.5,
            ramp_up_in_hold: 1.2,
            hold_threshold: 1.3,
            hold_growth: 2.0,
            increase_max: 1.3,
            increase_window: Duration::from_millis(300),
            padding_time: Duration::from_secs(2),
            burst: 2.0,
        }
    }
}

/// What a path is like.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Channel {
    /// What it loses anyway, 0 to 1.
    inherent_loss: f64,
    /// In bit/s: it loses what is above.
    bandwidth: f64,
}

#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct LossBased {
    /// The best channel so far; `None` until there is a rate by delay.
    channel: Option<Channel>,
    /// All in bit/s.
    acknowledged: Option<f64>,
    observations: Observations,
    state: State,
    min: f64,
    max: f64,
    config: LossBasedConfig,
}

impl LossBased {
    pub(crate) fn new(config: LossBasedConfig) -> Self {
        let config = LossBasedConfig { observations: config.observations.clamp(2, 64), ..config };
        Self {
            observations: Observations::new(&config),
            state: State::new(&config),
            config,
            channel: None,
            acknowledged: None,
            min: 1_000.0,
            max: f64::MAX,
        }
    }

    pub(crate) const fn set_limits(&mut self, min: Bitrate, max: Bitrate) {
        (self.min, self.max) = (bps(min), bps(max));
    }

    pub(crate) const fn set_acknowledged(&mut self, acknowledged: Bitrate) {
        self.acknowledged = Some(bps(acknowledged));
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// The rate by loss, once enough is known.
    pub(crate) fn rate(&self) -> Option<Bitrate> {
        let is_ready = self.channel.is_some() && self.observations.are_enough();
        is_ready.then(|| rate(self.state.rate()))
    }

    /// The share that is lost, 0 to 1, without the best and the worst.
    pub(crate) const fn loss(&self) -> f64 {
        self.observations.loss()
    }

    /// Feedback came: its first packet left at `first`, its last at `last`.
    pub(crate) fn add(
        &mut self,
        feedback: &Feedback<'_>,
        (first, last): (Time, Time),
        delay_based: Option<Bitrate>,
        is_application_limited: bool,
    ) {
        let Some(at) = self.observations.add(feedback, first, last) else { return };
        let delay_based = delay_based.map(bps);
        let current = match (self.channel, delay_based) {
            (Some(channel), _) => channel,
            (None, Some(bandwidth)) => {
                self.state.begin(bandwidth);
                Channel { inherent_loss: self.config.inherent_loss, bandwidth }
            }
            (None, None) => return,
        };
        let bounds = self.bounds(delay_based);
        let mut best = self.best(current, &bounds, is_application_limited, at);
        if self.observations.loss() > best.inherent_loss && current.bandwidth < best.bandwidth {
            best.bandwidth = current.bandwidth;
        }
        best.bandwidth = self.state.bound_increase(current.bandwidth, best.bandwidth, &bounds, at);
        let bounded = bounds.apply(best.bandwidth);
        let channel = if bounded < best.bandwidth {
            // The limit is not loss, or so much is lost that what the path loses anyway says nothing.
            Channel { inherent_loss: 0.0, bandwidth: bounded }
        } else {
            Channel { bandwidth: libm::fmax(best.bandwidth, bounds.lower), ..best }
        };
        self.channel = Some(channel);
        self.state.update(bounded, channel.bandwidth, &bounds, at);
    }

    fn bounds(&self, delay_based: Option<f64>) -> Bounds {
        let excess = self.observations.loss() - self.config.inherent_loss_max;
        let upper = if excess > 0.0 { bps(self.config.upper_bound_balance) / excess } else { self.max };
        let lower = libm::fmax(self.acknowledged.unwrap_or(0.0), self.min);
        Bounds { lower, upper, max: self.max, delay_based, acknowledged: self.acknowledged }
    }
}

#[cfg(test)]
mod tests;
