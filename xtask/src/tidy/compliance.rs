use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemFn, ItemMod, Macro};

use super::source::{Source, is_test};
use crate::workspace::Package;

/// The modules that lead to a test, then its name: `["packet", "tests", "version_0_is_refused"]`.
type TestPath = Vec<String>;

/// Rows of the tables in a `COMPLIANCE.md` that name no test and give no reason, and tests that do not exist.
pub(crate) fn check(path: &Path, text: &str, tests: &[TestPath]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut row = 0;
    for (index, line) in text.lines().enumerate() {
        let Some(cell) = last_cell(line) else {
            row = 0;
            continue;
        };
        row += 1;
        // The names of the columns, and the line below them.
        if row <= 2 {
            continue;
        }
        let place = format!("{}:{}", path.display(), index + 1);
        if cell.is_empty() {
            problems.push(format!("{place}: names neither a test nor a reason for having none"));
        }
        for name in named_tests(cell) {
            if !tests.iter().any(|test| leads_to(name, test)) {
                problems.push(format!("{place}: there is no test `{name}`"));
            }
        }
    }
    problems
}

/// All tests of a package, those within macros such as `proptest!` too, and those that `peers/` has for it.
pub(crate) fn tests_of(package: &Package, sources: &[Source]) -> Vec<TestPath> {
    let peers = Path::new("peers").join(package.folder.file_name().unwrap_or_default());
    let own = sources.iter().filter_map(|source| {
        let inside = source.path.strip_prefix(&package.folder).or_else(|_| source.path.strip_prefix(&peers));
        inside.ok().map(|inside| (source, inside))
    });
    own.flat_map(|(source, inside)| {
        // `src/a/b.rs` and `tests/a/b.rs` are both `a::b`.
        let modules =
            inside.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
        let mut tests = Tests { modules, found: Vec::new() };
        tests.visit_file(&source.syntax);
        tests.found
    })
    .collect()
}

/// The trimmed text of a table row's last cell; `None` for what is no row.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?;
    row.strip_suffix('|').unwrap_or(row).rsplit('|').next().map(str::trim)
}

/// What stands in back-ticks and looks like a path.
fn named_tests(cell: &str) -> impl Iterator<Item = &str> {
    let in_ticks = cell.split('`').skip(1).step_by(2);
    in_ticks.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':'))
}

/// Whether `name` is `test` with some modules left out, such as `tests`; the function's name must be there.
fn leads_to(name: &str, test: &TestPath) -> bool {
    let mut wanted = name.rsplit("::").peekable();
    let Some((function, modules)) = test.split_last() else { return false };
    if wanted.next() != Some(function) {
        return false;
    }
    for module in modules.iter().rev() {
        wanted.next_if(|part| part == module);
    }
    wanted.next().is_none()
}

struct Tests {
    modules: Vec<String>,
    found: Vec<TestPath>,
}

impl Tests {
    fn add(&mut self, function: String) {
        let mut path = self.modules.clone();
        path.push(function);
        self.found.push(path);
    }

    /// Finds `#[test] .. fn name`. No macro is expanded; what it was given is searched.
    fn search(&mut self, tokens: TokenStream) {
        let (mut after_test, mut after_fn) = (false, false);
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    after_test |= group.stream().to_string() == "test";
                    self.search(group.stream());
                    after_fn = false;
                }
                TokenTree::Ident(word) if after_fn && after_test => {
                    self.add(word.to_string());
                    (after_test, after_fn) = (false, false);
                }
                TokenTree::Ident(word) => after_fn = word == "fn",
                TokenTree::Punct(_) | TokenTree::Literal(_) => after_fn = false,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.modules.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.modules.pop();
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if is_test(&function.attrs) {
            self.add(function.sig.ident.to_string());
        }
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.search(invocation.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "
        fn version_is_one() {}
        #[cfg(test)]
        mod tests {
            #[test]
            fn version_0_is_refused() {}
            fn sample() {}
            proptest! {
                #[test]
                fn what_was_written_is_read(value: u32) { let f = 1; }
                fn not_a_test() {}
            }
        }";

    fn problems(table: &str) -> Vec<String> {
        let package = Package { folder: "crates/rtp".into(), ..Package::default() };
        let source = Source::parse(Path::new("crates/rtp/src/packet/view.rs"), CODE.to_owned()).unwrap();
        let other = Source::parse(Path::new("crates/sdp/src/lib.rs"), "#[test] fn elsewhere() {}".to_owned()).unwrap();
        let peer = Source::parse(Path::new("peers/rtp/tests/it/main.rs"), "#[test] fn agrees() {}".to_owned()).unwrap();
        check(Path::new("COMPLIANCE.md"), table, &tests_of(&package, &[source, other, peer]))
    }

    fn row(cell: &str) -> String {
        format!("# RFC 3550\n\n| section | what | test |\n|---|---|---|\n| §5.1 | the version | {cell} |\n")
    }

    #[test]
    fn a_named_test_exists() {
        for good in [
            "`packet::view::tests::version_0_is_refused`",
            "`packet::version_0_is_refused`",
            "`version_0_is_refused`, `view::what_was_written_is_read`",
            "`agrees`, in `peers/rtp`",
            "not done: nobody sends it",
            "by construction: `Packet::MAX`",
        ] {
            assert_eq!(problems(&row(good)), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_test_that_does_not_exist_is_told_with_its_line() {
        for bad in ["version_9_is_refused", "other::version_0_is_refused", "sample", "version_is_one", "not_a_test"] {
            assert_eq!(problems(&row(&format!("`{bad}`"))), [format!("COMPLIANCE.md:5: there is no test `{bad}`")]);
        }
    }

    #[test]
    fn a_test_of_another_crate_does_not_count() {
        assert_eq!(problems(&row("`elsewhere`")), ["COMPLIANCE.md:5: there is no test `elsewhere`"]);
    }

    #[test]
    fn a_row_without_test_or_reason_is_told() {
        assert_eq!(problems(&row("")), ["COMPLIANCE.md:5: names neither a test nor a reason for having none"]);
    }

    #[test]
    fn each_table_has_its_own_head() {
        let two = format!("{}\ntext\n\n{}", row("`version_0_is_refused`"), row("`gone`"));
        assert_eq!(problems(&two), ["COMPLIANCE.md:13: there is no test `gone`"]);
    }
}
