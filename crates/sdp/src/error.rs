use thiserror::Error as ThisError;

/// Why a text is not a session description that this crate reads: the line, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Counted from 1. One more than there are lines, where a line is missing at the end.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Reason {
    /// It is not a letter, `=`, and a value.
    #[error("not a letter, `=` and a value")]
    NotALine,
    /// It holds a NUL, or a CR that is not before the LF.
    #[error("a control character that no line may hold")]
    Control,
    /// No line begins with this letter, or none does here.
    #[error("no line of type `{0}` is known here")]
    UnknownLetter(char),
    /// A line of this type should stand here, or is missing at the end.
    #[error("a line `{0}=` is missing")]
    Missing(char),
    /// Its form is not what the grammar asks for.
    #[error("{0} is malformed")]
    Malformed(Part),
    /// A number or a length that is not allowed there.
    #[error("{0} is out of range")]
    OutOfRange(Part),
    /// What may stand once, or names what something else has named.
    #[error("{0} is there twice")]
    Duplicate(Part),
    /// More than the field of that name in [`Limits`](crate::Limits) allows.
    #[error("{0}: more than the limit")]
    TooMany(Part),
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Part {
    /// The bytes of the whole text.
    #[error("the text")]
    Text,
    /// The lines of the whole text, or those of types without a limit of their own.
    #[error("the lines")]
    Lines,
    /// The bytes of a line.
    #[error("the line's length")]
    LineBytes,
    /// `v=`
    #[error("the version")]
    Version,
    /// `o=`
    #[error("the origin")]
    Origin,
    /// `s=`
    #[error("the session name")]
    SessionName,
    /// `c=`
    #[error("the connection")]
    Connection,
    /// `b=`
    #[error("the bandwidth")]
    Bandwidth,
    /// `t=`
    #[error("the time")]
    Time,
    /// `m=`
    #[error("the media line")]
    Media,
    /// The port in `m=`.
    #[error("the port")]
    Port,
    /// A payload type, in `m=` or an attribute.
    #[error("the payload type")]
    PayloadType,
    /// The name of an attribute.
    #[error("the attribute's name")]
    AttributeName,
    /// An attribute of any name.
    #[error("the attribute")]
    Attribute,
    /// `a=sendrecv` and its kin.
    #[error("the direction")]
    Direction,
    /// `a=group`
    #[error("a=group")]
    Group,
    /// `a=mid`
    #[error("a=mid")]
    Mid,
    /// `a=ice-options`
    #[error("a=ice-options")]
    IceOptions,
    /// `a=ice-ufrag`
    #[error("a=ice-ufrag")]
    IceUfrag,
    /// `a=ice-pwd`
    #[error("a=ice-pwd")]
    IcePwd,
    /// `a=candidate`
    #[error("a=candidate")]
    Candidate,
    /// `a=fingerprint`
    #[error("a=fingerprint")]
    Fingerprint,
    /// `a=setup`
    #[error("a=setup")]
    Setup,
    /// `a=rtpmap`
    #[error("a=rtpmap")]
    RtpMap,
    /// `a=fmtp`
    #[error("a=fmtp")]
    Fmtp,
    /// `a=rtcp-fb`
    #[error("a=rtcp-fb")]
    RtcpFb,
    /// `a=extmap`
    #[error("a=extmap")]
    ExtMap,
    /// `a=rid`
    #[error("a=rid")]
    Rid,
    /// `a=simulcast`
    #[error("a=simulcast")]
    Simulcast,
    /// `a=ssrc`
    #[error("a=ssrc")]
    Ssrc,
    /// `a=ssrc-group`
    #[error("a=ssrc-group")]
    SsrcGroup,
    /// `a=msid`
    #[error("a=msid")]
    Msid,
    /// `a=sctp-port`
    #[error("a=sctp-port")]
    SctpPort,
    /// `a=max-message-size`
    #[error("a=max-message-size")]
    MaxMessageSize,
}

/// A value that a caller wants to put into a description and that can't stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Not one or more of RFC 8866's token characters.
    #[error("not a token")]
    Token,
    /// Not one or more visible characters: empty, or with a space or a control character.
    #[error("not a word")]
    Word,
    /// It holds NUL, CR or LF.
    #[error("not the text of one line")]
    Text,
    /// Not letters, digits, `-` or `_`, from 1 to 255 of them.
    #[error("not a rid")]
    RidId,
    /// Not from 1 to 255 token characters.
    #[error("not a mid")]
    Mid,
    /// Not from 4 (user fragment) or 22 (password) to 256 of RFC 8839's ice-chars.
    #[error("not a user fragment or password of ICE")]
    IceCredential,
    /// Above 127.
    #[error("the payload type {0} is above 127")]
    PayloadType(u8),
    /// 0 or 15.
    #[error("the header extension id {0} is not from 1 to 14 or from 16 to 255")]
    ExtensionId(u8),
    /// A fingerprint of another length than its hash function gives.
    #[error("not a fingerprint of this hash function")]
    Fingerprint,
}
