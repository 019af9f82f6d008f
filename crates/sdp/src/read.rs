use std::collections::BTreeSet;

use crate::line::{Line, Lines};
use crate::session_lines::{INFORMATION, KEY, TIMES};
use crate::{
    Address, Attribute, Bandwidth, Description, Limits, Media, Mid, Origin, OtherLine, ParseError, Part, Reason, RidId,
    Text,
};

impl Description {
    /// Reads a description: one that is within `limits` and has no line that is malformed, or else nothing.
    ///
    /// Lines may end with LF alone, and come in another order than RFC 8866 §5 has, as long as `v=`, `o=` and `s=` are
    /// the first three. The time is linear in the length of the text.
    ///
    /// # Errors
    ///
    /// [`ParseError`] names the first line that is wrong.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        let mut lines = Lines::new(text, limits)?;
        let version = lines.expect('v')?;
        if version.value != "0" {
            return Err(version.error(Reason::Malformed(Part::Version)));
        }
        let line = lines.expect('o')?;
        let origin = Origin::parse(line.value).map_err(|reason| line.error(reason))?;
        let line = lines.expect('s')?;
        let name = Text::new(line.value).map_err(|_| line.error(Reason::Malformed(Part::SessionName)))?;

        let mut session = Block::default();
        let mut sections: Vec<(Media, Block)> = Vec::new();
        let mut mids = BTreeSet::new();
        let mut has_time = false;
        while let Some(line) = lines.next()? {
            let read = |reason| line.error(reason);
            if line.letter == 'm' {
                require_time(has_time, line.number)?;
                if sections.len() == limits.media {
                    return Err(read(Reason::TooMany(Part::Media)));
                }
                sections.push((Media::parse(line.value, limits).map_err(read)?, Block::default()));
                continue;
            }
            has_time |= line.letter == 't' && sections.is_empty();
            let Some((_, block)) = sections.last_mut() else {
                session.read(&line, &[&INFORMATION, &TIMES, &KEY], limits).map_err(read)?;
                continue;
            };
            let mid = block.read(&line, &[&['i'], &KEY], limits).map_err(read)?;
            if mid.is_some_and(|mid| !mids.insert(mid)) {
                return Err(read(Reason::Duplicate(Part::Mid)));
            }
        }
        require_time(has_time, lines.next_number())?;
        session.lines.sort_by_key(OtherLine::place);
        let media = sections.into_iter().map(|(media, block)| block.into_media(media)).collect();
        Ok(Self {
            origin,
            name,
            lines: session.lines,
            connection: session.connection,
            bandwidths: session.bandwidths,
            attributes: session.attributes,
            media,
        })
    }
}

/// `t=` is before the first media section.
const fn require_time(has_time: bool, line: usize) -> Result<(), ParseError> {
    if has_time { Ok(()) } else { Err(ParseError { line, reason: Reason::Missing('t') }) }
}

/// What a session and a media section have alike.
#[derive(Default)]
struct Block {
    lines: Vec<OtherLine>,
    connection: Option<Address>,
    bandwidths: Vec<Bandwidth>,
    attributes: Vec<Attribute>,
    seen: Seen,
}

impl Block {
    fn into_media(mut self, media: Media) -> Media {
        self.lines.sort_by_key(OtherLine::place);
        Media {
            lines: self.lines,
            connection: self.connection,
            bandwidths: self.bandwidths,
            attributes: self.attributes,
            ..media
        }
    }

    /// Takes a line of a type that may stand here; says the mid if it brought one.
    fn read(&mut self, line: &Line<'_>, letters: &[&[char]], limits: &Limits) -> Result<Option<Mid>, Reason> {
        match line.letter {
            'a' => return self.read_attribute(line.value, limits),
            'c' => {
                let address = Address::parse(line.value).ok_or(Reason::Malformed(Part::Connection))?;
                if self.connection.replace(address).is_some() {
                    return Err(Reason::Duplicate(Part::Connection));
                }
            }
            'b' => {
                self.count_other_line(limits)?;
                self.bandwidths.push(Bandwidth::parse(line.value)?);
            }
            letter if letters.iter().any(|some| some.contains(&letter)) => {
                self.count_other_line(limits)?;
                self.lines.push(OtherLine::parse(letter, line.value)?);
            }
            letter => return Err(Reason::UnknownLetter(letter)),
        }
        Ok(None)
    }

    fn count_other_line(&self, limits: &Limits) -> Result<(), Reason> {
        let count = self.lines.len() + self.bandwidths.len();
        if count < limits.other_lines { Ok(()) } else { Err(Reason::TooMany(Part::Lines)) }
    }

    fn read_attribute(&mut self, value: &str, limits: &Limits) -> Result<Option<Mid>, Reason> {
        if self.attributes.len() == limits.attributes {
            return Err(Reason::TooMany(Part::Attribute));
        }
        let attribute = Attribute::parse(value, limits)?;
        match self.seen.add(&attribute, limits) {
            Err(Reason::Duplicate(_)) if self.may_repeat(&attribute, limits) => self.seen.repeats += 1,
            result => result?,
        }
        let mid = if let Attribute::Mid(mid) = &attribute { Some(mid.clone()) } else { None };
        self.attributes.push(attribute);
        Ok(mid)
    }

    /// Whether an attribute that may come once may come again: the same line once more changes nothing, and the
    /// parameters of a format are merged. Browsers take both from pages that change texts by hand.
    fn may_repeat(&self, attribute: &Attribute, limits: &Limits) -> bool {
        self.seen.repeats < limits.repeats
            && match attribute {
                Attribute::Fmtp(_) => true,
                Attribute::Mid(_) | Attribute::Rid(_) => false,
                other => self.attributes.contains(other),
            }
    }
}

/// What a session or a section has had, to refuse what comes twice or too often.
#[derive(Default)]
struct Seen {
    /// Attributes that may come once: a bit each.
    once: u16,
    /// Payload types that have an `a=rtpmap`, and an `a=fmtp`: a bit each.
    maps: u128,
    parameters: u128,
    /// Header extension ids: a bit each.
    extensions: [u128; 2],
    extension_count: usize,
    rids: BTreeSet<RidId>,
    ssrcs: BTreeSet<u32>,
    candidates: usize,
    fingerprints: usize,
    groups: usize,
    wildcards: usize,
    repeats: usize,
}

impl Seen {
    fn add(&mut self, attribute: &Attribute, limits: &Limits) -> Result<(), Reason> {
        if let Some((index, part)) = once(attribute) {
            return mark(&mut self.once, 1 << index, part);
        }
        match attribute {
            Attribute::RtpMap(map) => mark(&mut self.maps, 1 << map.payload_type.number(), Part::RtpMap),
            Attribute::Fmtp(fmtp) => mark(&mut self.parameters, 1 << fmtp.payload_type.number(), Part::Fmtp),
            Attribute::ExtMap(map) => {
                count(&mut self.extension_count, limits.extensions, Part::ExtMap)?;
                let id = map.id.number();
                mark(&mut self.extensions[usize::from(id / 128)], 1 << (id % 128), Part::ExtMap)
            }
            Attribute::Rid(rid) if self.rids.len() == limits.rids && !self.rids.contains(&rid.id) => {
                Err(Reason::TooMany(Part::Rid))
            }
            Attribute::Rid(rid) if !self.rids.insert(rid.id.clone()) => Err(Reason::Duplicate(Part::Rid)),
            Attribute::Source(source) => {
                self.ssrcs.insert(source.ssrc);
                if self.ssrcs.len() > limits.ssrcs { Err(Reason::TooMany(Part::Ssrc)) } else { Ok(()) }
            }
            Attribute::Candidate(_) => count(&mut self.candidates, limits.candidates, Part::Candidate),
            Attribute::Fingerprint(_) => count(&mut self.fingerprints, limits.fingerprints, Part::Fingerprint),
            Attribute::RtcpFb(line) if line.payload_type.is_none() => {
                count(&mut self.wildcards, limits.wildcard_feedback, Part::RtcpFb)
            }
            Attribute::Group(_) => count(&mut self.groups, limits.groups, Part::Group),
            _ => Ok(()),
        }
    }
}

/// Attributes that may stand once in a session or a section, by number.
const fn once(attribute: &Attribute) -> Option<(u32, Part)> {
    Some(match attribute {
        Attribute::Mid(_) => (0, Part::Mid),
        Attribute::IceUfrag(_) => (1, Part::IceUfrag),
        Attribute::IcePwd(_) => (2, Part::IcePwd),
        Attribute::Setup(_) => (3, Part::Setup),
        Attribute::Simulcast(_) => (4, Part::Simulcast),
        Attribute::SctpPort(_) => (5, Part::SctpPort),
        Attribute::MaxMessageSize(_) => (6, Part::MaxMessageSize),
        Attribute::Direction(_) => (7, Part::Direction),
        Attribute::IceOptions(_) => (8, Part::IceOptions),
        _ => return None,
    })
}

fn mark<B>(bits: &mut B, bit: B, part: Part) -> Result<(), Reason>
where
    B: Copy + PartialEq + Default + core::ops::BitAnd<Output = B> + core::ops::BitOrAssign,
{
    if *bits & bit != B::default() {
        return Err(Reason::Duplicate(part));
    }
    *bits |= bit;
    Ok(())
}

const fn count(so_far: &mut usize, limit: usize, part: Part) -> Result<(), Reason> {
    if *so_far == limit {
        return Err(Reason::TooMany(part));
    }
    *so_far += 1;
    Ok(())
}
