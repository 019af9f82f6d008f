#![doc = include_str!("../README.md")]

mod attribute;
/// What `a=rtpmap` and `a=fmtp` say of a codec, as types.
pub mod codec;
mod description;
mod direction;
mod error;
mod limits;
mod line;
mod media;
pub mod offer_answer;
mod parameters;
mod read;
mod session_lines;
mod text;

pub use attribute::{
    Alternatives, Attribute, ExtMap, ExtensionId, Feedback, Fingerprint, Fmtp, Format, Group, GroupKind,
    GroupSemantics, HashFunction, Msid, PayloadType, Restrictions, Rid, RidDirection, RtcpFb, RtpMap, Setup, Simulcast,
    SimulcastId, Source, SourceAttribute, SsrcGroup,
};
pub use codec::Codec;
pub use description::{Description, TransportDescription};
pub use direction::Direction;
pub use error::{Error, ParseError, Part, Reason};
pub use limits::Limits;
pub use media::{DataChannel, Formats, Media, MediaKind, Protocol};
pub use parameters::Parameters;
pub use session_lines::{Address, Bandwidth, Origin, OtherLine, Revision};
pub use text::{IcePwd, IceUfrag, Mid, RidId, Text, Token, Word};

// Promises kept at compile time: descriptions cross threads, and what a limit of lines costs is known.
const _: () = {
    const fn send<T: Send + Sync>() {}
    send::<Description>();
    assert!(size_of::<Attribute>() <= 64);
};
