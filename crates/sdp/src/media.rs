use core::fmt;

use crate::session_lines::{KEY, write_lines};
use crate::text::number;
use crate::{
    Address, Attribute, Bandwidth, Codec, Direction, ExtMap, Limits, Mid, Msid, OtherLine, Part, PayloadType, Reason,
    Rid, Simulcast, Source, SsrcGroup, Token, Word,
};

/// A media section: `m=` and what follows it (RFC 8866 §5.14).
///
/// The fields are the lines, in their order; the functions read them for what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What is sent.
    pub kind: MediaKind,
    /// 9 where ICE finds the port, 0 where the section is rejected or [bundle-only](Attribute::BundleOnly).
    pub port: u16,
    /// How it is sent.
    pub protocol: Protocol,
    /// What the protocol carries.
    pub formats: Formats,
    /// `i=` and `k=`.
    pub lines: Vec<OtherLine>,
    /// `c=`
    pub connection: Option<Address>,
    /// `b=`
    pub bandwidths: Vec<Bandwidth>,
    /// `a=`
    pub attributes: Vec<Attribute>,
}

/// What a section sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `application`: in WebRTC, data channels.
    Application,
    /// Something else.
    Other(Token),
}

/// How a section is sent. An answer has the protocol of its offer, as it was written (RFC 8829 §5.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `UDP/TLS/RTP/SAVPF`, and what RFC 8829 §5.1.2 takes for it: any of the RTP profiles.
    Rtp(Word),
    /// `UDP/DTLS/SCTP` and `TCP/DTLS/SCTP`: data channels (RFC 8841 §4).
    Sctp(Word),
    /// Something else.
    Other(Word),
}

/// What comes last in an `m=` line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Formats {
    /// Payload types of an RTP section, the preferred first.
    PayloadTypes(Vec<PayloadType>),
    /// Formats of any other protocol: `webrtc-datachannel`.
    Words(Vec<Word>),
}

/// What a section says about its SCTP association (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataChannel {
    /// The port within the DTLS association: 5000, in all that is known.
    pub sctp_port: u16,
    /// The largest message that the writer takes, in bytes. 0 is any size.
    pub max_message_size: u64,
}

impl Media {
    /// The section's name.
    #[must_use]
    pub fn mid(&self) -> Option<&Mid> {
        self.find(|attribute| if let Attribute::Mid(mid) = attribute { Some(mid) } else { None })
    }

    /// Who sends, if the section says so. [`Description::direction`](crate::Description::direction) knows what holds
    /// if it does not.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.find(|attribute| if let Attribute::Direction(direction) = attribute { Some(*direction) } else { None })
    }

    /// Whether an attribute without a value is there: `media.has(&Attribute::RtcpMux)`.
    #[must_use]
    pub fn has(&self, flag: &Attribute) -> bool {
        self.attributes.contains(flag)
    }

    /// Whether the port is 0 and the section is not [bundle-only](Attribute::BundleOnly): nothing is sent.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        // RFC 9143 §6: with bundle-only a port of zero does not reject.
        self.port == 0 && !self.has(&Attribute::BundleOnly)
    }

    /// The payload types of the `m=` line that are known by their `a=rtpmap`, or from RFC 3551's table, with all that
    /// is said about each, in the order of the line.
    #[must_use]
    pub fn codecs(&self) -> Vec<Codec> {
        match &self.formats {
            Formats::PayloadTypes(payload_types) => Codec::collect(payload_types, &self.attributes),
            Formats::Words(_) => Vec::new(),
        }
    }

    /// The section's own `a=extmap` lines. [`Description::extensions`](crate::Description::extensions) has those of
    /// the session too.
    pub fn extensions(&self) -> impl Iterator<Item = &ExtMap> {
        self.all(|attribute| if let Attribute::ExtMap(map) = attribute { Some(map) } else { None })
    }

    /// The `a=rid` lines.
    pub fn rids(&self) -> impl Iterator<Item = &Rid> {
        self.all(|attribute| if let Attribute::Rid(rid) = attribute { Some(rid) } else { None })
    }

    /// What `a=simulcast` says, without the rids that have no `a=rid` line of their direction (RFC 8853 §5.2).
    #[must_use]
    pub fn simulcast(&self) -> Option<Simulcast> {
        let line = self.find(|attribute| if let Attribute::Simulcast(line) = attribute { Some(line) } else { None });
        let mut simulcast = line?.clone();
        simulcast.retain(|direction, id| self.rids().any(|rid| rid.id == *id && rid.direction == direction));
        Some(simulcast).filter(|simulcast| !simulcast.is_empty())
    }

    /// The `a=msid` lines.
    pub fn msids(&self) -> impl Iterator<Item = &Msid> {
        self.all(|attribute| if let Attribute::Msid(msid) = attribute { Some(msid) } else { None })
    }

    /// The `a=ssrc` lines.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.all(|attribute| if let Attribute::Source(source) = attribute { Some(source) } else { None })
    }

    /// The `a=ssrc-group` lines.
    pub fn ssrc_groups(&self) -> impl Iterator<Item = &SsrcGroup> {
        self.all(|attribute| if let Attribute::SsrcGroup(group) = attribute { Some(group) } else { None })
    }

    /// What the section says about data channels, if it is for them.
    #[must_use]
    pub fn data_channel(&self) -> Option<DataChannel> {
        let carries = |words: &[Word]| words.iter().any(|word| *word == "webrtc-datachannel");
        let is_sctp = matches!(&self.protocol, Protocol::Sctp(_));
        if !is_sctp || !matches!(&self.formats, Formats::Words(words) if carries(words)) {
            return None;
        }
        let port = self.find(|attribute| if let Attribute::SctpPort(port) = attribute { Some(*port) } else { None });
        let size =
            self.find(|attribute| if let Attribute::MaxMessageSize(size) = attribute { Some(*size) } else { None });
        // RFC 8841 §6.1: 64 kB where nothing is said. RFC 8841 §5.1 wants the port; 5000 is what everybody means.
        Some(DataChannel { sctp_port: port.unwrap_or(5_000), max_message_size: size.unwrap_or(65_536) })
    }

    pub(crate) fn find<'a, T>(&'a self, read: impl Fn(&'a Attribute) -> Option<T>) -> Option<T> {
        self.attributes.iter().find_map(read)
    }

    fn all<'a, T>(&'a self, read: impl Fn(&'a Attribute) -> Option<T>) -> impl Iterator<Item = T> {
        self.attributes.iter().filter_map(read)
    }

    /// Reads what comes after `m=`.
    pub(crate) fn parse(value: &str, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Media);
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let mut field = || fields.next().ok_or(malformed);
        let kind = MediaKind::parse(field()?)?;
        let port = number::<u32>(field()?).ok_or(Reason::Malformed(Part::Port))?;
        let port = u16::try_from(port).map_err(|_| Reason::OutOfRange(Part::Port))?;
        let protocol = Protocol::parse(field()?)?;
        let formats = Formats::parse(fields, &protocol, limits)?;
        Ok(Self {
            kind,
            port,
            protocol,
            formats,
            lines: Vec::new(),
            connection: None,
            bandwidths: Vec::new(),
            attributes: Vec::new(),
        })
    }
}

impl MediaKind {
    fn parse(text: &str) -> Result<Self, Reason> {
        Ok(match text {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "application" => Self::Application,
            _ => Self::Other(Token::new(text).map_err(|_| Reason::Malformed(Part::Media))?),
        })
    }
}

impl Protocol {
    /// `UDP/TLS/RTP/SAVPF`
    #[must_use]
    pub fn rtp() -> Self {
        Self::Rtp(Word::new("UDP/TLS/RTP/SAVPF").expect("it is visible"))
    }

    /// `UDP/DTLS/SCTP`
    #[must_use]
    pub fn sctp() -> Self {
        Self::Sctp(Word::new("UDP/DTLS/SCTP").expect("it is visible"))
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        let word = Word::new(text).map_err(|_| Reason::Malformed(Part::Media))?;
        Ok(match text {
            "UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP" | "TCP/DTLS/RTP/SAVPF" | "TCP/DTLS/RTP/SAVP" | "RTP/SAVPF"
            | "RTP/SAVP" | "RTP/AVPF" | "RTP/AVP" => Self::Rtp(word),
            "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" => Self::Sctp(word),
            _ => Self::Other(word),
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Rtp(word) | Self::Sctp(word) | Self::Other(word)) = self;
        word.fmt(f)
    }
}

impl Formats {
    fn parse<'t>(fields: impl Iterator<Item = &'t str>, protocol: &Protocol, limits: &Limits) -> Result<Self, Reason> {
        let mut words = Vec::new();
        let mut payload_types = Vec::new();
        let mut seen = 0u128;
        for (index, field) in fields.enumerate() {
            if index == limits.codecs {
                return Err(Reason::TooMany(Part::PayloadType));
            }
            if matches!(protocol, Protocol::Rtp(_)) {
                let payload_type = PayloadType::parse(field)?;
                let bit = 1 << payload_type.number();
                if seen & bit != 0 {
                    return Err(Reason::Duplicate(Part::PayloadType));
                }
                seen |= bit;
                payload_types.push(payload_type);
            } else {
                words.push(Word::new(field).map_err(|_| Reason::Malformed(Part::Media))?);
            }
        }
        if payload_types.is_empty() && words.is_empty() {
            return Err(Reason::Malformed(Part::Media));
        }
        Ok(if words.is_empty() { Self::PayloadTypes(payload_types) } else { Self::Words(words) })
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other(name) => name.as_str(),
        })
    }
}

impl fmt::Display for Media {
    /// The section's lines, each with CRLF, in the order of RFC 8866 §5.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        match &self.formats {
            Formats::PayloadTypes(list) => list.iter().try_for_each(|one| write!(f, " {one}"))?,
            Formats::Words(list) => list.iter().try_for_each(|one| write!(f, " {one}"))?,
        }
        f.write_str("\r\n")?;
        write_lines(f, &self.lines, &['i'])?;
        write_body(f, self.connection.as_ref(), &self.bandwidths)?;
        write_lines(f, &self.lines, &KEY)?;
        self.attributes.iter().try_for_each(|attribute| write!(f, "a={attribute}\r\n"))
    }
}

/// `c=` and `b=`.
pub(crate) fn write_body(
    f: &mut fmt::Formatter<'_>,
    connection: Option<&Address>,
    bandwidths: &[Bandwidth],
) -> fmt::Result {
    connection.map_or(Ok(()), |address| write!(f, "c={address}\r\n"))?;
    bandwidths.iter().try_for_each(|bandwidth| write!(f, "b={bandwidth}\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(value: &str) -> Result<Media, Reason> {
        Media::parse(value, &Limits::default())
    }

    #[test]
    fn an_m_line_has_four_fields() {
        let read = media("video 39292 UDP/TLS/RTP/SAVPF 102 103").unwrap();
        assert_eq!((&read.kind, read.port, read.protocol == Protocol::rtp()), (&MediaKind::Video, 39_292, true));
        assert_eq!(read.to_string(), "m=video 39292 UDP/TLS/RTP/SAVPF 102 103\r\n");
        let data = media("application 9 UDP/DTLS/SCTP webrtc-datachannel").unwrap();
        assert_eq!(data.data_channel(), Some(DataChannel { sctp_port: 5_000, max_message_size: 65_536 }));
        let text = media("text 9 TCP/MSRP *").unwrap();
        assert!(matches!((&text.kind, &text.protocol), (MediaKind::Other(_), Protocol::Other(_))));
        assert_eq!(text.to_string(), "m=text 9 TCP/MSRP *\r\n");
        for bad in ["", "video", "video 9", "video 9 RTP/AVP", "vi/deo 9 RTP/AVP 0"] {
            assert_eq!(media(bad), Err(Reason::Malformed(Part::Media)), "{bad}");
        }
    }

    #[test]
    fn ports_and_payload_types_have_a_range() {
        assert_eq!(media("audio 65536 RTP/AVP 0"), Err(Reason::OutOfRange(Part::Port)));
        assert_eq!(media("audio 9/2 RTP/AVP 0"), Err(Reason::Malformed(Part::Port)));
        assert_eq!(media("audio 9 RTP/AVP 128"), Err(Reason::OutOfRange(Part::PayloadType)));
        assert_eq!(media("audio 9 RTP/AVP x"), Err(Reason::Malformed(Part::PayloadType)));
        assert_eq!(media("audio 9 RTP/AVP 96 96"), Err(Reason::Duplicate(Part::PayloadType)));
        let many: Vec<_> = (0..97).map(|n| n.to_string()).collect();
        assert_eq!(media(&format!("audio 9 RTP/AVP {}", many.join(" "))), Err(Reason::TooMany(Part::PayloadType)));
        assert_eq!(media(&format!("text 9 X {}", many.join(" "))), Err(Reason::TooMany(Part::PayloadType)));
    }

    #[test]
    fn port_zero_rejects_unless_bundle_only() {
        let mut read = media("audio 0 UDP/TLS/RTP/SAVPF 0").unwrap();
        assert!(read.is_rejected());
        read.attributes.push(Attribute::BundleOnly);
        assert!(!read.is_rejected());
    }
}
