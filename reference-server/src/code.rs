//! The code of a meeting: who knows it may join.

use std::fmt;

use crate::chance::draw;

/// Twelve letters in three groups, such as `kfwo-tzla-mxre`: 56 bits of chance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code(String);

impl Code {
    const LETTERS: usize = 12;

    pub(crate) fn new() -> Self {
        let mut text = String::with_capacity(Self::LETTERS + 2);
        for index in 0..Self::LETTERS {
            if index > 0 && index.is_multiple_of(4) {
                text.push('-');
            }
            text.push(letter());
        }
        Self(text)
    }

    /// `None` if it can't be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_one = |(index, byte): (usize, u8)| if index % 5 == 4 { byte == b'-' } else { byte.is_ascii_lowercase() };
        (text.len() == Self::LETTERS + 2 && text.bytes().enumerate().all(is_one)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Each with the same chance: what would favour the first ones is drawn again.
fn letter() -> char {
    loop {
        let [byte] = draw();
        if byte < 26 * 9 {
            return char::from(b'a' + byte % 26);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read() {
        let code = Code::new();
        assert_eq!(Code::parse(code.as_str()), Some(code.clone()));
        assert_ne!(Code::new(), code);
    }

    #[test]
    fn other_texts_are_none() {
        assert!(Code::parse("kfwo-tzla-mxre").is_some());
        for text in [
            "",
            "kfwo-tzla-mxr",
            "kfwo-tzla-mxree",
            "KFWO-tzla-mxre",
            "kfwo_tzla-mxre",
            "kfwotzlamxreee",
            "é-----------",
        ] {
            assert_eq!(Code::parse(text), None, "{text}");
        }
    }
}
