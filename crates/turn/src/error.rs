use thiserror::Error as ThisError;

/// Which field of a `Config` is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// `realm` is empty, longer than 127 bytes, or not printable ASCII without `"` and `\`.
    #[error("realm is not 1 to 127 characters of ASCII without quotes and backslashes")]
    Realm,
    /// `unix_time` is 0 or beyond 32 bits of seconds.
    #[error("unix_time is not the time since 1970")]
    UnixTime,
    /// `nonce_keys` are more than 4.
    #[error("nonce_keys are more than 4")]
    NonceKeys,
    /// `secrets` are more than 8.
    #[error("secrets are more than 8")]
    Secrets,
    /// `nonce_lifetime` is not from 10 s to 1 h.
    #[error("nonce_lifetime is not from 10 s to 1 h")]
    NonceLifetime,
    /// `lifetime` and `lifetime_max` are not from 60 s to 1 day, in this order.
    #[error("lifetime and lifetime_max are not from 60 s to 1 day, in this order")]
    Lifetime,
    /// `answer_within` or `idle_connection` is not from 100 ms to 60 s.
    #[error("answer_within or idle_connection is not from 100 ms to 60 s")]
    AnswerWithin,
    /// Neither `ipv4` nor `ipv6` is set.
    #[error("neither ipv4 nor ipv6 is set")]
    Families,
    /// A limit is 0, or above what its field says.
    #[error("a limit is 0 or too high")]
    Limit,
    /// There is no way to know a user: no `users`, no `secrets`, and `asks` is off.
    #[error("no users, no secrets, and nobody to ask")]
    Credentials,
}

/// What a caller asked for that can't be done. Nothing was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The flow is in use.
    #[error("the flow is in use")]
    FlowInUse,
    /// There are as many listeners or connections as `Config::flows_max` allows, or as many of one address as
    /// `Config::connections_per_address_max`.
    #[error("no more flows")]
    Flows,
    /// There are 4 nonce keys at most, and at least one.
    #[error("nonce keys are not 1 to 4")]
    NonceKeys,
    /// There are 8 secrets at most.
    #[error("secrets are more than 8")]
    Secrets,
}

/// Why a socket could not be bound, as the caller tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum BindError {
    /// No port of the wish is free.
    #[error("no port is free")]
    NoPort,
    /// The host has no address of the family.
    #[error("no address of the family")]
    Family,
    /// Anything else: no descriptors, no memory.
    #[error("the system refused")]
    System,
}

/// Why a connection to a peer did not come to be, as the caller tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[error("the peer could not be connected to")]
pub struct ConnectError;

/// Why a datagram or a message was dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// It came by a flow that the server does not know, or knows no more.
    UnknownFlow,
    /// From a client, and neither STUN nor ChannelData.
    NotTurn,
    /// It says that it is STUN, but its lengths or attributes don't hold together.
    Malformed,
    /// Its FINGERPRINT is wrong.
    Fingerprint,
    /// A method that is none of TURN's, or a response.
    Method,
    /// Data from a client that has no allocation.
    NoAllocation,
    /// ChannelData on a channel that is not bound.
    NoChannel,
    /// ChannelData that is shorter than it says, or a Send indication without what it must hold.
    BadData,
    /// Data to or from a peer without a permission.
    NoPermission,
    /// Data to an address of this server at which there is no relay, or none that lets the sender in.
    OwnAddress,
    /// More than the bandwidth that is allowed.
    Bandwidth,
    /// A peer's datagram that does not fit a Data indication.
    TooLong,
    /// An unauthenticated request beyond what its network may have answered.
    RateLimited,
    /// More answers wait to be sent than `Config::answers_max`.
    AnswersLimit,
    /// A request that waits for the caller's decision, beyond `Config::pending_max`.
    PendingLimit,
    /// For a client whose connection is closed, and who has a ticket but has not come back.
    Away,
    /// An ICMP message of a kind that clients are not told.
    Icmp,
    /// A peer that connects to an allocation with `Config::connections_max` connections.
    ConnectionsLimit,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::UnknownFlow,
        Self::NotTurn,
        Self::Malformed,
        Self::Fingerprint,
        Self::Method,
        Self::NoAllocation,
        Self::NoChannel,
        Self::BadData,
        Self::NoPermission,
        Self::OwnAddress,
        Self::Bandwidth,
        Self::TooLong,
        Self::RateLimited,
        Self::AnswersLimit,
        Self::PendingLimit,
        Self::Away,
        Self::Icmp,
        Self::ConnectionsLimit,
    ];

    /// How many reasons there are.
    pub const COUNT: usize = Self::ConnectionsLimit as usize + 1;
}
