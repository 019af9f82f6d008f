//! The path of data: nothing is copied, and nothing allocated.

use std::net::SocketAddr;
use std::time::Instant;

use plenary_stun::{Attribute, Message};
use plenary_wire::Ecn;

use crate::allocation::Key;
use crate::bind::Family;
use crate::handled::{Handled, Head, Relay};
use crate::server::Server;
use crate::tuple::canonical;
use crate::{DropReason, FiveTuple};

/// What is sent on, on either way.
struct Data<'d> {
    bytes: &'d [u8],
    ecn: Ecn,
    dont_fragment: bool,
}

impl Server {
    /// RFC 8656 §12.6: ChannelData of a client, all of a datagram or cut from a stream.
    pub(crate) fn channel_data<'d>(
        &mut self,
        bytes: &'d [u8],
        ecn: Ecn,
        from: &FiveTuple,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        let (&[n1, n2, l1, l2], rest) = bytes.split_first_chunk().ok_or(DropReason::BadData)?;
        let bytes = rest.get(..usize::from(u16::from_be_bytes([l1, l2]))).ok_or(DropReason::BadData)?;
        let key = self.client_key(from)?;
        let number = u16::from_be_bytes([n1, n2]);
        let peer = self.allocations[key].channels.peer(number, now).ok_or(DropReason::NoChannel)?;
        self.relay_to_peer(key, peer, Data { bytes, ecn, dont_fragment: false }, now)
    }

    /// RFC 8656 §11.2.
    pub(crate) fn send_indication<'d>(
        &mut self,
        message: &Message<'d>,
        ecn: Ecn,
        from: &FiveTuple,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        let (mut peer, mut data, mut dont_fragment) = (None, None, false);
        for (kind, value) in message.attributes() {
            match kind {
                Attribute::XOR_PEER_ADDRESS if peer.is_none() => {
                    peer = Some(message.xor_address(kind, value).map_err(|_| DropReason::BadData)?);
                }
                Attribute::DATA if data.is_none() => data = Some(value),
                Attribute::DONT_FRAGMENT if self.config.dont_fragment => dont_fragment = true,
                Attribute::XOR_PEER_ADDRESS | Attribute::DATA => {}
                kind if kind.must_be_understood() => return Err(DropReason::BadData),
                _ => {}
            }
        }
        let (Some(peer), Some(bytes)) = (peer, data) else { return Err(DropReason::BadData) };
        if peer.port() == 0 {
            return Err(DropReason::BadData);
        }
        let key = self.client_key(from)?;
        if !self.allocations[key].permissions.allow(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        self.relay_to_peer(key, peer, Data { bytes, ecn, dont_fragment }, now)
    }

    fn client_key(&mut self, from: &FiveTuple) -> Result<Key, DropReason> {
        let key = self.allocations.of_client(from).ok_or(DropReason::NoAllocation)?;
        let allocation = &self.allocations[key];
        if allocation.is_tcp {
            return Err(DropReason::NoChannel);
        }
        if allocation.mobility.is_some() {
            self.heard_from(key, from);
        }
        Ok(key)
    }

    fn relay_to_peer<'d>(
        &mut self,
        key: Key,
        peer: SocketAddr,
        data: Data<'d>,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        let length = data.bytes.len();
        let allocation = &mut self.allocations[key];
        let relayed = *allocation.relayed(peer.ip()).ok_or(DropReason::NoPermission)?;
        let is_within = self.config.allocation_bitrate.is_none_or(|rate| allocation.to_peers.spend(rate, length, now))
            && self.config.total_bitrate.is_none_or(|rate| self.total.spend(rate, length, now));
        if !is_within {
            return Err(DropReason::Bandwidth);
        }
        let is_own = self.peers.is_own(peer.ip());
        let other = if is_own { self.allocations.at_relayed(peer) } else { None };
        if is_own && other.is_none() && !self.peers.is_reached(peer) {
            return Err(DropReason::OwnAddress);
        }
        let usage = &mut self.allocations[key].usage;
        usage.to_peers += 1;
        usage.to_peers_bytes += length as u64;
        self.counted.all.to_peers += 1;
        self.counted.all.to_peers_bytes += length as u64;
        if let Some(other) = other {
            // Nothing crosses a socket: this is what would have come in by that of the other allocation.
            return self.relay_to_client(other, relayed.address, data, now).map_err(|_| DropReason::OwnAddress);
        }
        let Data { bytes, ecn, dont_fragment } = data;
        let (flow, local, head) = (relayed.flow, relayed.local, Head::NONE);
        Ok(Handled::Relay(Relay { flow, local, to: peer, head, bytes, padding: 0, ecn, dont_fragment }))
    }

    /// RFC 8656 §11.3: what came in by the socket of an allocation.
    pub(crate) fn handle_peer<'d>(
        &mut self,
        key: Key,
        family: Family,
        datagram: plenary_wire::Datagram<'d>,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        let peer = canonical(datagram.remote);
        // A socket of both families may hear what is not the allocation's.
        if Family::of(peer.ip()) != family {
            return Err(DropReason::NoPermission);
        }
        self.relay_to_client(key, peer, Data { bytes: datagram.bytes, ecn: datagram.ecn, dont_fragment: false }, now)
    }

    fn relay_to_client<'d>(
        &mut self,
        key: Key,
        peer: SocketAddr,
        data: Data<'d>,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        let Data { bytes, ecn, .. } = data;
        let allocation = &mut self.allocations[key];
        if !allocation.permissions.allow(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        if allocation.is_away {
            return Err(DropReason::Away);
        }
        let rates =
            self.config.allocation_bitrate.is_none_or(|rate| allocation.to_client.spend(rate, bytes.len(), now))
                && self.config.total_bitrate.is_none_or(|rate| self.total.spend(rate, bytes.len(), now));
        if !rates {
            return Err(DropReason::Bandwidth);
        }
        let (head, padding) = match allocation.channels.number(peer, now) {
            Some(number) => channel_head(number, bytes.len(), allocation.is_stream)?,
            None => indication_head(self.entropy.transaction(), peer, bytes.len())?,
        };
        allocation.usage.to_client += 1;
        allocation.usage.to_client_bytes += bytes.len() as u64;
        self.counted.all.to_clients += 1;
        self.counted.all.to_clients_bytes += bytes.len() as u64;
        let FiveTuple { flow, local, remote: to } = allocation.tuple;
        Ok(Handled::Relay(Relay { flow, local, to, head, bytes, padding, ecn, dont_fragment: false }))
    }
}

/// RFC 8656 §12.5: padded only on streams.
fn channel_head(number: u16, length: usize, is_stream: bool) -> Result<(Head, u8), DropReason> {
    let stated = u16::try_from(length).map_err(|_| DropReason::TooLong)?;
    let mut head = Head::NONE;
    head.push(&number.to_be_bytes());
    head.push(&stated.to_be_bytes());
    Ok((head, if is_stream { padding(length) } else { 0 }))
}

/// RFC 8656 §11.3: all of a Data indication but the data.
fn indication_head(transaction: [u8; 12], peer: SocketAddr, length: usize) -> Result<(Head, u8), DropReason> {
    let (value, address_len) = plenary_stun::xor_address(peer, &plenary_stun::TransactionId(transaction));
    let attributes = 4 + address_len + 4 + length.next_multiple_of(4);
    let stated = u16::try_from(attributes).map_err(|_| DropReason::TooLong)?;
    let mut head = Head::NONE;
    head.push(&[0x00, 0x17]);
    head.push(&stated.to_be_bytes());
    head.push(&[0x21, 0x12, 0xa4, 0x42]);
    head.push(&transaction);
    head.push(&Attribute::XOR_PEER_ADDRESS.0.to_be_bytes());
    head.push(&(address_len as u16).to_be_bytes());
    head.push(&value[..address_len]);
    head.push(&Attribute::DATA.0.to_be_bytes());
    head.push(&(length as u16).to_be_bytes());
    Ok((head, padding(length)))
}

const fn padding(length: usize) -> u8 {
    (length.next_multiple_of(4) - length) as u8
}
