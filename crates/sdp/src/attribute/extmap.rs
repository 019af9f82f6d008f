use core::fmt;

use crate::text::number;
use crate::{Direction, Error, Part, Reason, Text, Word};

/// The id of an RTP header extension element: 1 to 14, or 16 to 255 in the two-byte form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtensionId(u8);

impl ExtensionId {
    /// # Errors
    ///
    /// [`Error::ExtensionId`] for 0 and 15.
    pub const fn new(number: u8) -> Result<Self, Error> {
        if number == 0 || number == 15 {
            return Err(Error::ExtensionId(number));
        }
        Ok(Self(number))
    }

    /// The number that stands in the RTP packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ExtensionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `a=extmap:<id>[/<direction>] <URI> [<attributes>]` (RFC 8285 §8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtMap {
    /// The id on packets.
    pub id: ExtensionId,
    /// Who sends it. `None` is whoever sends media.
    pub direction: Option<Direction>,
    /// What it is.
    pub uri: Word,
    /// What the URI's specification wants to be said, as text.
    pub attributes: Option<Text>,
}

impl ExtMap {
    /// `None` for an id that may stand in a description, but not on packets as one of ours.
    ///
    /// RFC 8285 §4.2 reserves 15, and §7 lets an offer put 4096 to 4351 in place of ids of which there are too few: it
    /// is the answerer's choice which of these get one, and ours is none.
    pub(crate) fn parse(value: &str) -> Result<Option<Self>, Reason> {
        let malformed = Reason::Malformed(Part::ExtMap);
        let (id, rest) = value.split_once(' ').ok_or(malformed)?;
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Some(Direction::parse(direction).ok_or(malformed)?)),
            None => (id, None),
        };
        let id = match number::<u32>(id).ok_or(malformed)? {
            15 | 4096..=4351 => return Ok(None),
            id @ 1..=255 => ExtensionId(id as u8),
            _ => return Err(Reason::OutOfRange(Part::ExtMap)),
        };
        let (uri, attributes) = match rest.split_once(' ') {
            Some((uri, attributes)) => (uri, Some(Text::new(attributes).map_err(|_| malformed)?)),
            None => (rest, None),
        };
        Ok(Some(Self { id, direction, uri: Word::new(uri).map_err(|_| malformed)?, attributes }))
    }
}

impl fmt::Display for ExtMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)?;
        if let Some(direction) = self.direction {
            write!(f, "/{direction}")?;
        }
        write!(f, " {}", self.uri)?;
        self.attributes.as_ref().map_or(Ok(()), |attributes| write!(f, " {attributes}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extmap_has_four_parts() {
        let read = ExtMap::parse("11/recvonly urn:x a b").unwrap().unwrap();
        assert_eq!((read.id.number(), read.direction), (11, Some(Direction::RecvOnly)));
        assert_eq!((read.uri.as_str(), read.attributes.as_ref().map(Text::as_str)), ("urn:x", Some("a b")));
        assert_eq!(read.to_string(), "11/recvonly urn:x a b");
        for bad in ["1", "1 ", "x urn:x", "1/up urn:x", "-1 urn:x"] {
            assert_eq!(ExtMap::parse(bad), Err(Reason::Malformed(Part::ExtMap)), "{bad}");
        }
    }

    #[test]
    fn ids_out_of_range_are_refused_and_reserved_ones_left_alone() {
        for bad in [0, 256, 4095, 4352, u32::MAX] {
            assert_eq!(ExtMap::parse(&format!("{bad} urn:x")), Err(Reason::OutOfRange(Part::ExtMap)), "{bad}");
        }
        for reserved in [15, 4096, 4351] {
            assert_eq!(ExtMap::parse(&format!("{reserved} urn:x")), Ok(None), "{reserved}");
        }
        assert_eq!(ExtensionId::new(15), Err(Error::ExtensionId(15)));
        assert_eq!(ExtensionId::new(16).map(ExtensionId::number), Ok(16));
    }
}
