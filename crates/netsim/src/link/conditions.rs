use std::time::Duration;

use crate::Probability;

/// What a wire is like during a time. What is `None` is as [`LinkConfig`](crate::LinkConfig) says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// In place of [`LinkConfig::delay`](crate::LinkConfig::delay).
    pub delay: Option<Duration>,
    /// In place of [`LinkConfig::jitter`](crate::LinkConfig::jitter).
    pub jitter: Option<Duration>,
    /// In place of [`LinkConfig::loss`](crate::LinkConfig::loss): of each packet, whatever became of the others.
    pub loss: Option<Probability>,
}

/// What a wire is like, when. A packet meets the condition of the instant at which it leaves the transmitter; a delay
/// that gets smaller does not make packets overtake each other. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    steps: Vec<(Duration, Condition)>,
    period: Option<Duration>,
}

impl Conditions {
    /// From each instant (since the start of the simulation) on, that condition; before the first nothing changes, and
    /// the last holds for ever.
    ///
    /// # Panics
    ///
    /// If a step is not later than the one before.
    pub fn steps(steps: &[(Duration, Condition)]) -> Self {
        assert!(steps.is_sorted_by(|a, b| a.0 < b.0), "each step is later than the one before");
        Self { steps: steps.to_vec(), period: None }
    }

    /// The same steps again and again, each time after `period`.
    ///
    /// # Panics
    ///
    /// As [`steps`](Self::steps), and if `period` is zero or does not end after the last step begins.
    pub fn repeating(steps: &[(Duration, Condition)], period: Duration) -> Self {
        assert!(steps.last().is_none_or(|last| last.0 < period) && !period.is_zero(), "the period holds all steps");
        Self { period: Some(period), ..Self::steps(steps) }
    }

    /// The condition at an instant.
    pub fn at(&self, time: Duration) -> Condition {
        let time = match self.period {
            Some(period) if !self.steps.is_empty() => {
                let nanos = time.as_nanos() % period.as_nanos();
                Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
            }
            _ => time,
        };
        let begun = self.steps.partition_point(|step| step.0 <= time);
        begun.checked_sub(1).map_or_else(Condition::default, |last| self.steps[last].1)
    }
}
