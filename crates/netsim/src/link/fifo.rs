use std::collections::VecDeque;
use std::time::Duration;

use plenary_wire::{DataSize, Ecn};

use super::Packet;

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct Waiting<P> {
    pub(crate) packet: Packet<P>,
    /// When it came.
    pub(crate) since: Duration,
    /// Whether it was marked here.
    pub(crate) marked: bool,
}

impl<P> Waiting<P> {
    /// How long it has waited.
    pub(crate) const fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// Marks it, if its sender understands marks.
    pub(crate) fn mark(&mut self) -> bool {
        let ecn = self.packet.ecn;
        if matches!(ecn, Ecn::Ect0 | Ecn::Ect1) {
            self.packet.ecn = Ecn::Ce;
            self.marked = true;
        }
        ecn != Ecn::NotEct
    }
}

/// Packets that wait, first come first served.
#[derive(Debug)]
pub(crate) struct Fifo<P> {
    packets: VecDeque<Waiting<P>>,
    size: DataSize,
}

impl<P> Fifo<P> {
    pub(crate) const fn new() -> Self {
        Self { packets: VecDeque::new(), size: DataSize::ZERO }
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Bytes that wait.
    pub(crate) const fn size(&self) -> DataSize {
        self.size
    }

    /// How long its first packet has waited; none has for no time.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        self.packets.front().map_or(Duration::ZERO, |first| first.waited(now))
    }

    /// When its first packet came.
    pub(crate) fn since(&self) -> Option<Duration> {
        self.packets.front().map(|first| first.since)
    }

    pub(crate) fn push(&mut self, waiting: Waiting<P>) {
        self.size = self.size.saturating_add(waiting.packet.size);
        self.packets.push_back(waiting);
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting<P>> {
        let waiting = self.packets.pop_front()?;
        self.size = self.size.saturating_sub(waiting.packet.size);
        Some(waiting)
    }
}
