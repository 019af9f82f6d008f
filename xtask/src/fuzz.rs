//! cargo-fuzz on the machine's stable toolchain.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process;
use crate::steps::Tool;
use crate::workspace::{Workspace, answer};

/// From the root. A workspace for itself, with a lock file of its own.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// The names of the targets, in the order of the manifest.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut command = Command::new(process::cargo());
    command.current_dir(&workspace.root);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--manifest-path", MANIFEST]);
    let metadata: serde_json::Value =
        serde_json::from_str(&answer(&mut command)?).map_err(|error| error.to_string())?;
    let targets = metadata["packages"][0]["targets"].as_array().into_iter().flatten();
    // The library is what targets share.
    let targets = targets.filter(|target| target["kind"][0] == "bin");
    Ok(targets.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect())
}

/// `cargo fuzz` with these words and what lets a stable compiler build it.
///
/// Sanitizers and coverage are options that only nightly has; `RUSTC_BOOTSTRAP` makes the stable compiler take them.
/// The target directory is its own whatever the environment says, so that nothing else is built anew for it.
pub(crate) fn command(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = Command::new(Tool::Fuzz.path(workspace));
    command.current_dir(&workspace.root).args(words).args(["--target-dir", "fuzz/target"]);
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

/// Runs a built target for so many seconds, from its corpus and the committed seeds.
pub(crate) fn run(workspace: &Workspace, target: &str, seconds: u32) -> Result<Command, String> {
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    fs::create_dir_all(workspace.root.join(&corpus)).map_err(|error| format!("{corpus}: {error}"))?;
    let mut command = command(workspace, &["run"]);
    command.args([target, &corpus]);
    if workspace.root.join(&seeds).is_dir() {
        command.arg(&seeds);
    }
    command.args(["--", &format!("-max_total_time={seconds}"), "-timeout=5", "-rss_limit_mb=1024", "-max_len=4096"]);
    Ok(command)
}

/// Runs a target before the eyes of whoever asked.
pub(crate) fn run_by_hand(workspace: &Workspace, target: &str, seconds: u32) -> Result<bool, String> {
    let known = targets(workspace)?;
    if !known.iter().any(|name| name == target) {
        return Err(format!("there is no target `{target}`, but {}", known.join(", ")));
    }
    let tool = Tool::Fuzz.path(workspace);
    if !Path::new(&tool).exists() {
        return Err("cargo-fuzz is not there: `cargo xtask test` installs it".to_owned());
    }
    process::watched(&mut run(workspace, target, seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_those_of_the_manifest() {
        let workspace = Workspace::load().unwrap();
        let targets = targets(&workspace).unwrap();
        assert!(targets.iter().any(|name| name == "wire_packet_kind"), "{targets:?}");
        let has_file = |name: &String| workspace.root.join(format!("fuzz/targets/{name}.rs")).is_file();
        assert!(targets.iter().all(has_file), "{targets:?}");
        let error = run_by_hand(&workspace, "none", 1).unwrap_err();
        assert!(error.starts_with("there is no target `none`, but "), "{error}");
    }
}
