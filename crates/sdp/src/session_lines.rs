//! The lines of a session or a media section that are no attributes.

use core::fmt;
use core::net::IpAddr;

use plenary_wire::Bitrate;

use crate::text::number;
use crate::{Part, Reason, Text, Token, Word};

/// `o=<username> <session id> <version> IN <IP4 or IP6> <address>` (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Who made the session; `-` where nobody is named.
    pub username: Word,
    /// With `username` and `address`, what makes it a session of its own. RFC 8829 §5.2.1 wants a random number below
    /// 2^63.
    pub session_id: u64,
    /// Counts the descriptions of the session. RFC 8829 §5.2.1 wants it below 2^63 - 1.
    pub version: u64,
    /// The address of the machine, as it is written: in WebRTC one that says nothing.
    pub address: Address,
}

/// How a description comes after another, by their `o=` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// It is the same: RFC 3264 §8 has the version stay where nothing changed.
    Same,
    /// It is a later one of the same session.
    Later,
    /// It is an earlier one of the same session: late, and to be ignored.
    Earlier,
    /// It is of another session.
    Unrelated,
}

impl Origin {
    /// The first description of a session that names nobody: `- <session id> 0 IN IP4 127.0.0.1`.
    #[must_use]
    pub fn new(session_id: u64) -> Self {
        let username = Word::new("-").expect("a dash is visible");
        Self { username, session_id, version: 0, address: Address::ip([127, 0, 0, 1].into()) }
    }

    /// The line of the next description of the session. RFC 3264 §8: the version grows by one, for each change.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { version: self.version.wrapping_add(1), ..self.clone() }
    }

    /// How the description that has this line comes after the one that has `other`.
    #[must_use]
    pub fn after(&self, other: &Self) -> Revision {
        if self.session_id != other.session_id || self.username != other.username || self.address != other.address {
            return Revision::Unrelated;
        }
        match self.version.cmp(&other.version) {
            core::cmp::Ordering::Less => Revision::Earlier,
            core::cmp::Ordering::Equal => Revision::Same,
            core::cmp::Ordering::Greater => Revision::Later,
        }
    }

    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Origin);
        let mut fields = value.splitn(4, ' ');
        let mut field = || fields.next().ok_or(malformed);
        let username = Word::new(field()?).map_err(|_| malformed)?;
        let session_id = number(field()?).ok_or(malformed)?;
        let version = number(field()?).ok_or(malformed)?;
        let address = Address::parse(field()?).ok_or(malformed)?;
        Ok(Self { username, session_id, version, address })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.username, self.session_id, self.version, self.address)
    }
}

/// `IN <IP4 or IP6> <address>`: the value of `c=`, and a part of `o=`. WebRTC takes addresses from ICE alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Whether it is said to be of IPv6.
    pub is_v6: bool,
    /// An address or a name, not looked at: mostly `0.0.0.0`.
    pub host: Word,
}

impl Address {
    /// An address of this machine or another.
    #[must_use]
    pub fn ip(address: IpAddr) -> Self {
        let host = Word::new(&address.to_string()).expect("an address is visible");
        Self { is_v6: address.is_ipv6(), host }
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (is_v6, host) = match value.strip_prefix("IN ")?.split_once(' ')? {
            ("IP4", host) => (false, host),
            ("IP6", host) => (true, host),
            _ => return None,
        };
        Some(Self { is_v6, host: Word::new(host).ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", if self.is_v6 { "IP6" } else { "IP4" }, self.host)
    }
}

/// `b=<kind>:<number>` (RFC 8866 §5.8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bandwidth {
    /// `AS`: at most so many kilobits in a second, with all headers.
    ApplicationSpecific(u64),
    /// `TIAS`: at most so many bits in a second, without headers below RTP (RFC 3890 §6.2).
    TransportIndependent(u64),
    /// Another kind, and its number.
    Other(Token, u64),
}

impl Bandwidth {
    /// The rate, for the two kinds of which it is known what they count.
    #[must_use]
    pub const fn bitrate(&self) -> Option<Bitrate> {
        match *self {
            Self::ApplicationSpecific(kilobits) => Some(Bitrate::from_bps(kilobits.saturating_mul(1_000))),
            Self::TransportIndependent(bits) => Some(Bitrate::from_bps(bits)),
            Self::Other(..) => None,
        }
    }

    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Bandwidth);
        let (kind, rate) = value.split_once(':').ok_or(malformed)?;
        let rate = number(rate).ok_or(malformed)?;
        Ok(match kind {
            "AS" => Self::ApplicationSpecific(rate),
            "TIAS" => Self::TransportIndependent(rate),
            _ => Self::Other(Token::new(kind).map_err(|_| malformed)?, rate),
        })
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApplicationSpecific(kilobits) => write!(f, "AS:{kilobits}"),
            Self::TransportIndependent(bits) => write!(f, "TIAS:{bits}"),
            Self::Other(kind, number) => write!(f, "{kind}:{number}"),
        }
    }
}

/// A line of a type that WebRTC has no use for: it is kept, and written where RFC 8866 wants it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherLine {
    letter: char,
    value: Text,
}

/// What may stand between `s=` and `c=`, and after `b=`, in the order of RFC 8866 §5.
pub(crate) const INFORMATION: [char; 4] = ['i', 'u', 'e', 'p'];
pub(crate) const TIMES: [char; 3] = ['t', 'r', 'z'];
pub(crate) const KEY: [char; 1] = ['k'];

impl OtherLine {
    /// `t=0 0`: the session is not bound to a time.
    #[must_use]
    pub fn unbounded_time() -> Self {
        Self { letter: 't', value: Text::new("0 0").expect("two digits are a text") }
    }

    /// One of `i`, `u`, `e`, `p`, `t`, `r`, `z` and `k`; of a media section `i` or `k`.
    #[must_use]
    pub const fn letter(&self) -> char {
        self.letter
    }

    /// What comes after `=`.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    /// Where its type is written among the others. Lines are kept in that order, so that equal texts make equal
    /// descriptions; times and their repetitions stay as they follow each other.
    pub(crate) fn place(&self) -> usize {
        let information = INFORMATION.iter().position(|letter| *letter == self.letter);
        information.unwrap_or_else(|| INFORMATION.len() + usize::from(KEY.contains(&self.letter)))
    }

    pub(crate) fn parse(letter: char, value: &str) -> Result<Self, Reason> {
        if letter == 't' {
            let times = value.split_once(' ').and_then(|(start, stop)| number::<u64>(start).zip(number::<u64>(stop)));
            times.ok_or(Reason::Malformed(Part::Time))?;
        }
        Ok(Self { letter, value: Text::new(value).map_err(|_| Reason::Control)? })
    }
}

/// Writes the lines of some letters, in the order of `letters`; `t=`, `r=` and `z=` belong together and stay in theirs.
pub(crate) fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[OtherLine], letters: &[char]) -> fmt::Result {
    let mut write = |line: &OtherLine| write!(f, "{}={}\r\n", line.letter, line.value);
    if letters == TIMES {
        return lines.iter().filter(|line| letters.contains(&line.letter)).try_for_each(write);
    }
    letters.iter().try_for_each(|letter| lines.iter().filter(|line| line.letter == *letter).try_for_each(&mut write))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_and_counted() {
        let text = "mozilla...THIS_IS_SDPARTA-99.0 4437259545233333452 0 IN IP4 0.0.0.0";
        let first = Origin::parse(text).unwrap();
        assert_eq!((first.session_id, first.version), (4_437_259_545_233_333_452, 0));
        assert_eq!(first.to_string(), text);
        let second = first.next();
        assert_eq!(second.version, 1);
        assert_eq!(second.after(&first), Revision::Later);
        assert_eq!(first.after(&second), Revision::Earlier);
        assert_eq!(first.after(&first.clone()), Revision::Same);
        assert_eq!(second.after(&Origin { session_id: 1, ..first }), Revision::Unrelated);
        for bad in ["", "- 1 1 IN IP4", "- x 1 IN IP4 a", "- 1 -1 IN IP4 a", "- 1 1 IN IP5 a", "- 1 1 IN IP4 a b"] {
            assert_eq!(Origin::parse(bad), Err(Reason::Malformed(Part::Origin)), "{bad}");
        }
    }

    #[test]
    fn bandwidths_are_kilobits_or_bits() {
        assert_eq!(Bandwidth::parse("AS:512").unwrap().bitrate(), Some(Bitrate::from_kbps(512)));
        assert_eq!(Bandwidth::parse("TIAS:512").unwrap().bitrate(), Some(Bitrate::from_bps(512)));
        let endless = Bandwidth::parse(&format!("AS:{}", u64::MAX)).unwrap();
        assert_eq!(endless.bitrate(), Some(Bitrate::from_bps(u64::MAX)));
        assert_eq!(Bandwidth::parse("RS:0").unwrap().to_string(), "RS:0");
        for bad in ["AS", "AS:", "AS:-1", "AS:x", ":1", "A S:1"] {
            assert_eq!(Bandwidth::parse(bad), Err(Reason::Malformed(Part::Bandwidth)), "{bad}");
        }
    }

    #[test]
    fn addresses_are_of_two_families() {
        assert_eq!(Address::ip("::1".parse().unwrap()).to_string(), "IN IP6 ::1");
        assert_eq!(Address::parse("IN IP4 host.example").unwrap().host, "host.example");
        assert_eq!(Address::parse("IN IP4"), None);
        assert_eq!(Address::parse("NET IP4 a"), None);
    }
}
