use core::fmt;

use crate::{Limits, Mid, Part, Reason, Token};

/// What the sections of a group are to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupKind {
    /// `BUNDLE`: they share one transport (RFC 9143).
    Bundle,
    /// `LS`: they are played in sync (RFC 5888 §7).
    LipSync,
    /// Something else.
    Other(Token),
}

/// `a=group:<semantics> <mid> …` (RFC 5888 §5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// What they are to each other.
    pub kind: GroupKind,
    /// Sections by their names, in order. Those that no section has are passed over.
    pub mids: Vec<Mid>,
}

impl Group {
    pub(crate) fn parse(value: &str, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Group);
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let kind = match fields.next().ok_or(malformed)? {
            "BUNDLE" => GroupKind::Bundle,
            "LS" => GroupKind::LipSync,
            other => GroupKind::Other(Token::new(other).map_err(|_| malformed)?),
        };
        let mut mids = Vec::new();
        for field in fields {
            if mids.len() == limits.media {
                return Err(Reason::TooMany(Part::Group));
            }
            mids.push(Mid::new(field).map_err(|_| malformed)?);
        }
        let mut sorted: Vec<_> = mids.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Reason::Duplicate(Part::Mid));
        }
        Ok(Self { kind, mids })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            GroupKind::Bundle => "BUNDLE",
            GroupKind::LipSync => "LS",
            GroupKind::Other(name) => name.as_str(),
        })?;
        self.mids.iter().try_for_each(|mid| write!(f, " {mid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_names_sections_once() {
        let limits = Limits { media: 3, ..Limits::default() };
        let read = Group::parse("BUNDLE 0 audio 2", &limits).unwrap();
        assert_eq!((&read.kind, read.mids.len()), (&GroupKind::Bundle, 3));
        assert_eq!(read.to_string(), "BUNDLE 0 audio 2");
        assert_eq!(Group::parse("BUNDLE", &limits).unwrap().mids.len(), 0);
        assert_eq!(Group::parse("LS 0 1", &limits).unwrap().to_string(), "LS 0 1");
        assert_eq!(Group::parse("BUNDLE 0 0", &limits), Err(Reason::Duplicate(Part::Mid)));
        assert_eq!(Group::parse("BUNDLE 0 1 2 3", &limits), Err(Reason::TooMany(Part::Group)));
        assert_eq!(Group::parse("", &limits), Err(Reason::Malformed(Part::Group)));
        assert_eq!(Group::parse("BUNDLE a,b", &limits), Err(Reason::Malformed(Part::Group)));
    }
}
