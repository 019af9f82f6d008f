//! A byte stream between two sockets: reliable, ordered, and as late as the packets below make it.

mod congestion;
mod receive;

use std::collections::VecDeque;
use std::time::Duration;

use congestion::Congestion;
use receive::Receiver;

/// Bytes of the stream in one packet, at most: with headers it fits the smallest MTU of IPv6.
pub const STREAM_SEGMENT: usize = 1_200;

/// Bytes that one end keeps until they are acknowledged. What is written beyond is not taken.
pub const STREAM_BUFFER_MAX: usize = 65_536;

/// Bytes that may be on the way, and that a receiver keeps behind a hole.
pub const STREAM_WINDOW: usize = 65_536;

/// Attempts to connect, or to get the same bytes through, before an end gives up: after about a minute.
pub const STREAM_ATTEMPTS_MAX: u32 = 16;

/// Why a stream is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// Nobody listens there.
    Refused,
    /// The peer closed it, and all that it wrote has come.
    Ended,
    /// The peer aborted it, or does not know it.
    Reset,
    /// [`STREAM_ATTEMPTS_MAX`] attempts stayed without an answer: a firewall, a dead NAT mapping, or no network.
    TimedOut,
}

/// What the two ends exchange. Sequence numbers do not wrap: the SYN is 0, the first byte 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) seq: u64,
    /// The next byte that its sender waits for.
    pub(crate) ack: Option<u64>,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    Connected,
    Accepted,
    Data(Vec<u8>),
    Closed(Closed),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SynSent,
    SynReceived,
    Open,
    /// Nothing more is sent or expected.
    Done,
}

/// One end of a stream; a small TCP, in virtual time and without I/O.
///
/// What it keeps of TCP: the three-way handshake, cumulative acknowledgements (one per segment), NewReno's slow start,
/// congestion avoidance and fast retransmit (RFC 5681, RFC 6582), a timer by RFC 6298 but from 200 ms to 4 s, FIN and
/// RST. What it leaves out: delayed acknowledgements, SACK, window updates (a receiver reads at once), half-open
/// streams (an end whose peer has closed sends what it has and closes), and simultaneous open.
#[derive(Debug)]
pub(crate) struct Connection {
    state: State,
    /// Bytes from `base` on that are not acknowledged.
    buffer: VecDeque<u8>,
    base: u64,
    /// The first number not acknowledged, the next to send, and the highest that was ever next.
    unacknowledged: u64,
    next: u64,
    sent: u64,
    closing: bool,
    /// A segment at `unacknowledged` has to go out again.
    resend: bool,
    acknowledge: bool,
    reset: bool,
    congestion: Congestion,
    timer: Option<Duration>,
    attempts: u32,
    receiver: Receiver,
    /// The owner has closed, or was told the end: it hears no more.
    silent: bool,
    events: VecDeque<StreamEvent>,
}

impl Connection {
    /// The end that connects.
    pub(crate) fn connect() -> Self {
        Self::new(State::SynSent)
    }

    /// The end that has got a SYN at its listener.
    pub(crate) fn accept() -> Self {
        let mut accepted = Self::new(State::SynReceived);
        accepted.receiver.next = 1;
        accepted
    }

    fn new(state: State) -> Self {
        Self {
            state,
            buffer: VecDeque::new(),
            base: 1,
            unacknowledged: 0,
            next: 0,
            sent: 0,
            closing: false,
            resend: false,
            acknowledge: false,
            reset: false,
            congestion: Congestion::new(),
            timer: None,
            attempts: 0,
            receiver: Receiver::default(),
            silent: false,
            events: VecDeque::new(),
        }
    }

    /// Takes as many bytes as there is room for, and says how many.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(self.room())];
        self.buffer.extend(taken);
        taken.len()
    }

    /// How many bytes it would take now.
    pub(crate) fn room(&self) -> usize {
        if self.closing || self.state == State::Done { 0 } else { STREAM_BUFFER_MAX - self.buffer.len() }
    }

    /// Sends what was written, then ends the stream. Nothing more is told to the owner.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.silent = true;
        if self.state == State::SynSent && self.buffer.is_empty() {
            self.finish();
        }
    }

    /// Ends it at once.
    pub(crate) fn abort(&mut self) {
        self.silent = true;
        self.reset = self.state != State::SynSent;
        self.finish();
    }

    /// Whether nothing will happen any more, once its segments and events are taken.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done && !self.reset
    }

    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        self.events.pop_front()
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Duration> {
        self.timer
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.timer.is_none_or(|timer| now < timer) {
            return;
        }
        self.attempts += 1;
        if self.attempts >= STREAM_ATTEMPTS_MAX {
            self.end(Closed::TimedOut);
            return;
        }
        self.congestion.on_timeout(self.in_flight());
        // All goes out anew from the hole on; what the receiver has kept behind it is acknowledged at a stroke.
        self.next = self.unacknowledged;
        self.timer = Some(now + self.congestion.timeout());
    }

    pub(crate) fn handle_segment(&mut self, segment: Segment, now: Duration) {
        if self.state == State::Done {
            return;
        }
        if segment.rst {
            let reason = if self.state == State::SynSent { Closed::Refused } else { Closed::Reset };
            self.end(reason);
            return;
        }
        if segment.syn {
            self.handle_syn(&segment);
        }
        if self.state == State::SynSent {
            // What is late for another stream of these addresses acknowledges nothing of this one.
            return;
        }
        if let Some(ack) = segment.ack.filter(|ack| *ack <= self.sent) {
            let pure = segment.data.is_empty() && !segment.fin && !segment.syn;
            self.handle_ack(ack, pure, now);
        }
        if self.state != State::Open {
            return;
        }
        self.acknowledge |= segment.syn || segment.fin || !segment.data.is_empty();
        let fin = segment.fin.then(|| segment.seq + segment.data.len() as u64);
        self.receiver.take(segment.seq, segment.data, fin);
        while let Some(data) = self.receiver.poll() {
            self.tell(StreamEvent::Data(data));
        }
        if self.receiver.ended() {
            self.tell(StreamEvent::Closed(Closed::Ended));
            self.silent = true;
            self.closing = true;
            self.finish_if_done();
        }
    }

    fn handle_syn(&mut self, segment: &Segment) {
        match (self.state, segment.ack) {
            (State::SynSent, Some(1)) => {
                self.receiver.next = 1;
                self.state = State::Open;
                self.tell(StreamEvent::Connected);
            }
            // The answer was lost, or the acknowledgement of the answer.
            (State::SynReceived, None) if self.sent > 0 => self.resend = true,
            _ => {}
        }
    }

    fn handle_ack(&mut self, ack: u64, pure: bool, now: Duration) {
        if self.state == State::SynReceived && ack >= 1 {
            self.state = State::Open;
            self.tell(StreamEvent::Accepted);
        }
        if ack > self.unacknowledged {
            let acknowledged = (ack - self.unacknowledged) as usize;
            let bytes = ack.saturating_sub(self.base).min(self.buffer.len() as u64);
            self.buffer.drain(..bytes as usize);
            self.base += bytes;
            self.unacknowledged = ack;
            self.next = self.next.max(ack);
            self.attempts = 0;
            self.resend |= self.congestion.on_ack(ack, acknowledged, now);
            self.timer = (self.unacknowledged < self.sent).then(|| now + self.congestion.timeout());
            self.finish_if_done();
        } else if ack == self.unacknowledged && pure && self.in_flight() > 0 {
            self.resend |= self.congestion.on_duplicate_ack(self.in_flight(), self.sent);
        }
    }

    /// The next segment to send, if there is one.
    pub(crate) fn poll_segment(&mut self, now: Duration) -> Option<Segment> {
        if self.reset {
            self.reset = false;
            return Some(Segment { rst: true, seq: self.sent, ..Segment::default() });
        }
        let segment = match self.state {
            State::Done => self.last_acknowledgement(),
            State::SynSent | State::SynReceived if self.next == 0 || self.resend => {
                self.resend = false;
                Some(Segment { syn: true, ..Segment::default() })
            }
            State::SynSent | State::SynReceived => None,
            State::Open => self.poll_open(),
        }?;
        self.acknowledge = false;
        let length = segment.data.len() as u64 + u64::from(segment.syn) + u64::from(segment.fin);
        let end = segment.seq + length;
        if length > 0 {
            if end > self.sent {
                self.congestion.time(end, now);
            }
            self.next = self.next.max(end);
            self.sent = self.sent.max(end);
            self.timer = self.timer.or_else(|| Some(now + self.congestion.timeout()));
        }
        let ack = (self.state != State::SynSent).then_some(self.receiver.next);
        Some(Segment { ack, ..segment })
    }

    fn poll_open(&mut self) -> Option<Segment> {
        if self.resend {
            self.resend = false;
            self.congestion.forget_time();
            if let Some(segment) = self.segment_at(self.unacknowledged) {
                return Some(segment);
            }
        }
        if self.in_flight() < self.congestion.window().min(STREAM_WINDOW)
            && let Some(segment) = self.segment_at(self.next)
        {
            return Some(segment);
        }
        self.last_acknowledgement()
    }

    /// Bytes from this number on, or the FIN if it stands there.
    fn segment_at(&self, seq: u64) -> Option<Segment> {
        let offset = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        let length = self.buffer.len().checked_sub(offset)?.min(STREAM_SEGMENT);
        let data: Vec<_> = self.buffer.range(offset..offset + length).copied().collect();
        let fin = self.closing && offset + length == self.buffer.len();
        (fin || length > 0).then(|| Segment { seq, fin, data, ..Segment::default() })
    }

    fn last_acknowledgement(&mut self) -> Option<Segment> {
        std::mem::take(&mut self.acknowledge).then(|| Segment { seq: self.next, ..Segment::default() })
    }

    const fn in_flight(&self) -> usize {
        (self.next - self.unacknowledged) as usize
    }

    /// Both have closed, and the peer knows that we have.
    fn finish_if_done(&mut self) {
        let all_sent = self.closing && self.buffer.is_empty() && self.unacknowledged > self.base;
        if all_sent && self.receiver.ended() {
            self.finish();
        }
    }

    fn end(&mut self, reason: Closed) {
        // Who was not told of the beginning is not told of the end.
        self.silent |= self.state == State::SynReceived;
        self.tell(StreamEvent::Closed(reason));
        self.silent = true;
        self.acknowledge = false;
        self.finish();
    }

    fn finish(&mut self) {
        self.state = State::Done;
        self.timer = None;
        self.buffer.clear();
    }

    fn tell(&mut self, event: StreamEvent) {
        if !self.silent {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests;
