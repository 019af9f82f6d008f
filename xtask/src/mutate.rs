//! Breaks rules on purpose, one by one, in a copy of the repository, and demands that the test that is named for each
//! fails: `mutations.json` beside a crate's `COMPLIANCE.md`.

pub(crate) mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::{self, Shell};
use crate::workspace::{Package, Workspace};
use sample::Mutation;

/// A mutant that runs for longer is caught in a loop: no test has failed.
const RUN_MAX: Duration = Duration::from_secs(60);
const BUILD_MAX: Duration = Duration::from_secs(1_200);

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Survived,
    DoesNotCompile,
    /// The test is not there, or the program ended otherwise than by its failure.
    NoVerdict,
}

/// Runs all mutations of a package, or the one of this number, and tells of each; whether all were killed.
pub(crate) fn run(workspace: &Workspace, name: &str, number: Option<usize>) -> Result<bool, String> {
    let package = workspace.package(name)?;
    let path = package.folder.join(sample::FILE);
    let json =
        fs::read_to_string(workspace.root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))?;
    let all = sample::read(&path, &json)?;
    let chosen: Vec<_> = (1..).zip(&all).filter(|(index, _)| number.is_none_or(|number| number == *index)).collect();
    if chosen.is_empty() {
        return Err(format!("{} has {} mutations", path.display(), all.len()));
    }
    let copy = Copy::new(workspace, package)?;
    for (index, mutation) in &chosen {
        if copy.test(mutation) != Fate::Survived {
            return Err(format!("{index}: without any mutation `{}` does not pass, see {}", mutation.test, copy.log()));
        }
    }
    let mut killed = 0;
    for (index, mutation) in &chosen {
        let start = Instant::now();
        let fate = copy.mutate(mutation)?;
        killed += usize::from(fate == Fate::Killed);
        println!(
            "{index:>3} {:>5.1} s  {fate:?}: {} | {}",
            start.elapsed().as_secs_f64(),
            mutation.rule,
            mutation.test
        );
    }
    println!("\n{killed} of {} killed", chosen.len());
    Ok(killed == chosen.len())
}

/// A copy of the repository, with a target directory of its own.
struct Copy<'w> {
    package: &'w Package,
    root: PathBuf,
    shell: Shell,
}

impl<'w> Copy<'w> {
    /// Makes it, or brings the one of the last time up to date: what has not changed is not built again.
    fn new(workspace: &Workspace, package: &'w Package) -> Result<Self, String> {
        let root = workspace.target.join("mutate");
        let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        for file in workspace.files()? {
            let (from, to) = (workspace.root.join(&file), root.join(&file));
            let bytes = fs::read(&from).map_err(|error| told(&from, error))?;
            if fs::read(&to).is_ok_and(|known| known == bytes) {
                continue;
            }
            let folder = to.parent().unwrap_or(&root);
            fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
            fs::write(&to, bytes).map_err(|error| told(&to, error))?;
        }
        Ok(Self { package, root, shell: Shell::new(workspace, "mutate") })
    }

    fn log(&self) -> String {
        self.shell.log().display().to_string()
    }

    /// Breaks the rule, tries the test, and mends it again.
    fn mutate(&self, mutation: &Mutation) -> Result<Fate, String> {
        let path = self.root.join(&self.package.folder).join(&mutation.file);
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let sound = fs::read_to_string(&path).map_err(told)?;
        fs::write(&path, mutation.apply(&sound)?).map_err(told)?;
        let fate = self.test(mutation);
        fs::write(&path, sound).map_err(told)?;
        Ok(fate)
    }

    fn test(&self, mutation: &Mutation) -> Fate {
        if self.cargo(BUILD_MAX, mutation, &["--no-run"]).is_err() {
            return Fate::DoesNotCompile;
        }
        match self.cargo(RUN_MAX, mutation, &["--", "--exact", &mutation.test]) {
            Ok(printed) if printed.contains("1 passed") => Fate::Survived,
            Err(printed) if printed.contains(&format!("test {} ... FAILED", mutation.test)) => Fate::Killed,
            _ => Fate::NoVerdict,
        }
    }

    /// What was printed, with `Err` if it did not go well.
    fn cargo(&self, limit: Duration, mutation: &Mutation, words: &[&str]) -> Result<String, String> {
        let mut command = process::bounded(limit, process::cargo());
        command.current_dir(&self.root).args(["test", "--locked", "-p", &self.package.name]);
        match mutation.target.as_str() {
            "lib" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
        // What is built for one short run needs no optimization.
        let plain = format!("profile.dev.package.{}.opt-level=0", self.package.name);
        command.args(["--config", &plain]).args(words).env("CARGO_TARGET_DIR", self.root.join("target"));
        self.shell.run_whatever(&mut command)
    }
}
