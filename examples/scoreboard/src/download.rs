use std::time::Duration;

use plenary_netsim::{Random, ShortTcp, TcpEnd, TcpFlow, TcpSegment};
use plenary_wire::{DataSize, Ecn};

use crate::case::{CrossTcp, Kind};

/// A source of TCP: one flow that goes on until the end, or one after another with pauses.
#[derive(Debug)]
pub(crate) struct Download {
    spec: CrossTcp,
    flow: Option<TcpFlow>,
    /// How many flows there were: a segment of an earlier one is late.
    generation: u32,
    /// When the next begins.
    next: Duration,
    random: Random,
}

/// A segment, from which end it is, and of which flow.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) from: TcpEnd,
    pub(crate) segment: TcpSegment,
    generation: u32,
}

const ENDS: [TcpEnd; 2] = [TcpEnd::Sender, TcpEnd::Receiver];

impl Download {
    pub(crate) fn new(spec: &CrossTcp, mut random: Random) -> Self {
        let next = match spec.kind {
            Kind::Short(ShortTcp { starts_on: false, idle, .. }) => spec.span.0 + random.exponential(idle),
            _ => spec.span.0,
        };
        Self { spec: spec.clone(), flow: None, generation: 0, next, random }
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        let Some(flow) = &self.flow else { return self.next };
        let timers = ENDS.into_iter().filter_map(|end| flow.poll_timeout(end)).min();
        let end = if matches!(self.spec.kind, Kind::Long(_)) { self.next } else { Duration::MAX };
        timers.unwrap_or(Duration::MAX).min(end)
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if let Some(flow) = &mut self.flow {
            ENDS.into_iter().for_each(|end| flow.handle_timeout(end, now));
        }
        if self.next <= now {
            self.begin_or_end(now);
        }
    }

    fn begin_or_end(&mut self, now: Duration) {
        let (start, end) = self.spec.span;
        let is_over = now >= end;
        self.next = Duration::MAX;
        match (&self.spec.kind, &mut self.flow) {
            (_, None) if is_over || now < start => {}
            (Kind::Long(tcp), None) => {
                self.flow = Some(TcpFlow::new(*tcp, None));
                self.next = end;
            }
            (Kind::Long(_), Some(flow)) => flow.cut(),
            (Kind::Short(short), None) => {
                let [least, most] = short.file.map(DataSize::as_bytes);
                let length = least + u64::from(self.random.below((most - least) as u32 + 1));
                self.generation += 1;
                self.flow = Some(TcpFlow::new(short.tcp, Some(DataSize::from_bytes(length))));
            }
            (Kind::Short(_), Some(_)) => {}
        }
    }

    pub(crate) fn poll(&mut self, now: Duration) -> Option<Piece> {
        let flow = self.flow.as_mut()?;
        let mut segments = ENDS.into_iter().filter_map(|from| Some((from, flow.poll_segment(from, now)?)));
        let next = segments.next();
        if next.is_none() && flow.is_done() {
            self.flow = None;
            if let Kind::Short(short) = &self.spec.kind {
                self.next = now + self.random.exponential(short.idle);
            }
        }
        next.map(|(from, segment)| Piece { from, segment, generation: self.generation })
    }

    /// A piece has come to the other end, in a packet with these bits. Says how much arrived by it.
    pub(crate) fn handle(&mut self, piece: Piece, ecn: Ecn, now: Duration) -> DataSize {
        let Some(flow) = self.flow.as_mut().filter(|_| piece.generation == self.generation) else {
            return DataSize::ZERO;
        };
        let before = flow.received();
        let to = if piece.from == TcpEnd::Sender { TcpEnd::Receiver } else { TcpEnd::Sender };
        flow.handle_segment(to, piece.segment, ecn, now);
        flow.received().saturating_sub(before)
    }
}
