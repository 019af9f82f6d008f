use std::time::{Duration, Instant};

use plenary_rtp::NtpTime;

/// What the wall clock shows at each instant: an anchor, and from there the pace of the monotonic clock.
///
/// Nothing here reads a wall clock, and one that is set or slewed during a call never moves a sender report. All
/// streams of an endpoint share one, so that their reports can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpClock {
    instant: Instant,
    ntp: NtpTime,
}

impl NtpClock {
    /// A clock that shows `ntp` at `instant`: in most programs, what the system's two clocks said together at the start.
    pub const fn new(instant: Instant, ntp: NtpTime) -> Self {
        Self { instant, ntp }
    }

    /// What it shows at an instant, before the anchor too. It wraps with NTP's era, in 2036.
    pub fn at(&self, now: Instant) -> NtpTime {
        match now.checked_duration_since(self.instant) {
            Some(since) => NtpTime(self.ntp.0.wrapping_add(fractions(since))),
            None => NtpTime(self.ntp.0.wrapping_sub(fractions(self.instant.saturating_duration_since(now)))),
        }
    }

    /// The instant at which it shows `ntp`: the one less than 68 years from the anchor. `None` if the platform has no
    /// such instant. The value may be a peer's.
    pub fn instant(&self, ntp: NtpTime) -> Option<Instant> {
        let offset = ntp.0.wrapping_sub(self.ntp.0).cast_signed();
        let distance = duration(offset.unsigned_abs());
        if offset < 0 { self.instant.checked_sub(distance) } else { self.instant.checked_add(distance) }
    }
}

/// A span in units of 2^-32 s, to the nearest.
fn fractions(span: Duration) -> u64 {
    let fraction = ((u64::from(span.subsec_nanos()) << 32) + 500_000_000) / 1_000_000_000;
    (span.as_secs() << 32).wrapping_add(fraction)
}

/// A span of 2^-32 s units, to the nearest nanosecond.
fn duration(fractions: u64) -> Duration {
    let nanos = ((fractions & 0xffff_ffff) * 1_000_000_000 + (1 << 31)) >> 32;
    Duration::from_secs(fractions >> 32) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use plenary_netsim::base;

    use super::*;

    #[test]
    fn it_goes_at_the_pace_of_the_monotonic_clock_from_its_anchor() {
        let start = base() + Duration::from_secs(10);
        let clock = NtpClock::new(start, NtpTime(5 << 32));
        assert_eq!(clock.at(start), NtpTime(5 << 32));
        assert_eq!(clock.at(start + Duration::from_millis(1_500)), NtpTime(6 << 32 | 1 << 31));
        assert_eq!(clock.at(start - Duration::from_millis(250)), NtpTime(4 << 32 | 3 << 30));
    }

    #[test]
    fn the_era_of_2036_is_a_wrap_and_no_jump() {
        let start = base();
        let clock = NtpClock::new(start, NtpTime(u64::MAX));
        let later = start + Duration::from_secs(1);
        assert_eq!(clock.at(later), NtpTime((1 << 32) - 1));
        assert_eq!(clock.instant(clock.at(later)), Some(later));
    }

    #[test]
    fn instants_come_back_and_those_that_a_platform_lacks_are_none() {
        let start = base() + Duration::from_secs(1000);
        let clock = NtpClock::new(start, NtpTime(1 << 62));
        for offset in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_123] {
            let instant = start + Duration::from_nanos(offset);
            assert_eq!(clock.instant(clock.at(instant)), Some(instant));
        }
        for ntp in [0, 1 << 61, (1 << 62) - 1, 1 << 63, u64::MAX] {
            let _ = clock.instant(NtpTime(ntp));
        }
    }
}
