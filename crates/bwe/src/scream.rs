//! SCReAM v2 (draft-johansson-ccwg-rfc8298bis-screamv2): a window of bytes on the way, and a rate that comes of it.

mod delay;
mod loss_events;
mod padding;
mod reference_window;

use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize, Ecn};

use self::delay::Delay;
use self::loss_events::LossEvents;
use self::padding::Padding;
use self::reference_window::{Congestion, ReferenceWindow};
use crate::bound::Bound;
use crate::{Cause, Controller, Evidence, Explanation, Feedback, Rates, Route, SentPacket, Streams};

/// Parameters of [`Scream`]. Names and defaults are those of libwebrtc (`scream_v2_parameters.cc`, revision 12ef1717c9),
/// which differ from the draft's where it says so. All are above zero, finite, and the caller's own: none is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScreamConfig {
    /// The window is never smaller. Default: 1000 bytes.
    pub window_min: DataSize,
    /// The largest packet. Default: 1280 bytes.
    pub segment_max: DataSize,
    /// Smoothing of the share of marks, where it grows. Default: 1/8.
    pub marks_gain_up: f64,
    /// … where it falls. Default: 1/128.
    pub marks_gain_down: f64,
    /// What a loss leaves of the window. Default: 0.7.
    pub beta_loss: f64,
    /// Losses do nothing as long as fewer round trips than this have any, and there is no queue. Default: 0.25.
    pub loss_events_ignored: f64,
    /// The window grows as long as fewer round trips than this have losses. Default: 0.1.
    pub loss_events_growth_max: f64,
    /// Growth of the window for each round trip at most, far from congestion. Default: 0.02 of it.
    pub growth: f64,
    /// Growth is slow for so many round trips after congestion. Default: 100.
    pub caution_round_trips: f64,
    /// Flows of shorter round trips share as if theirs were this. Default: 25 ms.
    pub virtual_round_trip: Duration,
    /// Change is slow near the window that congestion was last met at: how near. Default: 2 (8 in the draft).
    pub inflection_scale: f64,
    /// What may be on the way is so many windows if there is a queue … Default: 1.5.
    pub overhead_min: f64,
    /// … and so many if there is none. Default: 3.
    pub overhead_max: f64,
    /// The window shrinks from half of this queueing on, and halves from all of it. Default: 60 ms.
    pub queueing_target: Duration,
    /// Queues above this for [`drain_after`](Self::drain_after) are drained: the least delay may have been measured with
    /// a queue. Default: 5 ms.
    pub drain_above: Duration,
    /// See above. Default: 20 s.
    pub drain_after: Duration,
    /// What leaves in a second, of the target. Default: 1.1.
    pub pacing: f64,
    /// The window grows to so many times what is on the way at most. Default: 1.1.
    pub headroom: f64,
    /// Padding is sent for so long, and then not for so long, where media does not fill the target. Default: 3 s.
    pub padding_period: Duration,
}

impl Default for ScreamConfig {
    fn default() -> Self {
        Self {
            window_min: DataSize::from_bytes(1000),
            segment_max: DataSize::from_bytes(1280),
            marks_gain_up: 1.0 / 8.0,
            marks_gain_down: 1.0 / 128.0,
            beta_loss: 0.7,
            loss_events_ignored: 0.25,
            loss_events_growth_max: 0.1,
            growth: 0.02,
            caution_round_trips: 100.0,
            virtual_round_trip: Duration::from_millis(25),
            inflection_scale: 2.0,
            overhead_min: 1.5,
            overhead_max: 3.0,
            queueing_target: Duration::from_millis(60),
            drain_above: Duration::from_millis(5),
            drain_after: Duration::from_secs(20),
            pacing: 1.1,
            headroom: 1.1,
            padding_period: Duration::from_secs(3),
        }
    }
}

/// Self-clocked rate adaptation, second version.
///
/// Aligned to libwebrtc's `modules/congestion_controller/scream`, revision 12ef1717c9 (2026). Different here: after 100
/// round trips without congestion the first one takes the window back to what was on the way (upstream overwrites the
/// time that the condition reads, so that it never holds); the target is never above 1.5 times what was acknowledged
/// within three seconds; the priority of [`Streams`] scales growth.
#[derive(Clone, Debug)]
pub struct Scream {
    config: ScreamConfig,
    streams: Streams,
    remote_limit: Option<Bitrate>,
    delay: Delay,
    losses: LossEvents,
    window: ReferenceWindow,
    padding: Padding,
    bound: Bound,
    /// `l4s_alpha`: the share of packets that are marked.
    marks: f64,
    target: Bitrate,
    /// How long the receiver keeps its reports.
    hold: Option<Duration>,
    draining_since: Option<Instant>,
    has_feedback: bool,
    explanation: Explanation,
}

impl Scream {
    /// Begins at [`Streams::start`].
    #[must_use]
    pub fn new(config: ScreamConfig) -> Self {
        let streams = Streams::default();
        Self {
            config,
            target: streams.start,
            streams,
            remote_limit: None,
            delay: Delay::new(),
            losses: LossEvents::default(),
            window: ReferenceWindow::new(&config),
            padding: Padding::default(),
            bound: Bound::new(streams.start),
            marks: 0.0,
            hold: None,
            draining_since: None,
            has_feedback: false,
            explanation: Explanation::default(),
        }
    }

    /// How long the receiver waited with its report: from the first packet in it to the last.
    fn note_hold(&mut self, feedback: &Feedback<'_>) {
        let mut arrivals = feedback.arrived().map(|(_, at)| at);
        let Some(first) = arrivals.next() else { return };
        let (least, most) = arrivals.fold((first, first), |(least, most), at| (least.min(at), most.max(at)));
        let micros = u64::try_from(most.micros_since(least)).unwrap_or(0).min(HOLD_MAX_MICROS);
        let sample = Duration::from_micros(micros);
        self.hold = Some(self.hold.map_or(sample, |known| (known * 7 + sample) / 8));
    }

    /// draft §4.2.1.3: quick to rise, slow to fall.
    fn note_marks(&mut self, feedback: &Feedback<'_>) {
        let (marked, arrived) = feedback.arrived().fold((0.0, 0.0), |(marked, all), (packet, _)| {
            (marked + f64::from(u8::from(packet.ecn == Ecn::Ce)), all + 1.0)
        });
        let share = marked / f64::max(arrived, 1.0);
        let gain = if share > self.marks { self.config.marks_gain_up } else { self.config.marks_gain_down };
        // Where it falls, upstream decays to zero whatever the share is.
        self.marks =
            if share > self.marks { self.marks + gain * (share - self.marks) } else { (1.0 - gain) * self.marks };
    }

    fn cycle(&self) -> Duration {
        (self.delay.round_trip() + self.hold.unwrap_or(Duration::ZERO)).max(Duration::from_millis(1))
    }

    fn update_target(&mut self, now: Instant) {
        let small = (self.window.segments_share(&self.config) - 0.1).clamp(0.0, 0.2);
        let mut rate = (1.0 - small) * self.window.bytes() * 8.0 / self.cycle().as_secs_f64();
        if self.delay.is_drained_in_time(&self.config, now) {
            self.draining_since = None;
        } else {
            // The queue has not been empty for long: it is given the time to, or the delay has another reason.
            let since = *self.draining_since.get_or_insert(now);
            let time = (5 * self.delay.round_trip()).max(Duration::from_millis(100));
            if now.saturating_duration_since(since) < time {
                rate *= 0.5;
            } else {
                self.delay.forget();
            }
        }
        self.target = self.bounded(Bitrate::from_bps(rate as u64));
    }

    fn bounded(&self, rate: Bitrate) -> Bitrate {
        self.streams.clamp(rate.min(self.bound.highest()).min(self.remote_limit.unwrap_or(Bitrate::MAX)))
    }

    fn explain_change(&mut self, cause: Cause, from: Bitrate, now: Instant, packets: Option<(u64, u64)>) {
        if from == self.target {
            return;
        }
        let evidence = Evidence {
            packets,
            acknowledged: Some(self.bound.proven()),
            delay: Some(self.delay.queueing()),
            loss: Some(self.losses.rate()),
        };
        self.explanation = Explanation { cause, at: Some(now), from, to: self.target, evidence };
    }
}

/// A receiver keeps its reports for no longer than this.
const HOLD_MAX_MICROS: u64 = 1_000_000;

impl Default for Scream {
    fn default() -> Self {
        Self::new(ScreamConfig::default())
    }
}

impl Controller for Scream {
    fn handle_sent(&mut self, packet: &SentPacket) {
        self.window.note_in_flight(packet.in_flight);
    }

    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        let is_lost =
            self.losses.handle_feedback(feedback, self.delay.round_trip().max(self.config.virtual_round_trip), now);
        if feedback.arrived().next().is_none() {
            return;
        }
        let from = self.target;
        self.bound.handle_feedback(feedback, now);
        self.window.note_in_flight(feedback.in_flight);
        let is_limited = self.window.is_application_limited(&self.config);
        self.delay.handle_feedback(&self.config, feedback, is_limited, now);
        if !is_limited || self.hold.is_none() {
            self.note_hold(feedback);
        }
        if !std::mem::replace(&mut self.has_feedback, true) {
            self.window.begin(&self.config, self.target.data_in(self.cycle()));
        }
        self.note_marks(feedback);
        let congestion = Congestion {
            is_marked: feedback.packets.iter().any(|packet| packet.ecn == Ecn::Ce),
            is_delayed: self.delay.is_detected(&self.config),
            is_lost: is_lost && !self.losses.are_ignored(&self.config, self.delay.queueing()),
            may_grow: self.losses.rate() < self.config.loss_events_growth_max,
        };
        let not_marked = feedback.packets.iter().filter(|packet| packet.ecn != Ecn::Ce);
        let bytes = not_marked.fold(0.0, |sum, packet| sum + packet.sent.size.as_bytes() as f64);
        let growth = bytes * f64::from(self.streams.priority) / 256.0;
        let signals = (&self.delay, self.cycle());
        self.window.handle_feedback(&self.config, signals, (congestion, growth), &mut self.marks, now);
        self.update_target(now);
        self.padding.handle_time(&self.config, self.window.decreased_at(), now);
        let cause = match congestion {
            _ if self.target >= from => Cause::Increase,
            Congestion { is_lost: true, .. } => Cause::Loss,
            Congestion { is_marked: true, .. } => Cause::Mark,
            _ => Cause::Delay,
        };
        let numbers = feedback.packets.first().zip(feedback.packets.last());
        self.explain_change(cause, from, now, numbers.map(|(first, last)| (first.sent.number, last.sent.number)));
    }

    fn handle_remote_limit(&mut self, limit: Option<Bitrate>, now: Instant) {
        let from = self.target;
        self.remote_limit = limit;
        self.target = self.bounded(self.target);
        self.explain_change(Cause::RemoteLimit, from, now, None);
    }

    fn handle_streams(&mut self, streams: &Streams, now: Instant) {
        let from = self.target;
        self.streams = *streams;
        if !self.has_feedback {
            (self.bound, self.target) = (Bound::new(streams.start), streams.start);
        }
        self.target = self.bounded(self.target);
        self.explain_change(Cause::Streams, from, now, None);
    }

    fn handle_route_change(&mut self, route: &Route, now: Instant) {
        let (from, explanation) = (self.target, self.explanation);
        let (streams, remote_limit) = (self.streams, self.remote_limit);
        *self = Self { streams, remote_limit, explanation, ..Self::new(self.config) };
        let start = route.known.unwrap_or(self.streams.start);
        self.bound = Bound::new(start);
        self.target = self.bounded(start);
        self.explain_change(Cause::Route, from, now, None);
    }

    fn rates(&self) -> Rates {
        let wanted = self.streams.demand.min(self.streams.padding_max);
        let padding = if self.padding.is_on() && self.target < wanted { self.target } else { Bitrate::ZERO };
        let pacing = Bitrate::from_bps((self.target.as_bps() as f64 * self.config.pacing) as u64);
        let window = self.has_feedback.then(|| self.window.on_the_way_max(&self.config, &self.delay));
        Rates { target: self.target, pacing, padding, window }
    }

    fn explain(&self) -> Explanation {
        self.explanation
    }
}

#[cfg(test)]
mod tests;
