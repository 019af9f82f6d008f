use std::path::{Path, PathBuf};

use syn::Attribute;

/// One parsed Rust file.
pub(crate) struct Source {
    /// From the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

impl Source {
    /// The file, or the problem that it does not parse.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Self, String> {
        match syn::parse_file(&text) {
            Ok(syntax) => Ok(Self { path: path.to_owned(), text, syntax }),
            Err(error) => Err(format!("{}:{}: {error}", path.display(), error.span().start().line)),
        }
    }

    /// Whether all of it serves tests: by its name, or by the folder that it is in.
    pub(crate) fn is_test_code(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == "tests.rs")
            || self.path.iter().any(|part| part == "tests" || part == "benches" || part == "fuzz")
    }
}

/// Whether there is a `#[cfg(test)]`.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Whether there is a `#[test]`, or an attribute of another crate whose last word is `test`.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_parse_is_told_with_its_line() {
        let error = Source::parse(Path::new("a.rs"), "fn a() {}\nfn b( {}\n".to_owned()).err().unwrap();
        assert!(error.starts_with("a.rs:2: "), "{error}");
    }

    #[test]
    fn test_code_is_known_by_its_place() {
        let at = |path: &str| Source::parse(Path::new(path), String::new()).is_ok_and(|source| source.is_test_code());
        assert!(at("crates/rtp/src/packet/tests.rs"));
        assert!(at("crates/rtp/tests/it/main.rs"));
        assert!(!at("crates/rtp/src/packet.rs"));
    }
}
