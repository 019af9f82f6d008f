use std::fmt;
use std::time::Duration;

use plenary_wire::Bitrate;

use super::{LinkTrace, TRACE_BYTES_MAX, TRACE_RATE_MAX, TRACE_STEPS_MAX, TraceProblem, TraceStep, decimal};
use crate::{Condition, Probability, TIME_MAX, TraceError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Time,
    Rate,
    Delay,
    Jitter,
    Loss,
}

/// The columns by name: of what, and how many decimals there are to the nanosecond, bit per second or millionth.
const COLUMNS: [(&str, Quantity, usize); 9] = [
    ("time_s", Quantity::Time, 9),
    ("time_ms", Quantity::Time, 6),
    ("rate_bps", Quantity::Rate, 0),
    ("rate_kbps", Quantity::Rate, 3),
    ("rate_mbps", Quantity::Rate, 6),
    ("delay_ms", Quantity::Delay, 6),
    ("jitter_ms", Quantity::Jitter, 6),
    ("loss", Quantity::Loss, 6),
    ("loss_percent", Quantity::Loss, 4),
];

impl LinkTrace {
    /// Reads comma-separated values. The first line names the columns: `time_s` or `time_ms`, `rate_bps`, `rate_kbps`
    /// or `rate_mbps`, and perhaps `delay_ms` (one way), `jitter_ms` (a standard deviation) and `loss` (a part of one)
    /// or `loss_percent`, in any order. Each other line is a step, from its time on: the first at zero, each later than
    /// the one before. Only of the last three a value may be empty: then the link's own counts. Numbers are decimal,
    /// without sign and exponent, and without quotes. Empty lines and lines that begin with `#` are skipped.
    ///
    /// The last step holds for ever, unless [`repeating`](Self::repeating) is asked for.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line.
    pub fn from_csv(text: &str) -> Result<Self, TraceError> {
        let last_line = text.lines().count().max(1);
        if text.len() > TRACE_BYTES_MAX {
            return Err(TraceProblem::TooLong.in_line(last_line));
        }
        let lines = (1..).zip(text.lines().map(str::trim));
        let mut lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let (line, names) = lines.next().ok_or_else(|| TraceProblem::Empty.in_line(last_line))?;
        let columns = columns(names).map_err(|problem| problem.in_line(line))?;
        let mut steps: Vec<TraceStep> = vec![];
        for (line, text) in lines {
            let step = step(&columns, text).map_err(|problem| problem.in_line(line))?;
            let problem = match steps.last() {
                None if !step.at.is_zero() => Some(TraceProblem::Start),
                Some(last) if last.at >= step.at => Some(TraceProblem::Order),
                _ if steps.len() == TRACE_STEPS_MAX => Some(TraceProblem::TooManySteps),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(problem.in_line(line));
            }
            steps.push(step);
        }
        if steps.is_empty() {
            return Err(TraceProblem::Empty.in_line(last_line));
        }
        Ok(Self { steps, period: None })
    }
}

fn columns(names: &str) -> Result<Vec<(Quantity, usize)>, TraceProblem> {
    let mut columns: Vec<(Quantity, usize)> = vec![];
    for name in names.split(',') {
        let known = COLUMNS.iter().find(|column| column.0 == name.trim()).ok_or(TraceProblem::Columns)?;
        if columns.iter().any(|column| column.0 == known.1) {
            return Err(TraceProblem::Columns);
        }
        columns.push((known.1, known.2));
    }
    let has = |quantity| columns.iter().any(|column| column.0 == quantity);
    if has(Quantity::Time) && has(Quantity::Rate) { Ok(columns) } else { Err(TraceProblem::Columns) }
}

fn step(columns: &[(Quantity, usize)], line: &str) -> Result<TraceStep, TraceProblem> {
    if line.split(',').count() != columns.len() {
        return Err(TraceProblem::Values);
    }
    let mut step = TraceStep { at: Duration::ZERO, rate: Bitrate::ZERO, condition: Condition::default() };
    for (&(quantity, places), text) in columns.iter().zip(line.split(',')) {
        let text = text.trim();
        if text.is_empty() && !matches!(quantity, Quantity::Time | Quantity::Rate) {
            continue;
        }
        let value = decimal::parse(text, places)?;
        let within = |max: u128| if u128::from(value) <= max { Ok(value) } else { Err(TraceProblem::Range) };
        let time = || within(TIME_MAX.as_nanos()).map(Duration::from_nanos);
        match quantity {
            Quantity::Time => step.at = time()?,
            Quantity::Rate => step.rate = Bitrate::from_bps(within(TRACE_RATE_MAX.as_bps().into())?),
            Quantity::Delay => step.condition.delay = Some(time()?),
            Quantity::Jitter => step.condition.jitter = Some(time()?),
            Quantity::Loss => {
                let ppm = within(Probability::ONE.as_ppm().into())?;
                step.condition.loss = Some(Probability::from_ppm(ppm as u32));
            }
        }
    }
    Ok(step)
}

impl fmt::Display for LinkTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "time_s,rate_bps,delay_ms,jitter_ms,loss")?;
        for TraceStep { at, rate, condition } in &self.steps {
            write!(f, "{}.{:09},{}", at.as_secs(), at.subsec_nanos(), rate.as_bps())?;
            for time in [condition.delay, condition.jitter] {
                match time.map(|time| time.as_nanos()) {
                    Some(nanos) => write!(f, ",{}.{:06}", nanos / 1_000_000, nanos % 1_000_000)?,
                    None => write!(f, ",")?,
                }
            }
            match condition.loss.map(Probability::as_ppm) {
                Some(ppm) => writeln!(f, ",{}.{:06}", ppm / 1_000_000, ppm % 1_000_000)?,
                None => writeln!(f, ",")?,
            }
        }
        Ok(())
    }
}
