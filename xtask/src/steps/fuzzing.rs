use std::fs;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use super::cargo::cargo;
use super::{Context, Result};
use crate::fuzz;
use crate::process::Shell;
use crate::report::Outcome;

/// How long each target runs.
const SECONDS: u32 = 10;

/// Builds all targets, then runs each, as many at once as there are cores.
pub(super) fn run(context: &Context<'_>) -> Result {
    let targets = fuzz::targets(context.workspace)?;
    let mut clippy = cargo("clippy --locked --target-dir fuzz/target --manifest-path");
    clippy.arg(fuzz::MANIFEST).args(["--", "-D", "warnings"]).env("RUSTC_BOOTSTRAP", "1");
    context.shell.run(&mut clippy)?;
    context.shell.run(&mut fuzz::command(context.workspace, &["build"]))?;

    let waiting = Mutex::new(targets.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(target) = next(&waiting) {
                    if let Err(reason) = run_one(context, target) {
                        failures.lock().expect("no thread panics").push(reason);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread panics");
    if failures.is_empty() {
        return Ok(Outcome::Passed(format!("{} targets, {SECONDS} s each", targets.len())));
    }
    Err(failures.join("; "))
}

/// The lock is held only while one is taken.
fn next<'t>(waiting: &Mutex<impl Iterator<Item = &'t String>>) -> Option<&'t String> {
    waiting.lock().expect("no thread panics").next()
}

/// Each target has a log of its own, as several write at once; it is shown if the target fails.
fn run_one(context: &Context<'_>, target: &str) -> Result<()> {
    let shell = Shell::new(context.workspace, &format!("fuzz {target}"));
    let ran = shell.run(&mut fuzz::run(context.workspace, target, SECONDS)?);
    if ran.is_err() {
        println!("{}", fs::read_to_string(shell.log()).unwrap_or_default().trim_end());
    }
    ran.map(|_| ())
}
