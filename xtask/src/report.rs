//! What came of the steps, and how it is told.

use std::fmt::Write as _;
use std::time::Duration;

/// How a step ended. The text says in a few words what was seen, why it was left out, or what went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed(String),
    Skipped(String),
    Failed(String),
}

/// Each step's name, how long it took, and its end.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Duration, Outcome)>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, took: Duration, outcome: Outcome) {
        self.rows.push((name, took, outcome));
    }

    pub(crate) fn good(&self) -> bool {
        !self.rows.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// The table of steps, then one closing line with nothing but the counts.
    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, _, _)| name.len()).max().unwrap_or(0);
        let mut table = String::new();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        let mut total = Duration::ZERO;
        for (name, took, outcome) in &self.rows {
            total += *took;
            let (count, word, text) = match outcome {
                Outcome::Passed(text) => (&mut passed, "ok", text),
                Outcome::Skipped(text) => (&mut skipped, "skipped", text),
                Outcome::Failed(text) => (&mut failed, "FAILED", text),
            };
            *count += 1;
            let row = format!("{name:width$} {:>7.1} s  {word:7} {text}", took.as_secs_f64());
            table.push_str(row.trim_end());
            table.push('\n');
        }
        let _ = writeln!(table, "{:width$} {:>7.1} s\n", "all", total.as_secs_f64());
        let _ = write!(table, "{passed} passed, {failed} failed");
        if skipped > 0 {
            let _ = write!(table, ", {skipped} skipped");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_the_steps() {
        let mut report = Report::default();
        report.add("fmt", Duration::from_millis(1_240), Outcome::Passed(String::new()));
        assert!(report.good());
        assert_eq!(report.table().lines().last(), Some("1 passed, 0 failed"));
        report.add("advisories", Duration::from_secs(60), Outcome::Skipped("no database".to_owned()));
        assert!(report.good());
        report.add("tidy", Duration::from_secs(2), Outcome::Failed("3 problems".to_owned()));
        assert!(!report.good());
        assert_eq!(
            report.table(),
            "fmt            1.2 s  ok\n\
             advisories    60.0 s  skipped no database\n\
             tidy           2.0 s  FAILED  3 problems\n\
             all           63.2 s\n\
             \n\
             1 passed, 1 failed, 1 skipped"
        );
    }
}
