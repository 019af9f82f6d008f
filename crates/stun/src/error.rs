use thiserror::Error;

/// Why bytes are no message, or an attribute is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum ParseError {
    /// No STUN: too short, without the magic cookie, or with the two top bits of another protocol.
    #[error("no STUN header")]
    NotStun,
    /// The length is no multiple of 4, or not that of the datagram.
    #[error("the length is not that of the message")]
    Length,
    /// An attribute runs beyond the end, or there are more than [`ATTRIBUTES_MAX`](crate::ATTRIBUTES_MAX).
    #[error("the attributes do not fit the message")]
    Attributes,
    /// FINGERPRINT is wrong, or not the last.
    #[error("the fingerprint is wrong")]
    Fingerprint,
    /// An attribute has a size that it can't have.
    #[error("attribute {0:#06x} has a wrong size or form")]
    Value(u16),
}
