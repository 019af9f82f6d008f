use std::time::Duration;

use super::{STREAM_SEGMENT, STREAM_WINDOW};

const TIMEOUT_FIRST: Duration = Duration::from_secs(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(200);
const TIMEOUT_MAX: Duration = Duration::from_secs(4);

/// How much may be on the way (NewReno: RFC 5681, RFC 6582), and how long to wait for an answer (RFC 6298).
#[derive(Debug)]
pub(super) struct Congestion {
    window: usize,
    threshold: usize,
    duplicates: u32,
    /// In fast recovery: until this number is acknowledged.
    recover: Option<u64>,
    smoothed: Option<Duration>,
    variance: Duration,
    timeout: Duration,
    /// The number whose acknowledgement gives the next sample of the round-trip time, and when it was sent.
    timed: Option<(u64, Duration)>,
}

impl Congestion {
    pub(super) const fn new() -> Self {
        Self {
            // RFC 6928: ten segments to begin with.
            window: 10 * STREAM_SEGMENT,
            threshold: STREAM_WINDOW,
            duplicates: 0,
            recover: None,
            smoothed: None,
            variance: Duration::ZERO,
            timeout: TIMEOUT_FIRST,
            timed: None,
        }
    }

    pub(super) const fn window(&self) -> usize {
        self.window
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// `end` has been sent for the first time.
    pub(super) fn time(&mut self, end: u64, now: Duration) {
        self.timed = self.timed.or(Some((end, now)));
    }

    /// What is timed may have been sent twice: no sample comes of it (Karn).
    pub(super) const fn forget_time(&mut self) {
        self.timed = None;
    }

    /// New data is acknowledged. Whether the next hole has to be sent again.
    pub(super) fn on_ack(&mut self, ack: u64, acknowledged: usize, now: Duration) -> bool {
        if let Some((_, sent)) = self.timed.take_if(|(end, _)| *end <= ack) {
            self.sample(now.saturating_sub(sent));
        }
        self.duplicates = 0;
        match self.recover {
            Some(recover) if ack < recover => {
                // RFC 6582 §3.2: a partial acknowledgement shows the next hole.
                self.window = self.window.saturating_sub(acknowledged).max(STREAM_SEGMENT) + STREAM_SEGMENT;
                true
            }
            Some(_) => {
                self.recover = None;
                self.window = self.threshold;
                false
            }
            None if self.window < self.threshold => {
                self.grow(acknowledged.min(STREAM_SEGMENT));
                false
            }
            None => {
                self.grow((STREAM_SEGMENT * STREAM_SEGMENT / self.window).max(1));
                false
            }
        }
    }

    /// The same number was acknowledged again. Whether it has to be sent again.
    pub(super) fn on_duplicate_ack(&mut self, in_flight: usize, sent: u64) -> bool {
        self.duplicates += 1;
        if self.recover.is_some() {
            self.grow(STREAM_SEGMENT);
            return false;
        }
        if self.duplicates < 3 {
            return false;
        }
        self.threshold = (in_flight / 2).max(2 * STREAM_SEGMENT);
        self.window = self.threshold + 3 * STREAM_SEGMENT;
        self.recover = Some(sent);
        true
    }

    pub(super) fn on_timeout(&mut self, in_flight: usize) {
        self.threshold = (in_flight / 2).max(2 * STREAM_SEGMENT);
        self.window = STREAM_SEGMENT;
        self.duplicates = 0;
        self.recover = None;
        self.timed = None;
        self.timeout = (2 * self.timeout).min(TIMEOUT_MAX);
    }

    fn grow(&mut self, bytes: usize) {
        self.window = (self.window + bytes).min(2 * STREAM_WINDOW);
    }

    fn sample(&mut self, time: Duration) {
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
        self.timeout = (smoothed + 4 * self.variance).clamp(TIMEOUT_MIN, TIMEOUT_MAX);
    }
}
