use std::path::Path;

use super::compliance::{TestPath, cites};
use crate::mutate::sample::Mutation;

/// What is wrong with a sample of mutations: text that is not in its file exactly once, tests that do not exist, or that
/// no requirement names.
pub(crate) fn check(
    path: &Path,
    mutations: &[Mutation],
    file: impl Fn(&Path) -> Result<String, String>,
    tests: &[TestPath],
    compliance: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, mutation) in (1..).zip(mutations) {
        let mut tell = |reason: String| problems.push(format!("{}: mutation {number}: {reason}", path.display()));
        if let Err(reason) = file(&mutation.file).and_then(|text| mutation.apply(&text)) {
            tell(reason);
        }
        let test = mutation.test_path();
        if !tests.contains(&test) {
            tell(format!("there is no test `{}` in `{}`", mutation.test, mutation.target));
        } else if !cites(compliance, &test) {
            tell(format!("no requirement names `{}`", mutation.test));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(find: &str, test: &str) -> Vec<String> {
        let mutation = Mutation {
            rule: "RFC 1 §2".to_owned(),
            file: "src/a.rs".into(),
            find: find.to_owned(),
            replace: "11".to_owned(),
            target: "it".to_owned(),
            test: test.to_owned(),
        };
        let tests = ["ten", "eleven"].map(|name| ["it", "rules", name].map(str::to_owned).to_vec());
        let compliance = "| section | what | test |\n|---|---|---|\n| 2 | ten | `ten` |\n";
        check(Path::new("m"), &[mutation], |_| Ok("a = 10;".to_owned()), &tests, compliance)
    }

    #[test]
    fn a_sound_sample_is_quiet() {
        assert_eq!(problems("10", "rules::ten"), [""; 0]);
    }

    #[test]
    fn what_has_moved_is_told() {
        assert_eq!(problems("9", "rules::ten"), ["m: mutation 1: src/a.rs has 0 times `9`"]);
        assert_eq!(problems("10", "ten"), ["m: mutation 1: there is no test `ten` in `it`"]);
        assert_eq!(problems("10", "rules::eleven"), ["m: mutation 1: no requirement names `rules::eleven`"]);
    }
}
