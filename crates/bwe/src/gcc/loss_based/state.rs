//! Whether loss limits the rate, and how fast it may rise while it does.

use super::LossBasedConfig;
use crate::gcc::number::{Time, micros};

const HOLD_FIRST: f64 = 300_000.0;
const HOLD_MAX: f64 = 60_000_000.0;
/// A limit is not below, in bit/s.
const LIMIT_MIN: f64 = 5_000.0;

/// What limits the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Delay does, not loss.
    #[default]
    DelayBased,
    /// Loss does, and it does not rise.
    Decreasing,
    /// Loss does, and it rises.
    Increasing,
    /// The same, and padding is to fill what media does not.
    Padding,
}

/// What the rate is kept within, in bit/s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// What is acknowledged, and the least there may be.
    pub(super) lower: f64,
    /// What so much loss lets through.
    pub(super) upper: f64,
    pub(super) max: f64,
    pub(super) delay_based: Option<f64>,
    pub(super) acknowledged: Option<f64>,
}

impl Bounds {
    pub(super) fn apply(&self, rate: f64) -> f64 {
        let rate = libm::fmin(rate, self.upper);
        libm::fmax(libm::fmin(rate, self.delay_based.unwrap_or(rate)), self.lower)
    }

    fn is_below_delay_based(&self, rate: f64) -> bool {
        self.delay_based.is_none_or(|delay_based| rate < delay_based)
    }
}

#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct State {
    phase: Phase,
    rate: f64,
    hold: Hold,
    padding: Option<Padding>,
    /// The window in which the rate may rise to a limit: since when, and to what.
    window: Option<(Time, f64)>,
    ramp_up: f64,
    ramp_up_in_hold: f64,
    hold_threshold: f64,
    hold_growth: f64,
    increase_max: f64,
    increase_window: i64,
    padding_time: i64,
}

/// It does not rise above.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until: Option<Time>,
    /// Of the next one, in microseconds.
    time: f64,
    rate: Option<f64>,
}

impl Hold {
    const NONE: Self = Self { until: None, time: HOLD_FIRST, rate: None };
}

#[derive(Clone, Copy, Debug)]
struct Padding {
    since: Time,
    rate: f64,
}

impl State {
    pub(super) fn new(config: &LossBasedConfig) -> Self {
        Self {
            ramp_up: config.ramp_up,
            ramp_up_in_hold: config.ramp_up_in_hold,
            hold_threshold: config.hold_threshold,
            hold_growth: config.hold_growth,
            increase_max: config.increase_max,
            increase_window: micros(config.increase_window),
            padding_time: micros(config.padding_time),
            phase: Phase::DelayBased,
            rate: 0.0,
            hold: Hold::NONE,
            padding: None,
            window: None,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) const fn begin(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// What it may rise to in this window, if loss limits it.
    pub(super) fn limit(&self) -> Option<f64> {
        self.window.filter(|_| self.is_limited()).map(|(_, limit)| limit)
    }

    pub(super) fn is_padding(&self, now: Time) -> bool {
        self.padding_time > 0 && self.padding.is_some_and(|padding| now.since(padding.since) <= self.padding_time)
    }

    /// What of a rise from `old` to `new` is allowed.
    pub(super) fn bound_increase(&self, old: f64, new: f64, bounds: &Bounds, now: Time) -> f64 {
        if !self.is_limited() {
            return new;
        }
        let mut bounded = new;
        if let Some((since, limit)) = self.window
            && now.since(since) < self.increase_window
        {
            bounded = libm::fmin(bounded, limit);
        }
        let Some(acknowledged) = bounds.acknowledged.filter(|_| self.is_increase(old, bounded)) else {
            return bounded;
        };
        let is_held = self.hold.rate.is_some_and(|rate| acknowledged < self.hold_threshold * rate);
        let ramp_up = if is_held { self.ramp_up_in_hold } else { self.ramp_up };
        bounded = libm::fmax(old, libm::fmin(bounded, ramp_up * acknowledged));
        // A rise of one bit/s is one, and leads to padding.
        if self.phase == Phase::Decreasing && bounded == old { old + 1.0 } else { bounded }
    }

    /// The rate, within its bounds, is this; the channel carries that.
    pub(super) fn update(&mut self, bounded: f64, bandwidth: f64, bounds: &Bounds, now: Time) {
        let is_below = bounds.is_below_delay_based(bounded);
        if self.phase == Phase::Decreasing && self.hold.until.is_some_and(|until| until > now) && is_below {
            let held = libm::fmax(self.hold.rate.unwrap_or(f64::INFINITY), bounds.lower);
            self.hold.rate = Some(held);
            self.rate = libm::fmin(held, bounded);
            return;
        }
        let is_limited = is_below && bounded < bounds.max;
        if is_limited && self.is_increase(self.rate, bounded) && self.may_rise_on(bounded, now) {
            self.rise(bounded, now);
        } else if is_limited {
            self.fall(bounded, now);
        } else {
            (self.hold, self.padding, self.phase) = (Hold::NONE, None, Phase::DelayBased);
        }
        self.rate = bounded;
        let is_over = self.window.is_none_or(|(since, _)| now.since(since) > self.increase_window);
        if self.is_limited() && is_over {
            self.window = Some((now, libm::fmax(LIMIT_MIN, bandwidth * self.increase_max)));
        }
    }

    fn rise(&mut self, rate: f64, now: Time) {
        self.phase = Phase::Increasing;
        if self.padding_time > 0 {
            self.phase = Phase::Padding;
            if self.padding.is_none_or(|padding| rate > padding.rate) {
                self.padding = Some(Padding { since: now, rate });
            }
        }
    }

    fn fall(&mut self, rate: f64, now: Time) {
        if self.phase != Phase::Decreasing && self.hold_growth > 0.0 {
            self.hold = Hold {
                until: Some(now.plus(self.hold.time as i64)),
                time: libm::fmin(self.hold.time * self.hold_growth, HOLD_MAX),
                rate: Some(rate),
            };
        }
        self.padding = None;
        self.phase = Phase::Decreasing;
    }

    fn is_limited(&self) -> bool {
        self.phase != Phase::DelayBased
    }

    fn is_increase(&self, old: f64, new: f64) -> bool {
        let is_rising = matches!(self.phase, Phase::Increasing | Phase::Padding);
        self.is_limited() && (old < new || old == new && is_rising)
    }

    /// Padding ends once it does not help.
    fn may_rise_on(&self, rate: f64, now: Time) -> bool {
        self.padding_time == 0
            || self.phase != Phase::Padding
            || self.is_padding(now)
            || self.padding.is_none_or(|padding| padding.rate < rate)
    }
}
