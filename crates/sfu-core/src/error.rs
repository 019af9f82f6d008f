use thiserror::Error as ThisError;

/// What a caller asked for that can't be done. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// There is no such room, or no more.
    #[error("there is no such room")]
    NoRoom,
    /// There is no such session, or no more.
    #[error("there is no such session")]
    NoSession,
    /// There is no such transport, or no more.
    #[error("there is no such transport")]
    NoTransport,
    /// There is no such track, or no more.
    #[error("there is no such track")]
    NoTrack,
    /// There is no such subscription, or no more.
    #[error("there is no such subscription")]
    NoSubscription,
    /// The track has no layer of this number.
    #[error("the track has no such layer")]
    NoLayer,
    /// The track is in another room.
    #[error("the track is in another room")]
    OtherRoom,
    /// The subscriber takes no codec that the track is in.
    #[error("the subscriber does not take the codec of the track")]
    NoCommonCodec,
    /// A room has each codec once, with well-formed parameters.
    #[error("a codec twice, or malformed parameters")]
    Codecs,
    /// The room has no codec for this kind of media.
    #[error("the room has no codec for this")]
    NoCodec,
    /// Nothing is or may be published in a section of this MID.
    #[error("nothing is published in a section of this MID")]
    NoSection,
    /// The session receives the track already.
    #[error("the session has subscribed to the track already")]
    Subscribed,
    /// A limit of [`Config`](crate::Config) is reached: which.
    #[error("as many as {0} allows")]
    Limit(&'static str),
    /// The MID or SSRC is in use on the transport.
    #[error("the MID or SSRC is in use")]
    InUse,
    /// A track needs one layer at least, and [`LAYERS_MAX`](crate::LAYERS_MAX) at most.
    #[error("a track has from 1 to 4 layers")]
    Layers,
    /// A MID is a token of 1 to 16 bytes; a payload type is from 0 to 127; a stream's name has up to 64 bytes.
    #[error("not a MID or payload type that packets can carry, or a stream's name that is too long")]
    OutOfRange,
    /// Something about the transport.
    #[error("transport: {0}")]
    Transport(#[from] plenary_transport::Error),
}

/// Which field of a configuration is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// `flows` is empty: nobody could be reached.
    #[error("flows is empty: give at least one socket")]
    Flows,
    /// An address in `flows` can't be told to peers.
    #[error("flows: {0}")]
    Address(plenary_ice::Error),
    /// In `transport`.
    #[error("transport: {0}")]
    Transport(#[from] plenary_transport::ConfigError),
}

/// Why a datagram was dropped. Each is counted: [`Sfu::dropped`](crate::Sfu::dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// From an address that no transport is known at, with no ufrag of one.
    Stranger,
    /// The transport did not take it.
    Transport(plenary_transport::DropReason),
    /// No RTP packet.
    Malformed,
    /// An SSRC that neither signalling nor the packet itself says what it carries.
    UnknownSource,
    /// A payload type that was not agreed on.
    PayloadType,
    /// A payload that is none of its codec's.
    Payload,
    /// It came before, or its repair did.
    Duplicate,
    /// Its number is not near those of its stream.
    Jump,
    /// A retransmission of what is here, or too old: a probe for bandwidth, as a rule.
    Probe,
}

impl DropReason {
    pub(crate) const COUNT: usize = 9;

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Stranger => 0,
            Self::Transport(_) => 1,
            Self::Malformed => 2,
            Self::UnknownSource => 3,
            Self::PayloadType => 4,
            Self::Payload => 5,
            Self::Duplicate => 6,
            Self::Jump => 7,
            Self::Probe => 8,
        }
    }
}
