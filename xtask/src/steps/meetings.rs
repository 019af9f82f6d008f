use std::time::Duration;

use super::browsers::told;
use super::cargo::cargo;
use super::{Context, Result};
use crate::process::bounded;

/// How long all meetings may take. On two idle cores they take two minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Chromium and Firefox in meetings of reference-server; see peers/meeting.
pub(super) fn run(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("build --locked -p plenary-server -p netsim-tun"))?;
    let mut command = bounded(PATIENCE, "node");
    command.arg("peers/meeting/main.mjs").arg(context.workspace.target.join("debug")).arg("tools/node");
    told(&context.shell.run(&mut command)?)
}
