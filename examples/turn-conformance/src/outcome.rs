/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In a word.
    pub status: Status,
    /// What was seen, or why nothing was.
    pub seen: String,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server did what is wanted.
    Passed,
    /// It did something else.
    Failed,
    /// What has to work first did not, such as an allocation: counts as a failure.
    Unreached,
    /// The probe does not apply, or can't be run here: says nothing of the server.
    Skipped,
}

impl Status {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Failed => "fail",
            Self::Unreached => "unreached",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a probe ends without what it wants.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Skipped(String),
    Setup(String),
    Fault(String),
}

/// What was seen and is right.
pub(crate) type Verdict = Result<String, Stop>;

impl Stop {
    /// The same fault, in what only prepares a probe.
    pub(crate) fn before(self) -> Self {
        match self {
            Self::Fault(seen) => Self::Setup(seen),
            other => other,
        }
    }
}

/// A fault, unless this holds.
pub(crate) fn ensure(holds: bool, seen: impl Into<String>) -> Verdict {
    if holds { Ok(seen.into()) } else { Err(Stop::Fault(seen.into())) }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        let (status, seen) = match verdict {
            Ok(seen) => (Status::Passed, seen),
            Err(Stop::Fault(seen)) => (Status::Failed, seen),
            Err(Stop::Setup(seen)) => (Status::Unreached, seen),
            Err(Stop::Skipped(why)) => (Status::Skipped, why),
        };
        Self { status, seen }
    }
}
