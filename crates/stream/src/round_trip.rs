use std::time::Duration;

/// The round-trip time to a peer, smoothed as RFC 6298 §2 does it for TCP.
///
/// One for each peer: samples come from [`SendStream::handle_report_block`](crate::SendStream::handle_report_block) of
/// any stream and from [`ReferenceTime::handle_dlrr`](crate::ReferenceTime::handle_dlrr). The peer can make them larger or
/// smaller than they are, so that nothing may depend on their being right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    latest: Option<Duration>,
    smoothed: Duration,
    variation: Duration,
}

impl RoundTrip {
    /// The largest sample: 10 s. More is held to it; no call lives there, and a peer that lies shall not stop all retries.
    pub const SAMPLE_MAX: Duration = Duration::from_secs(10);

    /// Nothing measured yet.
    pub const fn new() -> Self {
        Self { latest: None, smoothed: Duration::ZERO, variation: Duration::ZERO }
    }

    /// Takes a measurement.
    pub fn handle_sample(&mut self, sample: Duration) {
        let sample = sample.min(Self::SAMPLE_MAX);
        if self.latest.is_none() {
            self.smoothed = sample;
            self.variation = sample / 2;
        } else {
            self.variation = (self.variation * 3 + self.smoothed.abs_diff(sample)) / 4;
            self.smoothed = (self.smoothed * 7 + sample) / 8;
        }
        self.latest = Some(sample);
    }

    /// The last measurement.
    pub const fn latest(&self) -> Option<Duration> {
        self.latest
    }

    /// SRTT of RFC 6298: an eighth of each sample.
    pub fn smoothed(&self) -> Option<Duration> {
        self.latest.map(|_| self.smoothed)
    }

    /// RTTVAR of RFC 6298: how far samples lie from the smoothed value.
    pub fn variation(&self) -> Option<Duration> {
        self.latest.map(|_| self.variation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn samples_are_smoothed_as_rfc_6298_has_it() {
        let mut round_trip = RoundTrip::new();
        assert_eq!((round_trip.latest(), round_trip.smoothed(), round_trip.variation()), (None, None, None));
        round_trip.handle_sample(MS(80));
        assert_eq!((round_trip.smoothed(), round_trip.variation()), (Some(MS(80)), Some(MS(40))));
        round_trip.handle_sample(MS(160));
        assert_eq!((round_trip.smoothed(), round_trip.variation()), (Some(MS(90)), Some(MS(50))));
        assert_eq!(round_trip.latest(), Some(MS(160)));
    }

    #[test]
    fn a_sample_beyond_the_largest_is_held_to_it() {
        let mut round_trip = RoundTrip::new();
        round_trip.handle_sample(Duration::MAX);
        assert_eq!(round_trip.smoothed(), Some(RoundTrip::SAMPLE_MAX));
    }
}
