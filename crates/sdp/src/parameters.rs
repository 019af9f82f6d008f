use core::fmt;
use std::collections::BTreeSet;

use crate::{Error, Text};

/// `key=value;key;…`: the value of `a=fmtp` and of `a=rid`, in order and as it was written.
///
/// Spaces around keys, values and semicolons mean nothing, and stay. Keys are compared without regard to case, as RFC
/// 4855 §3 asks for media type parameters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Parameters(Text);

impl Parameters {
    /// Checks and copies a text.
    ///
    /// # Errors
    ///
    /// [`Error::Text`] if it can't stand in a line.
    pub fn new(text: &str) -> Result<Self, Error> {
        Text::new(text).map(Self)
    }

    /// No parameters.
    #[must_use]
    pub fn empty() -> Self {
        Self(Text::new("").expect("the empty text is one"))
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The text as it stands in the description.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Keys with their values, in order. A part without `=` is a key without a value: `111/111` of RED, `0-16` of
    /// telephone-event.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let parts = self.as_str().split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| match part.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (part, None),
        })
    }

    /// The value of the first `key` that has one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && value.is_some()).and_then(|(_, value)| value)
    }

    /// Those of several lines: of the last one all, and then of those before it whatever keys are new.
    pub(crate) fn merged(lines: &[&Self]) -> Self {
        if let [one] = lines {
            return (*one).clone();
        }
        let mut keys = BTreeSet::new();
        let mut parts = Vec::new();
        for (key, value) in lines.iter().rev().flat_map(|line| line.iter()) {
            if keys.insert(key.to_ascii_lowercase()) {
                parts.push(value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}")));
            }
        }
        Self::new(&parts.join(";")).expect("parts of lines")
    }

    /// The same, with `key` changed where it stands, or added at the end.
    pub(crate) fn with(&self, key: &str, value: &str) -> Self {
        let mut parts = Vec::new();
        let mut found = false;
        for (name, old) in self.iter() {
            if name.eq_ignore_ascii_case(key) {
                if !found {
                    parts.push(format!("{name}={value}"));
                }
                found = true;
            } else {
                parts.push(old.map_or_else(|| name.to_owned(), |old| format!("{name}={old}")));
            }
        }
        if !found {
            parts.push(format!("{key}={value}"));
        }
        Self::new(&parts.join(";")).expect("parts of a line, and values of ours")
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_the_text_its_form() {
        let text = " a=1; B = 2 ;;flag;c=x=y ";
        let parameters = Parameters::new(text).unwrap();
        let pairs: Vec<_> = parameters.iter().collect();
        assert_eq!(pairs, [("a", Some("1")), ("B", Some("2")), ("flag", None), ("c", Some("x=y"))]);
        assert_eq!(parameters.value("b"), Some("2"));
        assert_eq!(parameters.value("flag"), None);
        assert_eq!(parameters.to_string(), text);
        assert_eq!(Parameters::new("a\n"), Err(Error::Text));
    }

    #[test]
    fn later_parameters_go_before_earlier_ones() {
        let merged = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|text| Parameters::new(text).unwrap()).collect();
            Parameters::merged(&lines.iter().collect::<Vec<_>>()).as_str().to_owned()
        };
        assert_eq!(
            merged(&["minptime=10;useinbandfec=1", "stereo=1; MinPTime=20"]),
            "stereo=1;MinPTime=20;useinbandfec=1"
        );
        assert_eq!(merged(&["a=1;b=1", "b=2;c=2", "c=3"]), "c=3;b=2;a=1");
        assert_eq!(merged(&["111/111", "111/111"]), "111/111");
        assert_eq!(merged(&["a=1", ""]), "a=1");
        assert_eq!(merged(&["", " ;"]), "");
        assert_eq!([merged(&[]), merged(&[" a = 1 ;"])], ["", " a = 1 ;"], "one line stays as it is");
    }

    #[test]
    fn a_value_is_changed_in_its_place() {
        let parameters = Parameters::new("x=1;y=2;X=3").unwrap();
        assert_eq!(parameters.with("x", "9").as_str(), "x=9;y=2");
        assert_eq!(parameters.with("z", "0").as_str(), "x=1;y=2;X=3;z=0");
        assert_eq!(Parameters::empty().with("z", "0").as_str(), "z=0");
    }
}
