//! NADA (RFC 8698): one congestion signal of delay, loss and marks, and a rate that follows it.

mod loss_intervals;
mod window;

use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, Ecn};

use self::loss_intervals::LossIntervals;
use self::window::{Observation, Window};
use crate::base_delay::BaseDelay;
use crate::bound::Bound;
use crate::{Cause, Controller, Evidence, Explanation, Feedback, Rates, Route, SentPacket, Streams};

/// Parameters of [`Nada`], by their names in RFC 8698 figure 3 and with its values as defaults. All are above zero, finite,
/// and the caller's own: none is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NadaConfig {
    /// `XREF`: the congestion signal at which a flow of the highest rate stays. Default: 10 ms.
    pub reference: Duration,
    /// `KAPPA`: how strongly the rate follows. Default: 0.5.
    pub kappa: f64,
    /// `ETA`: how strongly it follows changes of the signal. Default: 2.
    pub eta: f64,
    /// `TAU`: the round-trip time up to which it is stable. Default: 500 ms.
    pub tau: Duration,
    /// `QEPS`: queueing that does not end the ramp-up. Default: 10 ms. It is that of each packet within half a second, as in
    /// the RFC and its authors' simulation: jitter ends the ramp-up too. On RFC 8867 §5.1 with jitter of 5 ms the rate is
    /// 27 s on its way from 150 kbit/s to 1 Mbit/s, and 6 s where this is 30 ms, with a queue of 64 ms instead of 11 at the
    /// 95th percentile.
    pub ramp_up_queueing_max: Duration,
    /// `DFILT`: how late a filtered delay may be. Default: 120 ms.
    pub filter_delay: Duration,
    /// `GAMMA_MAX`: growth of one step of the ramp-up at most. Default: 0.5.
    pub gamma_max: f64,
    /// `QBOUND`: queueing that the ramp-up may cause. Default: 50 ms.
    pub ramp_up_bound: Duration,
    /// `MULTILOSS`: mean distances between losses after which they are over. Default: 7.
    pub loss_patience: f64,
    /// `QTH`: queueing above which delay counts less while packets are lost, for who competes with loss-based flows.
    /// Default: 50 ms.
    pub warp_above: Duration,
    /// `LAMBDA`: how quickly it counts less. Default: 0.5.
    pub warp_exponent: f64,
    /// `DLOSS`: the signal of the share `PLRREF` lost. Default: 10 ms.
    pub loss_penalty: Duration,
    /// `PLRREF`. Default: 0.01.
    pub loss_reference: f64,
    /// `DMARK`: the signal of the share `PMRREF` marked. Default: 2 ms.
    pub mark_penalty: Duration,
    /// `PMRREF`. Default: 0.01.
    pub mark_reference: f64,
    /// `XMAX`: the signal at most. Default: 500 ms.
    pub signal_max: Duration,
    /// `ALPHA`: smoothing of loss and marks. Default: 0.1.
    pub alpha: f64,
}

impl Default for NadaConfig {
    fn default() -> Self {
        Self {
            reference: Duration::from_millis(10),
            kappa: 0.5,
            eta: 2.0,
            tau: Duration::from_millis(500),
            ramp_up_queueing_max: Duration::from_millis(10),
            filter_delay: Duration::from_millis(120),
            gamma_max: 0.5,
            ramp_up_bound: Duration::from_millis(50),
            loss_patience: 7.0,
            warp_above: Duration::from_millis(50),
            warp_exponent: 0.5,
            loss_penalty: Duration::from_millis(10),
            loss_reference: 0.01,
            mark_penalty: Duration::from_millis(2),
            mark_reference: 0.01,
            signal_max: Duration::from_millis(500),
            alpha: 0.1,
        }
    }
}

/// `DELTA`: the rate is computed so often at most, however often feedback comes.
const DELTA: Duration = Duration::from_millis(100);
/// Packets leave for so long without feedback: the path may be gone (RFC 8888 §5). The RFC has nothing for it; these are
/// GCC's.
const SILENCE: Duration = Duration::from_secs(3);
/// While that lasts the rate falls so often
const FALL_INTERVAL: Duration = Duration::from_secs(1);
/// to this part of it.
const FALL: f64 = 0.8;

/// Network-Assisted Dynamic Adaptation (RFC 8698).
///
/// All of it runs at the sender, on feedback of single packets. Without an estimate of the encoder's buffer the rates of
/// §5.2.2 for encoder and sender are one. What goes beyond the RFC: the target is never above 1.5 times what was
/// acknowledged within three seconds, and never above [`Streams::max`] or the receiver's limit even while it ramps up; it
/// falls by a fifth each second when packets have left for three without feedback.
#[derive(Clone, Debug)]
pub struct Nada {
    config: NadaConfig,
    streams: Streams,
    delay: BaseDelay,
    window: Window,
    losses: LossIntervals,
    bound: Bound,
    /// `r_ref`, in bit/s.
    rate: f64,
    /// `x_curr`, in seconds.
    signal: f64,
    loss: f64,
    marks: f64,
    round_trip: Duration,
    computed_at: Option<Instant>,
    remote_limit: Option<Bitrate>,
    /// When the rate falls, if no feedback comes before; `None` if nothing has left since the last that did, or since it fell.
    falls_at: Option<Instant>,
    /// It has fallen, and no feedback has come since.
    is_silent: bool,
    explanation: Explanation,
}

impl Nada {
    /// Begins at [`Streams::start`].
    #[must_use]
    pub fn new(config: NadaConfig) -> Self {
        let streams = Streams::default();
        Self {
            config,
            rate: streams.start.as_bps() as f64,
            streams,
            delay: BaseDelay::new(),
            window: Window::new(),
            losses: LossIntervals::new(),
            bound: Bound::new(streams.start),
            signal: 0.0,
            loss: 0.0,
            marks: 0.0,
            round_trip: Duration::from_millis(100),
            computed_at: None,
            remote_limit: None,
            falls_at: None,
            is_silent: false,
            explanation: Explanation::default(),
        }
    }

    fn target(&self) -> Bitrate {
        self.streams.clamp(Bitrate::from_bps(self.rate as u64))
    }

    /// Joins what feedback says of each packet.
    fn observe(&mut self, feedback: &Feedback<'_>, now: Instant) {
        self.delay.handle_time(now);
        let mut seen = Observation::default();
        for packet in feedback.packets {
            let Some(arrived) = packet.arrived else {
                seen.lost += 1;
                self.losses.handle_lost();
                continue;
            };
            let delay = self.delay.handle_packet(packet.sent.at, arrived);
            seen.add(packet.sent.size, arrived, self.delay.queueing(delay));
            seen.marked += u32::from(packet.ecn == Ecn::Ce);
            self.losses.handle_arrived();
        }
        self.bound.handle_feedback(feedback, now);
        self.window.add(seen, now);
        if let Some(round_trip) = feedback.round_trip {
            self.round_trip = round_trip;
        }
    }

    /// §4.2: the queueing delay, made less above a threshold while packets are lost, and penalties for loss and marks.
    fn congestion_signal(&mut self) -> f64 {
        let config = &self.config;
        let queueing = self.window.queueing().as_secs_f64();
        let threshold = config.warp_above.as_secs_f64();
        let warped = if queueing < threshold {
            queueing
        } else {
            threshold * libm::exp(-config.warp_exponent * (queueing - threshold) / threshold)
        };
        // Both are blended over the mean distance after the patience ends.
        let share =
            self.losses.since_last_in_means().map_or(1.0, |means| (means - config.loss_patience).clamp(0.0, 1.0));
        let (loss, marks) = self.window.shares();
        self.loss += config.alpha * (loss - self.loss);
        self.marks += config.alpha * (marks - self.marks);
        let square = |value: f64, reference: f64| (value / reference) * (value / reference);
        let signal = share * queueing
            + (1.0 - share) * warped
            + config.loss_penalty.as_secs_f64() * square(self.loss, config.loss_reference)
            + config.mark_penalty.as_secs_f64() * square(self.marks, config.mark_reference);
        signal.min(config.signal_max.as_secs_f64())
    }

    /// §4.3 (3), (4): as fast as the queue that it may cause allows.
    fn ramp_up(&mut self) {
        let config = &self.config;
        let wait = (self.round_trip + DELTA + config.filter_delay).as_secs_f64();
        let gamma = config.gamma_max.min(config.ramp_up_bound.as_secs_f64() / wait);
        let received = self.window.rate().as_bps() as f64;
        self.rate = self.rate.max((1.0 + gamma) * received);
    }

    /// §4.3 (5) to (7).
    fn follow(&mut self, previous: f64, delta: Duration) {
        let config = &self.config;
        let tau = config.tau.as_secs_f64();
        let priority = f64::from(self.streams.priority) / 256.0;
        let highest = self.streams.max.as_bps() as f64;
        let offset = self.signal - priority * config.reference.as_secs_f64() * highest / self.rate.max(1.0);
        let change = config.kappa * (delta.as_secs_f64() / tau) * (offset / tau)
            + config.kappa * config.eta * ((self.signal - previous) / tau);
        self.rate -= change * self.rate;
    }

    fn compute(&mut self, delta: Duration) -> Cause {
        let previous = std::mem::replace(&mut self.signal, 0.0);
        self.signal = self.congestion_signal();
        let (before, is_clear) = (self.rate, self.window.is_clear(self.config.ramp_up_queueing_max));
        if is_clear {
            self.ramp_up();
        } else {
            self.follow(previous, delta);
        }
        let (loss, marks) = self.window.shares();
        match () {
            () if self.rate >= before => Cause::Increase,
            () if loss > 0.0 => Cause::Loss,
            () if marks > 0.0 => Cause::Mark,
            () => Cause::Delay,
        }
    }

    /// Nothing is above the limits, or far above what was seen to arrive.
    fn bound(&mut self) {
        let proven = self.bound.highest().as_bps() as f64;
        let highest = self.streams.max.min(self.remote_limit.unwrap_or(Bitrate::MAX));
        let (min, max) = (self.streams.min.as_bps() as f64, highest.as_bps() as f64);
        self.rate = self.rate.min(proven).min(max).max(min);
    }

    fn explain_change(&mut self, cause: Cause, from: Bitrate, now: Instant, packets: Option<(u64, u64)>) {
        let to = self.target();
        if from == to {
            return;
        }
        let evidence = Evidence {
            packets,
            acknowledged: Some(self.bound.proven()),
            delay: Some(self.window.queueing()),
            loss: Some(self.window.shares().0),
        };
        self.explanation = Explanation { cause, at: Some(now), from, to, evidence };
    }
}

impl Default for Nada {
    fn default() -> Self {
        Self::new(NadaConfig::default())
    }
}

impl Controller for Nada {
    fn handle_sent(&mut self, packet: &SentPacket) {
        self.falls_at.get_or_insert(packet.at + if self.is_silent { FALL_INTERVAL } else { SILENCE });
    }

    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        (self.falls_at, self.is_silent) = (None, false);
        self.observe(feedback, now);
        let Some(computed_at) = self.computed_at else {
            self.computed_at = Some(now);
            return;
        };
        let delta = now.saturating_duration_since(computed_at);
        if delta < DELTA {
            return;
        }
        self.computed_at = Some(now);
        let from = self.target();
        // After a silence a step is not larger than the filter is meant for.
        let cause = self.compute(delta.min(self.config.tau));
        self.bound();
        let numbers = feedback.packets.first().zip(feedback.packets.last());
        self.explain_change(cause, from, now, numbers.map(|(first, last)| (first.sent.number, last.sent.number)));
    }

    fn handle_round_trip(&mut self, sample: Duration, _now: Instant) {
        self.round_trip = sample;
    }

    fn handle_remote_limit(&mut self, limit: Option<Bitrate>, now: Instant) {
        let from = self.target();
        self.remote_limit = limit;
        self.bound();
        self.explain_change(Cause::RemoteLimit, from, now, None);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.falls_at.is_some_and(|at| at <= now) {
            let from = self.target();
            (self.falls_at, self.is_silent) = (None, true);
            self.rate *= FALL;
            self.bound();
            self.explain_change(Cause::Silence, from, now, None);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.falls_at
    }

    fn handle_streams(&mut self, streams: &Streams, now: Instant) {
        let from = self.target();
        if self.computed_at.is_none() {
            self.bound = Bound::new(streams.start);
            self.rate = streams.start.as_bps() as f64;
        }
        self.streams = *streams;
        self.bound();
        self.explain_change(Cause::Streams, from, now, None);
    }

    fn handle_route_change(&mut self, route: &Route, now: Instant) {
        let from = self.target();
        let (streams, remote_limit, explanation) = (self.streams, self.remote_limit, self.explanation);
        *self = Self { streams, remote_limit, explanation, ..Self::new(self.config) };
        let start = route.known.unwrap_or(self.streams.start);
        self.bound = Bound::new(start);
        self.rate = start.as_bps() as f64;
        self.bound();
        self.explain_change(Cause::Route, from, now, None);
    }

    fn rates(&self) -> Rates {
        let target = self.target();
        // A frame's packets leave within less than its interval.
        let pacing = Bitrate::from_bps(target.as_bps().saturating_add(target.as_bps() / 4));
        Rates { pacing, ..Rates::target(target) }
    }

    fn explain(&self) -> Explanation {
        self.explanation
    }
}

#[cfg(test)]
mod tests;
