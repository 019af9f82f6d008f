use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};

/// Bytes that may leave: grows at a rate up to a burst, and may be overdrawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    rate: Bitrate,
    /// Bytes × 8 × 10⁹, so that nothing is lost to rounding: negative is debt.
    nanobits: i128,
    burst: Duration,
    debt_max: Duration,
    at: Instant,
}

const NANOS: i128 = 1_000_000_000;

impl Budget {
    pub(super) const fn new(burst: Duration, debt_max: Duration, now: Instant) -> Self {
        Self { rate: Bitrate::ZERO, nanobits: 0, burst, debt_max, at: now }
    }

    pub(super) fn set_rate(&mut self, rate: Bitrate, now: Instant) {
        self.advance(now);
        let was_idle = self.rate == Bitrate::ZERO;
        self.rate = rate;
        if was_idle {
            // The first burst need not be waited for.
            self.nanobits = self.nanobits.max(self.at_most());
        }
        self.clamp();
    }

    pub(super) fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        self.nanobits = self.nanobits.saturating_add(self.in_time(passed));
        self.clamp();
    }

    pub(super) fn spend(&mut self, size: DataSize) {
        self.nanobits = self.nanobits.saturating_sub(nanobits(size));
        self.clamp();
    }

    /// What may leave now, if `waiting` does; enough of it that it is a run.
    pub(super) fn ready(&self, waiting: DataSize) -> Option<DataSize> {
        let is_ready = waiting > DataSize::ZERO && self.nanobits > 0 && self.nanobits >= self.needed(waiting);
        is_ready.then(|| DataSize::from_bytes(u64::try_from(self.nanobits / NANOS / 8).unwrap_or(0).max(1)))
    }

    pub(super) fn ready_at(&self, waiting: DataSize) -> Option<Instant> {
        let missing = u128::try_from(self.needed(waiting).max(1) - self.nanobits).unwrap_or(0);
        let rate = u128::from(self.rate.as_bps());
        if rate == 0 {
            return None;
        }
        let nanos = u64::try_from(missing.div_ceil(rate)).unwrap_or(u64::MAX);
        self.at.checked_add(Duration::from_nanos(nanos))
    }

    /// What waits, or a burst if that is less.
    fn needed(&self, waiting: DataSize) -> i128 {
        nanobits(waiting).min(self.at_most())
    }

    fn at_most(&self) -> i128 {
        self.in_time(self.burst)
    }

    fn in_time(&self, time: Duration) -> i128 {
        let nanos = i128::try_from(time.as_nanos().min(u128::from(u64::MAX))).unwrap_or(i128::MAX);
        i128::from(self.rate.as_bps()).saturating_mul(nanos)
    }

    fn clamp(&mut self) {
        self.nanobits = self.nanobits.min(self.at_most()).max(-self.in_time(self.debt_max));
    }
}

fn nanobits(size: DataSize) -> i128 {
    i128::from(size.as_bytes()) * 8 * NANOS
}
