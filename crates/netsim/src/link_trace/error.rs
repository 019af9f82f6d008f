use thiserror::Error;

/// Where a trace is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this line, counted from one.
    Line(usize),
    /// In this step of a gym's pattern, counted from one.
    Step(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Step(step) => write!(f, "step {step}"),
        }
    }
}

/// Why a text is not a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct TraceError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: TraceProblem,
}

/// What is wrong with a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TraceProblem {
    /// The text has more than [`TRACE_BYTES_MAX`](crate::TRACE_BYTES_MAX) bytes.
    #[error("the text is too long")]
    TooLong,
    /// There are more than [`TRACE_STEPS_MAX`](crate::TRACE_STEPS_MAX) steps.
    #[error("there are too many steps")]
    TooManySteps,
    /// There is no step, or no time in which there is something.
    #[error("there is nothing in it")]
    Empty,
    /// A number is missing, or is not a decimal one without sign and exponent.
    #[error("it is not a decimal number")]
    Number,
    /// A number is beyond what is possible: [`TIME_MAX`](crate::TIME_MAX), [`TRACE_RATE_MAX`](crate::TRACE_RATE_MAX),
    /// or a loss of 1.
    #[error("a number is too large")]
    Range,
    /// A time is not later than the one before (in mahimahi's form: is earlier).
    #[error("the times are not in order")]
    Order,
    /// The first step is not at zero.
    #[error("the first step is not at zero")]
    Start,
    /// The first line of a CSV names a column that is not known, or one twice, or no time or rate.
    #[error("the columns are not known")]
    Columns,
    /// A line has more or less values than there are columns.
    #[error("there are more or less values than columns")]
    Values,
    /// It is not JSON, or not of the form of a gym.
    #[error("it is not the JSON of a gym")]
    Json,
}

impl TraceProblem {
    pub(super) const fn in_line(self, line: usize) -> TraceError {
        TraceError { place: Place::Line(line), problem: self }
    }
}
