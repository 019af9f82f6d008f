mod extmap;
mod format;
mod group;
mod rid;
mod simulcast;
mod source;
mod transport;

use core::fmt;

pub use extmap::{ExtMap, ExtensionId};
pub use format::{Feedback, Fmtp, Format, PayloadType, RtcpFb, RtpMap};
pub use group::{Group, GroupKind};
pub use rid::{Restrictions, Rid, RidDirection};
pub use simulcast::{Alternatives, Simulcast, SimulcastId};
pub use source::{GroupSemantics, Msid, Source, SourceAttribute, SsrcGroup};
pub use transport::{Fingerprint, HashFunction, Setup};

use crate::text::number;
use crate::{Direction, IcePwd, IceUfrag, Limits, Mid, Part, Reason, Text, Token};

/// An `a=` line. One that is not known, or not where it is known, is [`Other`](Self::Other) and written as it was.
///
/// A flag that comes with a value, a fingerprint with an unknown hash function, an `a=extmap` with a reserved id and an
/// `a=fmtp` for something that is no number are `Other` too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `group`, of a session (RFC 5888, RFC 9143).
    Group(Group),
    /// `extmap-allow-mixed`: one-byte and two-byte header extensions may come in one stream (RFC 8285 §6).
    ExtmapAllowMixed,
    /// `ice-lite`, of a session (RFC 8839 §5.3).
    IceLite,
    /// `ice-options` (RFC 8839 §5.6).
    IceOptions(Vec<Token>),
    /// `ice-ufrag` (RFC 8839 §5.4).
    IceUfrag(IceUfrag),
    /// `ice-pwd` (RFC 8839 §5.4).
    IcePwd(IcePwd),
    /// `candidate` (RFC 8839 §5.1): what comes after the colon. Its fields are for an ICE agent to read.
    Candidate(Text),
    /// `end-of-candidates` (RFC 8840).
    EndOfCandidates,
    /// `fingerprint` (RFC 8122 §5).
    Fingerprint(Fingerprint),
    /// `setup` (RFC 8842 §5).
    Setup(Setup),
    /// `mid` (RFC 5888 §4).
    Mid(Mid),
    /// `rtcp-mux` (RFC 5761 §5.1.1).
    RtcpMux,
    /// `rtcp-mux-only` (RFC 8858 §3).
    RtcpMuxOnly,
    /// `rtcp-rsize` (RFC 5506 §5).
    RtcpRsize,
    /// `bundle-only` (RFC 9143 §6).
    BundleOnly,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    Direction(Direction),
    /// `rtpmap`
    RtpMap(RtpMap),
    /// `fmtp`
    Fmtp(Fmtp),
    /// `rtcp-fb`
    RtcpFb(RtcpFb),
    /// `extmap`
    ExtMap(ExtMap),
    /// `rid`
    Rid(Rid),
    /// `simulcast`
    Simulcast(Simulcast),
    /// `ssrc`
    Source(Source),
    /// `ssrc-group`
    SsrcGroup(SsrcGroup),
    /// `msid`
    Msid(Msid),
    /// `sctp-port` (RFC 8841 §5).
    SctpPort(u16),
    /// `max-message-size` (RFC 8841 §6), in bytes; 0 is any size.
    MaxMessageSize(u64),
    /// Any other: its name, and its value if there is a colon.
    Other(Token, Option<Text>),
}

impl Attribute {
    /// Reads what comes after `a=`.
    pub(crate) fn parse(line: &str, limits: &Limits) -> Result<Self, Reason> {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            // Hand-made texts end flags with spaces.
            None => (line.trim_end_matches(' '), None),
        };
        let known = match value {
            None => Self::flag(name),
            Some(value) => Self::valued(name, value, limits)?,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        if value.is_none() && NEEDS_VALUE.contains(&name) {
            return Err(Reason::Malformed(Part::Attribute));
        }
        let name = Token::new(name).map_err(|_| Reason::Malformed(Part::AttributeName))?;
        let value = value.map(Text::new).transpose().map_err(|_| Reason::Malformed(Part::Attribute))?;
        Ok(Self::Other(name, value))
    }

    fn flag(name: &str) -> Option<Self> {
        Some(match name {
            "extmap-allow-mixed" => Self::ExtmapAllowMixed,
            "ice-lite" => Self::IceLite,
            "end-of-candidates" => Self::EndOfCandidates,
            "rtcp-mux" => Self::RtcpMux,
            "rtcp-mux-only" => Self::RtcpMuxOnly,
            "rtcp-rsize" => Self::RtcpRsize,
            "bundle-only" => Self::BundleOnly,
            _ => Self::Direction(Direction::parse(name)?),
        })
    }

    fn valued(name: &str, value: &str, limits: &Limits) -> Result<Option<Self>, Reason> {
        let malformed = |part| move |_| Reason::Malformed(part);
        Ok(Some(match name {
            "group" => Self::Group(Group::parse(value, limits)?),
            "ice-options" => {
                // libdatachannel puts a comma between them.
                let words = value.split([' ', ',']).filter(|text| !text.is_empty());
                if words.clone().count() > limits.ice_options {
                    return Err(Reason::TooMany(Part::IceOptions));
                }
                let tokens = words.map(Token::new).collect::<Result<_, _>>();
                Self::IceOptions(tokens.map_err(malformed(Part::IceOptions))?)
            }
            "ice-ufrag" => Self::IceUfrag(IceUfrag::new(value).map_err(malformed(Part::IceUfrag))?),
            "ice-pwd" => Self::IcePwd(IcePwd::new(value).map_err(malformed(Part::IcePwd))?),
            "candidate" if value.trim().is_empty() => return Err(Reason::Malformed(Part::Candidate)),
            "candidate" => Self::Candidate(Text::new(value).map_err(malformed(Part::Candidate))?),
            "fingerprint" => return Ok(Fingerprint::parse(value)?.map(Self::Fingerprint)),
            "setup" => Self::Setup(Setup::parse(value)?),
            "mid" => Self::Mid(Mid::new(value).map_err(malformed(Part::Mid))?),
            "rtpmap" => Self::RtpMap(RtpMap::parse(value)?),
            // Before RFC 8841 data channels had `a=fmtp:webrtc-datachannel`.
            "fmtp" if !value.starts_with(|first: char| first.is_ascii_digit()) => return Ok(None),
            "fmtp" => Self::Fmtp(Fmtp::parse(value)?),
            "rtcp-fb" => Self::RtcpFb(RtcpFb::parse(value)?),
            "extmap" => return Ok(ExtMap::parse(value)?.map(Self::ExtMap)),
            "rid" => Self::Rid(Rid::parse(value, limits)?),
            "simulcast" => Self::Simulcast(Simulcast::parse(value, limits)?),
            "ssrc" => Self::Source(Source::parse(value)?),
            "ssrc-group" => Self::SsrcGroup(SsrcGroup::parse(value, limits)?),
            "msid" => Self::Msid(Msid::parse(value)?),
            "sctp-port" => Self::SctpPort(number(value).ok_or(Reason::Malformed(Part::SctpPort))?),
            "max-message-size" => Self::MaxMessageSize(number(value).ok_or(Reason::Malformed(Part::MaxMessageSize))?),
            _ => return Ok(None),
        }))
    }
}

/// Attributes that say nothing without a value.
const NEEDS_VALUE: &[&str] = &[
    "group",
    "ice-options",
    "ice-ufrag",
    "ice-pwd",
    "candidate",
    "fingerprint",
    "setup",
    "mid",
    "rtpmap",
    "fmtp",
    "rtcp-fb",
    "extmap",
    "rid",
    "simulcast",
    "ssrc",
    "ssrc-group",
    "msid",
    "sctp-port",
    "max-message-size",
];

impl fmt::Display for Attribute {
    /// The line without `a=` and without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "group:{group}"),
            Self::ExtmapAllowMixed => f.write_str("extmap-allow-mixed"),
            Self::IceLite => f.write_str("ice-lite"),
            Self::IceOptions(options) => {
                f.write_str("ice-options:")?;
                options.iter().enumerate().try_for_each(|(index, option)| {
                    f.write_str(if index == 0 { "" } else { " " })?;
                    option.fmt(f)
                })
            }
            Self::IceUfrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Self::IcePwd(pwd) => write!(f, "ice-pwd:{pwd}"),
            Self::Candidate(text) => write!(f, "candidate:{text}"),
            Self::EndOfCandidates => f.write_str("end-of-candidates"),
            Self::Fingerprint(fingerprint) => write!(f, "fingerprint:{fingerprint}"),
            Self::Setup(setup) => write!(f, "setup:{setup}"),
            Self::Mid(mid) => write!(f, "mid:{mid}"),
            Self::RtcpMux => f.write_str("rtcp-mux"),
            Self::RtcpMuxOnly => f.write_str("rtcp-mux-only"),
            Self::RtcpRsize => f.write_str("rtcp-rsize"),
            Self::BundleOnly => f.write_str("bundle-only"),
            Self::Direction(direction) => direction.fmt(f),
            Self::RtpMap(map) => write!(f, "rtpmap:{map}"),
            Self::Fmtp(fmtp) => write!(f, "fmtp:{fmtp}"),
            Self::RtcpFb(feedback) => write!(f, "rtcp-fb:{feedback}"),
            Self::ExtMap(map) => write!(f, "extmap:{map}"),
            Self::Rid(rid) => write!(f, "rid:{rid}"),
            Self::Simulcast(simulcast) => write!(f, "simulcast:{simulcast}"),
            Self::Source(source) => write!(f, "ssrc:{source}"),
            Self::SsrcGroup(group) => write!(f, "ssrc-group:{group}"),
            Self::Msid(msid) => write!(f, "msid:{msid}"),
            Self::SctpPort(port) => write!(f, "sctp-port:{port}"),
            Self::MaxMessageSize(bytes) => write!(f, "max-message-size:{bytes}"),
            Self::Other(name, Some(value)) => write!(f, "{name}:{value}"),
            Self::Other(name, None) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(line: &str) -> Result<Attribute, Reason> {
        Attribute::parse(line, &Limits::default())
    }

    #[test]
    fn unknown_attributes_are_kept_as_they_are() {
        for line in ["rtcp:9 IN IP4 0.0.0.0", "msid-semantic:WMS *", "msid-semantic: WMS", "x-y", "empty:", "mux:a:b"] {
            assert!(matches!(attribute(line), Ok(Attribute::Other(..))), "{line}");
            assert_eq!(attribute(line).unwrap().to_string(), line);
        }
        assert_eq!(attribute("rtcp-mux  "), Ok(Attribute::RtcpMux));
        assert_eq!(attribute("x-y ").unwrap().to_string(), "x-y");
        assert_eq!(attribute(" "), Err(Reason::Malformed(Part::AttributeName)));
        assert_eq!(attribute("no name"), Err(Reason::Malformed(Part::AttributeName)));
        assert_eq!(attribute(":value"), Err(Reason::Malformed(Part::AttributeName)));
        assert_eq!(attribute(""), Err(Reason::Malformed(Part::AttributeName)));
    }

    #[test]
    fn ice_options_may_have_commas_between_them() {
        let read = attribute("ice-options:ice2,trickle").unwrap();
        assert_eq!(read.to_string(), "ice-options:ice2 trickle");
        assert_eq!(read, attribute("ice-options:ice2 trickle").unwrap());
        assert_eq!(attribute("ice-options:ice2;trickle"), Err(Reason::Malformed(Part::IceOptions)));
    }

    #[test]
    fn what_is_almost_known_is_kept_untyped() {
        for line in [
            "rtcp-mux:yes",
            "sendrecv:1",
            "fingerprint:md5 00",
            "extmap:15 urn:x",
            "extmap:4096 urn:x",
            "fmtp:webrtc-datachannel max-message-size=100000",
        ] {
            assert!(matches!(attribute(line), Ok(Attribute::Other(..))), "{line}");
            assert_eq!(attribute(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn a_known_attribute_without_its_value_is_refused() {
        for name in NEEDS_VALUE {
            assert_eq!(attribute(name), Err(Reason::Malformed(Part::Attribute)), "{name}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!(attribute("sctp-port:65535"), Ok(Attribute::SctpPort(65_535)));
        assert_eq!(attribute("sctp-port:65536"), Err(Reason::Malformed(Part::SctpPort)));
        assert_eq!(attribute("max-message-size:0"), Ok(Attribute::MaxMessageSize(0)));
        assert_eq!(attribute("max-message-size:-1"), Err(Reason::Malformed(Part::MaxMessageSize)));
        assert_eq!(attribute("candidate: "), Err(Reason::Malformed(Part::Candidate)));
    }
}
