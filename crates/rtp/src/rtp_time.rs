//! RTP timestamps (RFC 3550 §5.1): 32 bits of ticks that wrap, and the clock that makes them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::serial::{extended_number, wrapping_number};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A 32-bit RTP timestamp, which wraps. Its unit is a tick of the payload's clock.
///
/// Like [`SeqNo`](crate::SeqNo) it has no `Ord`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RtpTime(pub u32);

wrapping_number!(RtpTime, u32, i32);

/// An RTP timestamp that never wraps: the cycle in the upper 32 bits, the [`RtpTime`] in the lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedRtpTime(pub u64);

extended_number!(ExtendedRtpTime, RtpTimeUnwrapper, RtpTime, u32, rtp_time);

impl ExtendedRtpTime {
    /// Ticks since an earlier time; 0 if that is later.
    #[inline]
    pub const fn ticks_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Gives the timestamps of one stream their cycle, by the rules of [`SeqUnwrapper`](crate::SeqUnwrapper): nearest to
/// the newest, which only goes forward; the first cycle is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpTimeUnwrapper {
    newest: Option<ExtendedRtpTime>,
}

/// Ticks per second of an RTP clock: never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockRate(NonZeroU32);

impl ClockRate {
    /// 90 kHz: all video.
    pub const VIDEO: Self = Self::known(90_000);
    /// 48 kHz: Opus, at whatever rate it samples (RFC 7587 §4.1).
    pub const OPUS: Self = Self::known(48_000);

    /// A rate in ticks per second, or `None` for 0.
    pub const fn new(hz: u32) -> Option<Self> {
        match NonZeroU32::new(hz) {
            Some(hz) => Some(Self(hz)),
            None => None,
        }
    }

    const fn known(hz: u32) -> Self {
        Self::new(hz).expect("a constant that is not 0")
    }

    /// Ticks per second.
    pub const fn hz(self) -> u32 {
        self.0.get()
    }

    /// How long the clock takes for this many ticks, to the nearest nanosecond.
    pub const fn duration(self, ticks: u64) -> Duration {
        let hz = self.hz() as u64;
        let (secs, rest) = (ticks / hz, ticks % hz);
        // rest < 2^32 and 10^9 < 2^30: no overflow. The nanoseconds round to a whole second only if hz > 1, which
        // leaves room in the seconds.
        let nanos = (rest * NANOS_PER_SEC + hz / 2) / hz;
        Duration::new(secs, nanos as u32)
    }

    /// How many ticks the clock makes in this time, to the nearest; `u64::MAX` if they are more.
    pub const fn ticks(self, duration: Duration) -> u64 {
        let hz = self.hz() as u64;
        let rest = (duration.subsec_nanos() as u64 * hz + NANOS_PER_SEC / 2) / NANOS_PER_SEC;
        duration.as_secs().saturating_mul(hz).saturating_add(rest)
    }
}

impl fmt::Display for ClockRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrap_reordering_and_a_start_at_zero_are_unwrapped() {
        let mut unwrapper = RtpTimeUnwrapper::new();
        let cycle = 1 << 32;
        for (time, extended) in [
            (0, cycle),
            (u32::MAX, cycle - 1),
            (3000, cycle + 3000),
            (0x7fff_ffff, cycle + 0x7fff_ffff),
            (0xffff_f000, cycle + 0xffff_f000),
            (90, 2 * cycle + 90),
            (0xffff_f001, cycle + 0xffff_f001),
        ] {
            assert_eq!(unwrapper.unwrap(RtpTime(time)), ExtendedRtpTime(extended));
        }
        assert_eq!(unwrapper.newest(), Some(ExtendedRtpTime(2 * cycle + 90)));
        assert_eq!(ExtendedRtpTime(2 * cycle + 90).ticks_since(ExtendedRtpTime(cycle)), cycle + 90);
        assert_eq!(ExtendedRtpTime(5).ticks_since(ExtendedRtpTime(6)), 0);
    }

    #[test]
    fn newer_is_by_the_shorter_way_round() {
        assert!(RtpTime(5).is_newer_than(RtpTime(u32::MAX)));
        assert!(!RtpTime(0).is_newer_than(RtpTime(1 << 31)));
        assert!(!RtpTime(1 << 31).is_newer_than(RtpTime(0)));
        assert_eq!(RtpTime(2).wrapping_sub(3), RtpTime(u32::MAX));
        assert_eq!(RtpTime(u32::MAX).wrapping_add(3), RtpTime(2));
    }

    #[test]
    fn ticks_and_time_round_to_the_nearest() {
        assert_eq!(ClockRate::VIDEO.duration(3000), Duration::from_nanos(33_333_333));
        assert_eq!(ClockRate::VIDEO.ticks(Duration::from_nanos(33_333_333)), 3000);
        assert_eq!(ClockRate::OPUS.duration(960), Duration::from_millis(20));
        assert_eq!(ClockRate::VIDEO.duration(90_000 * 3600), Duration::from_secs(3600));
        assert_eq!(ClockRate::new(0), None);
    }

    #[test]
    fn the_largest_values_neither_overflow_nor_panic() {
        for hz in [1, 2, 3, 90_000, u32::MAX] {
            let rate = ClockRate::new(hz).unwrap();
            assert_eq!(rate.duration(u64::MAX).as_secs(), u64::MAX / u64::from(hz));
            assert_eq!(rate.ticks(Duration::MAX), u64::MAX);
        }
        // The last tick before a second of a clock faster than nanoseconds.
        let fast = ClockRate::new(u32::MAX).unwrap();
        assert_eq!(fast.duration(u64::from(u32::MAX) - 1), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn ticks_come_back_from_time(ticks in 0..1u64 << 40, hz in 1..400_000_000u32) {
            let rate = ClockRate::new(hz).unwrap();
            prop_assert_eq!(rate.ticks(rate.duration(ticks)), ticks);
        }

        #[test]
        fn steps_within_half_a_cycle_are_unwrapped_as_they_were_made(
            start: u32,
            steps in prop::collection::vec(i64::from(i32::MIN)..=i64::from(i32::MAX), 0..100),
        ) {
            let mut unwrapper = RtpTimeUnwrapper::new();
            let mut newest = (1i64 << 32) + i64::from(start);
            prop_assert_eq!(unwrapper.unwrap(RtpTime(start)).0 as i64, newest);
            for step in steps {
                let time = newest + step;
                prop_assert_eq!(unwrapper.peek(RtpTime(time as u32)).0 as i64, time);
                prop_assert_eq!(unwrapper.unwrap(RtpTime(time as u32)).0 as i64, time);
                newest = newest.max(time);
            }
        }
    }
}
