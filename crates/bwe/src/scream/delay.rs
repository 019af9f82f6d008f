use std::time::{Duration, Instant};

use super::ScreamConfig;
use crate::base_delay::BaseDelay;
use crate::{ArrivalTime, Feedback};

/// Smoothing of the queueing delay where it grows; where it falls, it is followed at once.
const QUEUEING_GAIN: f64 = 1.0 / 4.0;

/// Smoothing of what limits growth.
const SLOW_GAIN: f64 = 1.0 / 32.0;

/// Growth is least at this, of the least queueing or of the difference within one feedback, and freest at a quarter.
const GROWTH_THRESHOLD: f64 = 0.010;

/// Smoothing of the round-trip time, and while less is sent than might be.
const ROUND_TRIP_GAINS: (f64, f64) = (1.0 / 8.0, 1.0 / 128.0);

/// What packets' delays say (libwebrtc's `delay_based_congestion_control`).
#[derive(Clone, Debug)]
pub(super) struct Delay {
    base: BaseDelay,
    /// In seconds; `None` before the first sample.
    round_trip: Option<f64>,
    /// Smoothed, in seconds.
    queueing: Option<f64>,
    last_least: Option<f64>,
    least_average: f64,
    difference_average: f64,
    /// The queue was last seen drained before this.
    above_since: Option<Instant>,
}

impl Delay {
    pub(super) const fn new() -> Self {
        Self {
            base: BaseDelay::new(),
            round_trip: None,
            queueing: None,
            last_least: None,
            least_average: 0.0,
            difference_average: 0.0,
            above_since: None,
        }
    }

    /// The least delay is not believed any more.
    pub(super) const fn forget(&mut self) {
        self.base.reset();
        (self.queueing, self.last_least, self.above_since) = (None, None, None);
        (self.least_average, self.difference_average) = (0.0, 0.0);
    }

    /// Takes in feedback, of which something arrived.
    pub(super) fn handle_feedback(
        &mut self,
        config: &ScreamConfig,
        feedback: &Feedback<'_>,
        is_limited: bool,
        now: Instant,
    ) {
        self.base.handle_time(now);
        let mut delays = (i64::MAX, i64::MIN);
        let mut newest: Option<(ArrivalTime, Instant)> = None;
        for (packet, arrived) in feedback.arrived() {
            let delay = self.base.handle_packet(packet.sent.at, arrived);
            delays = (delays.0.min(delay), delays.1.max(delay));
            newest = newest.max(Some((arrived, packet.sent.at)));
        }
        let Some((_, sent)) = newest else { return };
        let round_trip = feedback.round_trip.unwrap_or_else(|| now.saturating_duration_since(sent));
        let gain = if is_limited { ROUND_TRIP_GAINS.1 } else { ROUND_TRIP_GAINS.0 };
        let sample = round_trip.as_secs_f64();
        self.round_trip = Some(self.round_trip.map_or(sample, |known| known + gain * (sample - known)));

        let least = self.base.queueing(delays.0);
        self.above_since = if least > config.drain_above { self.above_since.or(Some(now)) } else { None };
        let least = least.as_secs_f64();
        let sample = least.min(self.last_least.unwrap_or(f64::INFINITY));
        self.last_least = Some(least);
        self.queueing = Some(match self.queueing {
            Some(known) if sample > known => known + QUEUEING_GAIN * (sample - known),
            _ => sample,
        });
        let difference = Duration::from_micros(delays.1.abs_diff(delays.0)).as_secs_f64();
        let slow = |known: f64, sample: f64| known + SLOW_GAIN * (sample.min(2.0 * GROWTH_THRESHOLD) - known);
        self.least_average = slow(self.least_average, least);
        self.difference_average = slow(self.difference_average, difference);
    }

    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_secs_f64(self.round_trip.unwrap_or(0.0).min(60.0))
    }

    pub(super) fn queueing(&self) -> Duration {
        Duration::from_secs_f64(self.queueing.unwrap_or(0.0).min(60.0))
    }

    pub(super) fn is_detected(&self, config: &ScreamConfig) -> bool {
        self.queueing() > config.queueing_target / 2
    }

    /// What the delay takes of the window: half of it at the target.
    pub(super) fn backoff(&self, config: &ScreamConfig) -> f64 {
        let half = config.queueing_target.as_secs_f64() / 2.0;
        let share = ((self.queueing().as_secs_f64() - half) / half).clamp(0.0, 1.0);
        share / 2.0 / self.round_trips_of_virtual(config)
    }

    /// How often congestion is answered in a round trip.
    pub(super) fn round_trips_of_virtual(&self, config: &ScreamConfig) -> f64 {
        (self.round_trip().as_secs_f64() / config.virtual_round_trip.as_secs_f64()).max(1.0)
    }

    pub(super) fn is_drained_in_time(&self, config: &ScreamConfig, now: Instant) -> bool {
        self.above_since.is_none_or(|since| now.saturating_duration_since(since) < config.drain_after)
    }

    /// From 1 with an empty queue down to `least` with one that is always there.
    pub(super) fn growth_by_queueing(&self, least: f64) -> f64 {
        scale(self.least_average).clamp(least, 1.0)
    }

    /// From 1 where all packets need the same time down to 0.1 where they differ.
    pub(super) fn growth_by_difference(&self) -> f64 {
        scale(self.difference_average).clamp(0.1, 1.0)
    }
}

fn scale(seconds: f64) -> f64 {
    0.1 + 1.2 * (GROWTH_THRESHOLD - seconds) / GROWTH_THRESHOLD
}
