use thiserror::Error as ThisError;

/// Which field of a `Config` is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// `server` can't be sent to, or is not of the family of `local`.
    #[error("server can't be sent to, or is not of the family of local")]
    Server,
    /// `username` is not 1 to 508 bytes, `password` is empty, or `realm` is not 1 to 763 bytes.
    #[error("username, password or realm are empty or too long")]
    Credentials,
    /// `lifetime` is not from 1 minute to 1 day.
    #[error("lifetime is not from 1 minute to 1 day")]
    Lifetime,
    /// `retransmit` is not from 50 ms to 3 s.
    #[error("retransmit is not from 50 ms to 3 s")]
    Retransmit,
    /// `keep_alive`, `idle_after` or `close_within` is outside its range.
    #[error("keep_alive, idle_after or close_within is outside its range")]
    Time,
    /// A limit is 0, or above what its field says.
    #[error("a limit is 0 or too high")]
    Limit,
}

/// What a caller asked for that can't be done. Nothing was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// There is no allocation: not yet, or no more.
    #[error("there is no allocation")]
    NoAllocation,
    /// The peer can't be sent to, or there is no relayed address of its family.
    #[error("the peer can't be reached from the relayed address")]
    Peer,
    /// The server has refused a permission for the peer, `Config::idle_after` ago at most.
    #[error("the server refuses the peer")]
    Refused,
    /// There are as many peers in use as `Config::permissions_max` allows.
    #[error("no more permissions: Config::permissions_max")]
    Permissions,
    /// The datagram does not fit a message.
    #[error("the datagram is too long")]
    TooLong,
    /// The server has given no ticket (RFC 8016), or a move is under way.
    #[error("no ticket to move with")]
    NoTicket,
}

/// Why a stream can't go on: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum StreamError {
    /// What comes next is neither STUN nor ChannelData.
    #[error("neither STUN nor ChannelData")]
    NotTurn,
    /// A message is longer than was agreed.
    #[error("a message is longer than allowed")]
    TooLong,
}

/// Why a datagram was dropped. Each is counted, see [`Client::dropped`](super::Client::dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// It came by another flow or from another address than the server's: perhaps it is somebody else's.
    NotServer,
    /// It is neither STUN nor ChannelData.
    NotTurn,
    /// It says that it is STUN, but its lengths or attributes don't hold together; or ChannelData is shorter than it says.
    Malformed,
    /// Its FINGERPRINT is wrong.
    Fingerprint,
    /// A request, or an indication that is not Data.
    Method,
    /// A response to no request of ours, or to one that is over.
    UnknownTransaction,
    /// A response that does not prove that the server knows the password.
    Integrity,
    /// A response that lacks what it must hold, or has an attribute that must be understood and is not.
    BadResponse,
    /// ChannelData of a channel that was not asked for.
    NoChannel,
    /// Data of a peer that has no permission.
    NoPermission,
    /// The client has ended.
    Ended,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NotServer,
        Self::NotTurn,
        Self::Malformed,
        Self::Fingerprint,
        Self::Method,
        Self::UnknownTransaction,
        Self::Integrity,
        Self::BadResponse,
        Self::NoChannel,
        Self::NoPermission,
        Self::Ended,
    ];

    /// How many reasons there are.
    pub const COUNT: usize = Self::Ended as usize + 1;
}

impl From<plenary_stun::ParseError> for DropReason {
    fn from(error: plenary_stun::ParseError) -> Self {
        use plenary_stun::ParseError;
        match error {
            ParseError::NotStun => Self::NotTurn,
            ParseError::Fingerprint => Self::Fingerprint,
            ParseError::Length | ParseError::Attributes | ParseError::Value(_) => Self::Malformed,
        }
    }
}
