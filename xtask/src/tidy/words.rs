use std::path::Path;

use crate::workspace::is_rust;

/// Names that say nothing: what is in such a file belongs to where it is used, or has a name of its own.
/// And `mod`: a module is `name.rs`, with its parts in `name/`.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "manager", "managers", "mod"];

/// What stands for work not done, or is left from looking for a fault. In Rust files.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "todo!", "unimplemented!", "dbg!"];

/// Places of one machine, and what lies outside the repository. In all text files.
const ELSEWHERE: &[&str] = &["/work/", "/home/", "/root/", "/tmp/", "../shared"];

/// This file holds the words themselves.
const EXEMPT: &str = file!();

/// The problem with a Rust file's name or its folders' names.
pub(crate) fn check_name(path: &Path) -> Option<String> {
    let bad = path.iter().find(|part| {
        Path::new(part).file_stem().is_some_and(|stem| EMPTY_NAMES.iter().any(|name| stem.eq_ignore_ascii_case(name)))
    })?;
    is_rust(path).then(|| format!("{}: `{}` is no name here", path.display(), bad.display()))
}

/// Words that must not stand in a text file.
pub(crate) fn check_text(path: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if path == Path::new(EXEMPT) {
        return problems;
    }
    for (index, line) in text.lines().enumerate() {
        let unfinished = UNFINISHED.iter().filter(|word| is_rust(path) && has_word(line, word));
        for word in unfinished.chain(ELSEWHERE.iter().filter(|place| has_path(line, place))) {
            problems.push(format!("{}:{}: {word}", path.display(), index + 1));
        }
    }
    problems
}

/// Whether `word` stands in the line as a word, not within a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        !line[..start].ends_with(part_of_word) && !line[start + word.len()..].starts_with(part_of_word)
    })
}

/// Whether `place` stands in the line as the beginning of a path, not within a URL or a relative path.
fn has_path(line: &str, place: &str) -> bool {
    let part_of_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}');
    line.match_indices(place).any(|(start, _)| !line[..start].ends_with(part_of_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_told() {
        for bad in ["crates/a/src/utils.rs", "crates/a/tests/common/packets.rs", "a/src/b/mod.rs", "a/src/Helper.rs"] {
            assert!(check_name(Path::new(bad)).is_some(), "{bad}");
        }
        for good in ["crates/a/src/utilisation.rs", "crates/a/src/lib.rs", "docs/common.md"] {
            assert_eq!(check_name(Path::new(good)), None);
        }
    }

    #[test]
    fn unfinished_work_is_told() {
        let rust = |line: &str| check_text(Path::new("a.rs"), line);
        assert_eq!(rust("\n// TODO: more"), ["a.rs:2: TODO"]);
        for bad in ["// FIXME", "todo!()", "    unimplemented!(\"x\")", "let a = dbg!(b);"] {
            assert_eq!(rust(bad).len(), 1, "{bad}");
        }
        for good in ["mastodon", "METODO", "TODOS", "let todo = 1;", "my_dbg!(a)"] {
            assert_eq!(rust(good), [""; 0]);
        }
        assert_eq!(check_text(Path::new("a.md"), "TODO"), [""; 0]);
    }

    #[test]
    fn places_outside_are_told() {
        let text = |line: &str| check_text(Path::new("a.md"), line);
        for bad in ["/tmp/x", "see `/home/me`", "cd /work/main", "\"/root/.cargo\"", "[a](../shared/b)", "a=/tmp/b"] {
            assert_eq!(text(bad).len(), 1, "{bad}");
        }
        for good in ["https://example.org/home/page", "./tmp/x", "a/tmp/b", "${DIR}/tmp/", "/tmpfs/"] {
            assert_eq!(text(good), [""; 0], "{good}");
        }
    }
}
