//! Congestion controllers score what they scored; see examples/scoreboard.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::cargo::cargo;
use super::{Context, Result};
use crate::process::Shell;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// What is checked in, of as many seeds as are run here.
const TABLE: &str = "crates/bwe/SCOREBOARD.md";
const SEEDS: &str = "3";

const WASM: &str = "wasm32-wasip1";

/// The table that is checked in is that of today's code.
pub(super) fn run(context: &Context<'_>) -> Result {
    let table = measure(context.workspace, &context.shell, &[])?;
    let [before, now] =
        [context.workspace.root.join(TABLE), table].map(|path| fs::read_to_string(path).unwrap_or_default());
    if before == now {
        return Ok(Outcome::Passed(format!("{} rows", now.lines().filter(|line| line.starts_with("| ")).count())));
    }
    let differ = before.lines().zip(now.lines()).find(|(before, now)| before != now);
    let (before, now) = differ.unwrap_or(("", "another number of lines"));
    Err(format!("{TABLE} is another. `cargo xtask scoreboard` writes it anew; its first change:\n- {before}\n+ {now}"))
}

/// Controllers do the same on WebAssembly, to the last bit.
pub(super) fn elsewhere(context: &Context<'_>) -> Result {
    let shell = &context.shell;
    let mut rustup = Command::new("rustup");
    if shell.run(rustup.args(["target", "add", WASM])).is_err() {
        return Ok(Outcome::Skipped(format!("no rustup that has {WASM}")));
    }
    let build = "build --locked -p plenary-scoreboard --bin trajectories";
    shell.run(&mut cargo(build))?;
    shell.run(&mut cargo(&format!("{build} --no-default-features --target {WASM}")))?;
    let target = &context.workspace.target;
    let here = shell.run(&mut Command::new(target.join("debug/trajectories")))?;
    let mut node = Command::new("node");
    node.args(["--no-warnings", "examples/scoreboard/wasi.mjs"]);
    let there = shell.run(node.arg(target.join(format!("{WASM}/debug/trajectories.wasm"))))?;
    let differ = here.lines().zip(there.lines()).filter(|(here, there)| here != there).count();
    if here.lines().count() != there.lines().count() || differ > 0 {
        return Err(format!("{differ} trajectories differ on {WASM}"));
    }
    Ok(Outcome::Passed(format!("{} trajectories are the same on {WASM}", here.lines().count())))
}

/// Writes the table anew, and the curves that tests hold controllers to.
pub(crate) fn write(workspace: &Workspace) -> std::result::Result<(), String> {
    let table = measure(workspace, &Shell::quiet(workspace), &["--golden", "examples/scoreboard/golden"])?;
    fs::copy(table, workspace.root.join(TABLE)).map(drop).map_err(|error| format!("{TABLE}: {error}"))
}

fn measure(workspace: &Workspace, shell: &Shell, more: &[&str]) -> Result<PathBuf> {
    let out = workspace.target.join("xtask/scoreboard");
    let mut command = cargo("run --locked -p plenary-scoreboard -- --seeds");
    shell.run(command.args([SEEDS, "--out"]).arg(&out).args(more))?;
    Ok(out.join("SCOREBOARD.md"))
}
