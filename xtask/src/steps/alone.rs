use super::cargo::cargo;
use super::{Context, Result};
use crate::report::Outcome;
use crate::workspace::Package;

/// Builds each published crate by itself, with each of its features: what other members turn on must not be needed.
pub(super) fn run(context: &Context<'_>) -> Result {
    let mut failures = Vec::new();
    let mut checks = 0;
    for package in context.workspace.packages.iter().filter(|package| package.published) {
        for choice in choices(package) {
            checks += 1;
            let words = format!("check --locked -p {} {choice}", package.name);
            if context.shell.run(&mut cargo(&words)).is_err() {
                failures.push(format!("{} {choice}", package.name));
            }
        }
    }
    if failures.is_empty() { Ok(Outcome::Passed(format!("{checks} builds"))) } else { Err(failures.join("; ")) }
}

/// The arguments of each build: tests and benchmarks with the default features, the library with each choice of others.
fn choices(package: &Package) -> Vec<String> {
    let mut choices = vec!["--all-targets".to_owned()];
    if package.library.is_some() {
        choices.push("--lib --no-default-features".to_owned());
        if !package.features.is_empty() {
            choices.push("--lib --all-features".to_owned());
        }
        let one = |feature: &String| format!("--lib --no-default-features --features {feature}");
        choices.extend(package.features.iter().map(one));
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_built_alone_and_all_together() {
        let mut package = Package { library: Some("src/lib.rs".into()), ..Package::default() };
        assert_eq!(choices(&package), ["--all-targets", "--lib --no-default-features"]);
        package.features = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            choices(&package)[2..],
            [
                "--lib --all-features",
                "--lib --no-default-features --features a",
                "--lib --no-default-features --features b"
            ]
        );
        package.library = None;
        assert_eq!(choices(&package), ["--all-targets"]);
    }
}
