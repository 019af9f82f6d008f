//! Strings that can stand in a description: none of them can end its line.

use core::fmt;

use crate::Error;

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $error:expr, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and copies the text.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`", stringify!($error), "`] if it is not of the form above.")]
            pub fn new(text: &str) -> Result<Self, Error> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) { Ok(Self(text.into())) } else { Err($error) }
            }

            /// The text as it stands in the description.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }
    };
}

text_type! {
    /// One or more of the token characters of RFC 8866 §9: visible ASCII without `"(),/:;<=>?@[\]`.
    Token, Error::Token, is_token
}

text_type! {
    /// One or more visible characters, without a space: an address, a URI, a protocol.
    Word, Error::Word, |text| !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

text_type! {
    /// The rest of a line, which may be empty: anything but NUL, CR and LF.
    Text, Error::Text, |text| !text.bytes().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

text_type! {
    /// The name of a media section (RFC 9143), of 1 to 255 token characters: what fits a header extension element.
    Mid, Error::Mid, |text| text.len() <= 255 && is_token(text)
}

text_type! {
    /// The name of an encoding (RFC 8851 §10), of 1 to 255 letters, digits, `-` and `_`.
    RidId, Error::RidId, |text| {
        (1..=255).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }
}

text_type! {
    /// The user fragment of an ICE agent: 4 to 256 letters, digits, `+` and `/` (RFC 8839 §5.4).
    IceUfrag, Error::IceCredential, |text| (4..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

text_type! {
    /// The password of an ICE agent: 22 to 256 letters, digits, `+` and `/` (RFC 8839 §5.4). `Debug` shows it.
    IcePwd, Error::IceCredential, |text| (22..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

fn is_token(text: &str) -> bool {
    // RFC 8866 §9, token-char.
    let token_char =
        |byte| matches!(byte, 0x21 | 0x23..=0x27 | 0x2a | 0x2b | 0x2d | 0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e);
    !text.is_empty() && text.bytes().all(token_char)
}

const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// A number of decimal digits only: `FromStr` of the integers would let a sign pass.
pub(crate) fn number<N: core::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_type_can_end_its_line() {
        for bad in ["a\r", "a\n", "a\0", "a\r\na=inactive"] {
            assert_eq!(Text::new(bad), Err(Error::Text));
            assert_eq!(Word::new(bad), Err(Error::Word));
            assert_eq!(Token::new(bad), Err(Error::Token));
            assert_eq!(Mid::new(bad), Err(Error::Mid));
            assert_eq!(RidId::new(bad), Err(Error::RidId));
            assert_eq!(IceUfrag::new(&format!("abcd{bad}")), Err(Error::IceCredential));
        }
        assert_eq!(Text::new("").map(|text| text.to_string()), Ok(String::new()));
        assert_eq!(Word::new(""), Err(Error::Word));
        assert_eq!(Word::new("a b"), Err(Error::Word));
    }

    #[test]
    fn tokens_are_those_of_rfc_8866() {
        let accepted: String = (0..=127u8).map(char::from).filter(|c| Token::new(&c.to_string()).is_ok()).collect();
        assert_eq!(accepted, "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~");
        assert_eq!(Token::new("é"), Err(Error::Token));
    }

    #[test]
    fn ids_and_credentials_have_lengths() {
        assert!(RidId::new("h_1-a").is_ok());
        assert_eq!(RidId::new("a~"), Err(Error::RidId));
        assert!(Mid::new(&"m".repeat(255)).is_ok());
        assert_eq!(Mid::new(&"m".repeat(256)), Err(Error::Mid));
        assert_eq!(IceUfrag::new("abc"), Err(Error::IceCredential));
        assert!(IceUfrag::new("ab+/").is_ok());
        assert_eq!(IcePwd::new(&"p".repeat(21)), Err(Error::IceCredential));
        assert!(IcePwd::new(&"p".repeat(22)).is_ok());
        assert_eq!(IcePwd::new(&"p".repeat(257)), Err(Error::IceCredential));
    }

    #[test]
    fn a_number_has_no_sign() {
        assert_eq!(number::<u8>("7"), Some(7));
        assert_eq!(number::<u8>("+7"), None);
        assert_eq!(number::<u8>("256"), None);
        assert_eq!(number::<u8>(""), None);
    }
}
