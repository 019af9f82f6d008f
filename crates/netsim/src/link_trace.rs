//! Recorded networks, read from what others have written.

mod csv;
mod decimal;
mod error;
#[cfg(feature = "gym")]
mod gym;
mod mahimahi;

use std::time::Duration;

use plenary_wire::Bitrate;

pub use error::{Place, TraceError, TraceProblem};
#[cfg(feature = "gym")]
pub use gym::Direction;

use crate::{Condition, Conditions, LinkConfig, RateSchedule};

/// The longest text of a trace: a JSON value of that takes about 100 MB while it is read.
pub const TRACE_BYTES_MAX: usize = 8 << 20;

/// The most steps of a trace, of up to 72 bytes each.
pub const TRACE_STEPS_MAX: usize = 1_000_000;

/// The highest rate in a trace: a terabit per second.
pub const TRACE_RATE_MAX: Bitrate = Bitrate::from_bps(1_000_000_000_000);

/// A time with one rate and condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceStep {
    /// When it begins.
    pub at: Duration,
    /// How fast the link is.
    pub rate: Bitrate,
    /// What else is known of it.
    pub condition: Condition,
}

/// How a link changes over time.
///
/// Read one with [`from_mahimahi`](Self::from_mahimahi), [`from_csv`](Self::from_csv) or, with the feature `gym`,
/// `from_gym`. Written with [`Display`](std::fmt::Display) it is the CSV that `from_csv` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTrace {
    steps: Vec<TraceStep>,
    period: Option<Duration>,
}

impl LinkTrace {
    /// Its steps: the first is at zero, each later than the one before.
    pub fn steps(&self) -> &[TraceStep] {
        &self.steps
    }

    /// After how long the steps begin anew; `None` if the last holds for ever.
    pub const fn period(&self) -> Option<Duration> {
        self.period
    }

    /// The same, again and again: each time after `period`.
    ///
    /// # Panics
    ///
    /// If the period does not end after the last step begins.
    #[must_use]
    pub fn repeating(self, period: Duration) -> Self {
        let last = self.steps.last().map_or(Duration::ZERO, |last| last.at);
        assert!(last < period, "the period holds all steps");
        Self { period: Some(period), ..self }
    }

    /// The rates.
    pub fn rate(&self) -> RateSchedule {
        let steps: Vec<_> = self.steps.iter().map(|step| (step.at, step.rate)).collect();
        match self.period {
            Some(period) => RateSchedule::repeating(&steps, period),
            None => RateSchedule::steps(&steps),
        }
    }

    /// All else. It changes nothing where the trace tells nothing.
    pub fn conditions(&self) -> Conditions {
        let steps: Vec<_> = self.steps.iter().map(|step| (step.at, step.condition)).collect();
        if steps.iter().all(|step| step.1 == Condition::default()) {
            return Conditions::default();
        }
        match self.period {
            Some(period) => Conditions::repeating(&steps, period),
            None => Conditions::steps(&steps),
        }
    }

    /// A link that follows the trace, and is otherwise as `base` says.
    pub fn link(&self, base: LinkConfig) -> LinkConfig {
        LinkConfig { rate: self.rate(), conditions: self.conditions(), ..base }
    }
}
