use std::fmt::Write as _;

use crate::metrics::Score;
use crate::sweep::{Outcome, Sweep};

const HEAD: &str = "\
| algorithm | regret % (worst) | use by phase % | converged s | wait ms p50 / p95 / p99 | frame ms p95 | loss % | varies % | Jain | feedback % |
|---|---|---|---|---|---|---|---|---|---|
";

/// The name of the algorithm that regret is reckoned against.
const ORACLE: &str = "oracle";

/// All results as tables in Markdown: medians over the seeds.
#[must_use]
pub fn markdown(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>]) -> String {
    let mut out = format!("# Scoreboard\n\nSeeds 1 to {}.\n", sweep.seeds);
    let oracle = sweep.entrants.iter().position(|one| one.name() == ORACLE);
    for (case, outcomes) in sweep.cases.iter().zip(outcomes) {
        let _ = write!(out, "\n## {}\n\n{}\n\n{HEAD}", case.name, case.title);
        let best = oracle.and_then(|index| outcomes[index].as_ref().ok()).map_or(&[][..], |best| &best.scores);
        for (entrant, outcome) in sweep.entrants.iter().zip(outcomes) {
            match outcome {
                Ok(entry) => {
                    let (scores, regrets) = (&entry.scores[..], regrets(&entry.scores, best));
                    write_row(&mut out, &Row { algorithm: entrant.name(), scores, regrets });
                }
                Err(error) => drop(writeln!(out, "| {} | failed: {error} |||||||||", entrant.name())),
            }
        }
    }
    out
}

struct Row<'a> {
    algorithm: &'a str,
    scores: &'a [Score],
    regrets: Vec<f64>,
}

/// The share of the oracle's utility that was missed, seed by seed.
fn regrets(scores: &[Score], best: &[Score]) -> Vec<f64> {
    scores.iter().zip(best).map(|(score, best)| 1.0 - score.utility / best.utility).collect()
}

fn write_row(out: &mut String, row: &Row<'_>) {
    let of = |get: &dyn Fn(&Score) -> f64| median(row.scores.iter().map(get).collect());
    let phases = row.scores.first().map_or(0, |score| score.utilisation.len());
    let utilisation = join((0..phases).map(|index| format!("{:.0}", 100.0 * of(&|score| score.utilisation[index]))));
    let settled = row.scores.first().map_or(0, |score| score.convergence.len());
    let convergence = join((0..settled).map(|index| {
        let seconds = of(&|score| score.convergence[index].unwrap_or(f64::INFINITY));
        if seconds.is_finite() { format!("{seconds:.1}") } else { "–".to_owned() }
    }));
    let wait = join((0..3).map(|index| format!("{:.0}", 1e3 * of(&|score| score.wait[index]))));
    let jain = row.scores.first().is_some_and(|score| score.jain.is_some());
    let jain = if jain { format!("{:.3}", of(&|score| score.jain.unwrap_or(0.0))) } else { String::new() };
    let regret = median(row.regrets.clone());
    let worst = row.regrets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let _ = writeln!(
        out,
        "| {} | {:.1} ({:.1}) | {utilisation} | {convergence} | {wait} | {:.0} | {:.2} | {:.1} | {jain} | {:.2} |",
        row.algorithm,
        100.0 * regret,
        100.0 * worst,
        1e3 * of(&|score| score.frame),
        100.0 * of(&|score| score.loss),
        100.0 * of(&|score| score.variation),
        100.0 * of(&|score| score.feedback),
    );
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" / ")
}

/// The lower of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
