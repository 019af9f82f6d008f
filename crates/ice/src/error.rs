use thiserror::Error as ThisError;

/// Why a line or a credential is not what RFC 8839 says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ParseError {
    /// It is none of the lines that this crate knows.
    #[error("not an ICE line")]
    NotIce,
    /// It ends before its mandatory fields.
    #[error("a field is missing")]
    Missing,
    /// A number is no number, or outside its range.
    #[error("a number is outside its range")]
    Number,
    /// An address is neither an IP address nor a name.
    #[error("not an address")]
    Address,
    /// The transport is neither UDP nor TCP with a type.
    #[error("an unknown transport")]
    Transport,
    /// The candidate type is none of host, srflx, prflx and relay.
    #[error("an unknown candidate type")]
    Kind,
    /// It holds a character that the field does not allow, or has the wrong length.
    #[error("a field holds what it must not, or is of the wrong length")]
    Field,
    /// It is longer, or has more parts, than this crate accepts.
    #[error("longer than accepted")]
    TooLong,
}

/// What a caller asked for that can't be done. Nothing was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The address can't be a candidate: unspecified, multicast, broadcast, IPv4-compatible or site-local, or a port 0.
    #[error("the address can't be a candidate")]
    Address,
    /// There are as many local candidates as `Config::local_candidates_max` allows.
    #[error("no more local candidates: Config::local_candidates_max")]
    LocalCandidates,
    /// There are as many streams as `Config::streams_max` allows.
    #[error("no more streams: Config::streams_max")]
    Streams,
    /// A local candidate of this transport and address is there already.
    #[error("the candidate is there already")]
    Duplicate,
    /// A lite agent has host candidates only (RFC 8445 §5.2).
    #[error("a lite agent has host candidates only")]
    LiteHostsOnly,
    /// The request is unknown, was answered before, or its candidate is gone.
    #[error("an unknown request")]
    UnknownRequest,
    /// The flow is unknown.
    #[error("an unknown flow")]
    UnknownFlow,
    /// The agent was closed.
    #[error("the agent is closed")]
    Closed,
}

/// Which field of a `Config` is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// `pacing` is below 5 ms (RFC 8445 §14.2) or above 1 s.
    #[error("pacing is not from 5 ms to 1 s")]
    Pacing,
    /// `retransmit` is not from 10 ms to 3 s.
    #[error("retransmit is not from 10 ms to 3 s")]
    Retransmit,
    /// `liveness` is not from 100 ms to 5 s.
    #[error("liveness is not from 100 ms to 5 s")]
    Liveness,
    /// `check_timeout` is not from 1 s to 60 s.
    #[error("check_timeout is not from 1 s to 60 s")]
    CheckTimeout,
    /// `patience`, `nomination_wait` or `disconnected_after` is above 10 minutes.
    #[error("patience, nomination_wait or disconnected_after is above 10 minutes")]
    Patience,
    /// A limit is 0, or above 1000.
    #[error("a limit is not from 1 to 1000")]
    Limit,
    /// A lite agent gathers no server-reflexive candidates: `stun_servers` is not empty.
    #[error("a lite agent has no stun_servers")]
    LiteStunServers,
    /// More than 8 `stun_servers`, or one whose address can't be sent to.
    #[error("stun_servers are more than 8, or one is no address to send to")]
    StunServers,
}

/// Why a datagram was dropped. Each is counted, see [`Agent::dropped`](crate::Agent::dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// It is no STUN message: media and DTLS are not for the agent.
    NotStun,
    /// It says that it is STUN, but its lengths or attributes don't hold together.
    Malformed,
    /// Its FINGERPRINT is wrong.
    Fingerprint,
    /// A method other than Binding.
    Method,
    /// The flow, or a local address on it, is none of the agent's.
    UnknownFlow,
    /// A request without MESSAGE-INTEGRITY or USERNAME: answered with 400 while the allowance lasts.
    Unauthenticated,
    /// A request whose USERNAME is not for this agent: answered with 401 while the allowance lasts.
    Username,
    /// A request or response whose MESSAGE-INTEGRITY is wrong. Requests are answered with 401.
    Integrity,
    /// An authenticated request with an attribute that must be understood and is not: answered with 420.
    UnknownAttribute,
    /// An authenticated request from a new address without PRIORITY: answered with 400.
    NoPriority,
    /// A response to no request of ours, or to one that was given up.
    UnknownTransaction,
    /// A response that lacks what it must hold, or has an attribute that must be understood and is not.
    BadResponse,
    /// A new address of the peer, while as many as `Config::peer_reflexive_max` are in use.
    PeerReflexiveLimit,
    /// More answers wait to be sent than `Config::answers_max`.
    AnswersLimit,
    /// The agent was closed.
    Closed,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NotStun,
        Self::Malformed,
        Self::Fingerprint,
        Self::Method,
        Self::UnknownFlow,
        Self::Unauthenticated,
        Self::Username,
        Self::Integrity,
        Self::UnknownAttribute,
        Self::NoPriority,
        Self::UnknownTransaction,
        Self::BadResponse,
        Self::PeerReflexiveLimit,
        Self::AnswersLimit,
        Self::Closed,
    ];

    /// How many reasons there are.
    pub const COUNT: usize = Self::Closed as usize + 1;
}
