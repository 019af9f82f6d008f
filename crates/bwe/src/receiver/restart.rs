use std::time::{Duration, Instant};

/// Tells a sender whose numbers began anew from packets that are out of range now and then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Restart {
    since: Option<Instant>,
}

impl Restart {
    /// All that came for so long was out of range: the numbers are others.
    const PROOF: Duration = Duration::from_millis(500);

    /// A packet is in range.
    pub(super) const fn note_fit(&mut self) {
        self.since = None;
    }

    /// A packet is out of range: whether the numbers begin anew with it.
    pub(super) fn note_misfit(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let restarts = now.saturating_duration_since(since) >= Self::PROOF;
        if restarts {
            self.since = None;
        }
        restarts
    }
}
