//! What `cargo xtask test` does, in order. A step is a function; a new one is a line in the table.

mod alone;
mod browsers;
mod cargo;
mod deny;
mod fuzzing;
mod libraries;
mod meetings;
pub(crate) mod scoreboard;
mod setup;
mod turn_load;
mod typos;

pub(crate) use setup::Tool;

use std::fs;
use std::time::Instant;

use crate::process::Shell;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{external_types, tidy};

/// What a step is given.
pub(crate) struct Context<'w> {
    pub(crate) workspace: &'w Workspace,
    pub(crate) shell: Shell,
}

/// How a step ends if it does not fail; else why it failed.
type Result<T = Outcome> = std::result::Result<T, String>;

struct Step {
    name: &'static str,
    /// Whether `--quick` has it too: it needs nothing but cargo and git.
    quick: bool,
    run: fn(&Context<'_>) -> Result,
}

const STEPS: &[Step] = &[
    Step { name: "setup", quick: false, run: setup::run },
    Step { name: "fmt", quick: true, run: cargo::fmt },
    Step { name: "tidy", quick: true, run: tidy },
    Step { name: "typos", quick: false, run: typos::run },
    Step { name: "licences", quick: false, run: deny::licences },
    Step { name: "advisories", quick: false, run: deny::advisories },
    Step { name: "clippy", quick: true, run: cargo::clippy },
    Step { name: "tests", quick: true, run: cargo::tests },
    Step { name: "browsers", quick: false, run: browsers::run },
    Step { name: "meetings", quick: false, run: meetings::run },
    Step { name: "libraries", quick: false, run: libraries::run },
    Step { name: "relays", quick: false, run: libraries::relays },
    Step { name: "turn load", quick: false, run: turn_load::run },
    Step { name: "scoreboard", quick: false, run: scoreboard::run },
    Step { name: "scoreboard elsewhere", quick: false, run: scoreboard::elsewhere },
    Step { name: "docs", quick: false, run: cargo::docs },
    Step { name: "external types", quick: false, run: external },
    Step { name: "each crate alone", quick: false, run: alone::run },
    Step { name: "fuzz", quick: false, run: fuzzing::run },
];

/// Runs them all, whatever fails, and tells; the answer is whether none failed.
pub(crate) fn run(workspace: &Workspace, quick: bool) -> bool {
    let mut report = Report::default();
    for step in STEPS.iter().filter(|step| step.quick || !quick) {
        println!("==> {}", step.name);
        let start = Instant::now();
        let context = Context { workspace, shell: Shell::new(workspace, step.name) };
        let outcome = (step.run)(&context).unwrap_or_else(Outcome::Failed);
        if let Outcome::Failed(reason) = &outcome {
            let log = fs::read_to_string(context.shell.log()).unwrap_or_default();
            println!("{}\n{} failed: {reason}\n", log.trim_end(), step.name);
        }
        report.add(step.name, start.elapsed(), outcome);
    }
    println!("\n{}", report.table());
    report.good()
}

fn tidy(context: &Context<'_>) -> Result {
    found(&tidy::check(context.workspace)?)
}

fn external(context: &Context<'_>) -> Result {
    found(&external_types::check(context.workspace, &context.shell)?)
}

fn found(problems: &[String]) -> Result {
    if problems.is_empty() {
        return Ok(Outcome::Passed(String::new()));
    }
    println!("{}", problems.join("\n"));
    Err(format!("{} problems", problems.len()))
}
