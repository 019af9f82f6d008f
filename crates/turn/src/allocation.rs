use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use plenary_stun::{Algorithm, ErrorCode, Key as UserKey, TransactionId};
use plenary_wire::{Bitrate, FlowId};
use slotmap::{Key as _, KeyData, new_key_type};

use crate::bind::{Bound, Family};
use crate::channel::Channels;
use crate::credentials::Owner;
use crate::event::RequestId;
use crate::mobility::Mobility;
use crate::permission::Permissions;
use crate::tuple::FiveTuple;

/// The name of an allocation: none is ever given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(u64);

impl AllocationId {
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

new_key_type! {
    /// Where an allocation is in its table.
    pub(crate) struct Key;
}

impl Key {
    pub(crate) fn id(self) -> AllocationId {
        AllocationId(self.data().as_ffi())
    }

    pub(crate) fn of(id: AllocationId) -> Self {
        KeyData::from_ffi(id.0).into()
    }
}

/// What an allocation has relayed, without the heads of TURN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Datagrams from the client to peers.
    pub to_peers: u64,
    /// Their bytes.
    pub to_peers_bytes: u64,
    /// Datagrams from peers to the client.
    pub to_client: u64,
    /// Their bytes.
    pub to_client_bytes: u64,
}

/// A relay for one client (RFC 8656 §6).
pub(crate) struct Allocation {
    pub(crate) tuple: FiveTuple,
    /// Whether the client comes by a stream.
    pub(crate) is_stream: bool,
    /// Its connection is closed, and it has a ticket: there is nobody to relay to until it comes back.
    pub(crate) is_away: bool,
    /// Whether it relays connections (RFC 6062), and not datagrams.
    pub(crate) is_tcp: bool,
    pub(crate) owner: Owner,
    pub(crate) answered: Answered,
    /// Sockets are awaited.
    pub(crate) binding: Option<Box<Binding>>,
    /// IPv4 and IPv6.
    pub(crate) relays: [Option<Relayed>; 2],
    pub(crate) expires: Instant,
    /// When it is looked at next: never after anything of it expires.
    pub(crate) timer: Instant,
    pub(crate) permissions: Permissions,
    pub(crate) channels: Channels,
    pub(crate) connections: Vec<u32>,
    pub(crate) mobility: Option<Mobility>,
    pub(crate) usage: Usage,
    pub(crate) to_peers: Bucket,
    pub(crate) to_client: Bucket,
}

/// A socket of an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    pub(crate) flow: FlowId,
    /// What it is bound to.
    pub(crate) local: SocketAddr,
    /// What the client and peers know.
    pub(crate) address: SocketAddr,
}

impl From<Bound> for Relayed {
    fn from(bound: Bound) -> Self {
        Self { flow: bound.flow, local: bound.local, address: bound.relayed }
    }
}

/// The Allocate that made it, to answer a retransmission alike (RFC 8656 §7.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) transaction: TransactionId,
    pub(crate) lifetime: u32,
    pub(crate) token: Option<[u8; 8]>,
    /// The address that there is not (ADDRESS-ERROR-CODE).
    pub(crate) failed: Option<(Family, ErrorCode)>,
}

/// An Allocate whose sockets are not bound yet.
pub(crate) struct Binding {
    pub(crate) awaits: [Option<RequestId>; 2],
    /// Whether a second port is to be reserved.
    pub(crate) reserves: bool,
    pub(crate) even: bool,
    /// How to sign the answer.
    pub(crate) key: UserKey<'static>,
    pub(crate) mac: Algorithm,
}

impl Allocation {
    /// Whether it is the client's, where it is or is about to be.
    pub(crate) fn is_of(&self, tuple: &FiveTuple) -> bool {
        self.tuple == *tuple || self.mobility.is_some_and(|mobility| mobility.next == Some(*tuple))
    }

    pub(crate) fn relayed(&self, ip: IpAddr) -> Option<&Relayed> {
        self.relays[Family::of(ip) as usize].as_ref()
    }
}

/// Bytes that may pass: as many as the rate has in a second at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    at: Instant,
    used: u64,
}

/// The headers of IPv4 and UDP: datagrams without anything in them are not free.
const HEADERS: u64 = 28;

impl Bucket {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { at: now, used: 0 }
    }

    pub(crate) fn spend(&mut self, rate: Bitrate, bytes: usize, now: Instant) -> bool {
        let regained = rate.data_in(now.saturating_duration_since(self.at)).as_bytes();
        if regained > 0 {
            self.used = self.used.saturating_sub(regained);
            self.at = now;
        }
        let used = self.used.saturating_add(bytes as u64 + HEADERS);
        let allowed = used <= rate.as_bps() / 8;
        if allowed {
            self.used = used;
        }
        allowed
    }
}
