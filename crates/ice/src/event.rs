use std::net::SocketAddr;
use std::time::Duration;

use plenary_wire::FlowId;

use crate::{Candidate, CandidateKind, Role, Transport};

/// Something that the caller should know or do. Events about state are coalesced: a newer one replaces an older one
/// that was not asked for, so that the queue is bounded by the agent's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state has changed.
    State(State),
    /// Data goes over this pair from now on. What is on its way over the pair before it may still arrive.
    Selected(Selected),
    /// The roles were in conflict, and this one is repaired.
    Role(Role),
    /// A local candidate, to be told to the peer.
    Candidate(Candidate),
    /// There will be no more local candidates of this generation: tell the peer `end-of-candidates`.
    GatheringComplete,
    /// The peer was heard on a new address, with an authenticated check.
    Heard {
        /// The flow.
        flow: FlowId,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// Resolve the name of a candidate of the peer, by multicast DNS, and answer with
    /// [`handle_resolved`](crate::Agent::handle_resolved).
    Resolve {
        /// To be given with the answer.
        request: Request,
        /// Ends in `.local`; else as the peer gave it.
        name: String,
    },
    /// Open a TCP connection, without Nagle's delay, and answer with [`handle_connected`](crate::Agent::handle_connected).
    Connect {
        /// To be given with the answer.
        request: Request,
        /// The address to connect from; its port is of no meaning.
        local: SocketAddr,
        /// The address to connect to.
        remote: SocketAddr,
    },
    /// Close this stream, and forget its flow: no pair needs it any more, or nothing authentic came by it.
    CloseStream(FlowId),
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request(pub(crate) u64);

/// What the agent is at (RFC 8445 §6.1.2.1, in the words of browsers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The peer's parameters are not known yet.
    New,
    /// Pairs are checked; none is valid.
    Checking,
    /// A pair is valid and in use; better ones may come.
    Connected,
    /// The pair in use is the nominated one.
    Completed,
    /// The pair in use has been silent for `Config::disconnected_after`. It may come back.
    Disconnected,
    /// It is over until a restart.
    Failed(Failed),
    /// The caller closed it.
    Closed,
}

/// Why an agent failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failed {
    /// No pair became valid, and the patience of RFC 8863 is over.
    NoPair,
    /// The peer no longer consents: silent for 30 s (RFC 7675 §5.1).
    ConsentExpired,
    /// The peer, or the caller, revoked consent (RFC 7675 §5.2).
    ConsentRevoked,
    /// The flow of the last valid pair was removed.
    FlowClosed,
}

/// The pair that data goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The socket, stream or allocation.
    pub flow: FlowId,
    /// The local address to send from.
    pub local: SocketAddr,
    /// The peer's address to send to.
    pub remote: SocketAddr,
    /// Whether data is framed for TCP (see [`write_frame`](crate::write_frame)).
    pub transport: Transport,
    /// How the local candidate was come by, as the check has shown it.
    pub local_kind: CandidateKind,
    /// How the remote candidate was come by.
    pub remote_kind: CandidateKind,
    /// The round-trip time of the last check that was answered; at first an upper bound, if checks were sent again.
    pub rtt: Option<Duration>,
}

/// What became of a candidate that the peer signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Taken {
    /// It is used.
    Added,
    /// Its name is to be resolved first.
    Resolving,
    /// It was known. If from a check, it is now known better.
    Known,
    /// Not taken: it belongs to other credentials, such as those before a restart.
    OtherGeneration,
    /// Not taken: no datagram can be sent there (port 0, unspecified, multicast), or the name is not `.local`.
    BadAddress,
    /// Not taken: it is of component 2, or both sides of its TCP would open.
    Unsupported,
    /// Not taken: `Config::remote_candidates_max` or `Config::resolutions_max` is reached.
    TooMany,
    /// Not taken: it is a name, and a lite agent learns by the peer's checks what it stands for.
    Unneeded,
    /// Not taken: the agent has failed or was closed, or the peer said that it has no more.
    Ended,
}
