use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};

use crate::ArrivalTime;

/// `LOGWIN`: what is observed is looked at for so long.
const LENGTH: Duration = Duration::from_millis(500);

/// Observations at most: feedback every 10 ms. Those beyond are joined with the newest.
const OBSERVATIONS_MAX: usize = 50;

/// Packets whose least delay counts: it filters what single packets met (RFC 8698 §5.1.1).
const FILTER_PACKETS: u32 = 15;

/// What one message of feedback has shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Observation {
    pub(super) lost: u32,
    pub(super) marked: u32,
    arrived: u32,
    size: DataSize,
    newest: Option<ArrivalTime>,
    queueing_least: Duration,
    queueing_most: Duration,
}

impl Observation {
    pub(super) fn add(&mut self, size: DataSize, arrived: ArrivalTime, queueing: Duration) {
        self.queueing_least = if self.arrived == 0 { queueing } else { self.queueing_least.min(queueing) };
        self.queueing_most = self.queueing_most.max(queueing);
        self.newest = self.newest.max(Some(arrived));
        self.arrived += 1;
        self.size = self.size.saturating_add(size);
    }

    fn join(&mut self, other: &Self) {
        let least = match (self.arrived, other.arrived) {
            (0, _) => other.queueing_least,
            (_, 0) => self.queueing_least,
            _ => self.queueing_least.min(other.queueing_least),
        };
        *self = Self {
            lost: self.lost.saturating_add(other.lost),
            marked: self.marked.saturating_add(other.marked),
            arrived: self.arrived.saturating_add(other.arrived),
            size: self.size.saturating_add(other.size),
            newest: self.newest.max(other.newest),
            queueing_least: least,
            queueing_most: self.queueing_most.max(other.queueing_most),
        };
    }
}

/// The last half second.
#[derive(Clone, Debug)]
pub(super) struct Window {
    observations: VecDeque<(Instant, Observation)>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { observations: VecDeque::with_capacity(OBSERVATIONS_MAX) }
    }

    pub(super) fn add(&mut self, seen: Observation, now: Instant) {
        let is_old = |(at, _): &(Instant, Observation)| now.saturating_duration_since(*at) > LENGTH;
        while self.observations.front().is_some_and(is_old) {
            self.observations.pop_front();
        }
        let is_full = self.observations.len() == OBSERVATIONS_MAX;
        match self.observations.back_mut().filter(|_| is_full) {
            Some((_, newest)) => newest.join(&seen),
            None => self.observations.push_back((now, seen)),
        }
    }

    /// The least of the newest packets' delays; zero if none arrived.
    pub(super) fn queueing(&self) -> Duration {
        let mut packets = 0;
        let newest = self.observations.iter().rev().filter(|(_, seen)| seen.arrived > 0);
        let counted = newest.take_while(|(_, seen)| {
            let is_within = packets < FILTER_PACKETS;
            packets += seen.arrived;
            is_within
        });
        counted.map(|(_, seen)| seen.queueing_least).min().unwrap_or(Duration::ZERO)
    }

    /// The shares of packets that were lost, and of those that arrived that were marked.
    pub(super) fn shares(&self) -> (f64, f64) {
        let (mut lost, mut marked, mut arrived) = (0.0, 0.0, 0.0);
        for (_, seen) in &self.observations {
            lost += f64::from(seen.lost);
            marked += f64::from(seen.marked);
            arrived += f64::from(seen.arrived);
        }
        (lost / f64::max(lost + arrived, 1.0), marked / f64::max(arrived, 1.0))
    }

    /// Neither loss nor marks nor a queue.
    pub(super) fn is_clear(&self, queueing_max: Duration) -> bool {
        let is_clear = |seen: &Observation| seen.lost == 0 && seen.marked == 0 && seen.queueing_most < queueing_max;
        self.observations.iter().all(|(_, seen)| is_clear(seen))
    }

    /// What arrived, by the receiver's clock: without what is of the oldest observation, which began before.
    pub(super) fn rate(&self) -> Bitrate {
        let mut arrivals = self.observations.iter().filter_map(|(_, seen)| Some((seen.newest?, seen.size)));
        let Some((oldest, _)) = arrivals.next() else { return Bitrate::ZERO };
        let (newest, size) = arrivals
            .fold((oldest, DataSize::ZERO), |(newest, sum), (at, size)| (newest.max(at), sum.saturating_add(size)));
        let micros = u64::try_from(newest.micros_since(oldest)).unwrap_or(0);
        size.rate_over(Duration::from_micros(micros)).unwrap_or(Bitrate::ZERO)
    }
}
