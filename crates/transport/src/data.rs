//! Data channels (RFC 8831) of one transport: channels, their messages and their limits, over SCTP.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::DtlsRole;

mod api;
mod channel;
mod config;
mod dcep;
mod error;
mod guard;
mod sctp;
#[cfg(test)]
mod tests;
mod wire;

pub use channel::{Channel, ChannelConfig, ChannelId, ChannelState, Message, MessageKind, Reliability};
pub use config::{DataConfig, DataParameters};
pub use error::{ChannelError, DataCloseReason, DataDropReason};

use dcep::Dcep;
use sctp::{Fact, Kind, Sctp, Start};

/// What a message that waits to be read holds beside its bytes.
const MESSAGE_OVERHEAD: usize = 64;

/// The highest stream that is none (RFC 8831 §6.4: there are 65,535).
const NO_STREAM: u16 = u16::MAX;

/// Something for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataEvent {
    Opened(ChannelId),
    Drained(ChannelId),
    Closed(ChannelId),
    Ended(DataCloseReason),
}

/// All data channels of a transport.
pub(crate) struct Data {
    config: DataConfig,
    role: DtlsRole,
    sctp: Option<Box<Sctp>>,
    is_up: bool,
    ended: Option<DataCloseReason>,
    /// Bytes of the largest message that the peer takes.
    peer_bytes_max: usize,
    slots: BTreeMap<ChannelId, Slot>,
    streams: BTreeMap<u16, ChannelId>,
    /// Streams of channels that were refused, until they are reset.
    refused: BTreeSet<u16>,
    next_id: u64,
    /// Streams that may have messages, each in its turn.
    readable: VecDeque<u16>,
    messages: VecDeque<Message>,
    unread_bytes: usize,
    events: VecDeque<DataEvent>,
    dropped: [u64; DataDropReason::COUNT],
}

/// A channel.
struct Slot {
    config: ChannelConfig,
    stream: Option<u16>,
    state: ChannelState,
    /// Whether the peer has been heard in it: only then may messages be sent out of order (RFC 8832 §6).
    is_heard: bool,
    /// Messages that the caller has not read.
    unread: usize,
    /// What was buffered when last asked: no less than what is.
    buffered: usize,
    drained_at: usize,
    is_drained_told: bool,
}

impl Slot {
    const fn new(config: ChannelConfig, stream: Option<u16>, state: ChannelState) -> Self {
        let (is_heard, unread, buffered, drained_at, is_drained_told) = (false, 0, 0, 0, false);
        Self { config, stream, state, is_heard, unread, buffered, drained_at, is_drained_told }
    }
}

impl Data {
    pub(crate) const fn new(config: DataConfig) -> Self {
        Self {
            config,
            role: DtlsRole::Client,
            sctp: None,
            is_up: false,
            ended: None,
            peer_bytes_max: 0,
            slots: BTreeMap::new(),
            streams: BTreeMap::new(),
            refused: BTreeSet::new(),
            next_id: 0,
            readable: VecDeque::new(),
            messages: VecDeque::new(),
            unread_bytes: 0,
            events: VecDeque::new(),
            dropped: [0; DataDropReason::COUNT],
        }
    }

    /// DTLS is done, and both descriptions have data channels. Again, if the peer's is a new one.
    pub(crate) fn start(&mut self, role: DtlsRole, peer: DataParameters, retransmit: Duration, now: Instant) {
        let bytes = usize::try_from(peer.message_bytes_max).unwrap_or(usize::MAX);
        self.peer_bytes_max = if bytes == 0 { usize::MAX } else { bytes };
        if self.sctp.is_some() || self.ended.is_some() {
            return;
        }
        self.role = role;
        let start = Start { role, peer_port: peer.sctp_port, retransmit };
        self.sctp = Some(Box::new(Sctp::start(&start, &self.config, now)));
    }

    /// Whether there is an association, or will be.
    pub(crate) const fn is_running(&self) -> bool {
        self.sctp.is_some() && self.ended.is_none()
    }

    pub(crate) fn handle_packet(&mut self, packet: Bytes, now: Instant) {
        let Some(sctp) = &mut self.sctp else { return };
        match sctp.handle(packet, now) {
            Ok(()) => self.advance(),
            Err(reason) => self.drop(reason),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(sctp) = &mut self.sctp
            && sctp.poll_timeout().is_some_and(|due| due <= now)
        {
            sctp.handle_timeout(now);
            self.advance();
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sctp.as_ref().and_then(|sctp| sctp.poll_timeout())
    }

    /// The next packet for DTLS.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Bytes> {
        let packet = self.sctp.as_mut()?.next(now);
        // SCTP may have found, with the time, that a message has come too late to be sent.
        self.advance();
        packet
    }

    pub(crate) fn poll_event(&mut self) -> Option<DataEvent> {
        let event = self.events.pop_front()?;
        match event {
            DataEvent::Closed(id) => {
                self.slots.remove(&id);
            }
            DataEvent::Drained(id) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.is_drained_told = false;
                }
            }
            DataEvent::Opened(_) | DataEvent::Ended(_) => {}
        }
        Some(event)
    }

    pub(crate) fn poll_message(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.unread_bytes -= message.bytes.len() + MESSAGE_OVERHEAD;
        if let Some(slot) = self.slots.get_mut(&message.channel) {
            slot.unread -= 1;
            if slot.unread == 0 && slot.state == ChannelState::Closed {
                self.events.push_back(DataEvent::Closed(message.channel));
            }
        }
        if self.ended.is_none() {
            self.advance();
        }
        Some(message)
    }

    /// Ends all channels; the peer is told what there is to tell.
    pub(crate) fn end(&mut self, reason: DataCloseReason) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(reason);
        self.is_up = false;
        if let Some(sctp) = &mut self.sctp {
            sctp.close();
        }
        self.readable.clear();
        self.refused.clear();
        for id in self.slots.keys().copied().collect::<Vec<_>>() {
            self.close_slot(id);
        }
        self.events.push_back(DataEvent::Ended(reason));
    }

    pub(crate) const fn dropped(&self, reason: DataDropReason) -> u64 {
        self.dropped[reason as usize]
    }

    pub(crate) const fn drop(&mut self, reason: DataDropReason) {
        self.dropped[reason as usize] = self.dropped[reason as usize].saturating_add(1);
    }

    /// Takes note of what SCTP has come to, and of messages for which there is room.
    fn advance(&mut self) {
        loop {
            while self.ended.is_none() {
                let Some(fact) = self.sctp.as_mut().and_then(|sctp| sctp.poll()) else { break };
                self.note(fact);
            }
            if !self.read() {
                break;
            }
        }
        if let Some(sctp) = self.sctp.as_mut().filter(|_| self.ended.is_none()) {
            sctp.set_unread(self.unread_bytes);
        }
    }

    fn note(&mut self, fact: Fact) {
        match fact {
            Fact::Up => {
                self.is_up = true;
                for id in self.slots.keys().copied().collect::<Vec<_>>() {
                    self.begin(id);
                }
            }
            Fact::Readable(stream) => {
                if !self.readable.contains(&stream) {
                    self.readable.push_back(stream);
                }
            }
            Fact::Drained(stream) => self.note_drained(stream),
            Fact::Finished(stream) => {
                if let Some(slot) = self.streams.get(&stream).and_then(|id| self.slots.get_mut(id)) {
                    slot.state = ChannelState::Closing;
                }
            }
            Fact::Reset(stream) => {
                self.refused.remove(&stream);
                if let Some(id) = self.streams.remove(&stream) {
                    self.close_slot(id);
                }
            }
            Fact::ResetFailed(_) => self.end(DataCloseReason::ResetFailed),
            Fact::Lost(reason) => self.end(reason),
        }
    }

    fn note_drained(&mut self, stream: u16) {
        let Some(&id) = self.streams.get(&stream) else { return };
        let (Some(slot), Some(sctp)) = (self.slots.get_mut(&id), &mut self.sctp) else { return };
        // What was above the mark was no message, but DCEP's.
        let was_above = slot.buffered > slot.drained_at;
        slot.buffered = sctp.buffered(stream);
        if slot.state == ChannelState::Open && was_above && !slot.is_drained_told {
            slot.is_drained_told = true;
            self.events.push_back(DataEvent::Drained(id));
        }
    }

    /// The channel is over. That is told when its messages are read.
    fn close_slot(&mut self, id: ChannelId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.state == ChannelState::Closed {
            return;
        }
        slot.state = ChannelState::Closed;
        if let Some(stream) = slot.stream.take() {
            self.streams.remove(&stream);
        }
        if slot.unread == 0 {
            self.events.push_back(DataEvent::Closed(id));
        }
    }

    /// Takes one message out of SCTP, if there is room and one.
    fn read(&mut self) -> bool {
        if self.ended.is_some() || self.unread_bytes >= self.config.receive_buffer_bytes_max {
            return false;
        }
        let (Some(sctp), Some(stream)) = (&mut self.sctp, self.readable.pop_front()) else { return false };
        if let Some((kind, bytes)) = sctp.read(stream) {
            self.readable.push_back(stream);
            self.take(stream, kind, bytes);
        }
        true
    }

    fn take(&mut self, stream: u16, kind: Kind, mut bytes: Vec<u8>) {
        let kind = match kind {
            Kind::Dcep => return self.take_dcep(stream, &bytes),
            Kind::String => MessageKind::Text,
            Kind::Binary => MessageKind::Binary,
            // RFC 8831 §6.6: SCTP has no empty messages; their one byte is nothing.
            Kind::StringEmpty | Kind::BinaryEmpty => {
                bytes.clear();
                if kind == Kind::StringEmpty { MessageKind::Text } else { MessageKind::Binary }
            }
            Kind::Unknown => return self.drop(DataDropReason::Kind),
        };
        self.hear(stream);
        let id = self.streams.get(&stream).copied();
        let Some((channel, slot)) = id.and_then(|id| Some((id, self.slots.get_mut(&id)?))) else {
            let reason =
                if self.refused.contains(&stream) { DataDropReason::Refused } else { DataDropReason::NoChannel };
            return self.drop(reason);
        };
        slot.unread += 1;
        self.unread_bytes += bytes.len() + MESSAGE_OVERHEAD;
        self.messages.push_back(Message { channel, kind, bytes });
    }

    fn take_dcep(&mut self, stream: u16, bytes: &[u8]) {
        if self.refused.contains(&stream) {
            return self.drop(DataDropReason::Refused);
        }
        let is_known = self.streams.contains_key(&stream);
        // A name beyond the limit is not even copied.
        if !is_known && Dcep::name_bytes(bytes) > self.config.name_bytes_max {
            return self.refuse(stream, DataDropReason::Refused);
        }
        match Dcep::read(bytes) {
            Some(Dcep::Ack) if is_known => self.hear(stream),
            Some(Dcep::Open(config)) if !is_known => self.accept(stream, config),
            _ => self.refuse(stream, DataDropReason::Dcep),
        }
    }

    /// The peer opens a channel.
    fn accept(&mut self, stream: u16, config: ChannelConfig) {
        // RFC 8832 §6: the DTLS client opens even streams, the server odd ones.
        let is_theirs = stream.is_multiple_of(2) == (self.role == DtlsRole::Server);
        let has_room = self.slots.len() < usize::from(self.config.channels_max);
        if !is_theirs || !has_room || stream == NO_STREAM {
            return self.refuse(stream, DataDropReason::Refused);
        }
        let Some(sctp) = &mut self.sctp else { return };
        if !sctp.write(stream, Kind::Dcep, &Dcep::ack()) {
            return self.refuse(stream, DataDropReason::Refused);
        }
        sctp.set_reliability(stream, config.ordered, config.reliability);
        let id = self.issue_id();
        let slot = Slot { is_heard: true, ..Slot::new(config, Some(stream), ChannelState::Open) };
        self.slots.insert(id, slot);
        self.streams.insert(stream, id);
        self.events.push_back(DataEvent::Opened(id));
    }

    /// Resets a stream, and with it the channel that may be on it.
    fn refuse(&mut self, stream: u16, reason: DataDropReason) {
        self.drop(reason);
        if let Some(slot) = self.streams.get(&stream).and_then(|id| self.slots.get_mut(id)) {
            slot.state = ChannelState::Closing;
        } else {
            self.refused.insert(stream);
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.reset(stream);
        }
    }

    /// The peer was heard in a channel that was opened here: it knows how its messages are to come.
    fn hear(&mut self, stream: u16) {
        let slot = self.streams.get(&stream).and_then(|id| self.slots.get_mut(id));
        if let (Some(slot), Some(sctp)) = (slot.filter(|slot| !slot.is_heard), &mut self.sctp) {
            slot.is_heard = true;
            sctp.set_reliability(stream, slot.config.ordered, slot.config.reliability);
        }
    }

    /// Opens a channel of ours on the association, which is up. If no stream is free, it is closed.
    fn begin(&mut self, id: ChannelId) {
        let Some(config) = self.slots.get(&id).map(|slot| slot.config.clone()) else { return };
        let stream = config.negotiated.or_else(|| self.free_stream());
        let Some((stream, sctp)) = stream.zip(self.sctp.as_mut()) else { return self.close_slot(id) };
        if !sctp.open(stream) {
            return self.close_slot(id);
        }
        // Reliable and in order, until the peer knows more.
        let is_negotiated = config.negotiated.is_some();
        sctp.set_reliability(stream, !is_negotiated || config.ordered, config.reliability);
        if !is_negotiated {
            let open = Dcep::open(&config).expect("its lengths were looked at");
            sctp.write(stream, Kind::Dcep, &open);
        }
        let Some(slot) = self.slots.get_mut(&id) else { return };
        sctp.set_drained_at(stream, slot.drained_at);
        (slot.stream, slot.state, slot.is_heard) = (Some(stream), ChannelState::Open, is_negotiated);
        self.streams.insert(stream, id);
        self.events.push_back(DataEvent::Opened(id));
    }

    /// RFC 8832 §6: the lowest free stream of our parity.
    fn free_stream(&mut self) -> Option<u16> {
        let first = u16::from(self.role == DtlsRole::Server);
        let sctp = self.sctp.as_mut()?;
        let negotiated: BTreeSet<_> = self.slots.values().filter_map(|slot| slot.config.negotiated).collect();
        (first..sctp.streams_max())
            .step_by(2)
            .find(|stream| !self.streams.contains_key(stream) && !negotiated.contains(stream) && !sctp.has(*stream))
    }

    const fn issue_id(&mut self) -> ChannelId {
        let id = ChannelId(self.next_id);
        self.next_id += 1;
        id
    }
}
