use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, Item, ItemFn, ItemMod, Signature, TraitItemFn};

use super::source::{Source, is_for_tests, is_test};

/// Lines of a file without its own tests.
const FILE_LINES: usize = 600;
/// Lines of a file of tests, benchmarks or fuzz targets.
const TEST_FILE_LINES: usize = 1_000;
/// Lines of a function, from `fn` to its last brace.
const FUNCTION_LINES: usize = 70;
/// The same, in tests.
const TEST_FUNCTION_LINES: usize = 100;

/// A file, or a function in it, that is longer than it should be.
pub(crate) struct Exception {
    path: &'static str,
    /// `None` for the file itself.
    function: Option<&'static str>,
    /// How long it is. This number only ever goes down, and its line goes when the limit is met.
    lines: usize,
}

/// What is too long for now.
pub(crate) const EXCEPTIONS: &[Exception] = &[];

/// What is longer than its limit or than its exception, and exceptions that are too generous.
pub(crate) fn check(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let measured: Vec<Measured<'_>> = sources.iter().flat_map(measure).collect();
    let mut problems: Vec<_> = measured.iter().filter_map(|thing| thing.problem(exceptions)).collect();
    for exception in exceptions {
        if !measured.iter().any(|thing| thing.lines > thing.limit && thing.is(exception)) {
            let function = exception.function.map(|name| format!(" fn {name}")).unwrap_or_default();
            problems.push(format!("{}:{function} needs its exception from length no more", exception.path));
        }
    }
    problems
}

struct Measured<'s> {
    path: &'s Path,
    function: Option<String>,
    line: usize,
    lines: usize,
    limit: usize,
}

impl Measured<'_> {
    fn is(&self, exception: &Exception) -> bool {
        self.path == Path::new(exception.path) && self.function.as_deref() == exception.function
    }

    fn problem(&self, exceptions: &[Exception]) -> Option<String> {
        if self.lines <= self.limit {
            return None;
        }
        let exception = exceptions.iter().find(|exception| self.is(exception)).map(|exception| exception.lines);
        let what = match exception {
            Some(permitted) if self.lines == permitted => return None,
            Some(permitted) if self.lines < permitted => format!("lower its exception from {permitted}"),
            Some(permitted) => format!("its exception allows {permitted}"),
            None => format!("{} at most", self.limit),
        };
        let name = self.function.as_ref().map(|name| format!("fn {name}: ")).unwrap_or_default();
        Some(format!("{}:{}: {name}{} lines; {what}", self.path.display(), self.line, self.lines))
    }
}

fn measure(source: &Source) -> Vec<Measured<'_>> {
    let in_tests = source.is_test_code();
    let mut functions = Functions { source, in_tests, found: Vec::new() };
    functions.visit_file(&source.syntax);
    let mut found = functions.found;
    let lines = source.text.lines().count() - own_test_lines(source);
    let limit = if in_tests { TEST_FILE_LINES } else { FILE_LINES };
    found.push(Measured { path: &source.path, function: None, line: 1, lines, limit });
    found
}

/// Lines of a closing `#[cfg(test)] mod tests { .. }`.
fn own_test_lines(source: &Source) -> usize {
    match source.syntax.items.last() {
        Some(Item::Mod(module)) if is_for_tests(&module.attrs) => {
            let span = module.span();
            span.end().line + 1 - span.start().line
        }
        _ => 0,
    }
}

struct Functions<'s> {
    source: &'s Source,
    in_tests: bool,
    found: Vec<Measured<'s>>,
}

impl Functions<'_> {
    fn add(&mut self, signature: &Signature, body: &Block, is_test: bool) {
        let line = signature.fn_token.span.start().line;
        let lines = body.span().end().line + 1 - line;
        let limit = if self.in_tests || is_test { TEST_FUNCTION_LINES } else { FUNCTION_LINES };
        let function = Some(signature.ident.to_string());
        self.found.push(Measured { path: &self.source.path, function, line, lines, limit });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let outside = self.in_tests;
        self.in_tests |= is_for_tests(&module.attrs);
        visit::visit_item_mod(self, module);
        self.in_tests = outside;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block, is_test(&function.attrs));
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block, false);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body, false);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str, exceptions: &[Exception]) -> Vec<String> {
        check(&[Source::parse(Path::new(path), text.to_owned()).unwrap()], exceptions)
    }

    /// A function of so many lines.
    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    ();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_function_is_told_wherever_it_stands() {
        assert_eq!(problems("a.rs", &function(70), &[]), [""; 0]);
        assert_eq!(problems("a.rs", &function(71), &[]), ["a.rs:1: fn long: 71 lines; 70 at most"]);
        let method = format!("struct S;\nimpl S {{\n{}}}", function(71));
        assert_eq!(problems("a.rs", &method, &[]), ["a.rs:3: fn long: 71 lines; 70 at most"]);
        let provided = format!("trait T {{\n{}}}", function(71));
        assert_eq!(problems("a.rs", &provided, &[]), ["a.rs:2: fn long: 71 lines; 70 at most"]);
        let nested = format!("fn short() {{ {{\n{}}} }}", function(71));
        assert_eq!(problems("a.rs", &nested, &[]).len(), 2);
    }

    #[test]
    fn tests_may_be_longer() {
        let module = |lines| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(lines));
        assert_eq!(problems("a.rs", &module(100), &[]), [""; 0]);
        assert_eq!(problems("a.rs", &module(101), &[]), ["a.rs:3: fn long: 101 lines; 100 at most"]);
        assert_eq!(problems("a/tests.rs", &function(100), &[]), [""; 0]);
        assert_eq!(problems("a.rs", &format!("#[test]\n{}", function(100)), &[]), [""; 0]);
    }

    #[test]
    fn a_file_is_measured_without_its_own_tests() {
        let code = "const A: () = ();\n".repeat(600);
        let tests = "#[cfg(test)]\nmod tests {\n    // A line.\n}\n";
        assert_eq!(problems("a.rs", &format!("{code}{tests}"), &[]), [""; 0]);
        assert_eq!(problems("a.rs", &format!("{code}\n{tests}"), &[]), ["a.rs:1: 601 lines; 600 at most"]);
        assert_eq!(problems("a.rs", &format!("{tests}{code}"), &[]), ["a.rs:1: 604 lines; 600 at most"]);
        assert_eq!(problems("tests/a.rs", &format!("{code}\n"), &[]), [""; 0]);
    }

    #[test]
    fn an_exception_only_goes_down() {
        let exception = |lines| [Exception { path: "a.rs", function: Some("long"), lines }];
        assert_eq!(problems("a.rs", &function(80), &exception(80)), [""; 0]);
        assert_eq!(
            problems("a.rs", &function(81), &exception(80)),
            ["a.rs:1: fn long: 81 lines; its exception allows 80"]
        );
        assert_eq!(
            problems("a.rs", &function(79), &exception(80)),
            ["a.rs:1: fn long: 79 lines; lower its exception from 80"]
        );
        let gone = ["a.rs: fn long needs its exception from length no more"];
        assert_eq!(problems("a.rs", &function(70), &exception(80)), gone);
        assert_eq!(problems("a.rs", "", &exception(80)), gone);
    }
}
