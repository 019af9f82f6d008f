//! Back-off when the round trip takes far too long, or feedback stays away while packets leave.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/send_side_bandwidth_estimation.cc` (`RttBasedBackoff`),
//! signalapp/webrtc bd635df347.

use std::time::Duration;

use plenary_wire::Bitrate;

use super::number::{Time, micros};

/// When and how far.
#[derive(Clone, Debug, PartialEq)]
pub struct BackoffConfig {
    /// Beyond it the path is taken to be stuck. Default: 3 s.
    pub round_trip_max: Duration,
    /// What the target is multiplied with. Default: 0.8.
    pub factor: f64,
    /// How often. Default: 1 s.
    pub interval: Duration,
    /// Not below. Default: 5 kbit/s.
    pub floor: Bitrate,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            round_trip_max: Duration::from_secs(3),
            factor: 0.8,
            interval: Duration::from_secs(1),
            floor: Bitrate::from_kbps(5),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RoundTripBackoff {
    pub(crate) config: BackoffConfig,
    /// When it was measured, and in microseconds.
    measured: Option<(Time, i64)>,
    last_sent: Option<Time>,
}

impl RoundTripBackoff {
    pub(crate) const fn new(config: BackoffConfig) -> Self {
        Self { config, measured: None, last_sent: None }
    }

    pub(crate) fn add_sent(&mut self, now: Time) {
        // Until there is feedback, the round trip takes as long as it did not come.
        self.measured.get_or_insert((now, 0));
        self.last_sent = Some(now);
    }

    /// The least time that a packet took there and back.
    pub(crate) const fn add_round_trip(&mut self, micros: i64, now: Time) {
        self.measured = Some((now, micros));
    }

    /// Feedback stays away for longer than the path is known to take.
    pub(crate) fn is_silent(&self) -> bool {
        self.measured.is_some_and(|(_, micros)| self.correction() > micros)
    }

    pub(crate) fn is_above_limit(&self) -> bool {
        let Some((_, round_trip)) = self.measured else { return false };
        round_trip.saturating_add(self.correction()) > micros(self.config.round_trip_max)
    }

    /// While nothing leaves, nothing is missed.
    fn correction(&self) -> i64 {
        let (Some((at, _)), Some(sent)) = (self.measured, self.last_sent) else { return 0 };
        sent.since(at).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    #[test]
    fn silence_counts_while_packets_leave() {
        let mut backoff = RoundTripBackoff::new(BackoffConfig::default());
        assert!(!backoff.is_above_limit());
        backoff.add_sent(at(0));
        backoff.add_round_trip(100_000, at(200));
        backoff.add_sent(at(3_100));
        assert!(!backoff.is_above_limit());
        backoff.add_sent(at(3_101));
        assert!(backoff.is_above_limit() && backoff.is_silent());
        backoff.add_round_trip(3_000_001, at(4_000));
        assert!(backoff.is_above_limit() && !backoff.is_silent());
        backoff.add_round_trip(50_000, at(5_000));
        // Nothing leaves for an hour: the video is paused, the path is not.
        backoff.add_sent(at(5_100));
        assert!(!backoff.is_above_limit());
    }
}
