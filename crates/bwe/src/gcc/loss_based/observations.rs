//! Spans of time, what was sent in each, and what of it was lost.

use super::LossBasedConfig;
use crate::Feedback;
use crate::gcc::number::{Time, bytes, micros, seconds};

/// How much was sent in a span of time, in kilobytes or in packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observation {
    pub(super) lost: f64,
    pub(super) arrived: f64,
    /// In bit/s.
    pub(super) sending: f64,
}

impl Observation {
    const fn total(&self) -> f64 {
        self.lost + self.arrived
    }

    fn loss(&self) -> f64 {
        if self.total() > 0.0 { self.lost / self.total() } else { 0.0 }
    }
}

#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Observations {
    partial: Partial,
    /// When the last packet of the last one left.
    last_sent: Option<Time>,
    time: i64,
    /// How many there have been, and how many are enough.
    count: u64,
    required: u64,
    /// The share that is lost, without the best and the worst.
    loss: f64,
    /// Weighed, of all.
    total: f64,
    /// The newest first.
    latest: Vec<Observation>,
    room: usize,
    /// What each counts, of what the one after it does.
    weight: f64,
    counts_bytes: bool,
    burst: f64,
}

/// What was sent no faster than a bandwidth, weighed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    pub(super) lost: f64,
    pub(super) arrived: f64,
    /// The fastest of it, in bit/s.
    fastest: f64,
    /// The slowest of what was sent faster; infinite if nothing was.
    next: f64,
}

impl Below {
    pub(super) fn of(observations: &Observations, bandwidth: f64) -> Self {
        let mut below = Self { lost: 0.0, arrived: 0.0, fastest: 0.0, next: f64::INFINITY };
        for (observation, weight) in observations.weighed() {
            if observation.sending > bandwidth {
                below.next = libm::fmin(below.next, observation.sending);
            } else {
                below.lost += weight * observation.lost;
                below.arrived += weight * observation.arrived;
                below.fastest = libm::fmax(below.fastest, observation.sending);
            }
        }
        below
    }

    /// Nothing was sent faster.
    pub(super) const fn is_all(&self) -> bool {
        self.next == f64::INFINITY
    }

    /// The same is below that bandwidth.
    pub(super) fn is_below(&self, bandwidth: f64) -> bool {
        (self.fastest..self.next).contains(&bandwidth)
    }
}

/// An observation that is being made.
#[derive(Clone, Copy, Debug, Default)]
struct Partial {
    packets: u64,
    bytes: i64,
    lost_packets: u64,
    lost_bytes: i64,
    /// The first that was reported lost in it.
    first_lost: Option<u64>,
}

impl Observations {
    pub(super) fn new(config: &LossBasedConfig) -> Self {
        Self {
            counts_bytes: config.counts_bytes,
            time: micros(config.observation_time),
            burst: config.burst,
            room: config.observations,
            latest: Vec::with_capacity(config.observations),
            weight: config.weight,
            count: 0,
            required: config.observations_min,
            partial: Partial::default(),
            last_sent: None,
            loss: 0.0,
            total: 0.0,
        }
    }

    /// There have been enough to go by.
    pub(super) const fn are_enough(&self) -> bool {
        self.count >= self.required
    }

    pub(super) const fn loss(&self) -> f64 {
        self.loss
    }

    /// Weighed, how much was sent in all.
    pub(super) const fn total(&self) -> f64 {
        self.total
    }

    /// The newest first, and what it counts.
    pub(super) fn weighed(&self) -> impl Iterator<Item = (&Observation, f64)> {
        self.latest.iter().zip(std::iter::successors(Some(1.0), |weight| Some(weight * self.weight)))
    }

    /// When the last packet of an observation left, if this feedback completes one.
    pub(super) fn add(&mut self, feedback: &Feedback<'_>, first: Time, last: Time) -> Option<Time> {
        self.partial.add(feedback);
        let since = last.since(*self.last_sent.get_or_insert(first));
        if since <= 0 || since < self.time {
            return None;
        }
        self.last_sent = Some(last);
        self.push(since);
        Some(last)
    }

    fn push(&mut self, time: i64) {
        let partial = std::mem::take(&mut self.partial);
        let (lost, total) = if self.counts_bytes {
            (partial.lost_bytes as f64 / 1e3, partial.bytes as f64 / 1e3)
        } else {
            (partial.lost_packets as f64, partial.packets as f64)
        };
        let sending = partial.bytes as f64 * 8.0 / seconds(time);
        self.latest.truncate(self.room - 1);
        self.latest.insert(0, Observation { lost, arrived: total - lost, sending });
        self.count += 1;
        self.total = self.weighed().map(|(observation, weight)| weight * observation.total()).sum();
        self.loss = if self.counts_bytes { self.trimmed_loss() } else { self.average_loss() };
    }

    fn average_loss(&self) -> f64 {
        let lost: f64 = self.weighed().map(|(observation, weight)| weight * observation.lost).sum();
        if self.total > 0.0 { lost / self.total } else { 0.0 }
    }

    /// Without the observations of the least and of the most loss: a spike does not count.
    fn trimmed_loss(&self) -> f64 {
        let (mut least, mut most) = ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0));
        let (mut lost, mut fastest) = (0.0, 0.0);
        for (observation, weight) in self.weighed() {
            let (weighed_lost, weighed) = (weight * observation.lost, weight * observation.total());
            lost += weighed_lost;
            if self.count <= 3 {
                continue;
            }
            let loss = observation.loss();
            if loss > most.0 {
                most = (loss, weighed_lost, weighed);
                fastest = observation.sending;
            }
            if loss < least.0 {
                least = (loss, weighed_lost, weighed);
            }
        }
        let rest = self.total - most.2 - least.2;
        // Sent much faster than usual, it lost for that, and it is no spike.
        if self.median_sending() * self.burst <= fastest || rest <= self.total * 1e-9 {
            return if self.total > 0.0 { lost / self.total } else { 0.0 };
        }
        libm::fmax((lost - most.1 - least.1) / rest, 0.0)
    }

    fn median_sending(&self) -> f64 {
        let mut rates = [0.0; 64];
        let mut count = 0;
        for (observation, place) in self.latest.iter().filter(|one| one.sending > 0.0).zip(&mut rates) {
            *place = observation.sending;
            count += 1;
        }
        let rates = &mut rates[..count];
        rates.sort_unstable_by(f64::total_cmp);
        match count {
            0 => 0.0,
            count if count.is_multiple_of(2) => (rates[count / 2 - 1] + rates[count / 2]) / 2.0,
            count => rates[count / 2],
        }
    }
}

impl Partial {
    fn add(&mut self, feedback: &Feedback<'_>) {
        for report in feedback.packets {
            let (number, size) = (report.sent.number, bytes(report.sent.size));
            if report.is_recovered && report.arrived.is_some() {
                // It was counted when it was reported lost: here, or in an observation that is over.
                if self.first_lost.is_some_and(|first| number >= first) {
                    self.lost_packets = self.lost_packets.saturating_sub(1);
                    self.lost_bytes = (self.lost_bytes - size).max(0);
                }
                continue;
            }
            self.packets += 1;
            self.bytes = self.bytes.saturating_add(size);
            if report.arrived.is_none() {
                self.lost_packets += 1;
                self.lost_bytes = self.lost_bytes.saturating_add(size);
                self.first_lost = Some(self.first_lost.map_or(number, |first| first.min(number)));
            }
        }
    }
}
