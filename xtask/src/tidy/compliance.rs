use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemFn, ItemMod, Macro};

use super::source::{Source, is_test};
use crate::workspace::Package;

/// The modules that lead to a test, then its name: `["packet", "tests", "version_0_is_refused"]`.
pub(crate) type TestPath = Vec<String>;

/// What a `COMPLIANCE.md` that counts its rows says of them; tidy knows whether it is so.
const COUNTED: &str = " rows name a test";
/// Of 100 rows, so many name a test where they are counted.
const COVERED_MIN: usize = 95;

/// Rows of the tables in a `COMPLIANCE.md` that name no test and give no reason, tests that do not exist, and a count
/// that is wrong or too low.
pub(crate) fn check(path: &Path, text: &str, tests: &[TestPath]) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut covered, mut count) = (0, 0);
    for (line, cell) in rows(text) {
        count += 1;
        covered += usize::from(named_tests(cell).next().is_some());
        let place = format!("{}:{line}", path.display());
        if cell.is_empty() {
            problems.push(format!("{place}: names neither a test nor a reason for having none"));
        }
        for name in named_tests(cell) {
            if !tests.iter().any(|test| leads_to(name, test)) {
                problems.push(format!("{place}: there is no test `{name}`"));
            }
        }
    }
    if let Some((stated, _)) = text.split_once(COUNTED) {
        let counted = format!("{covered} of {count}");
        if !stated.ends_with(&format!(" {counted}")) {
            problems.push(format!("{}: {counted}{COUNTED}", path.display()));
        }
        if covered * 100 < count * COVERED_MIN {
            problems.push(format!("{}: {counted} is less than {COVERED_MIN} %", path.display()));
        }
    }
    problems
}

/// Whether a row names this test.
pub(crate) fn cites(text: &str, test: &TestPath) -> bool {
    rows(text).any(|(_, cell)| named_tests(cell).any(|name| leads_to(name, test)))
}

/// The rows of all tables: each one's line, from 1, and its last cell.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut row = 0;
    (1..).zip(text.lines()).filter_map(move |(line, content)| {
        let cell = last_cell(content);
        row = if cell.is_some() { row + 1 } else { 0 };
        // The first two are the names of the columns, and the line below them.
        cell.filter(|_| row > 2).map(|cell| (line, cell))
    })
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
    fn rows_are_counted_where_that_is_told() {
        let table = row("`version_0_is_refused`");
        assert_eq!(problems(&format!("All: 1 of 1 rows name a test.\n\n{table}")), [""; 0]);
        for wrong in ["2 of 2", "11 of 1"] {
            let told = problems(&format!("All: {wrong} rows name a test.\n\n{table}"));
            assert_eq!(told, ["COMPLIANCE.md: 1 of 1 rows name a test"], "{wrong}");
        }
        let few = problems(&format!("All: 0 of 1 rows name a test.\n\n{}", row("not done")));
        assert_eq!(few, ["COMPLIANCE.md: 0 of 1 is less than 95 %"]);
    }

    #[test]
    fn a_cited_test_is_known() {
        let test = ["packet", "view", "tests", "version_0_is_refused"].map(str::to_owned).to_vec();
        assert!(cites(&row("`version_0_is_refused`"), &test));
        assert!(!cites(&row("`packet::other`"), &test));
    }

    #[test]
    fn each_table_has_its_own_head() {
        let two = format!("{}\ntext\n\n{}", row("`version_0_is_refused`"), row("`gone`"));
        assert_eq!(problems(&two), ["COMPLIANCE.md:13: there is no test `gone`"]);
    }
}
