use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::candidate::line::{address, number, text};
use crate::{Address, Candidate, ParseError};

/// A user name fragment and password (RFC 8445 §5.3). The password does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: Box<str>,
    password: Box<str>,
}

impl Credentials {
    /// Checks and keeps them.
    ///
    /// # Errors
    ///
    /// [`ParseError::Field`] if `ufrag` is not 4 to 256, or `password` not 22 to 256 ice-chars (RFC 8839 §5.4). Hyphen,
    /// underscore and equals sign are accepted too, as some peers use them.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, ParseError> {
        let (ufrag, password) = (text(ufrag, 256)?, text(password, 256)?);
        if ufrag.len() < 4 || password.len() < 22 {
            return Err(ParseError::Field);
        }
        Ok(Self { ufrag: ufrag.into(), password: password.into() })
    }

    /// The user name fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// What one side tells the other of its agent, besides candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Its credentials; new ones mean a restart (RFC 8445 §9).
    pub credentials: Credentials,
    /// `a=ice-lite` (RFC 8839 §5.3).
    pub lite: bool,
    /// `renomination` among `a=ice-options` (draft-thatcher-ice-renomination).
    pub renomination: bool,
    /// `trickle` among `a=ice-options` (RFC 8838 §3). Without it, candidates are complete when they come.
    pub trickle: bool,
    /// `a=ice-pacing` (RFC 8839 §5.5).
    pub pacing: Option<Duration>,
}

impl Parameters {
    /// Of a full agent that says nothing more.
    pub const fn new(credentials: Credentials) -> Self {
        Self { credentials, lite: false, renomination: false, trickle: true, pacing: None }
    }

    /// The lines that say so, for a session description.
    pub fn attributes(&self) -> Vec<Attribute> {
        let mut lines = vec![
            Attribute::Ufrag(self.credentials.ufrag().to_owned()),
            Attribute::Password(self.credentials.password().to_owned()),
        ];
        let mut options = vec!["ice2".to_owned()];
        if self.trickle {
            options.push("trickle".to_owned());
        }
        if self.renomination {
            options.push("renomination".to_owned());
        }
        lines.push(Attribute::Options(options));
        if self.lite {
            lines.push(Attribute::Lite);
        }
        lines.extend(self.pacing.map(Attribute::Pacing));
        lines
    }

    /// Gathers what the lines of a description say; candidates among them are passed over.
    ///
    /// # Errors
    ///
    /// [`ParseError::Missing`] without ufrag or password, [`ParseError::Field`] if they are of a wrong form.
    pub fn from_attributes<'a>(lines: impl IntoIterator<Item = &'a Attribute>) -> Result<Self, ParseError> {
        let (mut ufrag, mut password, mut lite, mut pacing) = (None, None, false, None);
        let (mut renomination, mut trickle) = (false, false);
        for line in lines {
            match line {
                Attribute::Ufrag(value) => ufrag = Some(value),
                Attribute::Password(value) => password = Some(value),
                Attribute::Lite => lite = true,
                Attribute::Pacing(value) => pacing = Some(*value),
                Attribute::Options(options) => {
                    renomination |= options.iter().any(|option| option == "renomination");
                    trickle |= options.iter().any(|option| option == "trickle");
                }
                _ => {}
            }
        }
        let credentials = Credentials::new(ufrag.ok_or(ParseError::Missing)?, password.ok_or(ParseError::Missing)?)?;
        Ok(Self { credentials, lite, renomination, trickle, pacing })
    }
}

/// A line of a session description that speaks of ICE (RFC 8839 §5, RFC 8840 §4.4). `Display` writes it without `a=`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// `candidate:…`
    Candidate(Candidate),
    /// `ice-ufrag:…`
    Ufrag(String),
    /// `ice-pwd:…`
    Password(String),
    /// `ice-lite`
    Lite,
    /// `ice-mismatch`
    Mismatch,
    /// `ice-options:…`, in order, what is unknown kept.
    Options(Vec<String>),
    /// `ice-pacing:…`, in milliseconds.
    Pacing(Duration),
    /// `end-of-candidates`
    EndOfCandidates,
    /// `remote-candidates:…`: component and address.
    RemoteCandidates(Vec<(u16, Address)>),
}

/// Tokens of one line that are accepted.
const TOKENS_MAX: usize = 32;

impl Attribute {
    /// Reads a line, with or without `a=` before it and a line end behind it.
    ///
    /// # Errors
    ///
    /// [`ParseError::NotIce`] for other lines, which are a caller's to pass over.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        if line.len() > 4096 {
            return Err(ParseError::TooLong);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let line = line.strip_prefix("a=").unwrap_or(line);
        match line.split_once(':').unwrap_or((line, "")) {
            ("candidate", _) => Candidate::parse(line).map(Self::Candidate),
            ("ice-ufrag", value) => text(value, 256).map(Self::Ufrag),
            ("ice-pwd", value) => text(value, 256).map(Self::Password),
            ("ice-lite", "") => Ok(Self::Lite),
            ("ice-mismatch", "") => Ok(Self::Mismatch),
            ("end-of-candidates", "") => Ok(Self::EndOfCandidates),
            ("ice-options", value) => {
                let options: Vec<_> = value.split_ascii_whitespace().take(TOKENS_MAX + 1).map(str::to_owned).collect();
                match options.len() {
                    0 => Err(ParseError::Missing),
                    1..=TOKENS_MAX => Ok(Self::Options(options)),
                    _ => Err(ParseError::TooLong),
                }
            }
            ("ice-pacing", value) => {
                // RFC 8839 §5.5: 1 to 10 digits.
                let milliseconds: u64 = number(value)?;
                if value.len() > 10 {
                    Err(ParseError::Number)
                } else {
                    Ok(Self::Pacing(Duration::from_millis(milliseconds)))
                }
            }
            ("remote-candidates", value) => remote_candidates(value).map(Self::RemoteCandidates),
            _ => Err(ParseError::NotIce),
        }
    }
}

fn remote_candidates(value: &str) -> Result<Vec<(u16, Address)>, ParseError> {
    let mut words = value.split_ascii_whitespace();
    let mut candidates = Vec::new();
    while let Some(component) = words.next() {
        if candidates.len() == TOKENS_MAX {
            return Err(ParseError::TooLong);
        }
        let host = words.next().ok_or(ParseError::Missing)?;
        let port = number(words.next().ok_or(ParseError::Missing)?)?;
        candidates.push((number(component)?, address(host, port)?));
    }
    if candidates.is_empty() { Err(ParseError::Missing) } else { Ok(candidates) }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(candidate) => candidate.fmt(f),
            Self::Ufrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Self::Password(password) => write!(f, "ice-pwd:{password}"),
            Self::Lite => f.write_str("ice-lite"),
            Self::Mismatch => f.write_str("ice-mismatch"),
            Self::Options(options) => write!(f, "ice-options:{}", options.join(" ")),
            Self::Pacing(pacing) => write!(f, "ice-pacing:{}", pacing.as_millis()),
            Self::EndOfCandidates => f.write_str("end-of-candidates"),
            Self::RemoteCandidates(candidates) => {
                f.write_str("remote-candidates:")?;
                for (index, (component, address)) in candidates.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    match address {
                        Address::Ip(SocketAddr::V4(it)) => write!(f, "{space}{component} {} {}", it.ip(), it.port())?,
                        Address::Ip(SocketAddr::V6(it)) => write!(f, "{space}{component} {} {}", it.ip(), it.port())?,
                        Address::Name(name, port) => write!(f, "{space}{component} {name} {port}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_comes_back() {
        for line in [
            "ice-ufrag:abcd",
            "ice-pwd:0123456789012345678901",
            "ice-lite",
            "ice-mismatch",
            "ice-options:ice2 trickle renomination unknown",
            "ice-pacing:50",
            "end-of-candidates",
            "remote-candidates:1 192.0.2.3 45664 2 2001:db8::3 45665",
            "candidate:1 1 udp 1 192.0.2.1 1 typ host",
        ] {
            assert_eq!(Attribute::parse(line).unwrap().to_string(), line);
            assert_eq!(Attribute::parse(&format!("a={line}\r\n")).unwrap().to_string(), line);
        }
    }

    #[test]
    fn other_lines_are_not_ice() {
        for line in ["a=rtcp-mux", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "", "a=ice-lite:x", "a=ice-litex"] {
            assert_eq!(Attribute::parse(line), Err(ParseError::NotIce), "{line}");
        }
        assert_eq!(Attribute::parse("a=ice-pacing:12345678901"), Err(ParseError::Number));
        assert_eq!(Attribute::parse("a=ice-pacing:-5"), Err(ParseError::Number));
        assert_eq!(Attribute::parse("a=ice-ufrag:a b"), Err(ParseError::Field));
        assert_eq!(Attribute::parse("a=ice-options:"), Err(ParseError::Missing));
        assert_eq!(Attribute::parse("a=remote-candidates:1 192.0.2.1"), Err(ParseError::Missing));
        assert_eq!(Attribute::parse(&format!("a=ice-options:{}", "x ".repeat(40))), Err(ParseError::TooLong));
    }

    // RFC 8839 §5.4: 4 to 256 and 22 to 256 characters.
    #[test]
    fn credentials_keep_to_their_lengths() {
        let password = "p".repeat(22);
        assert!(Credentials::new("abcd", &password).is_ok());
        assert!(Credentials::new(&"u".repeat(256), &"p".repeat(256)).is_ok());
        for (ufrag, password) in
            [("abc", &password[..]), ("abcd", &password[1..]), (&"u".repeat(257), &password), ("ab:d", &password)]
        {
            assert_eq!(Credentials::new(ufrag, password), Err(ParseError::Field));
        }
        assert_eq!(Credentials::new("abcd", &"p".repeat(257)), Err(ParseError::Field));
    }

    #[test]
    fn a_password_does_not_show() {
        let credentials = Credentials::new("abcd", "secretsecretsecretsecret").unwrap();
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    #[test]
    fn parameters_survive_their_lines() {
        let credentials = Credentials::new("abcd", "0123456789012345678901").unwrap();
        let mut parameters = Parameters::new(credentials);
        for (lite, renomination) in [(false, true), (true, false)] {
            (parameters.lite, parameters.renomination) = (lite, renomination);
            parameters.pacing = renomination.then_some(Duration::from_millis(20));
            assert_eq!(Parameters::from_attributes(&parameters.attributes()), Ok(parameters.clone()));
        }
        assert_eq!(Parameters::from_attributes(&[Attribute::Lite]), Err(ParseError::Missing));
    }
}
