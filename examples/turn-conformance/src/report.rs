use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde_json::json;

use crate::outcome::Outcome;
use crate::{Probe, Rule};

/// A probe and what came of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The probe's.
    pub id: String,
    /// The probe's.
    pub rule: Rule,
    /// The probe's.
    pub input: String,
    /// The probe's.
    pub expected: String,
    /// What came of it.
    pub outcome: Outcome,
}

impl Row {
    pub(crate) fn new(probe: &Probe, outcome: Outcome) -> Self {
        Self {
            id: probe.id().to_owned(),
            rule: probe.rule(),
            input: probe.input().to_owned(),
            expected: probe.expected().to_owned(),
            outcome,
        }
    }

    fn family(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, rule, input, expected, outcome } = self;
        write!(f, "{:9} {id} ({}): {input}: wanted {expected}, ", outcome.status.name(), rule.section)?;
        write!(f, "saw {}", outcome.seen)
    }
}

/// A line for each family, and one for all.
#[must_use]
pub fn summary(rows: &[Row]) -> String {
    let mut families: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for row in rows {
        let counts = families.entry(row.family()).or_default();
        counts[row.outcome.status as usize] += 1;
        families.entry("~all").or_default()[row.outcome.status as usize] += 1;
    }
    let mut out = String::from("| family | pass | fail | unreached | skipped |\n|---|---|---|---|---|\n");
    for (family, [pass, fail, unreached, skipped]) in families {
        let family = family.trim_start_matches('~');
        writeln!(out, "| {family} | {pass} | {fail} | {unreached} | {skipped} |").expect("a string takes all");
    }
    out
}

/// The summary, and a row for each probe.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut out = summary(rows);
    out.push_str("\n| probe | section | rule | input | wanted | seen | |\n|---|---|---|---|---|---|---|\n");
    for Row { id, rule, input, expected, outcome } in rows {
        let seen = outcome.seen.replace('|', "\\|");
        let (section, words, status) = (rule.section, rule.words, outcome.status.name());
        writeln!(out, "| {id} | {section} | {words} | {input} | {expected} | {seen} | {status} |")
            .expect("a string takes all");
    }
    out
}

/// An array with an object for each probe.
#[must_use]
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|Row { id, rule, input, expected, outcome }| {
            json!({
                "id": id, "section": rule.section, "rule": rule.words, "input": input, "expected": expected,
                "status": outcome.status.name(), "seen": outcome.seen,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(rows))
}
