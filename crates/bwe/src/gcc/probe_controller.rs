//! When to probe, and how fast.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/probe_controller.cc`, signalapp/webrtc bd635df347,
//! without what it does with estimates of a network that it can be given. It differs in that a probe is sent only if it
//! can show more than is known, as at or below the target it could but lower it; in that a demand that has risen is probed for
//! again where that has not sufficed; and in that the highest probe is [`Streams::max`](crate::Streams::max), which there
//! always is: upstream takes 5 Mbit/s where it is told none.

use std::collections::VecDeque;
use std::time::Duration;

use plenary_wire::Bitrate;

use super::number::{Time, micros, scaled};
use crate::{ProbeCluster, ProbeId};

/// Which probes are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbingConfig {
    /// The first probes, of the start rate. Default: 3 and 6.
    pub first: [f64; 2],
    /// The next probe, of what the last one has shown. Default: 2.
    pub further: f64,
    /// If that is above this part of the last probe. Default: 0.7.
    pub further_threshold: f64,
    /// A probe's time. Default: 15 ms.
    pub time: Duration,
    /// A probe's packets. Default: 5.
    pub packets_min: u32,
    /// A probe's bursts. Default: 2 ms.
    pub interval: Duration,
    /// For how long the first probe is repeated, each second, until the demand changes; zero is not. Default: zero.
    pub repeated_first: Duration,
    /// The time of probes meanwhile. Default: 100 ms.
    pub repeated_time: Duration,
    /// Their bursts. Default: 20 ms.
    pub repeated_interval: Duration,
    /// How often is probed while the application sends less than it may; `None` is never. Default: 5 s.
    pub limited_interval: Option<Duration>,
    /// Such a probe, of the target. Default: 2.
    pub limited: f64,
    /// Probes of a demand that has risen. Default: 1 and 2.
    pub demand: [f64; 2],
    /// Not above so many times the target. Default: 2.
    pub demand_max: f64,
    /// How often it is probed for again once a result leaves the target below the demand: jitter makes short probes look
    /// slow. Default: 2.
    pub demand_repeats: u32,
    /// No probe is above so many times the demand: media is uneven, and a probe shows a little less than it was.
    /// Default: 2.
    pub max: f64,
    /// While loss limits the target, no probe is above so many times it. Default: 1.5.
    pub loss_limited: f64,
}

impl Default for ProbingConfig {
    fn default() -> Self {
        Self {
            first: [3.0, 6.0],
            further: 2.0,
            further_threshold: 0.7,
            time: Duration::from_millis(15),
            packets_min: 5,
            interval: Duration::from_millis(2),
            repeated_first: Duration::ZERO,
            repeated_time: Duration::from_millis(100),
            repeated_interval: Duration::from_millis(20),
            limited_interval: Some(Duration::from_secs(5)),
            limited: 2.0,
            demand: [1.0, 2.0],
            demand_max: 2.0,
            demand_repeats: 2,
            max: 2.0,
            loss_limited: 1.5,
        }
    }
}

/// A probe's result is waited for so long.
const RESULT: i64 = 1_000_000;
/// A fall of the target below this part of it is a large one,
const LARGE_FALL: f64 = 0.66;
/// and if it ends within so long,
const LARGE_FALL_TIME: i64 = 5_000_000;
/// this part of what there was is probed for,
const AFTER_FALL: f64 = 0.85;
/// unless the target is above that, less what probes are uncertain by.
const UNCERTAINTY: f64 = 0.05;
/// So long after the application was the limit it counts as one.
const LIMIT_ENDED: i64 = 3_000_000;
/// Falls are probed for no more often.
const FALL_INTERVAL: i64 = 5_000_000;
/// Probes that wait for the pacer: the oldest is given up for a new one.
const WAITING_MAX: usize = 5;

/// What the target is limited by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LimitedBy {
    #[default]
    Delay,
    /// The queue grows, or drains.
    DelayIncreased,
    RoundTrip,
    Loss,
    /// It rises.
    LossIncreasing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was probed.
    First,
    /// A result is waited for; above this rate there is a further probe.
    Waiting(Bitrate),
    Complete,
}

#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct ProbeController {
    state: State,
    target: Bitrate,
    limited_by: LimitedBy,
    limited_since: Option<Time>,
    repeated_until: Option<Time>,
    last: Option<Time>,
    start: Bitrate,
    max: Bitrate,
    demand: Bitrate,
    /// How often the demand is probed for again.
    demand_repeats: u32,
    limit_ended: Option<Time>,
    /// When the target fell, and from where.
    large_fall: Option<(Time, Bitrate)>,
    last_after_fall: Option<Time>,
    next_id: u32,
    waiting: VecDeque<ProbeCluster>,
    config: ProbingConfig,
}

impl ProbeController {
    pub(crate) fn new(config: ProbingConfig) -> Self {
        Self {
            config,
            state: State::First,
            limited_by: LimitedBy::Delay,
            start: Bitrate::ZERO,
            max: Bitrate::MAX,
            demand: Bitrate::ZERO,
            target: Bitrate::ZERO,
            last: None,
            repeated_until: None,
            demand_repeats: 0,
            limited_since: None,
            limit_ended: None,
            large_fall: None,
            last_after_fall: None,
            next_id: 0,
            waiting: VecDeque::with_capacity(WAITING_MAX),
        }
    }

    /// Another route: begins again, with probes of other names.
    pub(crate) fn reset(&mut self, now: Time) {
        self.waiting.clear();
        let empty = Self { waiting: VecDeque::new(), ..Self::new(self.config.clone()) };
        let before = std::mem::replace(self, empty);
        (self.max, self.demand, self.next_id) = (before.max, before.demand, before.next_id);
        (self.waiting, self.last_after_fall) = (before.waiting, Some(now));
    }

    pub(crate) fn poll(&mut self) -> Option<ProbeCluster> {
        self.waiting.pop_front()
    }

    pub(crate) fn set_start(&mut self, start: Bitrate, now: Time) {
        (self.start, self.target) = (start, start);
        self.begin(now);
    }

    pub(crate) fn set_max(&mut self, max: Bitrate, now: Time) {
        let before = std::mem::replace(&mut self.max, max);
        if self.state == State::Complete && before < max && self.target < max {
            self.probe(&[max], false, now);
        }
    }

    pub(crate) fn set_demand(&mut self, demand: Bitrate, now: Time) {
        if demand == self.demand {
            return;
        }
        self.demand = demand;
        self.repeated_until = None;
        self.demand_repeats = 0;
        self.begin(now);
        let is_wanted = self.target < self.max && self.target < demand;
        if self.state == State::Complete && is_wanted && self.limited_since.is_some() {
            let most = scaled(self.target, self.config.demand_max);
            let [first, second] = self.config.demand.map(|factor| scaled(demand, factor).min(most));
            self.probe(&[first, second], second == most, now);
            self.demand_repeats = self.config.demand_repeats;
        }
    }

    /// Since when the application sends less than it may.
    pub(crate) const fn set_limited(&mut self, since: Option<Time>) {
        self.limited_since = since;
    }

    pub(crate) const fn handle_limit_ended(&mut self, now: Time) {
        self.limit_ended = Some(now);
    }

    /// What the target is now, and by what.
    pub(crate) fn set_target(&mut self, target: Bitrate, limited_by: LimitedBy, now: Time) {
        self.limited_by = limited_by;
        if target < scaled(self.target, LARGE_FALL) {
            self.large_fall = Some((now, self.target));
        }
        self.target = target;
        if let State::Waiting(threshold) = self.state
            && target > threshold
        {
            self.probe(&[scaled(target, self.config.further)], true, now);
        }
    }

    /// The queue is empty again: if the target fell far just now, was that right?
    pub(crate) fn handle_recovery(&mut self, now: Time) {
        let was_limited =
            self.limited_since.is_some() || self.limit_ended.is_some_and(|ended| now.since(ended) < LIMIT_ENDED);
        let Some((fallen, before)) = self.large_fall else { return };
        let rate = scaled(before, AFTER_FALL);
        if was_limited
            && self.state == State::Complete
            && scaled(rate, 1.0 - UNCERTAINTY) > self.target
            && now.since(fallen) < LARGE_FALL_TIME
            && now.is_past(self.last_after_fall, FALL_INTERVAL + 1)
        {
            self.last_after_fall = Some(now);
            self.probe(&[rate], false, now);
        }
    }

    /// A probe has shown something, and the target is told already.
    pub(crate) fn handle_result(&mut self, now: Time) {
        let is_probed_on = self.last.is_some_and(|last| last >= now);
        if self.demand_repeats > 0 && self.target < self.demand && !is_probed_on {
            self.demand_repeats -= 1;
            self.probe(&[scaled(self.target, self.config.demand_max)], true, now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if matches!(self.state, State::Waiting(_)) && now.is_past(self.last, RESULT + 1) {
            self.state = State::Complete;
        }
        if self.state != State::Complete || self.target == Bitrate::ZERO {
            return;
        }
        if self.repeated_until.is_some_and(|until| now < until) && now.is_past(self.last, RESULT) {
            self.probe(&[scaled(self.target, self.config.first[0])], true, now);
        } else if let Some(since) = self.limited_since
            && let Some(interval) = self.config.limited_interval
            && now.is_past(self.last.max(Some(since)), micros(interval))
        {
            self.probe(&[scaled(self.target, self.config.limited)], true, now);
        }
    }

    fn begin(&mut self, now: Time) {
        if self.state != State::First || self.start == Bitrate::ZERO || self.demand == Bitrate::ZERO {
            return;
        }
        let repeated = micros(self.config.repeated_first);
        self.repeated_until = (repeated > 0).then(|| now.plus(repeated));
        self.probe(&self.config.first.map(|factor| scaled(self.start, factor)), true, now);
    }

    fn probe(&mut self, rates: &[Bitrate], goes_further: bool, now: Time) {
        let mut max = self.max.min(scaled(self.demand, self.config.max));
        match self.limited_by {
            LimitedBy::DelayIncreased | LimitedBy::RoundTrip | LimitedBy::Loss => return,
            LimitedBy::LossIncreasing => max = max.min(scaled(self.target, self.config.loss_limited)),
            LimitedBy::Delay => {}
        }
        let mut last = self.target;
        for rate in rates.iter().map(|rate| (*rate).min(max)) {
            if rate > last {
                self.push(rate, now);
                last = rate;
            }
        }
        self.last = Some(now);
        let goes_further = goes_further && rates.iter().all(|rate| *rate < max);
        self.state = if goes_further && last > self.target {
            State::Waiting(scaled(last, self.config.further_threshold))
        } else {
            State::Complete
        };
    }

    fn push(&mut self, rate: Bitrate, now: Time) {
        let is_repeated = self.repeated_until.is_some_and(|until| now < until);
        let (duration, interval) = if is_repeated {
            (self.config.repeated_time, self.config.repeated_interval)
        } else {
            (self.config.time, self.config.interval)
        };
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        let (id, packets_min) = (ProbeId(self.next_id), self.config.packets_min);
        self.next_id = self.next_id.wrapping_add(1);
        self.waiting.push_back(ProbeCluster { id, rate, duration, packets_min, interval });
    }
}

#[cfg(test)]
mod tests;
