//! What arrives in a second: over a window of packets, without its largest gap.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/robust_throughput_estimator.cc`, signalapp/webrtc
//! bd635df347. Sums, order and gaps are kept while packets come and go, instead of a walk over the window. It differs in
//! that no rate is above that of departure, also if most packets were overtaken: only the receiver says that they were.

mod gaps;

use std::collections::VecDeque;
use std::time::Duration;

use plenary_wire::Bitrate;

use self::gaps::Gaps;
use super::arrivals::Arrived;
use super::bayesian::{Bayesian, BayesianConfig};
use super::number::{Time, micros, rate_of};
use crate::ArrivalTime;

/// How what arrives in a second is known.
#[derive(Clone, Debug, PartialEq)]
pub enum ThroughputConfig {
    /// Over a window of packets. The default.
    Robust(RobustConfig),
    /// By samples of 150 ms that are weighed: what was used before.
    Bayesian(BayesianConfig),
}

impl Default for ThroughputConfig {
    fn default() -> Self {
        Self::Robust(RobustConfig::default())
    }
}

/// The window: the least that has so many packets and is so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobustConfig {
    /// Packets that it has at least, if it is not too long with them. Range: from 10. Default: 20.
    pub packets: usize,
    /// Packets that it has at most, 12 bytes each. Range: from `packets`. Default: 500.
    pub packets_max: usize,
    /// Without so many there is no rate. Range: from 2 to `packets`. Default: 10.
    pub packets_required: usize,
    /// How long it is at least, if it has packets enough. Default: 1 s.
    pub time: Duration,
    /// How long it is at most: what is older says nothing after a pause. Default: 5 s.
    pub time_max: Duration,
}

impl Default for RobustConfig {
    fn default() -> Self {
        Self {
            packets: 20,
            packets_max: 500,
            packets_required: 10,
            time: Duration::from_secs(1),
            time_max: Duration::from_secs(5),
        }
    }
}

/// Either.
#[derive(Clone, Debug)]
pub(crate) enum Throughput {
    Robust(Robust),
    Bayesian(Bayesian),
}

impl Throughput {
    pub(crate) fn new(config: &ThroughputConfig) -> Self {
        match config {
            ThroughputConfig::Robust(config) => Self::Robust(Robust::new(config)),
            ThroughputConfig::Bayesian(config) => Self::Bayesian(Bayesian::new(config.clone())),
        }
    }

    /// A packet arrived, after those before it.
    pub(crate) fn add(&mut self, packet: &Arrived) {
        match self {
            Self::Robust(robust) => robust.add(packet),
            Self::Bayesian(bayesian) => bayesian.add(packet),
        }
    }

    /// What arrives in a second, with all that was added.
    pub(crate) fn update(&mut self) -> Option<Bitrate> {
        if let Self::Robust(robust) = self {
            robust.update();
        }
        self.rate()
    }

    /// The application sends as much as it may again, from then on.
    pub(crate) const fn handle_limit_ended(&mut self, now: Time) {
        if let Self::Bayesian(bayesian) = self {
            bayesian.handle_limit_ended(now);
        }
    }

    pub(crate) fn rate(&self) -> Option<Bitrate> {
        match self {
            Self::Robust(robust) => robust.rate,
            Self::Bayesian(bayesian) => bayesian.rate(),
        }
    }

    /// The same, and if there is none what can be said of the first packets.
    pub(crate) fn first_rate(&self) -> Option<Bitrate> {
        match self {
            Self::Robust(robust) => robust.rate,
            Self::Bayesian(bayesian) => bayesian.rate().or_else(|| bayesian.first_rate()),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Robust {
    config: RobustConfig,
    time: i64,
    time_max: i64,
    /// By arrival.
    window: VecDeque<Packet>,
    /// What was added last: when it left, and when it arrived.
    newest: Option<(Time, ArrivalTime)>,
    /// Of the window.
    bytes: i64,
    /// How many packets left before the one that arrived before them.
    inversions: usize,
    gaps: Gaps,
    /// When the latest left that is no more in the window.
    discarded: Option<Low>,
    rate: Option<Bitrate>,
}

/// As small as can be: there are hundreds of them for each controller, and thousands of controllers.
#[derive(Clone, Copy, Debug)]
struct Packet {
    sent: Low,
    at: Low,
    size: u32,
}

impl Packet {
    fn of(packet: &Arrived) -> Self {
        let size = u32::try_from(packet.total()).unwrap_or(u32::MAX);
        Self { sent: Low(packet.sent.as_micros() as u32), at: Low(packet.at.as_micros() as u32), size }
    }
}

/// The low half of a time in microseconds: enough to tell two apart that are no more than half an hour from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Low(u32);

impl Low {
    /// Microseconds; negative if `earlier` is the later.
    const fn since(self, earlier: Self) -> i64 {
        self.micros_after(earlier).cast_signed() as i64
    }

    /// Microseconds from `earlier`, which is not the later.
    const fn micros_after(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    const fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }
}

/// Packets that are further apart, by either clock, are not in one window.
const APART_MAX: i64 = 1_800_000_000;

/// A packet this much older than the latest is of another clock.
const REORDERED_MAX: i64 = 1_000_000;
/// No rate is of less time.
const TIME_MIN: i64 = 1_000;

impl Robust {
    fn new(config: &RobustConfig) -> Self {
        let packets = config.packets.max(10);
        let config = RobustConfig {
            packets,
            packets_max: config.packets_max.max(packets),
            packets_required: config.packets_required.clamp(2, packets),
            ..config.clone()
        };
        Self {
            time: micros(config.time),
            time_max: micros(config.time_max),
            window: VecDeque::with_capacity(config.packets_max + 1),
            newest: None,
            config,
            bytes: 0,
            inversions: 0,
            gaps: Gaps::default(),
            discarded: None,
            rate: None,
        }
    }

    fn add(&mut self, packet: &Arrived) {
        let newest = self.newest.replace((packet.sent, packet.at));
        let is_apart = newest.is_some_and(|(sent, at)| {
            packet.sent.since(sent).abs() > APART_MAX || packet.at.micros_since(at) > APART_MAX
        });
        let is_old = newest.is_some_and(|(_, at)| at.micros_since(packet.at) > REORDERED_MAX);
        if is_apart || is_old {
            self.window.clear();
            (self.bytes, self.inversions, self.gaps, self.discarded) = (0, 0, Gaps::default(), None);
        }
        if is_old {
            // Of another clock: what it was late by is not known.
            return;
        }
        self.push(Packet::of(packet));
        while self.is_too_much() {
            self.pop();
        }
    }

    fn update(&mut self) {
        if !self.gaps.are_known() {
            self.gaps = Gaps::default();
            let arrivals = self.window.iter().map(|packet| packet.at);
            arrivals
                .clone()
                .zip(arrivals.skip(1))
                .for_each(|(before, after)| self.gaps.add(after.micros_after(before)));
        }
        self.rate = self.compute();
    }

    fn push(&mut self, packet: Packet) {
        let latest = self.window.back().copied();
        self.window.push_back(packet);
        self.bytes += i64::from(packet.size);
        let Some(latest) = latest else { return };
        if packet.at.is_before(latest.at) {
            self.sort_last();
        } else {
            self.gaps.add(packet.at.micros_after(latest.at));
            self.inversions += usize::from(packet.sent.is_before(latest.sent));
        }
    }

    /// The last one arrived before others.
    fn sort_last(&mut self) {
        let mut place = self.window.len() - 1;
        while place > 0 && self.window[place].at.is_before(self.window[place - 1].at) {
            self.window.swap(place, place - 1);
            place -= 1;
        }
        self.gaps = Gaps::UNKNOWN;
        let sent = self.window.iter().map(|packet| packet.sent);
        self.inversions = sent.clone().zip(sent.skip(1)).filter(|(before, after)| after.is_before(*before)).count();
    }

    fn is_too_much(&self) -> bool {
        let (Some(first), Some(last)) = (self.window.front(), self.window.back()) else { return false };
        let time = last.at.since(first.at);
        self.window.len() > self.config.packets_max
            || time > self.time_max
            || self.window.len() > self.config.packets && time > self.time
    }

    fn pop(&mut self) {
        let Some(first) = self.window.pop_front() else { return };
        self.bytes -= i64::from(first.size);
        self.discarded = match self.discarded {
            Some(latest) if first.sent.is_before(latest) => Some(latest),
            _ => Some(first.sent),
        };
        if let Some(next) = self.window.front() {
            self.gaps.remove(next.at.micros_after(first.at));
            self.inversions -= usize::from(next.sent.is_before(first.sent));
        }
    }

    /// The lesser of how fast the window left and arrived.
    fn compute(&self) -> Option<Bitrate> {
        let (first, last) = (self.window.front()?, self.window.back()?);
        if self.window.len() < self.config.packets_required {
            return None;
        }
        // The first took its time before the window began.
        let time = last.at.since(first.at) - self.gaps.excess();
        let arrived = rate_of(self.bytes - i64::from(first.size), time.max(TIME_MIN));
        let is_new = |packet: &Packet| self.discarded.is_none_or(|discarded| !packet.sent.is_before(discarded));
        let mut departed = self.departed(is_new);
        if departed.packets < self.config.packets_required {
            departed = self.departed(|_| true);
        }
        let time = departed.last.since(departed.first);
        Some(arrived.min(rate_of(departed.bytes, time.max(TIME_MIN))))
    }

    /// Of those packets; the last takes its time after the window.
    fn departed(&self, is_new: impl Fn(&Packet) -> bool) -> Departed {
        if self.inversions == 0
            && let (Some(first), Some(last)) = (self.window.front().filter(|first| is_new(first)), self.window.back())
        {
            let with_last = self.window.iter().rev().take_while(|packet| packet.sent == last.sent);
            let last_size = with_last.last().map_or(0, |packet| i64::from(packet.size));
            let packets = self.window.len();
            return Departed { packets, bytes: self.bytes - last_size, first: first.sent, last: last.sent };
        }
        let mut all = Departed { packets: 0, bytes: 0, first: Low(0), last: Low(0) };
        let mut last_size = 0;
        for packet in self.window.iter().filter(|packet| is_new(packet)) {
            if all.packets == 0 || all.last.is_before(packet.sent) {
                (all.last, last_size) = (packet.sent, i64::from(packet.size));
            }
            if all.packets == 0 || packet.sent.is_before(all.first) {
                all.first = packet.sent;
            }
            all.packets += 1;
            all.bytes += i64::from(packet.size);
        }
        all.bytes -= last_size;
        all
    }
}

struct Departed {
    packets: usize,
    bytes: i64,
    first: Low,
    last: Low,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sent_ms: i64, arrival_ms: i64, size: i64) -> Arrived {
        Arrived {
            sent: Time::from_micros(sent_ms * 1_000),
            at: ArrivalTime::from_micros(arrival_ms * 1_000),
            size,
            untracked: 0,
            probe: None,
        }
    }

    /// As upstream has it: all over again for each.
    fn by_the_book(robust: &Robust) -> Option<Bitrate> {
        let window: Vec<_> = robust.window.iter().copied().collect();
        if window.len() < robust.config.packets_required {
            return None;
        }
        let mut gaps: Vec<_> = window.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
        gaps.sort_unstable();
        gaps.reverse();
        let bytes: i64 = window.iter().map(|packet| i64::from(packet.size)).sum();
        let span = window[window.len() - 1].at.since(window[0].at) - gaps[0] + gaps[1];
        let arrived = rate_of(bytes - i64::from(window[0].size), span.max(TIME_MIN));
        let window_zero = window[0].sent;
        let mut new = window.clone();
        new.retain(|packet| robust.discarded.is_none_or(|latest| !packet.sent.is_before(latest)));
        if new.len() < robust.config.packets_required {
            new = window;
        }
        let sent = || new.iter().map(|packet| packet.sent);
        let first = sent().min_by_key(|sent| sent.since(window_zero))?;
        let last = sent().max_by_key(|sent| sent.since(window_zero))?;
        let last_size = i64::from(new.iter().find(|packet| packet.sent == last)?.size);
        let bytes: i64 = new.iter().map(|packet| i64::from(packet.size)).sum();
        Some(arrived.min(rate_of(bytes - last_size, last.since(first).max(TIME_MIN))))
    }

    fn add(robust: &mut Robust, packets: &[Arrived]) {
        packets.iter().for_each(|packet| robust.add(packet));
        robust.update();
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        let mut robust = Robust::new(&RobustConfig::default());
        let packets: Vec<_> = (0..9).map(|n| packet(n * 10, n * 10 + 50, 1_000)).collect();
        add(&mut robust, &packets);
        assert_eq!(robust.rate, None);
        add(&mut robust, &[packet(90, 140, 1_000)]);
        assert_eq!(robust.rate, Some(Bitrate::from_kbps(800)));
        // An outage of 500 ms, then all at once: the gap is left out, and the rate is that of departure.
        let late: Vec<_> = (10..60).map(|n| packet(n * 10, 640 + (n - 10) / 10, 1_000)).collect();
        add(&mut robust, &late);
        assert_eq!(robust.rate, Some(Bitrate::from_kbps(800)));
        // Arrival at half of the rate.
        let slow: Vec<_> = (60..200).map(|n| packet(n * 10, 645 + (n - 60) * 20, 1_000)).collect();
        add(&mut robust, &slow);
        assert_eq!(robust.rate, Some(Bitrate::from_kbps(400)));
        // 20 packets at least, 1 s at least.
        assert_eq!(robust.window.len(), 51);
    }

    #[test]
    fn untracked_bytes_count() {
        let mut robust = Robust::new(&RobustConfig::default());
        let packets: Vec<_> =
            (0..20).map(|n| Arrived { untracked: 500, ..packet(n * 10, n * 10 + 50, 1_000) }).collect();
        add(&mut robust, &packets);
        assert_eq!(robust.rate, Some(Bitrate::from_kbps(1_200)));
    }

    #[test]
    fn the_window_is_bounded_and_begins_anew_with_another_clock() {
        let mut robust = Robust::new(&RobustConfig::default());
        let capacity = robust.window.capacity();
        for n in 0..2_000 {
            add(&mut robust, &[packet(n, n, 1_200)]);
        }
        assert_eq!((robust.window.len(), robust.window.capacity()), (500, capacity));
        add(&mut robust, &[packet(2_000, 900, 1_200)]);
        assert_eq!((robust.window.len(), robust.rate), (0, None));
        // 5 s at most: at one packet in a second there are too few.
        for n in 0..20 {
            add(&mut robust, &[packet(n * 1_000, n * 1_000, 1_200)]);
        }
        assert_eq!((robust.window.len(), robust.rate), (6, None));
    }

    #[test]
    fn what_is_far_apart_is_in_no_window() {
        let mut robust = Robust::new(&RobustConfig::default());
        let steady =
            |from: i64| (0..20).map(move |n| packet(from + n * 10, from + n * 10 + 50, 1_000)).collect::<Vec<_>>();
        // An hour and 11 minutes later the low halves are about the same.
        for from in [0, 4_294_967, 4_294_967 + 1_900_000] {
            add(&mut robust, &steady(from));
            assert_eq!((robust.window.len(), robust.rate), (20, Some(Bitrate::from_kbps(800))), "{from}");
        }
    }

    #[test]
    fn it_is_what_a_walk_over_the_window_gives() {
        let mut random = plenary_netsim::Random::new(1, 1);
        let mut robust = Robust::new(&RobustConfig { packets_max: 60, ..RobustConfig::default() });
        for round in 0..20_000_i64 {
            let count = i64::from(random.below(4));
            let mut packets: Vec<_> = (0..count)
                .map(|_| {
                    // The low half of both clocks wraps meanwhile.
                    let sent = 4_290_000 + round * 10 - i64::from(random.below(2) * random.below(400));
                    packet(
                        sent,
                        sent + i64::from(random.below(40) * random.below(20)),
                        100 + i64::from(random.below(9)),
                    )
                })
                .collect();
            packets.sort_unstable_by_key(|packet| packet.at);
            add(&mut robust, &packets);
            assert_eq!(robust.rate, by_the_book(&robust), "round {round}");
        }
    }
}
