//! NTP time as RTCP and header extensions carry it (RFC 3550 §4, §6.4.1).

use std::time::Duration;

/// Seconds from 1900-01-01, NTP's epoch, to 1970-01-01, Unix's.
const UNIX_EPOCH_SECS: u64 = 2_208_988_800;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A wall-clock time in NTP's 64 bits: 32 of seconds, 32 of their fraction (233 ps).
///
/// The seconds wrap in 2036. Here they mean the years 1970 to 2106: a value below 1970 in the first era is taken for
/// the second. It has no `Ord`, as times of a peer may lie in any era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since the Unix epoch, to the nearest fraction. What lies beyond 2106 wraps.
    pub const fn from_unix(since_epoch: Duration) -> Self {
        let secs = since_epoch.as_secs().wrapping_add(UNIX_EPOCH_SECS);
        // Nanoseconds are coarser than fractions: this never rounds up to a whole second.
        let fraction = (((since_epoch.subsec_nanos() as u64) << 32) + NANOS_PER_SEC / 2) / NANOS_PER_SEC;
        Self(secs << 32 | fraction)
    }

    /// The time since the Unix epoch, to the nearest nanosecond.
    pub const fn to_unix(self) -> Duration {
        let secs = ((self.0 >> 32) as u32).wrapping_sub(UNIX_EPOCH_SECS as u32);
        let fraction = self.0 & 0xffff_ffff;
        Duration::new(secs as u64, ((fraction * NANOS_PER_SEC + (1 << 31)) >> 32) as u32)
    }

    /// The middle 32 bits, as report blocks quote them.
    pub const fn compact(self) -> CompactNtp {
        CompactNtp((self.0 >> 16) as u32)
    }
}

/// The middle 32 bits of an [`NtpTime`]: 16 of seconds, 16 of their fraction (15 us). They wrap every 18 h.
///
/// RTCP carries times (LSR) and delays (DLSR) in this unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CompactNtp(pub u32);

impl CompactNtp {
    /// A delay in this unit, to the nearest; the longest that it can say (65536 s) if it is longer.
    pub const fn from_duration(delay: Duration) -> Self {
        let fraction = (((delay.subsec_nanos() as u64) << 16) + NANOS_PER_SEC / 2) / NANOS_PER_SEC;
        let units = delay.as_secs().saturating_mul(1 << 16).saturating_add(fraction);
        Self(if units > u32::MAX as u64 { u32::MAX } else { units as u32 })
    }

    /// The delay that it says, to the nearest nanosecond.
    pub const fn to_duration(self) -> Duration {
        let fraction = (self.0 & 0xffff) as u64;
        Duration::new((self.0 >> 16) as u64, ((fraction * NANOS_PER_SEC + (1 << 15)) >> 16) as u32)
    }

    /// The round-trip time that a report block proves, at its arrival at this time (RFC 3550 §6.4.1: A - LSR - DLSR).
    ///
    /// `last_report` is the compact time of our report that it answers, `delay` how long the peer says that it has held
    /// the answer. `None` if `last_report` is 0: the peer has seen no report yet, and the block proves nothing. A
    /// difference that is negative, or above 9 h, is 0: clocks of different pace make small negative ones.
    pub const fn round_trip(self, last_report: Self, delay: Self) -> Option<Duration> {
        if last_report.0 == 0 {
            return None;
        }
        let trip = self.0.wrapping_sub(last_report.0).wrapping_sub(delay.0);
        Some(if trip.cast_signed() < 0 { Duration::ZERO } else { Self(trip).to_duration() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unix_epoch_and_the_wrap_of_2036_have_their_known_values() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO), NtpTime(0x83aa_7e80_0000_0000));
        // 2036-02-07 06:28:16 UTC.
        let wrap = Duration::from_secs(2_085_978_496);
        assert_eq!(NtpTime::from_unix(wrap), NtpTime(0));
        assert_eq!(NtpTime(0).to_unix(), wrap);
        assert_eq!(NtpTime(u64::MAX).to_unix(), wrap);
        assert_eq!(NtpTime::from_unix(wrap - Duration::from_millis(500)), NtpTime(0xffff_ffff_8000_0000));
    }

    // RFC 3550 §6.4.1, figure 2.
    #[test]
    fn the_round_trip_of_the_specification_is_found() {
        let arrival = CompactNtp(0xb710_8000);
        assert_eq!(NtpTime(0xb44d_b705_2000_0000).compact(), CompactNtp(0xb705_2000));
        let trip = arrival.round_trip(CompactNtp(0xb705_2000), CompactNtp(0x0005_4000));
        assert_eq!(trip, Some(Duration::from_millis(6_125)));
    }

    // RFC 3550 §6.4.1: LSR and DLSR are 0 until a report has come. Browsers' first blocks are so.
    #[test]
    fn a_block_that_answers_no_report_proves_no_round_trip() {
        assert_eq!(CompactNtp(0x0001_0000).round_trip(CompactNtp(0), CompactNtp(0)), None);
    }

    #[test]
    fn a_negative_round_trip_is_zero_and_one_over_the_wrap_is_right() {
        let held = CompactNtp::from_duration(Duration::from_millis(10));
        assert_eq!(CompactNtp(601).round_trip(CompactNtp(1), held), Some(Duration::ZERO));
        let over_the_wrap = CompactNtp(0x8000).round_trip(CompactNtp(0xffff_8000), CompactNtp(0));
        assert_eq!(over_the_wrap, Some(Duration::from_secs(1)));
    }

    #[test]
    fn delays_saturate() {
        assert_eq!(CompactNtp::from_duration(Duration::from_millis(5_250)), CompactNtp(0x0005_4000));
        assert_eq!(CompactNtp::from_duration(Duration::from_secs(65_535)), CompactNtp(0xffff_0000));
        assert_eq!(CompactNtp::from_duration(Duration::new(65_535, 999_999_999)), CompactNtp(u32::MAX));
        assert_eq!(CompactNtp::from_duration(Duration::new(1, 999_999_999)), CompactNtp(0x0002_0000));
        assert_eq!(CompactNtp::from_duration(Duration::from_secs(65_536)), CompactNtp(u32::MAX));
        assert_eq!(CompactNtp::from_duration(Duration::MAX), CompactNtp(u32::MAX));
    }

    proptest! {
        #[test]
        fn unix_time_comes_back(secs in 0..1u64 << 32, nanos in 0..1_000_000_000u32) {
            let time = Duration::new(secs, nanos);
            prop_assert_eq!(NtpTime::from_unix(time).to_unix(), time);
        }

        #[test]
        fn compact_delays_come_back(bits: u32) {
            prop_assert_eq!(CompactNtp::from_duration(CompactNtp(bits).to_duration()), CompactNtp(bits));
        }
    }
}
