use std::time::{Duration, Instant};

use plenary_wire::DataSize;

use super::ScreamConfig;
use super::delay::Delay;

/// The window that a change of congestion leaves after a long calm begins with this share of marks.
const MARKS_AFTER_CALM: f64 = 0.25;

/// What one message of feedback says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Congestion {
    pub(super) is_marked: bool,
    pub(super) is_delayed: bool,
    pub(super) is_lost: bool,
    /// Losses are rare enough to grow in spite of them.
    pub(super) may_grow: bool,
}

/// `ref_wnd`: how many bytes should be on the way (draft §4.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct ReferenceWindow {
    bytes: f64,
    /// `ref_wnd_i`: where congestion was last met; zero before it ever was.
    inflection: f64,
    /// It has grown since, so that it may be met elsewhere.
    has_grown: bool,
    reacted_at: Option<Instant>,
    decreased_at: Option<Instant>,
    /// The most that was on the way in this round trip, and in the last.
    in_flight: (f64, f64),
    in_flight_since: Option<Instant>,
}

impl ReferenceWindow {
    pub(super) const fn new(config: &ScreamConfig) -> Self {
        Self {
            bytes: config.window_min.as_bytes() as f64,
            inflection: 0.0,
            has_grown: true,
            reacted_at: None,
            decreased_at: None,
            in_flight: (0.0, 0.0),
            in_flight_since: None,
        }
    }

    /// The first feedback has come: the window is what the first rate needs.
    pub(super) fn begin(&mut self, config: &ScreamConfig, size: DataSize) {
        self.bytes = size.max(config.window_min).as_bytes() as f64;
    }

    pub(super) const fn bytes(&self) -> f64 {
        self.bytes
    }

    pub(super) const fn decreased_at(&self) -> Option<Instant> {
        self.decreased_at
    }

    pub(super) const fn note_in_flight(&mut self, size: DataSize) {
        self.in_flight.0 = self.in_flight.0.max(size.as_bytes() as f64);
    }

    /// How much of the window one packet is, up to all.
    pub(super) fn segments_share(&self, config: &ScreamConfig) -> f64 {
        (config.segment_max.as_bytes() as f64 / self.bytes).min(1.0)
    }

    /// It grows no further above what is on the way.
    fn allowed(&self, config: &ScreamConfig) -> f64 {
        let seen = self.in_flight.0.max(self.in_flight.1);
        (config.segment_max.as_bytes() as f64 + seen * config.headroom).max(config.window_min.as_bytes() as f64)
    }

    pub(super) fn is_application_limited(&self, config: &ScreamConfig) -> bool {
        self.allowed(config) < self.bytes
    }

    /// §4.3.1: with slack for frames that leave at once, less of it where there is a queue.
    pub(super) fn on_the_way_max(&self, config: &ScreamConfig, delay: &Delay) -> DataSize {
        let slack = (config.overhead_max - config.overhead_min) * delay.growth_by_queueing(0.0);
        DataSize::from_bytes((self.bytes * (config.overhead_min + slack)) as u64)
    }

    /// Takes in feedback that so many bytes left the path unmarked by; `cycle` is a round trip and the wait for feedback.
    pub(super) fn handle_feedback(
        &mut self,
        config: &ScreamConfig,
        (delay, cycle): (&Delay, Duration),
        (congestion, unmarked): (Congestion, f64),
        marks: &mut f64,
        now: Instant,
    ) {
        let before = self.bytes;
        let Congestion { is_marked, is_delayed, is_lost, may_grow } = congestion;
        let pause = delay.round_trip().min(config.virtual_round_trip);
        let is_due = self.since(self.reacted_at, now).is_none_or(|since| since >= pause);
        let reacts = (is_marked || is_delayed || is_lost) && is_due;
        if reacts {
            let calm = self.since(self.reacted_at, now);
            self.reacted_at = Some(now);
            self.shrink(config, delay, congestion, (marks, calm));
        }
        if reacts || (!is_marked && !is_delayed && may_grow) {
            self.grow(config, (delay, cycle), unmarked, now);
        }
        self.has_grown |= self.bytes > before;
        if self.bytes < before {
            self.decreased_at = Some(now);
            if std::mem::take(&mut self.has_grown) {
                self.inflection = before;
            }
        }
        let round_trip = delay.round_trip().max(config.virtual_round_trip);
        if self.since(self.in_flight_since, now).is_none_or(|since| since >= round_trip) {
            self.in_flight_since = Some(now);
            self.in_flight = (0.0, self.in_flight.0);
        }
    }

    fn since(&self, at: Option<Instant>, now: Instant) -> Option<Duration> {
        at.map(|at| now.saturating_duration_since(at))
    }

    /// §4.2.2.1.
    fn shrink(
        &mut self,
        config: &ScreamConfig,
        delay: &Delay,
        congestion: Congestion,
        (marks, calm): (&mut f64, Option<Duration>),
    ) {
        let least = config.window_min.as_bytes() as f64;
        if congestion.is_lost {
            self.bytes *= config.beta_loss;
        }
        if congestion.is_marked {
            let mut backoff = *marks / 2.0 / delay.round_trips_of_virtual(config);
            if !congestion.is_delayed {
                // Slow change near the inflection, as growth is; and flows that meet delays are not starved by those that
                // do not.
                backoff *= self.near_inflection(config).max(0.25) * delay.growth_by_queueing(0.1);
            }
            let long = delay.round_trip().max(config.virtual_round_trip).mul_f64(config.caution_round_trips);
            if calm.is_none_or(|calm| calm > long) {
                // The window may be far above what was on the way.
                self.bytes = self.in_flight.1.min(self.bytes);
                *marks = marks.max(MARKS_AFTER_CALM);
            }
            self.bytes *= 1.0 - backoff;
        } else if congestion.is_delayed {
            self.bytes *= 1.0 - delay.backoff(config);
        }
        self.bytes = self.bytes.max(least);
    }

    /// §4.2.2.2.
    fn grow(&mut self, config: &ScreamConfig, (delay, cycle): (&Delay, Duration), unmarked: f64, now: Instant) {
        let virtual_round_trip = config.virtual_round_trip.as_secs_f64();
        let short = (cycle.as_secs_f64() / virtual_round_trip).min(1.0);
        let near = self.near_inflection(config);
        let caution = delay.round_trip().as_secs_f64().max(virtual_round_trip) * config.caution_round_trips;
        let calm = self.since(self.reacted_at, now).map_or(1.0, |since| (since.as_secs_f64() / caution).min(1.0));
        let multiplied = config.growth * self.bytes / config.segment_max.as_bytes() as f64 * calm * near;
        let scale = self.segments_share(config)
            * (short * short)
            * near.max(0.25)
            * delay.growth_by_queueing(0.1)
            * delay.growth_by_difference()
            * (1.0 + multiplied);
        let allowed = self.allowed(config);
        if self.bytes < allowed {
            self.bytes = (self.bytes + unmarked * scale).min(allowed);
        }
    }

    /// From 1 far from the last inflection to 0.1 at it.
    fn near_inflection(&self, config: &ScreamConfig) -> f64 {
        let distance = config.inflection_scale * (self.bytes - self.inflection) / self.inflection.max(1.0);
        (distance * distance).clamp(0.1, 1.0)
    }
}
