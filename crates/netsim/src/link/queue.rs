use std::collections::VecDeque;
use std::time::Duration;

use plenary_wire::{Bitrate, DataSize};

use super::Packet;
use super::rate::Work;

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

/// What waits for the transmitter, first come first served. Active queue management has its place here: it decides in
/// `push`, and may also drop or mark in `pop`.
#[derive(Debug)]
pub(crate) struct Queue<P> {
    packets: VecDeque<Packet<P>>,
    size: DataSize,
}

impl<P> Queue<P> {
    pub(crate) const fn new() -> Self {
        Self { packets: VecDeque::new(), size: DataSize::ZERO }
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Bytes that wait.
    pub(crate) const fn size(&self) -> DataSize {
        self.size
    }

    /// Takes the packet, or gives it back if there is no room. `sending` is what the transmitter still has to do.
    pub(crate) fn push(
        &mut self,
        packet: Packet<P>,
        limit: QueueLimit,
        rate: Bitrate,
        sending: Work,
    ) -> Result<(), Packet<P>> {
        let fits = match limit {
            QueueLimit::Bytes(limit) => self.size.saturating_add(packet.size) <= limit,
            QueueLimit::Time(limit) => {
                let waiting = Work::of(self.size).0.saturating_add(sending.0);
                waiting <= u128::from(rate.as_bps()).saturating_mul(limit.as_nanos())
            }
        };
        if !fits {
            return Err(packet);
        }
        self.size = self.size.saturating_add(packet.size);
        self.packets.push_back(packet);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Packet<P>> {
        let packet = self.packets.pop_front()?;
        self.size = self.size.saturating_sub(packet.size);
        Some(packet)
    }
}
