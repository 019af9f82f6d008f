use std::net::{IpAddr, SocketAddr};

use plenary_wire::FlowId;

use crate::bind::{Family, PortWish};
use crate::{AllocationId, FiveTuple, Usage};

/// Something that the caller should do or know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Bind a UDP socket for an allocation, and answer with [`handle_bound`](crate::Server::handle_bound). The port is one
    /// from 49152 to 65535, which nobody can guess, and none that was closed in the last two minutes (RFC 8656 §7.2).
    Bind {
        /// To be given with the answer.
        request: RequestId,
        /// Of which family.
        family: Family,
        /// Which port.
        port: PortWish,
    },
    /// Close this socket or connection, and forget its flow. What was handed out for it before may still be sent.
    Close {
        /// The flow.
        flow: FlowId,
    },
    /// Find out who this is, and answer with [`handle_authenticated`](crate::Server::handle_authenticated).
    Authenticate {
        /// To be given with the answer.
        request: RequestId,
        /// The client's address, from which it has shown a nonce.
        client: SocketAddr,
        /// Who it says that it is.
        identity: Identity,
    },
    /// There is a relay.
    Allocated {
        /// Its name from now on.
        allocation: AllocationId,
        /// Whose it is.
        username: Box<[u8]>,
        /// The client.
        client: FiveTuple,
        /// The relayed addresses, IPv4 first.
        relayed: [Option<SocketAddr>; 2],
    },
    /// A relay is no more, and with it its permissions and channels.
    Released {
        /// Which.
        allocation: AllocationId,
        /// Why.
        reason: Released,
        /// What it has relayed.
        usage: Usage,
    },
    /// Datagrams of this address may come in. For a fast path: only with `Config::fast_path`.
    PermissionAdded {
        /// To which allocation.
        allocation: AllocationId,
        /// From where.
        peer: IpAddr,
    },
    /// They may no more. Likewise.
    PermissionExpired {
        /// To which allocation.
        allocation: AllocationId,
        /// From where.
        peer: IpAddr,
    },
    /// A channel is bound. Likewise.
    ChannelAdded {
        /// Of which allocation.
        allocation: AllocationId,
        /// 0x4000 to 0x4fff.
        number: u16,
        /// To whom.
        peer: SocketAddr,
    },
    /// It is not any more. Likewise.
    ChannelExpired {
        /// Of which allocation.
        allocation: AllocationId,
        /// Its number.
        number: u16,
    },
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// Who a client says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By name: up to 513 bytes, as they came.
    Username(Box<[u8]>),
    /// By the hash of name and realm (RFC 8489 §14.4).
    Userhash([u8; 32]),
}

/// Why a relay is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Released {
    /// The client said so.
    Deleted,
    /// The client has not refreshed it in time.
    Expired,
    /// The client's connection is closed.
    ConnectionClosed,
    /// The caller said so.
    Revoked,
}
