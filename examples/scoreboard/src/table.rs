use std::fmt::Write as _;

use crate::metrics::Score;
use crate::sweep::{Outcome, Sweep};

/// The name of the algorithm that regret is reckoned against.
const ORACLE: &str = "oracle";

const HEAD: &str = "\
# Scoreboard

Congestion controllers in virtual time: what the cases and the figures are is in the README of `examples/scoreboard`. Regret is
the share of the oracle's utility that was missed; figures are medians over the seeds. `cargo xtask scoreboard` writes this
file, and the test command compares it.

";

pub(crate) const COLUMNS: [&str; 11] = [
    "algorithm",
    "regret % (worst)",
    "use by phase %",
    "converged s",
    "wait ms p50 / p95 / p99",
    "frame ms p95",
    "loss %",
    "varies %",
    "Jain",
    "share with TCP %",
    "feedback %",
];

/// All results as tables in Markdown: medians over the seeds.
#[must_use]
pub fn markdown(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>]) -> String {
    let mut out = format!("{HEAD}Seeds 1 to {}, {} cases.\n\n", sweep.seeds, sweep.cases.len());
    write_summary(&mut out, sweep, outcomes);
    for (case, outcomes) in sweep.cases.iter().zip(outcomes) {
        let _ = write!(out, "\n## {}\n\n{}\n\n", case.name, case.title);
        write_row(&mut out, &COLUMNS);
        write_row(&mut out, &["---"; COLUMNS.len()]);
        for row in rows(sweep, outcomes) {
            write_row(&mut out, &row);
        }
    }
    out
}

/// The regret of each entrant in each family of cases, and in all: means of the cases' medians.
fn write_summary(out: &mut String, sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>]) {
    let mut families: Vec<_> = sweep.cases.iter().map(|case| family(&case.name)).collect();
    families.dedup();
    let _ = writeln!(out, "| regret % | {} | all |", families.join(" | "));
    write_row(out, &vec!["---"; families.len() + 2]);
    for (index, entrant) in sweep.entrants.iter().enumerate() {
        let of = |chosen: &dyn Fn(&str) -> bool| {
            let cases = sweep.cases.iter().zip(outcomes).filter(|(case, _)| chosen(family(&case.name)));
            let medians: Option<Vec<_>> = cases.map(|(_, row)| median_regret(sweep, row, index)).collect();
            medians.map_or_else(
                || "failed".to_owned(),
                |all| decimal(100.0 * all.iter().sum::<f64>() / all.len() as f64, 1),
            )
        };
        let by_family = families.iter().map(|name| of(&|family| family == *name));
        let cells: Vec<_> = by_family.chain([of(&|_| true)]).collect();
        let _ = writeln!(out, "| {} | {} |", entrant.name(), cells.join(" | "));
    }
}

/// What names of cases begin with: `8867-5` of `8867-5.1-50ms`, `mobile` of `mobile-lte`.
fn family(name: &str) -> &str {
    name.split_once('.').or_else(|| name.split_once('-')).map_or(name, |parts| parts.0)
}

fn median_regret(sweep: &Sweep<'_>, outcomes: &[Outcome], index: usize) -> Option<f64> {
    let entry = outcomes[index].as_ref().ok()?;
    Some(median(regrets(&entry.scores, best(sweep, outcomes))))
}

/// The oracle's scores.
fn best<'a>(sweep: &Sweep<'_>, outcomes: &'a [Outcome]) -> &'a [Score] {
    let oracle = sweep.entrants.iter().position(|one| one.name() == ORACLE);
    oracle.and_then(|index| outcomes[index].as_ref().ok()).map_or(&[], |best| &best.scores)
}

fn write_row(out: &mut String, cells: &[impl AsRef<str>]) {
    for cell in cells {
        let _ = write!(out, "| {} ", cell.as_ref());
    }
    out.push_str("|\n");
}

/// A row of each entrant in one case.
pub(crate) fn rows<'a>(sweep: &'a Sweep<'_>, outcomes: &'a [Outcome]) -> impl Iterator<Item = Vec<String>> + 'a {
    let best = best(sweep, outcomes);
    sweep.entrants.iter().zip(outcomes).map(move |(entrant, outcome)| {
        let mut cells = vec![entrant.name().to_owned()];
        match outcome {
            Ok(entry) => cells.extend(figures(&entry.scores, &regrets(&entry.scores, best))),
            Err(error) => cells.push(format!("failed: {error}")),
        }
        cells.resize(COLUMNS.len(), String::new());
        cells
    })
}

/// The share of the oracle's utility that was missed, seed by seed.
fn regrets(scores: &[Score], best: &[Score]) -> Vec<f64> {
    scores.iter().zip(best).map(|(score, best)| 1.0 - score.utility / best.utility).collect()
}

fn figures(scores: &[Score], regrets: &[f64]) -> [String; 10] {
    let of = |get: &dyn Fn(&Score) -> f64| median(scores.iter().map(get).collect());
    let count = |get: &dyn Fn(&Score) -> usize| scores.first().map_or(0, get);
    let phases = 0..count(&|score| score.utilisation.len());
    let settled = 0..count(&|score| score.convergence.len());
    let seconds = settled.map(|index| of(&|score| score.convergence[index].unwrap_or(f64::INFINITY)));
    let optional = |get: fn(&Score) -> Option<f64>, scale: f64, places| {
        let values: Option<Vec<_>> = scores.iter().map(get).collect();
        values.map_or_else(String::new, |values| decimal(scale * median(values), places))
    };
    let worst = regrets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [
        format!("{} ({})", decimal(100.0 * median(regrets.to_vec()), 1), decimal(100.0 * worst, 1)),
        join(phases.map(|index| decimal(100.0 * of(&|score| score.utilisation[index]), 0))),
        join(seconds.map(|seconds| if seconds.is_finite() { decimal(seconds, 1) } else { "–".to_owned() })),
        join((0..3).map(|index| decimal(1e3 * of(&|score| score.wait[index]), 0))),
        decimal(1e3 * of(&|score| score.frame), 0),
        decimal(100.0 * of(&|score| score.loss), 2),
        decimal(100.0 * of(&|score| score.variation), 1),
        optional(|score| score.jain, 1.0, 3),
        optional(|score| score.beside_tcp, 100.0, 0),
        decimal(100.0 * of(&|score| score.feedback), 2),
    ]
}

/// Without a zero that is negative.
fn decimal(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let is_zero = text.chars().all(|digit| matches!(digit, '-' | '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" / ")
}

/// The lower of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_and_the_worst_regret() {
        let score = |loss, converged, utility| Score {
            utilisation: vec![0.5, 0.75],
            convergence: vec![Some(0.5), converged],
            loss,
            utility,
            ..Score::default()
        };
        let scores = [score(0.01, None, 80.0), score(0.03, Some(2.0), 90.0), score(0.02, Some(4.0), 100.0)];
        let best = [score(0.0, None, 100.0), score(0.0, None, 100.0), score(0.0, None, 100.0)];
        let figures = figures(&scores, &regrets(&scores, &best));
        let expected =
            ["10.0 (20.0)", "50 / 75", "0.5 / 4.0", "0 / 0 / 0", "0", "2.00", "0.0", "", "", "0.00"].map(str::to_owned);
        assert_eq!(figures, expected);
        assert_eq!(["8867-5.1-50ms", "8868-loss-1", "mobile-lte"].map(family), ["8867-5", "8868", "mobile"]);
        assert_eq!(decimal(-0.04, 1), "0.0");
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
    }
}
