use super::cargo::cargo;
use super::{Context, Result};
use crate::bench_turn;
use crate::report::Outcome;

/// A moment of each load that `cargo xtask bench-turn` measures; see examples/turn-load.
pub(super) fn run(context: &Context<'_>) -> Result {
    context.shell.run(&mut cargo("build --locked -p plenary-turn-server -p plenary-turn-load"))?;
    bench_turn::smoke(context.workspace).map(Outcome::Passed)
}
