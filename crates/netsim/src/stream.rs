//! A byte stream between two sockets: reliable, ordered, and as late as the packets below make it.

mod congestion;
mod cubic;
mod dctcp;
mod flight;
mod outbox;
mod receive;
mod round_trip;

use std::collections::VecDeque;
use std::time::Duration;

use plenary_wire::Ecn;

pub use congestion::Congestion;
use congestion::Window;
use flight::Flight;
use outbox::Outbox;
use receive::Receiver;
use round_trip::RoundTrip;

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

/// How both ends of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamConfig {
    pub(crate) congestion: Congestion,
    /// Whether data is sent as ECN-capable (RFC 3168); it always is with [`Congestion::Dctcp`].
    pub(crate) ecn: bool,
    /// Bytes that may be on the way, and that a receiver keeps behind a hole.
    pub(crate) window: u64,
    /// Whether it carries filler: numbers of bytes, and none of them.
    pub(crate) filler: bool,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { congestion: Congestion::NewReno, ecn: false, window: STREAM_WINDOW as u64, filler: false }
    }
}

/// Blocks of numbers that have come behind a hole; those that are empty say nothing.
pub(crate) type Sack = [(u64, u64); 3];

/// What the two ends exchange. Sequence numbers do not wrap: the SYN is 0, the first byte 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    /// A mark has come, and the answer to one (RFC 3168 §6.1).
    pub(crate) ece: bool,
    pub(crate) cwr: bool,
    pub(crate) seq: u64,
    /// The next byte that its sender waits for.
    pub(crate) ack: Option<u64>,
    pub(crate) sack: Sack,
    pub(crate) data: Vec<u8>,
    /// Bytes that stand for data that nobody reads.
    pub(crate) filler: u64,
    /// The bits of the packet that it is in.
    pub(crate) ecn: Ecn,
}

impl Segment {
    /// Bytes that it carries.
    pub(crate) const fn length(&self) -> u64 {
        self.data.len() as u64 + self.filler
    }
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

/// How often an end had to repeat itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamCounters {
    /// Segments that carried something, and those of them that had been sent before.
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    pub(crate) timeouts: u64,
}

impl StreamCounters {
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            resent: self.resent - earlier.resent,
            timeouts: self.timeouts - earlier.timeouts,
        }
    }
}

/// One end of a stream; a small TCP, in virtual time and without I/O.
///
/// What it keeps of TCP: the three-way handshake, an acknowledgement for each segment with three SACK blocks (RFC 2018),
/// slow start, congestion avoidance by one of three algorithms and fast retransmit (RFC 5681, RFC 6582, RFC 6675), a
/// timer by RFC 6298 with Linux's bounds, ECN (RFC 3168), FIN and RST. What it leaves out: delayed acknowledgements,
/// tail loss probes, pacing, window updates (a receiver reads at once), half-open streams (an end whose peer has closed
/// sends what it has and closes), and simultaneous open.
#[derive(Debug)]
pub(crate) struct Connection {
    config: StreamConfig,
    state: State,
    /// What was written from `base` on and is not acknowledged.
    outbox: Outbox,
    base: u64,
    /// The first number not acknowledged, and the next to send.
    unacknowledged: u64,
    sent: u64,
    closing: bool,
    acknowledge: bool,
    reset: bool,
    window: Window,
    round_trip: RoundTrip,
    flight: Flight,
    /// The window was reduced for what was sent before this number: once for all of it.
    recover: u64,
    /// In fast recovery, until that is acknowledged.
    recovering: bool,
    /// The next lost segment goes out whatever the window says.
    resend: bool,
    timer: Option<Duration>,
    attempts: u32,
    receiver: Receiver,
    /// Marks have come, and the window was reduced for one.
    echo: bool,
    answer_echo: bool,
    /// The owner has closed, or was told the end: it hears no more.
    silent: bool,
    events: VecDeque<StreamEvent>,
    counters: StreamCounters,
}

impl Connection {
    /// The end that connects.
    pub(crate) fn connect(config: StreamConfig) -> Self {
        Self::new(config, State::SynSent)
    }

    /// The end that has got a SYN at its listener.
    pub(crate) fn accept(config: StreamConfig) -> Self {
        let mut accepted = Self::new(config, State::SynReceived);
        accepted.receiver.open();
        accepted
    }

    fn new(config: StreamConfig, state: State) -> Self {
        Self {
            config,
            state,
            outbox: if config.filler { Outbox::Filler(0) } else { Outbox::Bytes(VecDeque::new()) },
            base: 1,
            unacknowledged: 0,
            sent: 0,
            closing: false,
            acknowledge: false,
            reset: false,
            window: Window::new(config.congestion, 2 * config.window),
            round_trip: RoundTrip::new(),
            flight: Flight::default(),
            recover: 0,
            recovering: false,
            resend: false,
            timer: None,
            attempts: 0,
            receiver: Receiver::new(config.window),
            echo: false,
            answer_echo: false,
            silent: false,
            events: VecDeque::new(),
            counters: StreamCounters::default(),
        }
    }

    /// Takes as many bytes as there is room for, and says how many.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(self.room())];
        if let Outbox::Bytes(outbox) = &mut self.outbox {
            outbox.extend(taken);
        }
        taken.len()
    }

    /// How many bytes it would take now.
    pub(crate) fn room(&self) -> usize {
        match &self.outbox {
            Outbox::Bytes(bytes) if !self.closing && self.state != State::Done => STREAM_BUFFER_MAX - bytes.len(),
            _ => 0,
        }
    }

    /// Takes so many bytes of filler, then nothing more.
    pub(crate) fn fill(&mut self, length: u64) {
        self.outbox = Outbox::Filler(length);
        self.close();
    }

    /// Ends what it says with what it has sent.
    pub(crate) fn cut(&mut self) {
        self.outbox.truncate(self.sent.saturating_sub(self.base));
    }

    /// How much filler has come since this was last asked.
    pub(crate) const fn take_filler(&mut self) -> u64 {
        self.receiver.take_filler()
    }

    /// Whether all that it has sent is acknowledged.
    pub(crate) const fn is_complete(&self) -> bool {
        self.unacknowledged == self.sent
    }

    /// How often it had to repeat itself.
    pub(crate) const fn counters(&self) -> StreamCounters {
        self.counters
    }

    /// Sends what was written, then ends the stream. Nothing more is told to the owner.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.silent = true;
        if self.state == State::SynSent && self.outbox.is_empty() {
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
        self.counters.timeouts += 1;
        if self.attempts >= STREAM_ATTEMPTS_MAX {
            self.end(Closed::TimedOut);
            return;
        }
        self.window.on_timeout(self.outstanding(), self.attempts == 1);
        self.flight.lose_all();
        (self.recover, self.recovering) = (self.sent, false);
        self.round_trip.back_off();
        self.timer = Some(now + self.round_trip.timeout());
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
            self.handle_ack(ack, &segment, now);
        }
        if self.state != State::Open {
            return;
        }
        let end = segment.seq + segment.length();
        if segment.length() > 0 {
            self.note_mark(&segment);
        }
        self.acknowledge |= segment.syn || segment.fin || segment.length() > 0;
        self.receiver.take((segment.seq, end), segment.data, segment.fin.then_some(end));
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
                self.receiver.open();
                self.state = State::Open;
                self.tell(StreamEvent::Connected);
            }
            // The answer was lost, or the acknowledgement of the answer.
            (State::SynReceived, None) if self.sent > 0 => self.flight.lose_all(),
            _ => {}
        }
    }

    fn handle_ack(&mut self, ack: u64, segment: &Segment, now: Duration) {
        if self.state == State::SynReceived && ack >= 1 {
            self.state = State::Open;
            self.tell(StreamEvent::Accepted);
        }
        let outstanding = self.outstanding();
        let limited = self.flight.flying() + STREAM_SEGMENT as u64 > self.window.bytes();
        let news = self.flight.acknowledge(ack, &segment.sack, now);
        if let Some(sample) = news.sample {
            self.round_trip.sample(sample);
        }
        if ack > self.unacknowledged {
            let acknowledged = ack - self.unacknowledged;
            self.unacknowledged = ack;
            let gone = ack.saturating_sub(self.base).min(self.outbox.len());
            self.outbox.drop_front(gone);
            self.base += gone;
            self.attempts = 0;
            self.recovering &= ack < self.recover;
            if limited && !self.recovering && !segment.ece {
                self.window.on_ack(acknowledged, self.round_trip.smoothed(), now);
            }
            self.timer = (ack < self.sent).then(|| now + self.round_trip.timeout());
            self.finish_if_done();
        }
        if self.window.counts_marks() {
            self.window.on_marks(news.arrived, segment.ece, (ack, self.sent));
        }
        // What answers the last mark is the first segment after `recover`: what acknowledges no more than that repeats it.
        let marked = segment.ece && !self.window.counts_marks() && ack > self.recover;
        if marked || (news.lost && self.unacknowledged >= self.recover) {
            self.window.on_congestion(outstanding);
            self.recover = self.sent;
            (self.recovering, self.resend, self.answer_echo) = (news.lost, news.lost, marked);
        }
    }

    /// What a segment says of marks: its packet's own, and that the last one was answered.
    fn note_mark(&mut self, segment: &Segment) {
        if self.window.counts_marks() || segment.cwr {
            self.echo = false;
        }
        self.echo |= segment.ecn == Ecn::Ce;
    }

    /// The next segment to send, if there is one.
    pub(crate) fn poll_segment(&mut self, now: Duration) -> Option<Segment> {
        if self.reset {
            self.reset = false;
            return Some(Segment { rst: true, seq: self.sent, ..Segment::default() });
        }
        let piece = if self.state == State::Done { None } else { self.next_piece(now) };
        let segment = match piece {
            Some(piece) => self.segment(piece),
            None if self.acknowledge => Segment { seq: self.sent, ..Segment::default() },
            None => return None,
        };
        self.acknowledge = false;
        if self.state == State::SynSent {
            return Some(segment);
        }
        let (ack, sack) = (Some(self.receiver.next()), self.receiver.sack());
        Some(Segment { ack, sack, ece: self.echo, ..segment })
    }

    /// From where to where the next segment reaches, and whether it was sent before.
    fn next_piece(&mut self, now: Duration) -> Option<(u64, u64, bool)> {
        if self.flight.flying() >= self.window.bytes() && !self.resend {
            return None;
        }
        self.resend = false;
        let again = self.flight.resend(now);
        let (seq, end) = again.or_else(|| self.new_piece(now))?;
        self.counters.sent += 1;
        self.counters.resent += u64::from(again.is_some());
        self.timer = self.timer.or_else(|| Some(now + self.round_trip.timeout()));
        Some((seq, end, again.is_some()))
    }

    fn new_piece(&mut self, now: Duration) -> Option<(u64, u64)> {
        let seq = self.sent;
        let end = if seq == 0 {
            1
        } else {
            if self.state != State::Open || self.outstanding() >= self.config.window {
                return None;
            }
            let left = self.outbox.len().checked_sub(seq - self.base)?;
            let length = left.min(STREAM_SEGMENT as u64);
            seq + length + u64::from(self.closing && length == left)
        };
        if end == seq {
            return None;
        }
        self.sent = end;
        self.flight.send(seq, end, now);
        Some((seq, end))
    }

    fn segment(&mut self, (seq, end, again): (u64, u64, bool)) -> Segment {
        if seq == 0 {
            return Segment { syn: true, ..Segment::default() };
        }
        let last = self.base + self.outbox.len();
        let (data, filler) = self.outbox.read(seq - self.base, end.min(last) - seq);
        let ecn = match self.config.congestion {
            Congestion::Dctcp => Ecn::Ect1,
            // RFC 3168 §6.1.5: what is sent again is not ECN-capable.
            _ if self.config.ecn && !again => Ecn::Ect0,
            _ => Ecn::NotEct,
        };
        let cwr = std::mem::take(&mut self.answer_echo);
        Segment { fin: end > last, cwr, seq, data, filler, ecn, ..Segment::default() }
    }

    const fn outstanding(&self) -> u64 {
        self.sent - self.unacknowledged
    }

    /// Both have closed, and the peer knows that we have.
    fn finish_if_done(&mut self) {
        let all_sent = self.closing && self.outbox.is_empty() && self.unacknowledged > self.base;
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
        self.outbox.truncate(0);
    }

    fn tell(&mut self, event: StreamEvent) {
        if !self.silent {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests;
