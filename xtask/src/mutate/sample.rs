use std::path::{Path, PathBuf};

use serde_json::Value;

/// From the folder of a package.
pub(crate) const FILE: &str = "mutations.json";

/// A rule that is broken in the code on purpose, and the test that must notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The section that wants it so, and in our own words what it wants.
    pub(crate) rule: String,
    /// From the package's folder.
    pub(crate) file: PathBuf,
    /// Text that is in the file exactly once.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
    /// `lib`, or the name of an integration test: what `cargo test` builds.
    pub(crate) target: String,
    /// The test by its full name within the target.
    pub(crate) test: String,
}

/// Reads a `mutations.json`: an array of objects with exactly these fields.
pub(crate) fn read(path: &Path, json: &str) -> Result<Vec<Mutation>, String> {
    let told = |reason: &str| format!("{}: {reason}", path.display());
    let value: Value = serde_json::from_str(json).map_err(|error| told(&error.to_string()))?;
    let entries = value.as_array().ok_or_else(|| told("it is no array"))?;
    let read = |(index, entry): (usize, &Value)| {
        Mutation::read(entry).map_err(|reason| told(&format!("mutation {}: {reason}", index + 1)))
    };
    entries.iter().enumerate().map(read).collect()
}

impl Mutation {
    fn read(entry: &Value) -> Result<Self, String> {
        const FIELDS: [&str; 6] = ["rule", "file", "find", "replace", "target", "test"];
        let fields = entry.as_object().ok_or("it is no object")?;
        if let Some(other) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(format!("`{other}` is none of its fields"));
        }
        let text = |name: &str| entry[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"));
        let [rule, file, find, replace, target, test] = FIELDS.map(text);
        Ok(Self { rule: rule?, file: file?.into(), find: find?, replace: replace?, target: target?, test: test? })
    }

    /// The text of the file with the rule broken; an error if what is to be replaced is not there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 if self.find != self.replace => Ok(text.replacen(&self.find, &self.replace, 1)),
            1 => Err("it changes nothing".to_owned()),
            count => Err(format!("{} has {count} times `{}`", self.file.display(), self.find)),
        }
    }

    /// The modules that lead to the test from the package's folder, and its name.
    pub(crate) fn test_path(&self) -> Vec<String> {
        let target = (self.target != "lib").then_some(self.target.as_str());
        target.into_iter().chain(self.test.split("::")).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"rule": "RFC 1 §2: ten", "file": "src/a.rs", "find": "10", "replace": "11",
                          "target": "it", "test": "rules::ten"}"#;

    fn one() -> Mutation {
        read(Path::new("m"), &format!("[{ONE}]")).unwrap().remove(0)
    }

    #[test]
    fn a_sample_is_read() {
        let mutation = one();
        assert_eq!((mutation.rule.as_str(), mutation.file.as_path()), ("RFC 1 §2: ten", Path::new("src/a.rs")));
        assert_eq!(mutation.test_path(), ["it", "rules", "ten"]);
        assert_eq!(Mutation { target: "lib".to_owned(), ..mutation }.test_path(), ["rules", "ten"]);
    }

    #[test]
    fn what_is_no_sample_is_told() {
        for (json, reason) in [
            ("{}".to_owned(), "m: it is no array"),
            ("[1]".to_owned(), "m: mutation 1: it is no object"),
            (format!("[{ONE}, {}]", ONE.replace("find", "fund")), "m: mutation 2: `fund` is none of its fields"),
            (format!("[{}]", ONE.replace("\"10\"", "10")), "m: mutation 1: `find` is missing"),
        ] {
            assert_eq!(read(Path::new("m"), &json), Err(reason.to_owned()), "{json}");
        }
    }

    #[test]
    fn it_is_applied_where_its_text_is_once() {
        assert_eq!(one().apply("a = 10;"), Ok("a = 11;".to_owned()));
        assert_eq!(one().apply("a = 9;"), Err("src/a.rs has 0 times `10`".to_owned()));
        assert_eq!(one().apply("10 10"), Err("src/a.rs has 2 times `10`".to_owned()));
        assert_eq!(Mutation { replace: "10".to_owned(), ..one() }.apply("10"), Err("it changes nothing".to_owned()));
    }
}
