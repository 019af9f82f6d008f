use std::time::{Duration, Instant};

use plenary_rtp::Ssrc;
use plenary_rtp::extension::AbsSendTime;
use plenary_rtp::rtcp::Remb;
use plenary_wire::{Bitrate, DataSize};

use super::clusters::{Clusters, Probe};
use super::incoming_rate::IncomingRate;
use super::overuse_estimator::OveruseEstimator;
use crate::ArrivalTime;
use crate::gcc::aimd::Aimd;
use crate::gcc::inter_arrival::InterArrival;
use crate::gcc::number::{Clock, Time, bytes, micros, millis};
use crate::gcc::overuse::{Overuse, Usage};
use crate::gcc::{AimdConfig, OveruseConfig};

/// How a receiver says how much it can receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RembConfig {
    /// Who says so.
    pub sender_ssrc: Ssrc,
    /// The least time between two messages, but for a drop by more than 3 %. Default: 200 ms.
    pub interval: Duration,
    /// Streams that are named at most, 255 at most as the message counts them in a byte; the one that was silent for longest
    /// makes room. Default: 64.
    pub streams_max: u8,
}

impl Default for RembConfig {
    fn default() -> Self {
        Self { sender_ssrc: Ssrc(0), interval: Duration::from_millis(200), streams_max: 64 }
    }
}

/// Finds by what rate packets arrive without a queue, from the time of departure that each carries (`abs-send-time`), and
/// says so in REMB: congestion control at the receiver, for senders without transport-wide feedback.
///
/// libwebrtc's `modules/remote_bitrate_estimator/remote_bitrate_estimator_abs_send_time.cc` and
/// `modules/congestion_controller/remb_throttler.cc` (revision bd635df347). Groups, threshold and rate control are those of
/// [`Gcc`](crate::Gcc), which reckon in microseconds where upstream has milliseconds; after all streams have been silent
/// for two seconds the threshold begins anew as well.
#[derive(Clone, Debug)]
pub struct RembGenerator {
    config: RembConfig,
    clock: Clock,
    departures: Departures,
    groups: InterArrival,
    estimator: OveruseEstimator,
    overuse: Overuse,
    aimd: Aimd,
    incoming: IncomingRate,
    clusters: Clusters,
    ssrcs: Vec<Ssrc>,
    /// When a packet of each last came.
    newest: Vec<Instant>,
    first: Option<Time>,
    /// When the rate was last looked at.
    updated: Option<Time>,
    /// What was last said, and when.
    said: Option<(Bitrate, Instant)>,
    due: Option<Instant>,
}

/// Probing is looked for so long, and until there is a rate.
const PROBING: i64 = 2_000_000;
/// Smaller packets are not paced by the sender.
const PROBE_SIZE: DataSize = DataSize::from_bytes(200);
/// A stream that is silent for so long is gone.
const STREAM_TIMEOUT: Duration = Duration::from_secs(2);
/// A rate that is lower than the last by more than 3 % is said at once.
const DROP_PERCENT: u64 = 103;
/// The rate is looked at as often as messages of so many bytes are 5 % of it, within these limits.
const MESSAGE_SIZE: DataSize = DataSize::from_bytes(80);
const SHARE: u64 = 20;
const UPDATE_MIN: i64 = 200_000;
const UPDATE_MAX: i64 = 1_000_000;
/// Bytes of a message beside its streams.
const MESSAGE_LEN: usize = 20;

impl RembGenerator {
    /// A generator that knows of no packet.
    #[must_use]
    pub fn new(config: RembConfig) -> Self {
        Self {
            config,
            clock: Clock::default(),
            departures: Departures::default(),
            groups: InterArrival::default(),
            estimator: OveruseEstimator::default(),
            overuse: Overuse::new(OveruseConfig { gain: 1.0, ..OveruseConfig::default() }),
            aimd: Aimd::new(AimdConfig::default()),
            incoming: IncomingRate::default(),
            clusters: Clusters::default(),
            ssrcs: Vec::new(),
            newest: Vec::new(),
            first: None,
            updated: None,
            said: None,
            due: None,
        }
    }

    /// A packet came, that left at `departure`; `size` is its payload and padding. May change when a message is due.
    pub fn handle_packet(&mut self, ssrc: Ssrc, departure: AbsSendTime, size: DataSize, now: Instant) {
        let time = self.clock.time(now);
        let sent = self.departures.unwrap(departure);
        self.incoming.add(size, time);
        self.note_stream(ssrc, now);
        let arrival = ArrivalTime::from_micros(time.as_micros());
        let probed =
            self.look_for_probe(Probe { sent: millis(sent.as_micros()), came: millis(time.as_micros()), size }, time);
        if let Some(deltas) = self.groups.add(sent, arrival, bytes(size), time) {
            self.estimator.update(deltas, self.overuse.usage());
            self.overuse.update(Some(self.estimator.offset()), deltas.sent, arrival.as_micros().div_euclid(1_000));
        }
        if probed || self.is_time(time) {
            self.update(time, now);
        }
    }

    /// The round-trip time was measured: how fast the rate rises, and how often it falls, depends on it.
    pub const fn set_round_trip(&mut self, sample: Duration) {
        self.aimd.set_round_trip(micros(sample));
    }

    /// What can be received; `None` until it is known, which takes a probe, congestion, or five seconds.
    #[must_use]
    pub fn estimate(&self) -> Option<Bitrate> {
        self.aimd.is_initialized().then(|| self.aimd.rate())
    }

    /// When a message is due. Every packet may change it.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the message that is due, if `size_max` bytes are enough: 20, and 4 for each stream.
    pub fn write(&mut self, now: Instant, size_max: usize, out: &mut Vec<u8>) -> bool {
        let len = MESSAGE_LEN + 4 * self.ssrcs.len();
        let Some(bitrate) = self.estimate() else { return false };
        if self.due.is_none_or(|due| due > now) || len > size_max {
            return false;
        }
        let remb = Remb { sender_ssrc: self.config.sender_ssrc, bitrate, ssrcs: self.ssrcs[..].into() };
        self.due = None;
        self.said = Some((bitrate, now));
        remb.write(out).is_ok()
    }

    fn note_stream(&mut self, ssrc: Ssrc, now: Instant) {
        if self.newest.iter().all(|newest| now.saturating_duration_since(*newest) > STREAM_TIMEOUT) {
            self.groups = InterArrival::default();
            self.estimator = OveruseEstimator::default();
            self.overuse.reset();
        }
        while let Some(gone) =
            self.newest.iter().position(|newest| now.saturating_duration_since(*newest) > STREAM_TIMEOUT)
        {
            self.forget(gone);
        }
        if let Some(newest) = self.ssrcs.iter().position(|known| *known == ssrc).and_then(|at| self.newest.get_mut(at))
        {
            *newest = now;
            return;
        }
        if self.ssrcs.len() >= usize::from(self.config.streams_max.max(1))
            && let Some((silent, _)) = self.newest.iter().enumerate().min_by_key(|(_, newest)| **newest)
        {
            self.forget(silent);
        }
        self.ssrcs.push(ssrc);
        self.newest.push(now);
    }

    fn forget(&mut self, index: usize) {
        self.ssrcs.swap_remove(index);
        self.newest.swap_remove(index);
    }

    /// Whether the rate has become that of a probe.
    fn look_for_probe(&mut self, probe: Probe, now: Time) -> bool {
        let first = *self.first.get_or_insert(now);
        let is_early = !self.aimd.is_initialized() || now.since(first) < PROBING;
        if probe.size <= PROBE_SIZE || !is_early {
            return false;
        }
        let probed = self.clusters.add(probe, self.estimate());
        if let Some(rate) = probed {
            self.aimd.set_rate(rate, now);
        }
        probed.is_some()
    }

    fn is_time(&mut self, now: Time) -> bool {
        let share = Bitrate::from_bps(self.aimd.rate().as_bps() / SHARE);
        let interval = share.time_for(MESSAGE_SIZE).map_or(UPDATE_MAX, micros).clamp(UPDATE_MIN, UPDATE_MAX);
        if now.is_past(self.updated, interval + 1) {
            return true;
        }
        let incoming = self.incoming.rate(now);
        self.overuse.usage() == Usage::Over && incoming.is_some_and(|rate| self.aimd.may_reduce(rate, now))
    }

    fn update(&mut self, time: Time, now: Instant) {
        let incoming = self.incoming.rate(time);
        self.aimd.update(self.overuse.usage(), incoming, time);
        let Some(estimate) = self.estimate() else { return };
        self.updated = Some(time);
        let is_soon = self.said.is_some_and(|(said, at)| {
            let is_drop = estimate.scaled(DROP_PERCENT, 100).is_some_and(|estimate| estimate <= said);
            !is_drop && now.saturating_duration_since(at) < self.config.interval
        });
        if !is_soon {
            self.due.get_or_insert(now);
        }
    }
}

/// Unwraps times of departure.
#[derive(Clone, Copy, Debug, Default)]
struct Departures {
    /// The last, in 2^-18 s.
    last: Option<i64>,
}

/// How far from zero they go, so that microseconds never overflow: 17 years.
const UNITS_MAX: i64 = 1 << 47;

impl Departures {
    /// The time that is nearest to the last; begins anew where a sender has wound it up.
    fn unwrap(&mut self, departure: AbsSendTime) -> Time {
        let bits = departure.bits();
        let unwrapped = match self.last {
            None => i64::from(bits),
            Some(last) => last + i64::from((bits.wrapping_sub(last as u32) << 8).cast_signed() >> 8),
        };
        let unwrapped = if unwrapped.abs() > UNITS_MAX { i64::from(bits) } else { unwrapped };
        self.last = Some(unwrapped);
        Time::from_micros((unwrapped * 15_625) >> 12)
    }
}
