use std::time::Duration;

use super::cargo::cargo;
use super::{Context, Result};
use crate::process::bounded;
use crate::report::Outcome;

/// How long all calls may take. On two idle cores they take one minute.
const PATIENCE: Duration = Duration::from_secs(420);

/// Chromium and Firefox against examples/echo; see peers/browsers.
pub(super) fn run(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("build --locked -p plenary-echo -p netsim-tun"))?;
    let mut command = bounded(PATIENCE, "node");
    command.arg("peers/browsers/main.mjs").arg(context.workspace.target.join("debug")).arg("tools/node");
    told(&context.shell.run(&mut command)?)
}

/// How many calls went well, and which were left out.
pub(super) fn told(printed: &str) -> Result {
    let lines = |start: &'static str| printed.lines().filter(move |line| line.starts_with(start));
    let skipped = lines("skipped: ").collect::<Vec<_>>().join("; ");
    match (lines("ok: ").count(), skipped.is_empty()) {
        (0, true) => Err("no call was made".to_owned()),
        (0, false) => Ok(Outcome::Skipped(skipped)),
        (count, true) => Ok(Outcome::Passed(format!("{count} calls"))),
        (count, false) => Ok(Outcome::Passed(format!("{count} calls; {skipped}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_what_is_left_out_is_told() {
        let printed = "chromium 156\nok: chromium: a (3.4 s)\nok: chromium: b (1.0 s)\n";
        assert_eq!(told(printed), Ok(Outcome::Passed("2 calls".to_owned())));
        let some = format!("{printed}skipped: firefox: it is not there\n");
        assert_eq!(told(&some), Ok(Outcome::Passed("2 calls; skipped: firefox: it is not there".to_owned())));
        assert_eq!(told("skipped: a: b\n"), Ok(Outcome::Skipped("skipped: a: b".to_owned())));
        assert!(told("chromium 156\n").is_err());
    }
}
