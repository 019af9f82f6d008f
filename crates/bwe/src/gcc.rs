//! Google congestion control (GCC), whole: as libwebrtc runs it.
//!
//! [`Gcc`] puts the parts together; each has a file of its own, which names the original's that it is aligned to. This one
//! is aligned to libwebrtc `modules/congestion_controller/goog_cc/goog_cc_network_control.cc`, signalapp/webrtc
//! bd635df347.

pub(crate) mod aimd;
mod application_limit;
mod arrivals;
mod bayesian;
mod config;
mod delay_based;
pub(crate) mod inter_arrival;
mod legacy_loss;
mod link_capacity;
mod loss_based;
pub(crate) mod number;
pub(crate) mod overuse;
mod probe_controller;
mod probe_estimator;
pub(crate) mod proof;
mod round_trip_backoff;
mod target;
mod throughput;
mod trendline;
mod window;

use std::time::{Duration, Instant};

use plenary_wire::Bitrate;

pub use aimd::AimdConfig;
pub use application_limit::ApplicationLimitConfig;
pub use bayesian::BayesianConfig;
pub use config::GccConfig;
pub use legacy_loss::LegacyLossConfig;
pub use loss_based::LossBasedConfig;
pub use overuse::OveruseConfig;
pub use probe_controller::ProbingConfig;
pub use round_trip_backoff::BackoffConfig;
pub use throughput::{RobustConfig, ThroughputConfig};
pub use trendline::{SlopeCap, TrendlineConfig};
pub use window::{Beyond, WindowConfig};

use crate::{
    ArrivalTime, Cause, Controller, Evidence, Explanation, Feedback, ProbeCluster, ProbeId, Rates, Route, SentPacket,
    Streams,
};
use application_limit::ApplicationLimit;
use arrivals::Arrivals;
use delay_based::{Change, DelayBased};
use loss_based::Phase;
use number::{Clock, Time, bytes, duration, micros, scaled};
use overuse::Usage;
use probe_controller::{LimitedBy, ProbeController};
use probe_estimator::ProbeEstimator;
use proof::Proof;
use target::Target;
use throughput::Throughput;
use window::Window;

/// No target is lower inside.
const RATE_MIN: Bitrate = Bitrate::from_kbps(5);
/// A probe does not lower the target below this part of what arrives: it is less sure than that.
const PROBE_FLOOR: f64 = 0.85;

/// Google congestion control: rates by delay and by loss, probes, and what else limits them.
///
/// ECN marks and priorities change nothing, and whether the application is the limit it sees itself. Each part has a file of
/// its own, which names the original's.
// Of thousands of controllers none is in the cache when its feedback comes: here, and in the larger parts, what each feedback
// needs comes first and lies together, and `repr(C)` keeps it there.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Gcc {
    clock: Clock,
    next_timeout: Time,
    /// There was transport-wide feedback.
    has_feedback: bool,
    /// The application was the limit when the last feedback came.
    was_limited: bool,
    /// Since when so little arrives that the rate does not rise.
    bounded_since: Option<Time>,
    round_trips: RoundTrips,
    /// The target before what the window takes of it, and after.
    base: Bitrate,
    pushed_back: Bitrate,
    rates: Rates,
    streams: Streams,
    evidence: Evidence,
    application_limit: ApplicationLimit,
    throughput: Throughput,
    delay_based: DelayBased,
    target: Target,
    probes: ProbeController,
    window: Window,
    proof: Proof,
    /// Of the configuration, what each feedback needs; the interval in microseconds.
    pacing: f64,
    proven: f64,
    interval: i64,
    explanation: Explanation,
    arrivals: Arrivals,
    probe_estimator: ProbeEstimator,
    config: GccConfig,
}

/// What a feedback tells as a whole.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When the first of its packets left.
    earliest: Time,
    /// The least from departure to arrival, of two clocks, in microseconds.
    fastest: i64,
    latest: ArrivalTime,
    /// What a probe has shown, the last that did.
    probed: Option<(Bitrate, ProbeId)>,
}

/// From departure to feedback, without what the receiver waited, in microseconds.
#[derive(Clone, Copy, Debug)]
struct RoundTrips {
    least: i64,
    last: i64,
}

impl RoundTrips {
    const NONE: Self = Self { least: i64::MAX, last: 0 };
}

impl Gcc {
    /// Sends at [`Streams::start`] until it knows better.
    #[must_use]
    pub fn new(config: GccConfig) -> Self {
        let streams = Streams::default();
        let mut gcc = Self {
            clock: Clock::default(),
            streams,
            arrivals: Arrivals::default(),
            throughput: Throughput::new(&config.throughput),
            delay_based: DelayBased::new(&config),
            target: Target::new(&config),
            probes: ProbeController::new(config.probing.clone()),
            probe_estimator: ProbeEstimator::new(),
            application_limit: ApplicationLimit::new(config.application_limit.clone()),
            was_limited: false,
            bounded_since: None,
            window: Window::new(config.window.clone()),
            proof: Proof::new(),
            has_feedback: false,
            round_trips: RoundTrips::NONE,
            base: Bitrate::ZERO,
            pushed_back: Bitrate::ZERO,
            rates: Rates::target(streams.start),
            explanation: Explanation { to: streams.start, ..Explanation::default() },
            evidence: Evidence::default(),
            next_timeout: Time::from_micros(0).plus(micros(config.interval)),
            pacing: config.pacing_without_feedback,
            proven: config.proven,
            interval: micros(config.interval).max(1_000),
            config,
        };
        let now = Time::from_micros(0);
        gcc.set_limits();
        gcc.begin(streams.start, Cause::Start, now);
        gcc.publish(None, now);
        gcc
    }

    /// The part of frames, 0 to 1, that the encoder may drop as too much is on the way: [`Beyond::DropFrames`].
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.window.excess(self.base, self.pushed_back)
    }

    /// What arrives in a second, as far as it is known.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Bitrate> {
        self.throughput.rate()
    }

    fn set_limits(&mut self) {
        let min = self.streams.min.max(RATE_MIN);
        self.target.set_limits(min, self.streams.max.max(min));
        self.delay_based.aimd().set_min(min);
    }

    fn begin(&mut self, start: Bitrate, cause: Cause, now: Time) {
        self.target.set_proven(Bitrate::MAX);
        self.target.jump(start, cause, now);
        if start > Bitrate::ZERO {
            self.delay_based.aimd().set_start(self.target.rate());
        }
        self.probes.set_start(self.target.rate(), now);
    }

    /// What the target may rise to.
    fn prove(&mut self, probed: Option<Bitrate>, now: Time) {
        let mut proven = scaled(self.proof.rate(now), self.proven).max(probed.unwrap_or(Bitrate::ZERO));
        if !self.has_feedback {
            // Nothing is acknowledged: what the caller starts with is trusted.
            proven = proven.max(self.streams.start);
        }
        self.target.set_proven(proven);
    }

    /// The receiver has told something, and not of packets: if it never does, this is its sign of life.
    fn note_report(&mut self, now: Time) {
        self.prove(None, now);
        if !self.has_feedback {
            self.target.backoff.add_round_trip(0, now);
        }
    }

    /// What arrived is told to all that want to know; `None` if nothing did.
    fn add_arrivals(&mut self, feedback: &Feedback<'_>, now: Time) -> Option<Seen> {
        let mut seen = None;
        self.arrivals.for_each(feedback, &mut self.clock, |packet| {
            self.proof.add(packet.sent, packet.total());
            self.throughput.add(packet);
            self.delay_based.add(packet, now);
            let on_the_way = packet.at.as_micros().saturating_sub(packet.sent.as_micros());
            let seen = seen.get_or_insert(Seen {
                earliest: packet.sent,
                fastest: on_the_way,
                latest: packet.at,
                probed: None,
            });
            seen.earliest = seen.earliest.min(packet.sent);
            seen.fastest = seen.fastest.min(on_the_way);
            seen.latest = packet.at;
            if let Some(id) = packet.probe
                && let Some(rate) = self.probe_estimator.add(id, packet)
            {
                seen.probed = Some((rate, id));
            }
        });
        let seen = seen?;
        self.window.add_round_trip(now.since(seen.earliest));
        // Of the packet that was there and back the fastest, had it not waited for the latest.
        let least = seen.fastest.saturating_sub(seen.latest.as_micros()).saturating_add(now.as_micros()).max(0);
        self.round_trips = RoundTrips { least: self.round_trips.least.min(least), last: least };
        self.target.backoff.add_round_trip(least, now);
        Some(seen)
    }

    fn note_application_limit(&mut self, now: Time) -> bool {
        let is_limited = self.application_limit.since().is_some();
        if self.was_limited && !is_limited {
            self.throughput.handle_limit_ended(now);
            self.probes.handle_limit_ended(now);
        }
        self.was_limited = is_limited;
        is_limited
    }

    /// What a probe has shown, not far below what arrives.
    fn floored(&self, probed: Bitrate, acknowledged: Option<Bitrate>) -> Bitrate {
        let floor = acknowledged.map_or(Bitrate::ZERO, |acknowledged| scaled(acknowledged, PROBE_FLOOR));
        probed.max(floor.min(self.delay_based.last_rate()))
    }

    fn limited_by(&self) -> LimitedBy {
        if self.delay_based.usage() != Usage::Normal {
            return LimitedBy::DelayIncreased;
        }
        if self.target.backoff.is_above_limit() {
            return LimitedBy::RoundTrip;
        }
        match self.target.phase() {
            Phase::Padding if self.streams.padding_max == Bitrate::ZERO => LimitedBy::LossIncreasing,
            Phase::Decreasing | Phase::Padding => LimitedBy::Loss,
            Phase::Increasing => LimitedBy::LossIncreasing,
            Phase::DelayBased => LimitedBy::Delay,
        }
    }

    /// The application sends less than it may, or less than the rate needs to rise. Without transport-wide feedback
    /// probes show nothing.
    fn probed_since(&self) -> Option<Time> {
        self.application_limit.since().or(self.bounded_since).filter(|_| self.has_feedback)
    }

    fn wait(&mut self, now: Time) {
        self.next_timeout = now.plus(self.interval);
    }

    /// Tells the parts what the target is, and the caller.
    fn publish(&mut self, cause: Option<Cause>, now: Time) {
        let base = self.target.rate();
        if base != self.base {
            self.base = base;
            self.application_limit.set_target(base);
        }
        self.probes.set_target(base, self.limited_by(), now);
        self.publish_rates(cause, now);
    }

    fn publish_rates(&mut self, cause: Option<Cause>, now: Time) {
        self.pushed_back = self.window.push_back(self.base);
        let lowered = if self.window.lowers() { self.pushed_back } else { self.base };
        let target = self.streams.clamp(lowered);
        let padding = match self.target.phase() {
            Phase::Padding => self.streams.padding_max.min(target),
            _ => Bitrate::ZERO,
        };
        if target != self.rates.target {
            let cause = cause.unwrap_or_else(|| if lowered < self.base { Cause::Window } else { self.target.cause() });
            self.explanation = Explanation {
                cause,
                at: self.clock.instant(now),
                from: self.rates.target,
                to: target,
                evidence: Evidence { loss: Some(self.target.loss()), ..self.evidence },
            };
        }
        let pacing = scaled(self.base, self.pacing);
        self.rates = Rates { target, pacing, padding, window: self.window.limit() };
    }
}

impl Default for Gcc {
    fn default() -> Self {
        Self::new(GccConfig::default())
    }
}

impl Controller for Gcc {
    fn handle_sent(&mut self, packet: &SentPacket) {
        let now = self.clock.time(packet.at);
        self.application_limit.add(bytes(packet.size), now);
        self.target.backoff.add_sent(now);
        if !self.has_feedback {
            self.proof.add(now, bytes(packet.size));
        }
        self.window.set_in_flight(packet.in_flight);
        if self.window.is_open() {
            self.publish_rates(None, now);
        }
    }

    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        let (Some(first), Some(last)) = (feedback.packets.first(), feedback.packets.last()) else { return };
        let span = (self.clock.time(first.sent.at), self.clock.time(last.sent.at));
        let now = self.clock.time(now);
        if !self.has_feedback {
            // What left counted until here; now what arrives does.
            (self.has_feedback, self.proof, self.pacing) = (true, Proof::new(), self.config.pacing);
        }
        self.window.set_in_flight(feedback.in_flight);
        let is_limited = self.note_application_limit(now);
        let seen = self.add_arrivals(feedback, now);
        let acknowledged = self.throughput.update();
        if let Some(acknowledged) = acknowledged {
            self.target.set_acknowledged(acknowledged);
        }
        let probed = seen.and_then(|seen| seen.probed);
        let probed_rate = probed.map(|(rate, _)| self.floored(rate, acknowledged));
        self.prove(probed_rate, now);
        self.delay_based.aimd().set_application_limited(is_limited);
        let change = match seen {
            Some(_) => self.delay_based.update(acknowledged, probed_rate, now),
            None => Change::default(),
        };
        if let Some(rate) = change.rate {
            let cause = probed.filter(|_| change.is_probe).map_or(Cause::Delay, |(_, id)| Cause::Probe(id));
            if change.is_probe {
                self.target.jump(rate, cause, now);
            }
            self.target.set_delay_limit(rate, cause);
        }
        self.target.add_feedback(feedback, span, is_limited, now);
        self.bounded_since = self.delay_based.is_bounded().then(|| self.bounded_since.unwrap_or(now));
        self.evidence = Evidence {
            packets: Some((first.sent.number, last.sent.number)),
            acknowledged,
            delay: seen.map(|_| duration(self.round_trips.last - self.round_trips.least)),
            loss: None,
        };
        self.publish(None, now);
        if change.is_probe {
            self.probes.handle_result(now);
        }
        self.probes.set_limited(self.probed_since());
        if change.has_recovered {
            self.probes.handle_recovery(now);
        }
        self.probes.handle_timeout(now);
        if seen.is_some() {
            self.window.update(self.base);
        }
        self.wait(now);
    }

    fn handle_round_trip(&mut self, sample: Duration, _now: Instant) {
        let sample = micros(sample);
        if sample > 0 {
            self.delay_based.aimd().set_round_trip(sample);
            self.target.set_round_trip(sample);
        }
    }

    fn handle_remote_limit(&mut self, limit: Option<Bitrate>, now: Instant) {
        let now = self.clock.time(now);
        self.note_report(now);
        self.target.set_remote_limit(limit);
        self.publish(None, now);
    }

    fn handle_loss(&mut self, lost: u64, expected: u64, now: Instant) {
        let now = self.clock.time(now);
        self.note_report(now);
        self.target.add_loss(lost, expected, now);
        self.publish(None, now);
    }

    fn handle_streams(&mut self, streams: &Streams, now: Instant) {
        let now = self.clock.time(now);
        let before = std::mem::replace(&mut self.streams, *streams);
        self.prove(None, now);
        self.set_limits();
        if streams.start != before.start && !self.has_feedback {
            self.begin(streams.start, Cause::Start, now);
        }
        self.publish(Some(Cause::Streams), now);
        self.probes.set_max(streams.max, now);
        self.probes.set_demand(streams.demand, now);
    }

    fn handle_route_change(&mut self, route: &Route, now: Instant) {
        let now = self.clock.time(now);
        let known = self.throughput.first_rate().unwrap_or(Bitrate::MAX);
        let start = route.known.unwrap_or_else(|| self.streams.start.min(known));
        self.throughput = Throughput::new(&self.config.throughput);
        self.delay_based = DelayBased::new(&self.config);
        self.target = Target::new(&self.config);
        self.probe_estimator = ProbeEstimator::new();
        self.window = Window::new(self.config.window.clone());
        self.proof = Proof::new();
        self.round_trips = RoundTrips::NONE;
        (self.bounded_since, self.evidence) = (None, Evidence::default());
        self.probes.reset(now);
        self.set_limits();
        self.begin(start, Cause::Route, now);
        self.publish(Some(Cause::Route), now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.time(now);
        if now < self.next_timeout {
            return;
        }
        self.wait(now);
        self.application_limit.advance(now);
        self.prove(None, now);
        self.target.update(now);
        self.probes.set_limited(self.probed_since());
        self.probes.handle_timeout(now);
        self.window.update(self.base);
        self.publish(None, now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.clock.instant(self.next_timeout)
    }

    fn poll_probe(&mut self) -> Option<ProbeCluster> {
        let cluster = self.probes.poll()?;
        self.probe_estimator.expect(&cluster);
        Some(cluster)
    }

    fn rates(&self) -> Rates {
        self.rates
    }

    fn explain(&self) -> Explanation {
        self.explanation
    }
}

#[cfg(test)]
mod tests;
