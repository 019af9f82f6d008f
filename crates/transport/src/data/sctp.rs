//! SCTP by `sctp-proto`, which stays in this file: packets and time in, packets and facts out.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent, TransportConfig,
};

use super::guard::{Guard, PIECE_BYTES, Streams, Verdict};
use super::wire::{self, Address, Sack, kind};
use super::{DataCloseReason, DataConfig, DataDropReason, Reliability};
use crate::DtlsRole;

/// Bytes of the largest packet that SCTP aims at. `dtls::MTU` less what DTLS adds (37 in 1.2, 22 in 1.3), less the 16 that
/// `sctp-proto` forgets when it puts several pieces into one packet and the 3 that they are padded with.
const PACKET_BYTES: u32 = 1120;

/// Bytes of the common header and of one DATA chunk's.
const HEADERS: u32 = 12 + 16;

/// The largest packet that leaves: a reset of a thousand streams. What the peer wants to be echoed may be larger.
const PACKET_BYTES_MAX: usize = 4096;

/// RFC 9260 §16 has 1 s and 60 s for the internet at large. As elsewhere in WebRTC, where ICE watches the path.
const RTO_MIN: Duration = Duration::from_millis(400);
const RTO_MAX: Duration = Duration::from_secs(10);

/// How long the DTLS server waits for the peer to begin, and who has left it to the peer for its COOKIE ECHO. In between
/// the client's repetitions, so that two INITs do not cross again and again.
pub(super) const PATIENCE: Duration = Duration::from_millis(2000);

/// INIT, COOKIE ECHO and RE-CONFIG are given up after so many repetitions: 50 to 80 s.
const RETRANSMITS_MAX: usize = 8;

/// Streams beyond the channels that may be: those of channels that are refused, until they are reset.
const STREAMS_SPARE: usize = 64;

/// There are no addresses below DTLS: both sides are called this.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 9));

/// Something that has come to pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Up,
    /// There may be messages.
    Readable(u16),
    /// What is buffered for sending has come down to the mark.
    Drained(u16),
    /// The peer has reset the stream: no more can be sent.
    Finished(u16),
    /// Both directions are reset.
    Reset(u16),
    /// The reset was not answered.
    ResetFailed(u16),
    Lost(DataCloseReason),
}

/// Payload protocol identifiers (RFC 8831 §8).
pub(super) type Kind = PayloadProtocolIdentifier;

/// What an association is begun with.
pub(super) struct Start {
    pub(super) role: DtlsRole,
    pub(super) peer_port: u16,
    /// What is known of the round-trip time: when to send again, if nothing comes.
    pub(super) retransmit: Duration,
}

pub(super) struct Sctp {
    endpoint: Endpoint,
    transport: Arc<TransportConfig>,
    /// `None` for who has seen no INIT and sent none.
    association: Option<(AssociationHandle, Association)>,
    channels_max: usize,
    guard: Guard,
    /// Whether the peer broke a rule that is watched here.
    is_violated: bool,
    /// Whether it has ended, and only what is left is to be sent.
    is_over: bool,
    /// The first retransmission.
    first: Duration,
    /// Of the INIT that was last answered.
    peer_tag: Option<[u8; 4]>,
    /// When to begin, as the peer has not.
    begin_due: Option<Instant>,
    /// When to send INIT again, and how long after that: `sctp-proto` reads a clock for it.
    init_due: Option<(Instant, Duration)>,
    /// Whether SCTP may have packets that were not taken yet.
    is_dirty: bool,
    outbox: VecDeque<Bytes>,
    /// Of packets to the peer.
    address: Option<Address>,
    sack: Option<Sack>,
    window: Window,
}

/// What the peer is told to send at most.
struct Window {
    max: usize,
    /// Bytes, with their overhead, that the caller has not read.
    unread: usize,
    advertised: usize,
}

impl Window {
    /// `held` are bytes in SCTP.
    const fn now(&self, held: usize) -> usize {
        self.max.saturating_sub(self.unread).saturating_sub(held)
    }
}

impl Sctp {
    pub(super) fn start(start: &Start, config: &DataConfig, now: Instant) -> Self {
        let milliseconds = |duration: Duration| duration.as_millis() as u64;
        // What is acknowledged late, after 200 ms, is not lost.
        let first = start.retransmit.clamp(RTO_MIN, RTO_MAX);
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(config.receive_buffer_bytes_max as u32)
            .with_max_receive_message_size(config.message_bytes_max as u32)
            .with_max_send_message_size(u32::MAX)
            .with_max_init_retransmits(Some(RETRANSMITS_MAX))
            .with_rto_initial_ms(milliseconds(first))
            .with_rto_min_ms(milliseconds(RTO_MIN))
            .with_rto_max_ms(milliseconds(RTO_MAX))
            .with_local_port(config.sctp_port)
            .with_remote_port(start.peer_port);
        let transport = Arc::new(transport);
        let mut sctp = Self {
            endpoint: endpoint(&transport),
            transport,
            association: None,
            first,
            peer_tag: None,
            begin_due: Some(now + PATIENCE),
            init_due: None,
            is_dirty: false,
            channels_max: config.channels_max.into(),
            guard: Guard::new(config.receive_buffer_bytes_max),
            is_violated: false,
            is_over: false,
            outbox: VecDeque::new(),
            address: None,
            sack: None,
            window: Window {
                max: config.receive_buffer_bytes_max,
                unread: 0,
                advertised: config.receive_buffer_bytes_max,
            },
        };
        if start.role == DtlsRole::Client {
            sctp.begin(now);
        }
        sctp
    }

    /// Sends an INIT.
    fn begin(&mut self, now: Instant) {
        self.endpoint = endpoint(&self.transport);
        self.endpoint.reject_new_associations();
        let mut client = ClientConfig::new();
        client.transport = Arc::clone(&self.transport);
        let association = self.endpoint.connect(client, NOWHERE);
        self.association = Some(association.expect("the ports are not 0, and it is the only one"));
        (self.begin_due, self.peer_tag, self.guard.answered) = (None, None, false);
        self.init_due = Some((now + self.first, self.first * 2));
        self.is_dirty = true;
    }

    /// The peer has begun as well: it is left to it (RFC 9260 §5.2.1 would have both go on, which not all do).
    fn give_way(&mut self, now: Instant) {
        self.endpoint = endpoint(&self.transport);
        self.association = None;
        self.outbox.clear();
        self.init_due = None;
        self.begin_due = Some(now + PATIENCE);
    }

    /// Takes a packet in.
    pub(super) fn handle(&mut self, packet: Bytes, now: Instant) -> Result<(), DataDropReason> {
        let mut streams = Open { association: self.association.as_mut().map(|it| &mut it.1), max: self.channels_max };
        match self.guard.judge(&packet, &mut streams, now) {
            Verdict::Pass => {}
            Verdict::Drop(reason) => return Err(reason),
            Verdict::Violation => {
                self.is_violated = true;
                return Ok(());
            }
        }
        // The peer begins, or begins anew. The same INIT again is answered as before.
        if let Some((kind::INIT, value)) = wire::chunks(&packet).next()
            && self.peer_tag != value.first_chunk().copied()
        {
            self.give_way(now);
            self.peer_tag = value.first_chunk().copied();
        }
        let is_answer = wire::chunks(&packet).next().is_some_and(|(kind, _)| kind == kind::INIT_ACK);
        if is_answer && self.init_due.is_none() {
            // RFC 9260 §5.2.3: discarded. Where INITs crossed, the peer may go on with both, as browsers do.
            return Ok(());
        }
        let handled = self.endpoint.handle(now, NOWHERE, None, None, packet);
        match (handled.ok_or(DataDropReason::Malformed)?, &mut self.association) {
            ((handle, DatagramEvent::NewAssociation(association)), none) => {
                self.endpoint.reject_new_associations();
                *none = Some((handle, association));
            }
            ((_, DatagramEvent::AssociationEvent(event)), Some((_, association))) => association.handle_event(event),
            _ => return Err(DataDropReason::Malformed),
        }
        if is_answer && self.init_due.take().is_some() {
            self.guard.answered = true;
        }
        self.is_dirty = true;
        Ok(())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.begin_due.is_some_and(|due| due <= now) {
            self.begin(now);
        }
        let Some((_, association)) = &mut self.association else { return };
        let mut at = now;
        if let Some((due, wait)) = self.init_due {
            if now < due {
                return;
            }
            self.init_due = Some((now + wait, (wait * 2).min(RTO_MAX)));
            at = association.poll_timeout().unwrap_or(now);
        }
        if association.poll_timeout().is_some_and(|due| due <= at) {
            association.handle_timeout(at);
            self.is_dirty = true;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let association = self.association.as_ref().filter(|_| !self.is_over);
        let its_own = || association?.1.poll_timeout();
        self.init_due.map_or_else(its_own, |(due, _)| Some(due)).into_iter().chain(self.begin_due).min()
    }

    pub(super) fn poll(&mut self) -> Option<Fact> {
        if self.is_violated {
            return Some(Fact::Lost(DataCloseReason::Violation));
        }
        let (_, association) = self.association.as_mut()?;
        // The peer has begun to shut down: what it still gets is taken by `close`.
        if association.is_closing() {
            return Some(Fact::Lost(DataCloseReason::Peer));
        }
        while association.accept_stream().is_some() {}
        while let Some(event) = association.poll() {
            return Some(match event {
                Event::Connected => {
                    self.guard.established = true;
                    self.begin_due = None;
                    Fact::Up
                }
                Event::HandshakeFailed { .. } => Fact::Lost(DataCloseReason::NoAnswer),
                Event::AssociationLost { reason } => Fact::Lost(match reason {
                    AssociationError::ReceiveBufferExhausted => DataCloseReason::ReceiveBuffer,
                    _ if self.guard.aborted => DataCloseReason::Peer,
                    _ => DataCloseReason::Violation,
                }),
                Event::Stream(StreamEvent::Readable { id }) => Fact::Readable(id),
                Event::Stream(StreamEvent::BufferedAmountLow { id }) => Fact::Drained(id),
                Event::Stream(StreamEvent::Finished { id }) => Fact::Finished(id),
                Event::Stream(StreamEvent::ResetComplete { id }) => {
                    self.guard.reset(id);
                    Fact::Reset(id)
                }
                Event::Stream(StreamEvent::ResetFailed { id, .. }) => Fact::ResetFailed(id),
                _ => continue,
            });
        }
        None
    }

    /// The next packet to send.
    pub(super) fn next(&mut self, now: Instant) -> Option<Bytes> {
        if self.outbox.is_empty() {
            self.gather(now);
            if self.is_over {
                self.association = None;
            }
        }
        self.outbox.pop_front()
    }

    /// Takes what SCTP has to send.
    fn gather(&mut self, now: Instant) {
        while self.is_dirty {
            let transmit = self.association.as_mut().and_then(|(_, association)| association.poll_transmit(now));
            let Some(transmit) = transmit else {
                self.is_dirty = false;
                break;
            };
            self.guard.taken();
            if let sctp_proto::Payload::RawEncode(packets) = transmit.payload {
                for packet in packets {
                    let packet = self.finish(packet);
                    self.outbox.extend(packet);
                }
            }
            if !self.outbox.is_empty() {
                break;
            }
        }
    }

    /// A packet as it leaves: a SACK says our own window.
    fn finish(&mut self, packet: Bytes) -> Option<Bytes> {
        self.address = wire::address(&packet);
        let Some((sack, window)) = Sack::read(&packet) else {
            return (packet.len() <= PACKET_BYTES_MAX).then_some(packet);
        };
        let queued = self.window.max.saturating_sub(window as usize);
        self.guard.settle(sack.tsn(), queued);
        self.window.advertised = self.window.now(queued.max(PIECE_BYTES * self.guard.pieces));
        let written = sack.write(self.window.advertised as u32);
        self.sack = Some(sack);
        Some(written.into())
    }

    /// How many bytes, with their overhead, the caller has not read. If that has opened the window well, the peer hears.
    pub(super) fn set_unread(&mut self, bytes: usize) {
        self.window.unread = bytes;
        let Window { max, advertised, .. } = self.window;
        let window = self.window.now(PIECE_BYTES * self.guard.pieces);
        if advertised <= max / 2 && window >= advertised + max / 4 {
            if let Some(sack) = &self.sack {
                self.outbox.push_back(sack.write(window as u32).into());
            }
            self.window.advertised = window;
        }
    }

    /// Takes the next message of a stream.
    pub(super) fn read(&mut self, stream: u16) -> Option<(Kind, Vec<u8>)> {
        let message = self.stream(stream)?.read_sctp().ok()??;
        self.guard.pieces = self.guard.pieces.saturating_sub(message.chunks.len());
        let mut bytes = vec![0; message.len()];
        message.read(&mut bytes).ok()?;
        Some((message.ppi, bytes))
    }

    /// Streams that the peer takes from us: one more than the highest number.
    pub(super) const fn streams_max(&self) -> u16 {
        self.guard.streams_max
    }

    /// Begins to use a stream. `false` if it is not free for that, unless it has data already.
    pub(super) fn open(&mut self, stream: u16) -> bool {
        let Some((_, association)) = &mut self.association else { return false };
        let is_new = association.open_stream(stream, Kind::Binary).is_ok();
        is_new || self.stream(stream).is_some_and(|stream| stream.is_writable())
    }

    pub(super) fn has(&mut self, stream: u16) -> bool {
        self.stream(stream).is_some()
    }

    pub(super) fn set_reliability(&mut self, stream: u16, ordered: bool, reliability: Reliability) {
        let (kind, value) = match reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(times) => (ReliabilityType::Rexmit, times),
            Reliability::MaxLifetime(time) => (ReliabilityType::Timed, time.as_millis() as u32),
        };
        if let Some(mut stream) = self.stream(stream) {
            let _ = stream.set_reliability_params(!ordered, kind, value);
        }
    }

    /// Queues a message; whether it was taken.
    pub(super) fn write(&mut self, stream: u16, kind: Kind, bytes: &[u8]) -> bool {
        let written = self.stream(stream).is_some_and(|mut stream| stream.write_with_ppi(bytes, kind).is_ok());
        self.is_dirty |= written;
        written
    }

    pub(super) fn buffered(&mut self, stream: u16) -> usize {
        self.stream(stream).and_then(|stream| stream.buffered_amount().ok()).unwrap_or_default()
    }

    pub(super) fn set_drained_at(&mut self, stream: u16, bytes: usize) {
        if let Some(mut stream) = self.stream(stream) {
            let _ = stream.set_buffered_amount_low_threshold(bytes);
        }
    }

    /// Resets our direction, once all is acknowledged; no more is read.
    pub(super) fn reset(&mut self, stream: u16) {
        if let Some(mut stream) = self.stream(stream) {
            let _ = stream.close();
        }
        self.is_dirty = true;
    }

    /// Ends it. A peer that does not know yet is told.
    pub(super) fn close(&mut self) {
        self.is_over = true;
        (self.init_due, self.begin_due) = (None, None);
        // Else the answer to the peer's SHUTDOWN is still to be gathered.
        if self.association.as_ref().is_none_or(|(_, association)| !association.is_closing()) {
            self.association = None;
            self.outbox.clear();
            // A packet with tag 0 is an INIT: there is nothing to end.
            let known = self.address.filter(|address| !self.guard.aborted && address[4..] != [0; 4]);
            self.outbox.extend(known.map(|address| Bytes::from(wire::packet(address, kind::ABORT, &[]))));
        }
    }

    fn stream(&mut self, stream: u16) -> Option<sctp_proto::Stream<'_>> {
        self.association.as_mut()?.1.stream(stream).ok()
    }
}

fn endpoint(transport: &Arc<TransportConfig>) -> Endpoint {
    let mut server = ServerConfig::new();
    server.transport = Arc::clone(transport);
    let mut endpoint = EndpointConfig::new();
    endpoint.max_payload_size(PACKET_BYTES - HEADERS);
    Endpoint::new(Arc::new(endpoint), Some(Arc::new(server)))
}

struct Open<'a> {
    association: Option<&'a mut Association>,
    max: usize,
}

impl Streams for Open<'_> {
    fn has(&mut self, stream: u16) -> bool {
        self.association.as_mut().is_some_and(|association| association.stream(stream).is_ok())
    }

    fn has_room(&self, more: usize) -> bool {
        self.all().len() + more <= self.max + STREAMS_SPARE
    }

    fn all(&self) -> Vec<u16> {
        self.association.as_ref().map(|association| association.stream_ids()).unwrap_or_default()
    }
}
