use std::net::{IpAddr, SocketAddr};

use plenary_wire::FlowId;

use crate::bind::{Family, PortWish};
use crate::{AllocationId, FiveTuple, Usage};

/// Something that the caller should do or know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Bind a socket for an allocation, and answer with [`handle_bound`](crate::Server::handle_bound). The port is one
    /// from 49152 to 65535, which nobody can guess, and none that was closed in the last two minutes (RFC 8656 §7.2).
    Bind {
        /// To be given with the answer.
        request: RequestId,
        /// Of which family.
        family: Family,
        /// Which port.
        port: PortWish,
        /// Whether it is a TCP socket that listens: for [`handle_peer_accepted`](crate::Server::handle_peer_accepted).
        tcp: bool,
    },
    /// Connect to a peer by TCP, from the address of an allocation's listening socket, and answer with
    /// [`handle_connected`](crate::Server::handle_connected) within 30 s (RFC 6062 §5.2). Read nothing from it yet.
    Connect {
        /// To be given with the answer.
        request: RequestId,
        /// The listening socket.
        flow: FlowId,
        /// Its address.
        local: SocketAddr,
        /// Where to.
        peer: SocketAddr,
    },
    /// Nobody waits for the answer to [`Event::Connect`] any more: stop connecting.
    Abandon {
        /// Of which request. An answer that is on its way is handed back to be closed.
        request: RequestId,
    },
    /// Carry bytes between a client's connection and a peer's, both ways, once the answer that waits for the client is
    /// sent: what it has sent behind its request is the first. When one is closed, say so by
    /// [`handle_closed`](crate::Server::handle_closed).
    Join {
        /// The client's connection. Its bytes are not the server's any more.
        client: FlowId,
        /// The peer's.
        peer: FlowId,
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
    /// The client is elsewhere now (RFC 8016).
    Moved {
        /// Whose.
        allocation: AllocationId,
        /// Where it is.
        client: FiveTuple,
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
