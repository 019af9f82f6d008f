use std::process::Command;

use super::{Context, Result};
use crate::fuzz;
use crate::process;
use crate::report::Outcome;

/// A cargo command of these words.
pub(super) fn cargo(words: &str) -> Command {
    let mut command = Command::new(process::cargo());
    command.args(words.split_whitespace());
    command
}

pub(super) fn fmt(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("fmt --all --check"))?;
    context.shell.run(cargo("fmt --check --manifest-path").arg(fuzz::MANIFEST))?;
    Ok(Outcome::Passed(String::new()))
}

// The oldest Rust that we build with is stated once, as `rust-version` of the workspace. Clippy's `incompatible_msrv`
// tells what the standard library did not have then, without another toolchain.
pub(super) fn clippy(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("clippy --workspace --all-targets --all-features --locked -- -D warnings"))?;
    Ok(Outcome::Passed(String::new()))
}

pub(super) fn docs(context: &Context<'_>) -> Result {
    // The public ones last, so that they are what lies in target/doc afterwards.
    for private in [" --document-private-items", ""] {
        let mut command = cargo(&format!("doc --workspace --no-deps --all-features --locked{private}"));
        context.shell.run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(Outcome::Passed(String::new()))
}

/// Unit, integration, property and doc tests, and the benchmarks' own checks, if they have any.
pub(super) fn tests(context: &Context<'_>) -> Result {
    let printed = context.shell.run(&mut cargo("test --workspace --all-features --locked --no-fail-fast"))?;
    match passed(&printed) {
        0 => Err("no test was run".to_owned()),
        count => Ok(Outcome::Passed(format!("{count} tests{}", skipped(&printed)))),
    }
}

/// What tests without the runner's own form said of themselves: `skipped: needs root`.
fn skipped(printed: &str) -> String {
    printed.lines().filter(|line| line.starts_with("skipped: ")).map(|line| format!("; {line}")).collect()
}

/// The sum over all of the runner's `test result: ok. 3 passed; 0 failed; ..`.
fn passed(printed: &str) -> u32 {
    let results = printed.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|line| line.split_once(" passed")?.0.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_over_all_crates() {
        let printed = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n\
            test result: ok. 40 passed; 0 failed; 1 ignored\ntest result: FAILED. 9 passed; 1 failed\n";
        assert_eq!(passed(printed), 42);
        assert_eq!(passed("running 0 tests\n"), 0);
    }

    #[test]
    fn a_test_that_stepped_aside_is_told() {
        assert_eq!(skipped("a\nskipped: needs root\nnot skipped: b\n"), "; skipped: needs root");
    }
}
