use core::fmt;

use crate::media::write_body;
use crate::session_lines::{INFORMATION, KEY, TIMES, write_lines};
use crate::{
    Address, Attribute, Bandwidth, Direction, ExtMap, Fingerprint, Group, GroupKind, IcePwd, IceUfrag, Media, Mid,
    Origin, OtherLine, Setup, Text, Token,
};

/// A session description (RFC 8866 §5).
///
/// The fields are the lines, in their order; the functions read them for what they mean. Any value of this type can be
/// written with `to_string`: CRLF after each line, lines in the order of RFC 8866 §5, attributes in their own. What a
/// browser wrote comes back byte for byte; of what others may write these are put in one form: LF alone at the end of a
/// line, empty lines, lines in another order, leading zeros of numbers, more than one space between fields, the case
/// of fingerprints, a space at the end of `a=rtcp-fb`, `recv` before `send` in `a=simulcast`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `o=`
    pub origin: Origin,
    /// `s=`: `-` in WebRTC.
    pub name: Text,
    /// `i=`, `u=`, `e=`, `p=`, `t=`, `r=`, `z=` and `k=`: in WebRTC only `t=0 0`.
    pub lines: Vec<OtherLine>,
    /// `c=`
    pub connection: Option<Address>,
    /// `b=`
    pub bandwidths: Vec<Bandwidth>,
    /// `a=` before the first `m=`.
    pub attributes: Vec<Attribute>,
    /// The media sections.
    pub media: Vec<Media>,
}

/// What a section says about its transport, with what the session says for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportDescription {
    /// The ICE user fragment.
    pub ufrag: Option<IceUfrag>,
    /// The ICE password.
    pub pwd: Option<IcePwd>,
    /// The agent is a lite one. Of the session only.
    pub ice_lite: bool,
    /// `trickle`, `ice2`, `renomination`, …
    pub ice_options: Vec<Token>,
    /// Of one certificate, by different hash functions; or of several certificates (RFC 8122 §5).
    pub fingerprints: Vec<Fingerprint>,
    /// Who opens the DTLS association.
    pub setup: Option<Setup>,
    /// What comes after `candidate:`, for an ICE agent to read.
    pub candidates: Vec<Text>,
    /// No candidate will come after these.
    pub end_of_candidates: bool,
}

impl Description {
    /// A description without sections, not bound to a time.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            name: Text::new("-").expect("a dash is a text"),
            lines: vec![OtherLine::unbounded_time()],
            connection: None,
            bandwidths: Vec::new(),
            attributes: Vec::new(),
            media: Vec::new(),
        }
    }

    /// The section of that name.
    #[must_use]
    pub fn section(&self, mid: &Mid) -> Option<&Media> {
        self.media.iter().find(|media| media.mid() == Some(mid))
    }

    /// The first `a=group:BUNDLE` line: WebRTC has one transport.
    #[must_use]
    pub fn bundle(&self) -> Option<&Group> {
        self.find(|attribute| match attribute {
            Attribute::Group(group) if group.kind == GroupKind::Bundle => Some(group),
            _ => None,
        })
    }

    /// Who sends in `media`: what the section says, or the session, or else both.
    #[must_use]
    pub fn direction(&self, media: &Media) -> Direction {
        let of = |attribute: &Attribute| if let Attribute::Direction(one) = attribute { Some(*one) } else { None };
        media.direction().or_else(|| self.attributes.iter().find_map(of)).unwrap_or_default()
    }

    /// The header extensions of `media`: its own, then those that the session has for all sections.
    pub fn extensions<'a>(&'a self, media: &'a Media) -> impl Iterator<Item = &'a ExtMap> {
        media.attributes.iter().chain(&self.attributes).filter_map(|attribute| match attribute {
            Attribute::ExtMap(map) => Some(map),
            _ => None,
        })
    }

    /// Whether one-byte and two-byte header extensions may come in one stream of `media` (RFC 8285 §6).
    #[must_use]
    pub fn allows_mixed_extensions(&self, media: &Media) -> bool {
        self.attributes.contains(&Attribute::ExtmapAllowMixed) || media.has(&Attribute::ExtmapAllowMixed)
    }

    /// The transport of `media`. RFC 9143 §7.1.3: of bundled sections it is enough that one says it.
    #[must_use]
    pub fn transport(&self, media: &Media) -> TransportDescription {
        let mut own = TransportDescription::of(&media.attributes);
        // Candidates are of a section: those of the session would be copied once for each for nothing.
        let shared = self.attributes.iter().filter(|attribute| !matches!(attribute, Attribute::Candidate(_)));
        let session = TransportDescription::of(shared);
        own.ice_lite = session.ice_lite;
        // RFC 8839 §5.4: user fragment and password come together, from one level.
        if own.ufrag.is_none() && own.pwd.is_none() {
            (own.ufrag, own.pwd) = (session.ufrag, session.pwd);
        }
        if own.ice_options.is_empty() {
            own.ice_options = session.ice_options;
        }
        if own.fingerprints.is_empty() {
            own.fingerprints = session.fingerprints;
        }
        own.setup = own.setup.or(session.setup);
        own.end_of_candidates |= session.end_of_candidates;
        own
    }

    pub(crate) fn find<'a, T>(&'a self, read: impl Fn(&'a Attribute) -> Option<T>) -> Option<T> {
        self.attributes.iter().find_map(read)
    }
}

impl TransportDescription {
    fn of<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Self {
        let mut read = Self::default();
        for attribute in attributes {
            match attribute {
                Attribute::IceUfrag(ufrag) => read.ufrag = Some(ufrag.clone()),
                Attribute::IcePwd(pwd) => read.pwd = Some(pwd.clone()),
                Attribute::IceLite => read.ice_lite = true,
                Attribute::IceOptions(options) => read.ice_options.clone_from(options),
                Attribute::Fingerprint(fingerprint) => read.fingerprints.push(fingerprint.clone()),
                Attribute::Setup(setup) => read.setup = Some(*setup),
                Attribute::Candidate(candidate) => read.candidates.push(candidate.clone()),
                Attribute::EndOfCandidates => read.end_of_candidates = true,
                _ => {}
            }
        }
        read
    }

    /// Whether there is all that a connection needs.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.ufrag.is_some() && self.pwd.is_some() && !self.fingerprints.is_empty()
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\no={}\r\ns={}\r\n", self.origin, self.name)?;
        write_lines(f, &self.lines, &INFORMATION)?;
        write_body(f, self.connection.as_ref(), &self.bandwidths)?;
        write_lines(f, &self.lines, &TIMES)?;
        write_lines(f, &self.lines, &KEY)?;
        self.attributes.iter().try_for_each(|attribute| write!(f, "a={attribute}\r\n"))?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}
