use thiserror::Error as ThisError;

/// What a caller asked of data channels that can't be done. Nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ChannelError {
    /// `Config::data` is `None`.
    #[error("there are no data channels in the configuration")]
    NotConfigured,
    /// They are over, see [`Event::DataClosed`](crate::Event::DataClosed), or the transport is closed.
    #[error("data channels have ended")]
    Ended,
    /// There is no such channel (any more).
    #[error("there is no such channel")]
    NoChannel,
    /// It is not open yet, or it is being closed.
    #[error("the channel is not open")]
    NotOpen,
    /// There are as many channels as `DataConfig::channels_max`.
    #[error("there are as many channels as allowed")]
    Channels,
    /// Label and protocol are larger than `DataConfig::name_bytes_max`, or one of them than 65,535.
    #[error("label and protocol are too large")]
    Name,
    /// A lifetime of 2^32 ms or more.
    #[error("the lifetime is too long")]
    Lifetime,
    /// The negotiated stream is 65,535 or in use.
    #[error("the stream is none, or in use")]
    Stream,
    /// The message is larger than the peer takes.
    #[error("the peer takes messages of {bytes_max} bytes at most")]
    MessageBytes {
        /// The largest that the peer takes, in bytes, or the whole send buffer if that is less.
        bytes_max: usize,
    },
    /// The message does not fit the send buffer now.
    #[error("the send buffer has room for {free_bytes} bytes")]
    SendBuffer {
        /// The largest that fits now, in bytes. It grows as the peer acknowledges;
        /// [`Event::ChannelDrained`](crate::Event::ChannelDrained) tells.
        free_bytes: usize,
    },
}

/// Why data channels are over. Media goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataCloseReason {
    /// The transport is closed.
    Transport,
    /// A new description of either side has no data channels.
    Removed,
    /// The peer ended the association.
    Peer,
    /// The peer does not answer SCTP's handshake.
    NoAnswer,
    /// The peer does not answer the reset of a stream, or refuses it.
    ResetFailed,
    /// The peer broke a rule of SCTP, or sent a message above `DataConfig::message_bytes_max`.
    Violation,
    /// What the peer sent fills the receive buffer and can't become whole.
    ReceiveBuffer,
}

/// Why something of the peer's data channels was dropped. Each is counted, see
/// [`Transport::dropped`](crate::Transport::dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataDropReason {
    /// A packet while there are no data channels: not negotiated, or over.
    NotNegotiated,
    /// A packet that is no SCTP, has a wrong checksum, or is of another association.
    Malformed,
    /// A packet with more to answer than may wait to be sent.
    Answers,
    /// A packet that opens more streams than there may be. The peer repeats it.
    Streams,
    /// A packet with data while the receive buffer has no room for it. The peer repeats it.
    ReceiveBuffer,
    /// A packet for a stream of which the reset is not over. The peer repeats it.
    Resetting,
    /// A packet that SCTP has no use for now: an INIT in an association, an ERROR.
    Unexpected,
    /// A channel that the peer may not open: too many, its name too large, not its stream. It is reset.
    Refused,
    /// A message of DCEP that is none, or out of place. Its stream is reset.
    Dcep,
    /// A message on a stream without a channel, or of one that is closed.
    NoChannel,
    /// A message of an unknown kind (PPID).
    Kind,
    /// A packet of ours that is larger than any datagram should be.
    Oversize,
}

impl DataDropReason {
    /// How many there are.
    pub const COUNT: usize = Self::Oversize as usize + 1;

    /// All reasons.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NotNegotiated,
        Self::Malformed,
        Self::Answers,
        Self::Streams,
        Self::ReceiveBuffer,
        Self::Resetting,
        Self::Unexpected,
        Self::Refused,
        Self::Dcep,
        Self::NoChannel,
        Self::Kind,
        Self::Oversize,
    ];
}
