use std::time::Duration;

const TIMEOUT_FIRST: Duration = Duration::from_secs(1);
/// Linux's, which no variance goes below: RFC 6298 has a second, and few have followed it.
const VARIANCE_MIN: Duration = Duration::from_millis(200);
const TIMEOUT_MAX: Duration = Duration::from_secs(4);

/// How long to wait for an answer (RFC 6298).
#[derive(Debug)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variance: Duration,
    timeout: Duration,
}

impl RoundTrip {
    pub(super) const fn new() -> Self {
        Self { smoothed: None, variance: Duration::ZERO, timeout: TIMEOUT_FIRST }
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The smoothed time; none before the first sample.
    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or_default()
    }

    pub(super) fn sample(&mut self, time: Duration) {
        let smoothed = match self.smoothed {
            None => {
                self.variance = time / 2;
                time
            }
            Some(smoothed) => {
                self.variance = (3 * self.variance + smoothed.abs_diff(time)) / 4;
                (7 * smoothed + time) / 8
            }
        };
        self.smoothed = Some(smoothed);
        self.timeout = (smoothed + (4 * self.variance).max(VARIANCE_MIN)).min(TIMEOUT_MAX);
    }

    /// Nothing came in time.
    pub(super) fn back_off(&mut self) {
        self.timeout = (2 * self.timeout).min(TIMEOUT_MAX);
    }
}
