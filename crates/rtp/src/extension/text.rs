//! Names in elements: which media section, which encoding.

use std::fmt;

use super::Element;
use crate::{Error, ParseError};

/// No element, and no SDES item, is longer.
const LENGTH_MAX: usize = 255;

/// The media section that a packet belongs to: the token of its `a=mid` line (RFC 9143 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid<'a>(&'a str);

/// The encoding that a packet belongs to: the name of an `a=rid` line (RFC 8852 §3.1).
///
/// RFC 8852 allows letters and digits only, RFC 8851 §10 also `-` and `_` in the line that the name comes from: so
/// these are taken too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid<'a>(&'a str);

/// The encoding whose packets a retransmission or repair stream repeats (RFC 8852 §3.2): the value of its [`Rid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepairedRid<'a>(&'a str);

/// Which characters a name is made of.
type Allowed = fn(u8) -> bool;

/// RFC 8866 §9: token-char.
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}

const fn is_rid(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_')
}

fn check(bytes: &[u8], allowed: Allowed) -> Result<&str, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Truncated);
    }
    if bytes.len() > LENGTH_MAX {
        return Err(ParseError::Overrun);
    }
    if !bytes.iter().copied().all(allowed) {
        return Err(ParseError::Reserved);
    }
    std::str::from_utf8(bytes).map_err(|_| ParseError::Reserved)
}

macro_rules! name {
    ($name:ident, $uri:literal, $allowed:path) => {
        impl<'a> $name<'a> {
            /// # Errors
            ///
            /// [`Error::TooLong`] above 255 bytes, [`Error::OutOfRange`] if it is empty or has a character that the
            /// format does not allow.
            pub fn new(name: &'a str) -> Result<Self, Error> {
                match check(name.as_bytes(), $allowed) {
                    Ok(name) => Ok(Self(name)),
                    Err(ParseError::Overrun) => Err(Error::TooLong),
                    Err(_) => Err(Error::OutOfRange),
                }
            }

            /// The name: 1 to 255 ASCII characters.
            pub const fn as_str(self) -> &'a str {
                self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }

        impl<'a> Element<'a> for $name<'a> {
            const URI: &'static str = $uri;

            fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
                check(data, $allowed).map(Self)
            }

            fn encoded_len(&self) -> usize {
                self.0.len()
            }

            fn write(&self, data: &mut [u8]) {
                data.copy_from_slice(self.0.as_bytes());
            }
        }
    };
}

name!(Mid, "urn:ietf:params:rtp-hdrext:sdes:mid", is_token);
name!(Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", is_rid);
name!(RepairedRid, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", is_rid);

#[cfg(test)]
mod tests {
    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn names_are_their_own_bytes() {
        both_ways(&Mid::new("0").unwrap(), b"0");
        both_ways(&Mid::new("video.1+{~}").unwrap(), b"video.1+{~}");
        both_ways(&Rid::new("q").unwrap(), b"q");
        both_ways(&RepairedRid::new("hi-res_2").unwrap(), b"hi-res_2");
        assert_eq!(Rid::new("f").unwrap().to_string(), "f");
    }

    #[test]
    fn names_are_not_empty() {
        refused::<Mid<'_>>(b"", ParseError::Truncated);
        refused::<Rid<'_>>(b"", ParseError::Truncated);
        assert_eq!(Rid::new(""), Err(Error::OutOfRange));
    }

    #[test]
    fn names_have_only_their_characters() {
        for byte in 0..=255u8 {
            let text = [b'a', byte];
            let separator = b"\"(),/:;<=>?@[\\]".contains(&byte);
            assert_eq!(Mid::parse(&text).is_ok(), byte.is_ascii_graphic() && !separator, "{byte:#x}");
            let rid = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert_eq!(Rid::parse(&text).is_ok(), rid, "{byte:#x}");
            assert_eq!(RepairedRid::parse(&text).is_ok(), rid, "{byte:#x}");
        }
    }

    #[test]
    fn names_fit_an_element() {
        let text = "x".repeat(256);
        assert_eq!(Mid::new(&text), Err(Error::TooLong));
        refused::<Mid<'_>>(text.as_bytes(), ParseError::Overrun);
        assert_eq!(Mid::new(&text[1..]).unwrap().encoded_len(), 255);
    }
}
