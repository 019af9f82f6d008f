use std::fs;
use std::time::Duration;

use super::setup::Tool;
use super::{Context, Result};
use crate::process::bounded;
use crate::report::Outcome;

/// How long a registry or a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Licences, banned packages, and where packages come from: a finding fails.
pub(super) fn licences(context: &Context<'_>) -> Result {
    let mut command = bounded(PATIENCE, Tool::Deny.path(context.workspace));
    context.shell.run(command.args(["--all-features", "check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed(String::new()))
}

/// Known faults of packages: a finding is told and does not fail, as it comes from outside, at any time.
pub(super) fn advisories(context: &Context<'_>) -> Result {
    let tool = Tool::Deny.path(context.workspace);
    let mut fetch = bounded(PATIENCE, &tool);
    if context.shell.run(fetch.args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0")).is_err() {
        return Ok(Outcome::Skipped("the database of advisories can't be reached".to_owned()));
    }
    let mut check = bounded(PATIENCE, &tool);
    if context.shell.run(check.args(["--all-features", "check", "--disable-fetch", "advisories"])).is_ok() {
        return Ok(Outcome::Passed(String::new()));
    }
    let log = fs::read_to_string(context.shell.log()).unwrap_or_default();
    println!("{}", log.trim_end());
    Ok(Outcome::Passed("warning: see above".to_owned()))
}
