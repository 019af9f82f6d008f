use std::time::{Duration, Instant};

use super::ScreamConfig;
use crate::Feedback;

/// Smoothing of the rate in a round trip with losses, and in one without.
const GAINS: (f64, f64) = (0.1, 0.2);

/// The share of round trips in which packets were lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossEvents {
    rate: f64,
    has_lost: bool,
    /// Lost, and not recovered since.
    missing: usize,
    changed_at: Option<Instant>,
    counted_at: Option<Instant>,
}

impl LossEvents {
    /// Says whether something was lost.
    pub(super) fn handle_feedback(&mut self, feedback: &Feedback<'_>, round_trip: Duration, now: Instant) -> bool {
        let is_over = |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) >= round_trip);
        if is_over(self.changed_at) {
            // What is missing for longer does not come any more.
            self.missing = 0;
        }
        let lost = feedback.lost();
        let recovered = feedback.packets.iter().filter(|packet| packet.is_recovered).count();
        if lost + recovered > 0 {
            self.changed_at = Some(now);
        }
        self.missing += lost;
        self.has_lost |= lost > 0;
        if recovered > 0 {
            self.missing = self.missing.saturating_sub(recovered);
            if self.missing == 0 {
                // All of it was only late.
                (self.rate, self.has_lost) = (0.0, false);
            }
        }
        if is_over(self.counted_at) {
            self.counted_at = Some(now);
            let (event, gain) = if self.has_lost { (1.0, GAINS.0) } else { (0.0, GAINS.1) };
            self.rate += gain * (event - self.rate);
            self.has_lost = false;
        }
        lost > 0
    }

    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// Single losses without a queue are not congestion.
    pub(super) fn are_ignored(&self, config: &ScreamConfig, queueing: Duration) -> bool {
        self.rate < config.loss_events_ignored && queueing < config.queueing_target / 4
    }
}
