//! The rate by delay: up by steps while there is no congestion, down at once to less than what arrives.
//!
//! Aligned to libwebrtc `modules/remote_bitrate_estimator/aimd_rate_control.cc`, signalapp/webrtc bd635df347, without
//! the estimates of a network that it can be given. It differs in that a probe that shows much less than the known capacity
//! refutes it; upstream rises from there by the steps that are meant for where the capacity is near.

use std::time::Duration;

use plenary_wire::Bitrate;

use super::link_capacity::LinkCapacity;
use super::number::{Time, bps, micros, rate, scaled, seconds};
use super::overuse::Usage;

/// How the rate moves.
#[derive(Clone, Debug, PartialEq)]
pub struct AimdConfig {
    /// What is kept of the rate that arrives when there is congestion: less, so that the queue drains. Default: 0.85.
    pub backoff: f64,
    /// What the rate is multiplied with in each second, while the link's capacity is not known. Default: 1.08.
    pub increase: f64,
    /// The round-trip time until there is one. Default: 200 ms.
    pub round_trip: Duration,
    /// Whether the rate rises, to one and a half times what arrives, while the application sends less than it may.
    /// Default: yes.
    pub rises_when_limited: bool,
}

impl Default for AimdConfig {
    fn default() -> Self {
        Self { backoff: 0.85, increase: 1.08, round_trip: Duration::from_millis(200), rises_when_limited: true }
    }
}

/// Until it is told otherwise.
const RATE_FIRST: Bitrate = Bitrate::from_mbps(30);
/// Without a first rate, what arrives is taken for it after so long.
const INITIALIZATION: i64 = 5_000_000;
/// How long a receiver takes to see congestion.
const DETECTION: i64 = 100_000;
/// A frame is cut into packets of so many bytes, at 30 frames a second.
const PACKET: f64 = 1_200.0;
const FRAMES: f64 = 30.0;
const ADDITIVE_MIN: f64 = 4_000.0;
const MULTIPLICATIVE_MIN: f64 = 1_000.0;
/// The rate stays below so many times what arrives, and this on top: at low rates encoders are uneven.
const UNPROVEN: f64 = 1.5;
const UNPROVEN_MORE: Bitrate = Bitrate::from_kbps(10);
const DRAIN_MORE: Bitrate = Bitrate::from_kbps(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hold,
    Increase,
    Decrease,
}

#[derive(Clone, Debug)]
pub(crate) struct Aimd {
    config: AimdConfig,
    /// The logarithm of the increase in a second.
    growth: f64,
    rate: Bitrate,
    min: Bitrate,
    is_initialized: bool,
    acknowledged: Bitrate,
    first_acknowledged: Option<Time>,
    capacity: LinkCapacity,
    state: State,
    changed: Option<Time>,
    is_bounded: bool,
    is_application_limited: bool,
    /// In microseconds.
    round_trip: i64,
}

impl Aimd {
    pub(crate) fn new(config: AimdConfig) -> Self {
        Self {
            round_trip: micros(config.round_trip),
            growth: libm::log(config.increase),
            config,
            rate: RATE_FIRST,
            min: Bitrate::ZERO,
            is_initialized: false,
            acknowledged: RATE_FIRST,
            first_acknowledged: None,
            capacity: LinkCapacity::default(),
            state: State::Hold,
            changed: None,
            is_bounded: false,
            is_application_limited: false,
        }
    }

    pub(crate) const fn set_start(&mut self, start: Bitrate) {
        (self.rate, self.acknowledged, self.is_initialized) = (start, start, true);
    }

    pub(crate) fn set_min(&mut self, min: Bitrate) {
        self.min = min;
        self.rate = self.rate.max(min);
    }

    pub(crate) const fn set_round_trip(&mut self, micros: i64) {
        self.round_trip = micros;
    }

    pub(crate) const fn set_application_limited(&mut self, is_limited: bool) {
        self.is_application_limited = is_limited;
    }

    /// There is a rate to go by.
    pub(crate) const fn is_initialized(&self) -> bool {
        self.is_initialized
    }

    pub(crate) const fn rate(&self) -> Bitrate {
        self.rate
    }

    /// The rate would rise, were it not for how little arrives.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// A probe has shown that rate, or it is halved for want of anything else.
    pub(crate) fn set_rate(&mut self, rate: Bitrate, now: Time) {
        self.is_initialized = true;
        if rate < self.rate && self.capacity.lower().is_some_and(|lower| rate < lower) {
            self.capacity.reset();
        }
        self.rate = rate.max(self.min);
        self.changed = Some(now);
    }

    /// Whether a change has had time to show, or so little arrives that it is not waited for.
    pub(crate) fn may_reduce(&self, acknowledged: Bitrate, now: Time) -> bool {
        now.is_past(self.changed, self.round_trip.clamp(10_000, 200_000))
            || self.is_initialized && acknowledged < scaled(self.rate, 0.5)
    }

    /// The same before anything is known to have arrived.
    pub(crate) fn may_halve(&self, now: Time) -> bool {
        self.is_initialized && self.may_reduce(scaled(self.rate, 0.5).saturating_sub(Bitrate::from_bps(1)), now)
    }

    pub(crate) fn update(&mut self, usage: Usage, acknowledged: Option<Bitrate>, now: Time) {
        if !self.is_initialized
            && let Some(acknowledged) = acknowledged
        {
            let first = *self.first_acknowledged.get_or_insert(now);
            if now.since(first) > INITIALIZATION {
                (self.rate, self.is_initialized) = (acknowledged, true);
            }
        }
        self.acknowledged = acknowledged.unwrap_or(self.acknowledged);
        // Congestion gives a first rate as well.
        if !self.is_initialized && usage != Usage::Over {
            return;
        }
        self.state = match (usage, self.state) {
            (Usage::Normal, State::Hold) => {
                self.changed = Some(now);
                State::Increase
            }
            (Usage::Normal, state) => state,
            (Usage::Over, _) => State::Decrease,
            (Usage::Under, _) => State::Hold,
        };
        match self.state {
            State::Hold => {}
            State::Increase => self.increase(now),
            State::Decrease => self.decrease(now),
        }
        self.rate = self.rate.max(self.min);
    }

    fn increase(&mut self, now: Time) {
        if self.capacity.upper().is_some_and(|upper| self.acknowledged > upper) {
            self.capacity.reset();
        }
        let limit = if self.is_application_limited && !self.config.rises_when_limited {
            self.rate
        } else {
            scaled(self.acknowledged, UNPROVEN).saturating_add(UNPROVEN_MORE)
        };
        self.is_bounded = self.rate >= limit;
        if !self.is_bounded {
            let elapsed = self.changed.map_or(0, |changed| now.since(changed));
            let step = if self.capacity.estimate().is_some() {
                self.additive_step(elapsed)
            } else {
                self.multiplicative_step(elapsed)
            };
            self.rate = self.rate.saturating_add(step).min(limit);
        }
        self.changed = Some(now);
    }

    fn decrease(&mut self, now: Time) {
        let mut lower = scaled(self.acknowledged, self.config.backoff);
        if lower > DRAIN_MORE {
            lower = lower.saturating_sub(DRAIN_MORE);
        }
        if lower > self.rate
            && let Some(capacity) = self.capacity.estimate()
        {
            lower = scaled(capacity, self.config.backoff);
        }
        self.rate = self.rate.min(lower);
        if self.capacity.lower().is_some_and(|lower| self.acknowledged < lower) {
            self.capacity.reset();
        }
        self.is_initialized = true;
        self.is_bounded = false;
        self.capacity.add(self.acknowledged);
        // Until the queue is empty.
        self.state = State::Hold;
        self.changed = Some(now);
    }

    /// Near capacity: half a packet for each time that it takes to see the effect.
    fn additive_step(&self, elapsed: i64) -> Bitrate {
        let frame = bps(self.rate) / FRAMES / 8.0;
        let packet = frame / libm::ceil(frame / PACKET);
        let response = seconds(2 * (self.round_trip.saturating_add(DETECTION)).clamp(DETECTION, 1 << 40));
        let per_second = libm::fmax(packet * 8.0 / response, ADDITIVE_MIN);
        rate(per_second * seconds(elapsed))
    }

    fn multiplicative_step(&self, elapsed: i64) -> Bitrate {
        let factor = match self.changed {
            Some(_) => libm::exp(self.growth * libm::fmin(seconds(elapsed), 1.0)),
            None => self.config.increase,
        };
        rate(libm::fmax(bps(self.rate) * (factor - 1.0), MULTIPLICATIVE_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn kbps(kbps: u64) -> Bitrate {
        Bitrate::from_kbps(kbps)
    }

    fn started(start: u64) -> Aimd {
        let mut aimd = Aimd::new(AimdConfig::default());
        aimd.set_start(kbps(start));
        aimd
    }

    #[test]
    fn without_capacity_it_rises_by_8_percent_in_a_second() {
        let mut aimd = started(1_000);
        aimd.update(Usage::Normal, Some(kbps(1_000)), at(0));
        for step in 1..=10 {
            aimd.update(Usage::Normal, Some(kbps(1_000)), at(step * 100));
        }
        // The first step is of no time, and the least: 1 kbit/s.
        assert_eq!(aimd.rate().as_bps() / 100, 1_001_000 * 108 / 10_000);
    }

    #[test]
    fn congestion_lowers_it_to_85_percent_of_what_arrives() {
        let mut aimd = started(1_000);
        aimd.update(Usage::Over, Some(kbps(800)), at(0));
        assert_eq!(aimd.rate(), kbps(675));
        // Holds until the path is normal, then adds half a packet for each RTT + 100 ms, 200 + 100:
        // 675 kbit/s / 30 in 3 packets of 937.5 bytes, 7,500 bits in 0.6 s.
        aimd.update(Usage::Under, Some(kbps(700)), at(100));
        assert_eq!(aimd.rate(), kbps(675));
        aimd.update(Usage::Normal, Some(kbps(800)), at(200));
        aimd.update(Usage::Normal, Some(kbps(800)), at(1_200));
        assert_eq!(aimd.rate(), Bitrate::from_bps(675_000 + 12_500));
        // With a shorter round trip by more.
        aimd.set_round_trip(25_000);
        aimd.update(Usage::Normal, Some(kbps(800)), at(1_300));
        assert_eq!(aimd.rate().as_bps() - 687_500, 7_638 * 8 / 25 * 100 / 80);
    }

    #[test]
    fn it_is_bounded_by_one_and_a_half_of_what_arrives() {
        let mut aimd = started(100);
        for second in 0..60 {
            aimd.update(Usage::Normal, Some(kbps(100)), at(second * 1_000));
        }
        assert_eq!((aimd.rate(), aimd.is_bounded()), (kbps(160), true));
        aimd.update(Usage::Normal, Some(kbps(20)), at(61_000));
        assert_eq!(aimd.rate(), kbps(160));
        let mut aimd = Aimd::new(AimdConfig { rises_when_limited: false, ..AimdConfig::default() });
        aimd.set_start(kbps(100));
        aimd.set_application_limited(true);
        for second in 0..60 {
            aimd.update(Usage::Normal, Some(kbps(100)), at(second * 1_000));
        }
        assert_eq!(aimd.rate(), kbps(100));
    }

    #[test]
    fn far_from_capacity_it_is_forgotten() {
        let mut aimd = started(1_000);
        aimd.update(Usage::Over, Some(kbps(1_000)), at(0));
        assert_eq!(aimd.capacity.estimate(), Some(kbps(1_000)));
        // √(0.4 · 1,000) · 3 = 60.
        aimd.update(Usage::Normal, Some(kbps(1_059)), at(300));
        assert!(aimd.capacity.estimate().is_some());
        aimd.update(Usage::Normal, Some(kbps(1_061)), at(600));
        assert_eq!(aimd.capacity.estimate(), None);
        aimd.update(Usage::Over, Some(kbps(1_000)), at(900));
        aimd.update(Usage::Over, Some(kbps(500)), at(1_200));
        assert_eq!(aimd.capacity.estimate(), Some(kbps(500)));
        // More arrives than the rate says: 85 % of the capacity is less, or nothing changes.
        aimd.set_rate(kbps(430), at(1_300));
        aimd.update(Usage::Over, Some(kbps(520)), at(1_600));
        assert_eq!(aimd.rate(), kbps(425));
    }

    #[test]
    fn a_probe_that_shows_much_less_refutes_the_capacity() {
        for (probed, is_known) in [(940, true), (939, false)] {
            let mut aimd = started(1_000);
            aimd.capacity.add(kbps(1_000));
            aimd.set_rate(kbps(probed), at(0));
            assert_eq!(aimd.capacity.estimate().is_some(), is_known, "{probed}");
        }
    }

    #[test]
    fn it_is_reduced_again_after_a_round_trip_or_at_half() {
        let mut aimd = started(1_000);
        assert!(aimd.may_reduce(kbps(900), at(0)));
        aimd.set_rate(kbps(1_000), at(0));
        assert!(!aimd.may_reduce(kbps(500), at(199)));
        assert!(aimd.may_reduce(kbps(499), at(1)));
        assert!(aimd.may_reduce(kbps(900), at(200)));
        assert!(aimd.may_halve(at(0)));
    }

    #[test]
    fn without_a_first_rate_what_arrives_is_taken_after_5_seconds() {
        let mut aimd = Aimd::new(AimdConfig::default());
        for ms in [0, 2_500, 5_000] {
            aimd.update(Usage::Normal, Some(kbps(400)), at(ms));
            assert!(!aimd.is_initialized());
        }
        aimd.update(Usage::Normal, Some(kbps(400)), at(5_001));
        assert!(aimd.is_initialized());
        assert_eq!(aimd.rate(), kbps(401));
        let mut aimd = Aimd::new(AimdConfig::default());
        aimd.update(Usage::Over, Some(kbps(400)), at(0));
        assert_eq!(aimd.rate(), kbps(335));
    }
}
