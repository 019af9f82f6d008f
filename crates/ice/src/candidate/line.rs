//! Candidate lines (RFC 8839 §5.1, RFC 6544 §4.5): read, kept, and written.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::{FromStr, SplitAsciiWhitespace};

use super::{Address, Candidate, CandidateKind, TcpType, Transport};
use crate::ParseError;

/// Bytes of a line that are looked at; real ones have 150.
const LINE_BYTES_MAX: usize = 1024;
/// Extension attributes of a candidate; real ones have 4.
const EXTENSIONS_MAX: usize = 16;
/// The longest name of DNS.
const NAME_BYTES_MAX: usize = 253;

impl Candidate {
    /// Reads `candidate:…`, with or without `a=` before it and a line end behind it.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; what is unknown among the extension attributes is kept and is no error.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let line = line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')).unwrap_or(line);
        let line = line.strip_prefix("a=").unwrap_or(line);
        let value = line.strip_prefix("candidate:").ok_or(ParseError::NotIce)?;
        let mut words = value.split_ascii_whitespace();
        let foundation = text(next(&mut words)?, 32)?;
        let component = number(next(&mut words)?)?;
        if !(1..=256).contains(&component) {
            return Err(ParseError::Number);
        }
        let protocol = next(&mut words)?;
        let priority = number(next(&mut words)?)?;
        let host = next(&mut words)?;
        let address = address(host, number(next(&mut words)?)?)?;
        if next(&mut words)? != "typ" {
            return Err(ParseError::Field);
        }
        let kind = next(&mut words)?.parse()?;
        let mut rest = Rest::default();
        rest.read(&mut words)?;
        let transport = if protocol.eq_ignore_ascii_case("udp") {
            Transport::Udp
        } else if protocol.eq_ignore_ascii_case("tcp") {
            // RFC 6544 §4.5: tcptype is mandatory for TCP.
            Transport::Tcp(rest.tcp.ok_or(ParseError::Transport)?)
        } else {
            return Err(ParseError::Transport);
        };
        let related = rest.related()?;
        Ok(Self { foundation, component, transport, priority, address, kind, related, extensions: rest.extensions })
    }
}

/// What stands behind the type.
#[derive(Default)]
struct Rest<'a> {
    related_host: Option<&'a str>,
    related_port: Option<u16>,
    tcp: Option<TcpType>,
    extensions: Vec<(String, String)>,
}

impl<'a> Rest<'a> {
    fn read(&mut self, words: &mut SplitAsciiWhitespace<'a>) -> Result<(), ParseError> {
        while let Some(name) = words.next() {
            let value = next(words)?;
            match name {
                "raddr" => self.related_host = Some(value),
                "rport" => self.related_port = Some(number(value)?),
                "tcptype" => self.tcp = Some(value.parse()?),
                _ if self.extensions.len() == EXTENSIONS_MAX => return Err(ParseError::TooLong),
                _ => self.extensions.push((name.to_owned(), value.to_owned())),
            }
        }
        Ok(())
    }

    fn related(&self) -> Result<Option<Address>, ParseError> {
        match (self.related_host, self.related_port) {
            (Some(host), Some(port)) => address(host, port).map(Some),
            (Some(host), None) => address(host, 0).map(Some),
            _ => Ok(None),
        }
    }
}

impl FromStr for Candidate {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        Self::parse(line)
    }
}

impl FromStr for CandidateKind {
    type Err = ParseError;

    fn from_str(word: &str) -> Result<Self, ParseError> {
        [Self::Host, Self::ServerReflexive, Self::PeerReflexive, Self::Relayed]
            .into_iter()
            .find(|kind| word.eq_ignore_ascii_case(kind.as_str()))
            .ok_or(ParseError::Kind)
    }
}

impl FromStr for TcpType {
    type Err = ParseError;

    fn from_str(word: &str) -> Result<Self, ParseError> {
        [Self::Active, Self::Passive, Self::SimultaneousOpen]
            .into_iter()
            .find(|tcp| word.eq_ignore_ascii_case(tcp.as_str()))
            .ok_or(ParseError::Transport)
    }
}

/// Writes the line without `a=` and line end, as browsers take it.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, transport, priority, address, kind, related, extensions } = self;
        let protocol = match transport {
            Transport::Udp => "udp",
            Transport::Tcp(_) => "tcp",
        };
        write!(f, "candidate:{foundation} {component} {protocol} {priority} ")?;
        write_address(f, address, "")?;
        write!(f, " typ {}", kind.as_str())?;
        if let Some(related) = related {
            f.write_str(" raddr ")?;
            write_address(f, related, "rport ")?;
        }
        if let Transport::Tcp(tcp) = transport {
            write!(f, " tcptype {}", tcp.as_str())?;
        }
        extensions.iter().try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

fn write_address(f: &mut fmt::Formatter<'_>, address: &Address, port: &str) -> fmt::Result {
    match address {
        Address::Ip(address) => write!(f, "{} {port}{}", address.ip(), address.port()),
        Address::Name(name, number) => write!(f, "{name} {port}{number}"),
    }
}

fn next<'a>(words: &mut SplitAsciiWhitespace<'a>) -> Result<&'a str, ParseError> {
    words.next().ok_or(ParseError::Missing)
}

pub(crate) fn number<N: FromStr>(word: &str) -> Result<N, ParseError> {
    // `from_str` of Rust takes a plus sign, which the grammar does not.
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Number);
    }
    word.parse().map_err(|_| ParseError::Number)
}

/// 1 to `max` ice-chars. Hyphen, underscore and equals sign are no ice-chars, but some peers write them.
pub(crate) fn text(word: &str, max: usize) -> Result<String, ParseError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    if word.is_empty() || word.len() > max || !word.bytes().all(allowed) {
        return Err(ParseError::Field);
    }
    Ok(word.to_owned())
}

pub(crate) fn address(host: &str, port: u16) -> Result<Address, ParseError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port).into());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // A name whose last label is all digits would be an IPv4 address gone wrong.
    let last = host.rsplit('.').next().unwrap_or_default();
    let named = last.bytes().any(|byte| !byte.is_ascii_digit());
    if host.len() > NAME_BYTES_MAX || !named || !host.bytes().all(allowed) {
        return Err(ParseError::Address);
    }
    Ok(Address::Name(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHROMIUM: &str = "candidate:842163049 1 udp 1677729535 203.0.113.7 58344 typ srflx raddr 10.0.0.5 rport 58344 \
                            generation 0 ufrag Ab+/ network-id 1 network-cost 10";

    #[test]
    fn a_line_of_chromium_is_read_and_written() {
        let candidate = Candidate::parse(CHROMIUM).unwrap();
        assert_eq!(candidate.kind, CandidateKind::ServerReflexive);
        assert_eq!(candidate.address, Address::Ip("203.0.113.7:58344".parse().unwrap()));
        assert_eq!(candidate.related, Some(Address::Ip("10.0.0.5:58344".parse().unwrap())));
        assert_eq!((candidate.ufrag(), candidate.generation()), (Some("Ab+/"), Some(0)));
        assert_eq!((candidate.network_cost(), candidate.extension("network-id")), (Some(10), Some("1")));
        assert_eq!(candidate.to_string(), CHROMIUM);
        assert_eq!(Candidate::parse(&format!("a={CHROMIUM}\r\n")), Ok(candidate));
    }

    #[test]
    fn lines_of_all_forms_come_back() {
        for line in [
            "candidate:1 1 udp 2130706431 2001:db8::1 9 typ host",
            "candidate:1 1 udp 2113937151 0d1ba3a4-2f6c-4f7f-9b8e-16d3e1a2c111.local 53234 typ host generation 0",
            "candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
            "candidate:2 1 tcp 1518149375 192.0.2.1 8443 typ host tcptype passive x-unknown kept",
            "candidate:3 256 udp 16777215 192.0.2.3 50000 typ relay raddr 0.0.0.0 rport 0",
            "candidate:4 2 tcp 1 192.0.2.1 10 typ prflx raddr 10.0.0.1 rport 10 tcptype so",
        ] {
            assert_eq!(Candidate::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn case_of_keywords_does_not_matter() {
        let candidate = Candidate::parse("candidate:0 1 UDP 5 192.0.2.1 7 typ HOST").unwrap();
        assert_eq!((candidate.transport, candidate.kind), (Transport::Udp, CandidateKind::Host));
    }

    #[test]
    fn bad_lines_are_refused_by_what_is_wrong() {
        let cases = [
            ("", ParseError::NotIce),
            ("candidat:1 1 udp 1 192.0.2.1 1 typ host", ParseError::NotIce),
            ("candidate:", ParseError::Missing),
            ("candidate:1 1 udp 1 192.0.2.1 1 typ", ParseError::Missing),
            ("candidate:1 1 udp 1 192.0.2.1 1 typ host raddr", ParseError::Missing),
            ("candidate:1 0 udp 1 192.0.2.1 1 typ host", ParseError::Number),
            ("candidate:1 257 udp 1 192.0.2.1 1 typ host", ParseError::Number),
            ("candidate:1 1 udp 4294967296 192.0.2.1 1 typ host", ParseError::Number),
            ("candidate:1 1 udp +1 192.0.2.1 1 typ host", ParseError::Number),
            ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", ParseError::Number),
            ("candidate:1 1 udp 1 192.0.2.256 1 typ host", ParseError::Address),
            ("candidate:1 1 udp 1 exa$mple.local 1 typ host", ParseError::Address),
            ("candidate:1 1 sctp 1 192.0.2.1 1 typ host", ParseError::Transport),
            ("candidate:1 1 tcp 1 192.0.2.1 1 typ host", ParseError::Transport),
            ("candidate:1 1 tcp 1 192.0.2.1 1 typ host tcptype none", ParseError::Transport),
            ("candidate:1 1 udp 1 192.0.2.1 1 typ token", ParseError::Kind),
            ("candidate:1 1 udp 1 192.0.2.1 1 type host", ParseError::Field),
            ("candidate:1é 1 udp 1 192.0.2.1 1 typ host", ParseError::Field),
            ("candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 1 typ host", ParseError::Field),
        ];
        for (line, error) in cases {
            assert_eq!(Candidate::parse(line), Err(error), "{line}");
        }
    }

    #[test]
    fn lines_without_end_are_refused() {
        assert_eq!(Candidate::parse(&"candidate:".repeat(200)), Err(ParseError::TooLong));
        let many = format!("candidate:1 1 udp 1 192.0.2.1 1 typ host{}", " a b".repeat(EXTENSIONS_MAX + 1));
        assert_eq!(Candidate::parse(&many), Err(ParseError::TooLong));
    }

    #[test]
    fn an_ipv4_address_hidden_in_ipv6_is_seen() {
        let candidate = Candidate::parse("candidate:1 1 udp 1 ::ffff:127.0.0.1 1 typ host").unwrap();
        assert_eq!(candidate.address, Address::Ip("127.0.0.1:1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(line in "(a=)?candidate:[ -~]{0,80}|\\PC{0,60}") {
            if let Ok(candidate) = Candidate::parse(&line) {
                prop_assert_eq!(Candidate::parse(&candidate.to_string()), Ok(candidate));
            }
        }

        #[test]
        fn what_was_written_is_read(
            foundation in "[A-Za-z0-9+/]{1,32}", component in 1..=256u16, priority: u32, ip: IpAddr, port: u16,
            kind in prop::sample::select(vec!["host", "srflx", "prflx", "relay"]), related: Option<u16>,
            tcp in prop::option::of(prop::sample::select(vec!["active", "passive", "so"])),
            extensions in prop::collection::vec(("x-[a-z]{1,9}", "[!-~]{1,9}"), 0..5),
        ) {
            let candidate = Candidate {
                foundation,
                component,
                transport: tcp.map_or(Transport::Udp, |tcp| Transport::Tcp(tcp.parse().unwrap())),
                priority,
                address: SocketAddr::new(ip, port).into(),
                kind: kind.parse().unwrap(),
                related: related.map(|port| SocketAddr::new(ip, port).into()),
                extensions,
            };
            prop_assert_eq!(Candidate::parse(&candidate.to_string()), Ok(candidate));
        }
    }
}
