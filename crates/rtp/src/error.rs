use thiserror::Error as ThisError;

/// Why bytes from the network are not what they should be. Nothing was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end before what their own flags or lengths announce.
    #[error("the bytes end before what they announce")]
    Truncated,
    /// The version field is not 2.
    #[error("the version is not 2")]
    Version,
    /// The padding length is zero, or larger than what could hold padding.
    #[error("the padding is longer than what holds it, or says that it is empty")]
    Padding,
    /// An element or chunk reaches beyond the block that holds it.
    #[error("an element reaches beyond its block")]
    Overrun,
    /// A value that the format forbids or keeps for later.
    #[error("a forbidden or reserved value")]
    Reserved,
    /// More elements than the format, or a named limit of this crate, allows.
    #[error("more elements than allowed")]
    TooMany,
    /// It refers to a structure (template, layer, resolution) that was not given.
    #[error("it refers to a structure that is not known")]
    UnknownStructure,
    /// The RTCP packet type or format is not the one asked for.
    #[error("another packet type")]
    PacketType,
}

/// What a caller asked for that can't be written. Nothing was changed where one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A header extension id outside 1 to 14 (one-byte form) or 1 to 255 (two-byte form), or 15.
    #[error("the header extension id {0} is not from 1 to 14 or from 16 to 255")]
    ExtensionId(u8),
    /// An element, block or packet would be longer than its length field can say.
    #[error("longer than its length field can say")]
    TooLong,
    /// A value does not fit its field.
    #[error("a value does not fit its field")]
    OutOfRange,
    /// There is no room in the buffer, or none in the packet for a field that it lacks.
    #[error("no room")]
    NoRoom,
    /// The packet's header extension block is of another profile than RFC 8285's two: opaque, so it can't be edited.
    #[error("the header extension block is of the unknown profile {0:#06x}")]
    ExtensionProfile(u16),
}
