use thiserror::Error as ThisError;

/// Why the caller's request was refused. Neither bytes nor state were changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The master key has not the length of the profile.
    #[error("the master key has not the length of the profile")]
    KeyLength,
    /// The master salt has not the length of the profile.
    #[error("the master salt has not the length of the profile")]
    SaltLength,
    /// What DTLS exported has not the length of the profile.
    #[error("the keying material has not the length of the profile")]
    KeyingMaterialLength,
    /// The bytes to protect are no RTP (or RTCP) packet: too short, or not of version 2.
    #[error("not a packet of version 2")]
    NotAPacket,
    /// The slice is shorter than the packet's header and the room for its tag.
    #[error("no room for the tag")]
    NoRoom,
    /// The segments of a run are longer or shorter, in sum, than its bytes: what they leave out would be sent in the clear.
    #[error("the segments of the run are not as long as its bytes")]
    RunLength,
    /// The packet is longer than [`PACKET_MAX`](crate::PACKET_MAX).
    #[error("the packet is longer than a datagram can be")]
    TooLong,
    /// The index given does not end with the sequence number in the header, or has more than 48 bits.
    #[error("the index does not belong to the sequence number in the header")]
    IndexMismatch,
    /// This SSRC has protected a packet with this index: the key stream would be used twice.
    #[error("a packet with this index has been protected before")]
    IndexUsed,
    /// The index is older than what the window remembers (or from before the stream's start): it may have been used.
    #[error("the index is older than the window")]
    IndexTooOld,
    /// The key may protect no more: 2^48 RTP or 2^31 RTCP packets.
    #[error("the key has protected as many packets as it may")]
    KeyExhausted,
    /// As many SSRCs are in use as the configuration allows.
    #[error("no room for another SSRC")]
    TooManySsrcs,
}

/// A run that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[error("packet {packet} of the run: {error}")]
pub struct RunError {
    /// Which packet of the run was refused, from 0. Those before it are protected; it and those after it are not.
    pub packet: usize,
    /// Why.
    #[source]
    pub error: Error,
}

/// A configuration that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// `ssrcs_max` is not from 1 to 65 536.
    #[error("ssrcs_max is not from 1 to 65536")]
    SsrcsMax,
    /// `window` is not from 64 to 32 768.
    #[error("window is not from 64 to 32768 packets")]
    Window,
}

/// Why a packet from the network was dropped. No state but a counter was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum DropReason {
    /// Not a packet of version 2, or shorter than what its own fields and the profile ask for, or longer than
    /// [`PACKET_MAX`](crate::PACKET_MAX).
    #[error("malformed")]
    Malformed,
    /// A packet with this index was unprotected before.
    #[error("replayed")]
    Replayed,
    /// The index is older than what the window remembers, or from before the stream's start.
    #[error("older than the replay window")]
    TooOld,
    /// The tag does not fit: forged, damaged, under another key, or further from the last packet than 2^15.
    #[error("not authentic")]
    NotAuthentic,
    /// An RTCP packet that is authenticated only, where encryption is required.
    #[error("not encrypted")]
    NotEncrypted,
    /// A new SSRC while as many as allowed are in use and none is idle.
    #[error("no room for another SSRC")]
    TooManySsrcs,
    /// The sequence numbers have wrapped 2^32 times: the key's life is over.
    #[error("the key's life is over")]
    KeyExhausted,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Replayed,
        Self::TooOld,
        Self::NotAuthentic,
        Self::NotEncrypted,
        Self::TooManySsrcs,
        Self::KeyExhausted,
    ];
}
