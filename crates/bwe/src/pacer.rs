//! When packets leave: strictly by what they are for, in runs, no faster than the controller allows.

mod budget;
mod prober;
mod turns;

use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};
use thiserror::Error;

use self::budget::Budget;
pub use self::prober::{Prober, ProberConfig};
use self::turns::Turns;
use crate::{ProbeCluster, ProbeId, Purpose, Rates};

/// How a [`Pacer`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacerConfig {
    /// What the pacing rate lets through in this time may leave at once, so that runs of packets become one call (UDP GSO).
    /// The bottleneck's queue sees as much. Default: 10 ms.
    pub burst: Duration,
    /// One grant is never more. Default: 60,000 bytes, what one GSO call takes.
    pub grant_max: DataSize,
    /// Sound that leaves though the budget is spent, and probes, may put it so far behind. Default: 500 ms of the rate.
    pub debt_max: Duration,
    /// Media that waits is sent fast enough that none waits longer, whatever the rate. Default: 2 s.
    pub wait_max: Duration,
    /// Where the window is full and nothing leaves, one packet does after this: feedback must go on. Default: 500 ms.
    pub keep_alive: Duration,
    /// Streams at most, of 40 bytes each. Default: 512.
    pub streams_max: usize,
    /// Probes.
    pub prober: ProberConfig,
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self {
            burst: Duration::from_millis(10),
            grant_max: DataSize::from_bytes(60_000),
            debt_max: Duration::from_millis(500),
            wait_max: Duration::from_secs(2),
            keep_alive: Duration::from_millis(500),
            streams_max: 512,
            prober: ProberConfig::default(),
        }
    }
}

/// The caller's name for something that packets come from: a track, a slot, the retransmissions of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// What may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose packets. For padding: a stream that has carried media, whose RTX may carry padding.
    pub stream: StreamId,
    /// What for.
    pub purpose: Purpose,
    /// So many bytes, with all headers; the packet that crosses it still goes.
    pub size: DataSize,
    /// The probe that the packets belong to.
    pub probe: Option<ProbeId>,
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacerError {
    /// There are [`streams_max`](PacerConfig::streams_max).
    #[error("there are streams_max streams")]
    Limit,
    /// There is a stream of this name.
    #[error("stream {0:?} is there already")]
    InUse(StreamId),
    /// There is none.
    #[error("there is no stream {0:?}")]
    NoStream(StreamId),
}

/// Decides what leaves when, and holds no packets: it is told how much waits ([`set_waiting`](Self::set_waiting)), and
/// grants some of it ([`poll`](Self::poll)); the caller sends that, and says what it was
/// ([`handle_sent`](Self::handle_sent)).
///
/// Sound leaves at once. Then, in turns within each: retransmissions, video, padding. A probe takes what waits in the
/// same order, and is filled up with padding; before any media there is neither padding nor a probe.
#[derive(Clone, Debug)]
pub struct Pacer {
    config: PacerConfig,
    rates: Rates,
    budget: Budget,
    padding: Budget,
    turns: Turns,
    prober: Prober,
    in_flight: DataSize,
    sent_at: Option<Instant>,
}

impl Pacer {
    /// Without streams, at rate zero.
    #[must_use]
    pub fn new(config: PacerConfig, now: Instant) -> Self {
        Self {
            rates: Rates::target(Bitrate::ZERO),
            budget: Budget::new(config.burst, config.debt_max, now),
            // Padding leaves in small portions: it must not be what fills a queue.
            padding: Budget::new(PADDING_BURST, config.debt_max, now),
            turns: Turns::new(config.streams_max),
            prober: Prober::new(config.prober),
            in_flight: DataSize::ZERO,
            sent_at: None,
            config,
        }
    }

    /// What the controller answers now.
    pub fn set_rates(&mut self, rates: &Rates, now: Instant) {
        self.rates = *rates;
        self.settle(now);
        self.padding.set_rate(rates.padding, now);
    }

    /// What is on the way, as the send history counts it: beyond the window only sound leaves.
    pub fn set_in_flight(&mut self, in_flight: DataSize) {
        self.in_flight = in_flight;
    }

    /// The controller wants a probe.
    pub fn handle_probe(&mut self, cluster: ProbeCluster, now: Instant) {
        self.prober.handle_cluster(cluster, now);
    }

    /// Adds a stream. `carries_padding` if padding may be sent in it once it has carried media: it has RTX.
    ///
    /// # Errors
    ///
    /// [`PacerError::Limit`], [`PacerError::InUse`].
    pub fn add_stream(&mut self, id: StreamId, purpose: Purpose, carries_padding: bool) -> Result<(), PacerError> {
        self.turns.add(id, purpose, carries_padding)
    }

    /// Removes a stream, with what waits.
    ///
    /// # Errors
    ///
    /// [`PacerError::NoStream`].
    pub fn remove_stream(&mut self, id: StreamId, now: Instant) -> Result<(), PacerError> {
        self.turns.remove(id)?;
        self.settle(now);
        Ok(())
    }

    /// So much of a stream waits, the first of it since then. With nothing, `since` means nothing.
    ///
    /// # Errors
    ///
    /// [`PacerError::NoStream`].
    pub fn set_waiting(
        &mut self,
        id: StreamId,
        size: DataSize,
        since: Instant,
        now: Instant,
    ) -> Result<(), PacerError> {
        self.turns.set_waiting(id, size, since)?;
        self.settle(now);
        Ok(())
    }

    /// What may leave now; `None` until [`poll_timeout`](Self::poll_timeout), or until more waits. Ask again after each
    /// [`handle_sent`](Self::handle_sent): without that, the answer is the same.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Option<Grant> {
        self.settle(now);
        self.padding.advance(now);
        if let Some(stream) = self.turns.next(Purpose::Audio) {
            return Some(self.grant(stream, Purpose::Audio, self.turns.waiting_of(stream), None));
        }
        if let Some(grant) = self.probe(now) {
            return Some(grant);
        }
        if self.is_full() {
            return self.is_silent(now).then(|| self.media(DataSize::from_bytes(1))).flatten();
        }
        let media = self.budget.ready(self.turns.next_size()).and_then(|size| self.media(size));
        media.or_else(|| self.fill())
    }

    /// This left: what was granted, or what the caller sent by itself. A probe's packets are told one by one or together.
    pub fn handle_sent(&mut self, grant: &Grant, packets: u32, size: DataSize, now: Instant) {
        self.sent_at = Some(now);
        self.settle(now);
        self.budget.spend(size);
        self.padding.advance(now);
        self.padding.spend(size);
        self.turns.handle_sent(grant.stream, grant.purpose, size);
        if let Some(probe) = grant.probe {
            self.prober.handle_sent(probe, packets, size, now);
        }
    }

    /// When [`poll`](Self::poll) may have something that it has not now; `None` if only other calls bring it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let probe = self.turns.padding_stream().and_then(|_| self.prober.poll_timeout());
        let waiting = self.turns.next_size();
        let media = (waiting > DataSize::ZERO).then(|| match self.is_full() {
            true => self.sent_at.map(|at| at + self.config.keep_alive),
            false => self.budget.ready_at(waiting),
        });
        let wants_padding = waiting == DataSize::ZERO && self.rates.padding > Bitrate::ZERO && !self.is_full();
        let padding =
            (wants_padding && self.turns.padding_stream().is_some()).then(|| self.padding.ready_at(PADDING_MIN));
        [probe, media.flatten(), padding.flatten()].into_iter().flatten().min()
    }

    /// All that waits.
    #[must_use]
    pub fn waiting(&self) -> DataSize {
        self.turns.waiting()
    }

    /// Media leaves faster than the pacing rate where it would wait too long.
    fn settle(&mut self, now: Instant) {
        let drain = self.turns.oldest().map_or(Bitrate::ZERO, |since| {
            let left = self.config.wait_max.saturating_sub(now.saturating_duration_since(since));
            let left = left.max(Duration::from_millis(1));
            self.turns.waiting().rate_over(left).unwrap_or(Bitrate::ZERO)
        });
        self.budget.set_rate(self.rates.pacing.max(drain), now);
    }

    fn is_full(&self) -> bool {
        self.rates.window.is_some_and(|window| self.in_flight >= window)
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.sent_at.is_none_or(|at| now.saturating_duration_since(at) >= self.config.keep_alive)
    }

    fn media(&self, size: DataSize) -> Option<Grant> {
        let (purpose, stream) = [Purpose::Retransmission, Purpose::Video]
            .into_iter()
            .find_map(|purpose| Some((purpose, self.turns.next(purpose)?)))?;
        Some(self.grant(stream, purpose, size.min(self.turns.waiting_of(stream)), None))
    }

    fn probe(&mut self, now: Instant) -> Option<Grant> {
        let padding = self.turns.padding_stream()?;
        let (id, size) = self.prober.poll(now)?;
        let media = self.media(size).map(|grant| Grant { probe: Some(id), ..grant });
        Some(media.unwrap_or_else(|| self.grant(padding, Purpose::Padding, size, Some(id))))
    }

    fn fill(&self) -> Option<Grant> {
        if self.turns.next_size() > DataSize::ZERO {
            return None;
        }
        let stream = self.turns.padding_stream()?;
        let size = self.padding.ready(PADDING_MIN)?;
        Some(self.grant(stream, Purpose::Padding, size, None))
    }

    fn grant(&self, stream: StreamId, purpose: Purpose, size: DataSize, probe: Option<ProbeId>) -> Grant {
        Grant { stream, purpose, size: size.min(self.config.grant_max), probe }
    }
}

/// What the padding rate lets through in this time is one portion.
const PADDING_BURST: Duration = Duration::from_millis(5);

/// Padding packets are up to 255 bytes and headers.
const PADDING_MIN: DataSize = DataSize::from_bytes(300);

#[cfg(test)]
mod tests;
