use std::fs;
use std::process::Command;
use std::time::Duration;

use super::browsers::told;
use super::cargo::cargo;
use super::{Context, Result};
use crate::process::bounded;

/// How long all calls may take. On two idle cores those of `run` take half a minute, those of `relays` ten seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// aiortc, libdatachannel and Pion against examples/echo; see peers/libraries.
pub(super) fn run(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("build --locked -p plenary-echo"))?;
    build_pion(context)?;
    let mut command = bounded(PATIENCE, "node");
    command.arg("peers/libraries/main.mjs").arg(context.workspace.target.join("debug")).arg("tools");
    told(&context.shell.run(&mut command)?)
}

/// The same and libnice, by relays of examples/turn-server.
pub(super) fn relays(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("build --locked -p plenary-turn-server"))?;
    build_pion(context)?;
    let mut command = bounded(PATIENCE, "node");
    command.arg("peers/libraries/relays.mjs").arg(context.workspace.target.join("debug")).arg("tools");
    told(&context.shell.run(&mut command)?)
}

/// Builds the program with Pion in it, where there is a Go for it; the calls tell if there is not.
fn build_pion(context: &Context<'_>) -> Result<()> {
    let program = context.workspace.target.join("debug/pion-client");
    let go = || {
        let mut command = Command::new("go");
        command.current_dir(context.workspace.root.join("peers/libraries/pion"));
        // No other Go than the one that is there, and no C compiler with it.
        command.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
        command
    };
    // It fails without Go, with one that is too old, and if modules can't be had: then Pion is left out.
    if context.shell.run(go().args(["mod", "download"])).is_err() {
        let _ = fs::remove_file(program);
        return Ok(());
    }
    context.shell.run(go().args(["build", "-buildvcs=false", "-o"]).arg(program).arg(".")).map(|_| ())
}
