//! Peers' data, to and fro, without a copy (RFC 8656 §11, §12).

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use plenary_stun::{Attribute, Class, HEADER_LEN, Message, Method, TransactionId};
use plenary_wire::Transmit;

use super::{Client, DropReason, Error, State, Transport};
use crate::handled::Head;
use crate::tuple::canonical;

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a peer's data is handed back here, and nowhere else"]
pub enum Handled<'d> {
    /// The client took it in. There may be something to send or to tell now.
    Consumed,
    /// Nothing came of it. It is counted under this reason: [`Client::dropped`].
    Dropped(DropReason),
    /// A peer's datagram, where it lies in what came in. It may be empty.
    Data {
        /// Who has sent it to the relayed address.
        peer: SocketAddr,
        /// What.
        bytes: &'d mut [u8],
    },
    /// A datagram to the peer did not arrive, or was too big (RFC 8656 §11.5).
    Icmp {
        /// To whom.
        peer: SocketAddr,
        /// ICMP's or ICMPv6's type, by the peer's family: 3, or 1 and 2.
        kind: u8,
        /// Its code.
        code: u16,
        /// What else it says: the MTU, where it was too big.
        data: [u8; 4],
    },
}

/// What goes around a datagram to a peer: `head` before it and `padding` zeros behind it, to be sent to the server as one
/// datagram, or as the next bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// 4 bytes with a channel, up to [`Head::MAX`] without.
    pub head: Head,
    /// 0 to 3.
    pub padding: u8,
}

/// What a message of the server holds for the caller.
enum Found {
    Nothing,
    Data { peer: SocketAddr, range: Range<usize> },
    Icmp { peer: SocketAddr, value: [u8; 8] },
}

impl Client {
    /// Says how a datagram of `len` bytes to a peer is to be wrapped, for a caller that writes it in place: see
    /// [`Envelope`]. It goes out by [`Client::path`], and counts as sent.
    ///
    /// The first datagrams to a new address may be lost, as the server drops what comes before it has let the address in:
    /// [`poll_transmit`](Self::poll_transmit) has the request for that.
    ///
    /// # Errors
    ///
    /// [`Error::NoAllocation`], [`Error::Peer`], [`Error::Refused`], [`Error::Permissions`], [`Error::TooLong`].
    pub fn wrap(&mut self, peer: SocketAddr, len: usize, now: Instant) -> Result<Envelope, Error> {
        if len > DATA_MAX {
            return Err(Error::TooLong);
        }
        if !matches!(self.state, State::Allocated(_)) {
            return Err(Error::NoAllocation);
        }
        let peer = canonical(peer);
        let to_boundary = (len.next_multiple_of(4) - len) as u8;
        let envelope = if let Some(number) = self.channels.number(peer, now) {
            let [number, length] = [number, len as u16].map(u16::to_be_bytes);
            let head = Head::of(&[&number, &length]);
            // RFC 8656 §12.5: datagrams need none.
            let padding = if self.config.transport == Transport::Stream { to_boundary } else { 0 };
            Envelope { head, padding }
        } else {
            self.check_peer(peer)?;
            self.permissions.want(peer.ip(), false, self.config.idle_after, now)?;
            self.channels.count(peer, self.config.channel_after, self.config.idle_after, now);
            Envelope { head: self.indication(peer, len), padding: to_boundary }
        };
        self.sent_at = now;
        Ok(envelope)
    }

    /// Wraps a run of datagrams to one peer where it lies: equal ones, of which the last may be shorter. `run.remote` is the
    /// peer, and the run is what `out` has from `run.range.start` on. What is answered goes to the server: a run again, as
    /// each has a head of one length and its own padding, or on a stream the next bytes of it. Nothing is allocated where
    /// `out` has room for up to [`Head::MAX`] bytes and 3 more for each.
    ///
    /// # Errors
    ///
    /// As of [`wrap`](Self::wrap); the run is as it was.
    pub fn wrap_run(&mut self, run: Transmit, now: Instant, out: &mut Vec<u8>) -> Result<Transmit, Error> {
        let start = run.range.start.min(out.len());
        let total = out.len() - start;
        let segment = run.segment.clamp(1, total.max(1));
        let count = total.div_ceil(segment).max(1);
        let last = total - (count - 1) * segment;
        let of_last = self.wrap(run.remote, last, now)?;
        let of_others = if count > 1 && last < segment { self.wrap(run.remote, segment, now)? } else { of_last };
        let head = of_last.head.as_bytes().len();
        let [wrapped_last, wrapped] =
            [(last, of_last), (segment, of_others)].map(|(len, envelope)| head + len + usize::from(envelope.padding));
        out.resize(start + (count - 1) * wrapped + wrapped_last, 0);
        // From behind, so that none is written over before it was moved.
        for index in (0..count).rev() {
            let (len, envelope) = if index + 1 == count { (last, of_last) } else { (segment, of_others) };
            let (from, to) = (start + index * segment, start + index * wrapped);
            out.copy_within(from..from + len, to + head);
            // Each indication is a transaction of its own.
            let is_repeated = head > CHANNEL_HEAD_LEN && index + 1 < count;
            let own = if is_repeated { self.indication(canonical(run.remote), len) } else { envelope.head };
            out[to..to + head].copy_from_slice(own.as_bytes());
            out[to + head + len..][..usize::from(envelope.padding)].fill(0);
        }
        let segment = if self.config.transport == Transport::Stream { out.len() - start } else { wrapped };
        Ok(Transmit { segment, ecn: run.ecn, ..self.transmit(self.path, start, out) })
    }

    /// Writes a datagram to a peer, wrapped, and says where to send it: as [`wrap`](Self::wrap), with a copy.
    ///
    /// # Errors
    ///
    /// As of [`wrap`](Self::wrap); nothing was written.
    pub fn send(&mut self, peer: SocketAddr, bytes: &[u8], now: Instant, out: &mut Vec<u8>) -> Result<Transmit, Error> {
        let Envelope { head, padding } = self.wrap(peer, bytes.len(), now)?;
        let start = out.len();
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(&[0; 3][..usize::from(padding)]);
        Ok(self.transmit(self.path, start, out))
    }

    /// The flow and the local address by which datagrams go to the server now.
    pub const fn path(&self) -> (plenary_wire::FlowId, SocketAddr) {
        (self.path.flow, self.path.local)
    }

    /// A Send indication up to the data.
    fn indication(&mut self, peer: SocketAddr, len: usize) -> Head {
        let id = self.entropy.transaction();
        let (address, address_len) = plenary_stun::xor_address(peer, &TransactionId(id));
        let attribute = |kind: Attribute, len: usize| (u32::from(kind.0) << 16 | len as u32).to_be_bytes();
        let dont_fragment = attribute(Attribute::DONT_FRAGMENT, 0);
        let dont_fragment = if self.dont_fragment { &dont_fragment[..] } else { &[] };
        let length = 4 + address_len + dont_fragment.len() + 4 + len.next_multiple_of(4);
        Head::of(&[
            &SEND_INDICATION,
            &(length as u16).to_be_bytes(),
            &MAGIC_COOKIE,
            &id,
            &attribute(Attribute::XOR_PEER_ADDRESS, address_len),
            &address[..address_len],
            dont_fragment,
            &attribute(Attribute::DATA, len),
        ])
    }

    /// ChannelData (RFC 8656 §12.6): 4 bytes, the data, and perhaps padding.
    pub(super) fn take_channel_data<'d>(&self, bytes: &'d mut [u8], now: Instant) -> Result<Handled<'d>, DropReason> {
        let (head, rest) = bytes.split_first_chunk_mut::<4>().ok_or(DropReason::Malformed)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let bytes = rest.get_mut(..length).ok_or(DropReason::Malformed)?;
        let number = u16::from_be_bytes([head[0], head[1]]);
        let peer = self.channels.peer(number, now).ok_or(DropReason::NoChannel)?;
        Ok(Handled::Data { peer, bytes })
    }

    /// A response, or a Data indication.
    pub(super) fn take_message<'d>(&mut self, bytes: &'d mut [u8], now: Instant) -> Result<Handled<'d>, DropReason> {
        match self.read(bytes, now)? {
            Found::Nothing => Ok(Handled::Consumed),
            Found::Data { peer, range } => Ok(Handled::Data { peer, bytes: &mut bytes[range] }),
            Found::Icmp { peer, value: [_, _, high, low, data @ ..] } => {
                // RFC 8656 §18.13: 7 bits and 9.
                let both = u16::from_be_bytes([high, low]);
                Ok(Handled::Icmp { peer, kind: (both >> 9) as u8, code: both & 0x1ff, data })
            }
        }
    }

    fn read(&mut self, bytes: &[u8], now: Instant) -> Result<Found, DropReason> {
        let message = Message::parse(bytes)?;
        match (message.class(), message.method()) {
            (Class::Success | Class::Error, _) => {
                self.handle_response(&message, now)?;
                self.ask(now);
                Ok(Found::Nothing)
            }
            (Class::Indication, Method::DATA) => self.read_indication(&message, now),
            _ => Err(DropReason::Method),
        }
    }

    /// RFC 8656 §11.4.
    fn read_indication(&self, message: &Message<'_>, now: Instant) -> Result<Found, DropReason> {
        let is_known = |kind| matches!(kind, Attribute::XOR_PEER_ADDRESS | Attribute::DATA);
        if !message.unknown(is_known).is_empty() {
            return Err(DropReason::Malformed);
        }
        let peer = message.get_xor_address(Attribute::XOR_PEER_ADDRESS)?.ok_or(DropReason::Malformed)?;
        if !self.permissions.allows(peer.ip()) && !self.channels.allows(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        if let Some(value) = message.get_array(Attribute::ICMP)? {
            return Ok(Found::Icmp { peer, value });
        }
        let mut at = HEADER_LEN;
        for (kind, value) in message.attributes() {
            if kind == Attribute::DATA {
                return Ok(Found::Data { peer, range: at + 4..at + 4 + value.len() });
            }
            at += 4 + value.len().next_multiple_of(4);
        }
        Err(DropReason::Malformed)
    }
}

/// The type field of a Send indication, and the cookie of all messages (RFC 8489 §5).
const SEND_INDICATION: [u8; 2] = [0x00, 0x16];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// ChannelData (RFC 8656 §12.4).
const CHANNEL_HEAD_LEN: usize = 4;

/// A datagram to a peer at most: with an indication's head it fits the length of a message, and all a UDP datagram.
const DATA_MAX: usize = 65_507 - Head::MAX - 3;
