use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_stun::ErrorCode;

/// What has become of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a relay: peers can be sent to.
    Allocated(Allocated),
    /// The server has sent the client to another one, which is asked now (RFC 8489 §10).
    Redirected(SocketAddr),
    /// The server refuses a permission for this address; it is asked again no sooner than `Config::idle_after` later.
    PermissionRefused(IpAddr, ErrorCode),
    /// The allocation is reached from the new address.
    Migrated,
    /// The server does not let it be reached from the new address; it stays with the old one.
    MigrationFailed,
    /// There is no allocation, or no more. The client has ended.
    Failed(Failure),
    /// The allocation was released, or [`close`](super::Client::close) has given up. The client has ended.
    Closed,
}

/// What the server has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// The relayed address of this family, to be told to peers.
    pub ipv4: Option<SocketAddr>,
    /// Likewise.
    pub ipv6: Option<SocketAddr>,
    /// The client's own address as the server sees it: a server-reflexive candidate.
    pub mapped: SocketAddr,
    /// How long it lasts; it is refreshed before that.
    pub lifetime: Duration,
}

/// Why there is no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The server does not answer.
    TimedOut,
    /// The server has refused: 401 for a wrong name or password, 437 for an address with another allocation (try from a
    /// new port), 486 for a quota, 508 for a server that is full, ….
    Refused(ErrorCode),
    /// The allocation could not be refreshed in time.
    Expired,
    /// Somebody has cut the better algorithms from the server's answer (RFC 8489 §9.2.5).
    BidDown,
    /// The server wants a password algorithm that is neither MD5 nor SHA-256.
    Algorithm,
    /// The server's realm is not the one of the configuration.
    Realm,
    /// Ask that server, which this flow can't reach: a stream must be opened, or another family used (RFC 8489 §10).
    Alternate(SocketAddr),
    /// Servers sent the client round in circles, or too often.
    Redirects,
    /// On a stream, an answer does not prove that the server knows the password (RFC 8489 §9.2.5).
    Integrity,
    /// The stream has ended.
    StreamClosed,
}
