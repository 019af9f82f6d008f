use core::fmt;

use crate::text::number;
use crate::{Limits, Part, Reason, Text, Token, Word};

/// `a=ssrc:<ssrc> <attribute>[:<value>]` (RFC 5576 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The synchronization source.
    pub ssrc: u32,
    /// What is said of it.
    pub attribute: SourceAttribute,
}

/// What an `a=ssrc` line says of its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceAttribute {
    /// `cname:<name>`: sources of one name share a clock.
    Cname(Text),
    /// `msid:<stream> [<track>]`: what `a=msid` says, in the older form.
    Msid(Text),
    /// Another attribute, or one without a value.
    Other(Token, Option<Text>),
}

impl Source {
    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Ssrc);
        let (ssrc, attribute) = value.split_once(' ').ok_or(malformed)?;
        let ssrc = number(ssrc).ok_or(malformed)?;
        let (name, value) = match attribute.split_once(':') {
            Some((name, value)) => (name, Some(Text::new(value).map_err(|_| malformed)?)),
            None => (attribute, None),
        };
        let attribute = match (name, value) {
            ("cname", Some(value)) => SourceAttribute::Cname(value),
            ("msid", Some(value)) => SourceAttribute::Msid(value),
            (name, value) => SourceAttribute::Other(Token::new(name).map_err(|_| malformed)?, value),
        };
        Ok(Self { ssrc, attribute })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.ssrc)?;
        match &self.attribute {
            SourceAttribute::Cname(name) => write!(f, "cname:{name}"),
            SourceAttribute::Msid(value) => write!(f, "msid:{value}"),
            SourceAttribute::Other(name, Some(value)) => write!(f, "{name}:{value}"),
            SourceAttribute::Other(name, None) => name.fmt(f),
        }
    }
}

/// What the sources of a group are to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupSemantics {
    /// `FID`: the second retransmits the first (RFC 5576 §4.2).
    Fid,
    /// `SIM`: encodings of one source, in the form older than `a=simulcast`.
    Sim,
    /// `FEC-FR`: the second repairs the first (RFC 5956 §4.3).
    FecFr,
    /// Something else.
    Other(Token),
}

impl GroupSemantics {
    fn as_str(&self) -> &str {
        match self {
            Self::Fid => "FID",
            Self::Sim => "SIM",
            Self::FecFr => "FEC-FR",
            Self::Other(name) => name.as_str(),
        }
    }
}

/// `a=ssrc-group:<semantics> <ssrc> …` (RFC 5576 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// What they are to each other.
    pub semantics: GroupSemantics,
    /// The sources, in order. Empty ones are read too.
    pub ssrcs: Vec<u32>,
}

impl SsrcGroup {
    pub(crate) fn parse(value: &str, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::SsrcGroup);
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let name = fields.next().ok_or(malformed)?;
        let semantics = match [GroupSemantics::Fid, GroupSemantics::Sim, GroupSemantics::FecFr]
            .into_iter()
            .find(|one| one.as_str() == name)
        {
            Some(known) => known,
            None => GroupSemantics::Other(Token::new(name).map_err(|_| malformed)?),
        };
        let mut ssrcs = Vec::new();
        for field in fields {
            if ssrcs.len() == limits.ssrcs {
                return Err(Reason::TooMany(Part::SsrcGroup));
            }
            ssrcs.push(number(field).ok_or(malformed)?);
        }
        Ok(Self { semantics, ssrcs })
    }
}

impl fmt::Display for SsrcGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantics.as_str())?;
        self.ssrcs.iter().try_for_each(|ssrc| write!(f, " {ssrc}"))
    }
}

/// `a=msid:<stream> [<track>]` (RFC 8830 §2): which media stream of a page the section's track belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Msid {
    /// The stream. `None` is `-`: a track without a stream.
    pub stream: Option<Word>,
    /// The track. It says nothing more than the section does, and newer browsers leave it out.
    pub track: Option<Word>,
}

impl Msid {
    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Msid);
        let (stream, track) = match value.split_once(' ') {
            Some((stream, track)) => (stream, Some(Word::new(track).map_err(|_| malformed)?)),
            None => (value, None),
        };
        let stream = Word::new(stream).map_err(|_| malformed)?;
        Ok(Self { stream: Some(stream).filter(|stream| *stream != "-"), track })
    }
}

impl fmt::Display for Msid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stream.as_ref().map_or("-", Word::as_str))?;
        self.track.as_ref().map_or(Ok(()), |track| write!(f, " {track}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_attributes() {
        let read = Source::parse("3342777974 cname:z7pI r").unwrap();
        assert_eq!(read.ssrc, 3_342_777_974);
        assert_eq!(read.attribute, SourceAttribute::Cname(Text::new("z7pI r").unwrap()));
        for text in ["1 cname:a", "1 msid:s t", "1 label:x:y", "1 flag", "1 cname"] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "1", "x cname:a", "4294967296 cname:a", "1 :x", "-1 cname:a"] {
            assert_eq!(Source::parse(bad), Err(Reason::Malformed(Part::Ssrc)), "{bad}");
        }
    }

    #[test]
    fn groups_have_an_order_and_an_end() {
        let read = SsrcGroup::parse("FID 2 1", &Limits::default()).unwrap();
        assert_eq!((&read.semantics, &read.ssrcs[..]), (&GroupSemantics::Fid, &[2, 1][..]));
        assert_eq!(read.to_string(), "FID 2 1");
        assert_eq!(SsrcGroup::parse("FEC-FR 1 2", &Limits::default()).unwrap().semantics, GroupSemantics::FecFr);
        assert_eq!(SsrcGroup::parse("X 1", &Limits::default()).unwrap().to_string(), "X 1");
        let endless = format!("SIM{}", " 1".repeat(65));
        assert_eq!(SsrcGroup::parse(&endless, &Limits::default()), Err(Reason::TooMany(Part::SsrcGroup)));
        assert_eq!(SsrcGroup::parse("FID a", &Limits::default()), Err(Reason::Malformed(Part::SsrcGroup)));
    }

    #[test]
    fn a_track_may_have_no_stream_and_a_stream_no_track() {
        let both = Msid::parse("- 52873f69").unwrap();
        assert_eq!((both.stream.as_ref(), both.track.as_ref().map(Word::as_str)), (None, Some("52873f69")));
        assert_eq!(both.to_string(), "- 52873f69");
        assert_eq!(Msid::parse("alice").unwrap().to_string(), "alice");
        assert_eq!(Msid::parse("a b c"), Err(Reason::Malformed(Part::Msid)));
        assert_eq!(Msid::parse(""), Err(Reason::Malformed(Part::Msid)));
    }
}
