use std::time::Duration;

use plenary_wire::{Bitrate, DataSize, Ecn};

use super::aqm::Aqm;
use super::fifo::{Fifo, Waiting};
use super::rate::Work;
use super::{LinkConfig, Packet, codel, dualpi2};

/// How much waits in front of a link before it drops what comes (drop tail).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// Bytes that wait; what is on the transmitter no longer counts.
    Bytes(DataSize),
    /// Time: a packet is dropped if what is before it, with the rest of what is on the transmitter, takes longer at
    /// the present rate. In an outage the rate before it counts.
    Time(Duration),
}

impl QueueLimit {
    /// A limit in milliseconds, as RFC 8867 gives it.
    pub const fn ms(ms: u64) -> Self {
        Self::Time(Duration::from_millis(ms))
    }
}

/// What waits for the transmitter, and what manages it.
#[derive(Debug)]
pub(crate) struct Queue<P> {
    /// All packets, or with DualPI2 the Classic ones.
    classic: Fifo<P>,
    /// Those for low latency.
    low: Fifo<P>,
    control: Control,
}

#[derive(Debug)]
enum Control {
    None,
    CoDel(codel::State),
    DualPi2(dualpi2::State),
}

impl Control {
    fn new(aqm: &Aqm, now: Duration) -> Self {
        match aqm {
            Aqm::DropTail | Aqm::Mark(_) => Self::None,
            Aqm::CoDel(_) => Self::CoDel(codel::State::default()),
            Aqm::DualPi2(config) => Self::DualPi2(dualpi2::State::new(config, now)),
        }
    }
}

impl<P> Queue<P> {
    pub(crate) fn new(aqm: &Aqm) -> Self {
        Self { classic: Fifo::new(), low: Fifo::new(), control: Control::new(aqm, Duration::ZERO) }
    }

    pub(crate) fn len(&self) -> usize {
        self.classic.len() + self.low.len()
    }

    /// Bytes that wait.
    pub(crate) const fn size(&self) -> DataSize {
        self.classic.size().saturating_add(self.low.size())
    }

    /// Another management takes over, from its beginning.
    pub(crate) fn manage(&mut self, aqm: &Aqm, now: Duration) {
        self.control = Control::new(aqm, now);
        if self.low.is_empty() || matches!(aqm, Aqm::DualPi2(_)) {
            return;
        }
        let mut merged = Fifo::new();
        loop {
            let low_first = match (self.low.since(), self.classic.since()) {
                (Some(low), Some(classic)) => low < classic,
                (low, _) => low.is_some(),
            };
            let first = if low_first { self.low.pop() } else { self.classic.pop() };
            let Some(first) = first else { break };
            merged.push(first);
        }
        self.classic = merged;
    }

    /// Takes the packet, or gives it back if there is no room. `rate` is the link's, `sending` what the transmitter
    /// still has to do.
    pub(crate) fn push(
        &mut self,
        packet: Packet<P>,
        now: Duration,
        config: &LinkConfig,
        (rate, sending): (Bitrate, Work),
    ) -> Result<(), Packet<P>> {
        let size = self.size();
        let fits = match config.queue {
            QueueLimit::Bytes(limit) => size.saturating_add(packet.size) <= limit,
            QueueLimit::Time(limit) => {
                let waiting = Work::of(size).0.saturating_add(sending.0);
                waiting <= u128::from(rate.as_bps()).saturating_mul(limit.as_nanos())
            }
        };
        if !fits {
            return Err(packet);
        }
        let mut fifo = &mut self.classic;
        if let (Aqm::DualPi2(aqm), Control::DualPi2(state)) = (&config.aqm, &mut self.control) {
            state.update(aqm, (fifo, &self.low), now);
            if matches!(packet.ecn, Ecn::Ect1 | Ecn::Ce) {
                fifo = &mut self.low;
            }
        }
        fifo.push(Waiting { packet, since: now, marked: false });
        Ok(())
    }

    /// The next packet for the transmitter. Those that are dropped instead are refused.
    pub(crate) fn pop(
        &mut self,
        now: Duration,
        config: &LinkConfig,
        refuse: &mut impl FnMut(Waiting<P>),
    ) -> Option<Waiting<P>> {
        match (&config.aqm, &mut self.control) {
            (Aqm::CoDel(aqm), Control::CoDel(state)) => state.pop(aqm, (&mut self.classic, config.mtu), now, refuse),
            (Aqm::DualPi2(aqm), Control::DualPi2(state)) => {
                state.pop(aqm, (&mut self.classic, &mut self.low, config.mtu), now, refuse)
            }
            (Aqm::Mark(threshold), _) => {
                let mut first = self.classic.pop()?;
                if first.waited(now) >= *threshold {
                    first.mark();
                }
                Some(first)
            }
            _ => self.classic.pop(),
        }
    }
}
