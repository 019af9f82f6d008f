use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A rate in whole bits per second.
///
/// `+` and `-` panic where the result would not fit, in every build: a wrapped rate is a bug that must not travel.
/// Where a peer had a say in the numbers, use the `saturating_` forms.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

/// An amount of data in whole bytes. `+` and `-` panic where the result would not fit, as [`Bitrate`]'s do.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSize(u64);

impl Bitrate {
    /// No data at all.
    pub const ZERO: Self = Self(0);
    /// The highest that the type holds: "no limit".
    pub const MAX: Self = Self(u64::MAX);

    /// Bits per second.
    pub const fn from_bps(bits: u64) -> Self {
        Self(bits)
    }

    /// Thousands of bits per second; saturates.
    pub const fn from_kbps(kilobits: u64) -> Self {
        Self(kilobits.saturating_mul(1_000))
    }

    /// Millions of bits per second; saturates.
    pub const fn from_mbps(megabits: u64) -> Self {
        Self(megabits.saturating_mul(1_000_000))
    }

    /// Bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// What flows in `time`, rounded down to whole bytes; saturates.
    pub const fn data_in(self, time: Duration) -> DataSize {
        let bytes = (self.0 as u128).saturating_mul(time.as_nanos()) / (8 * NANOS_PER_SECOND);
        DataSize(saturated(bytes))
    }

    /// How long `data` takes at this rate, rounded up to whole nanoseconds; `None` at rate zero.
    ///
    /// Saturates at [`Duration::MAX`].
    pub const fn time_for(self, data: DataSize) -> Option<Duration> {
        if self.0 == 0 {
            return None;
        }
        let nanos = (data.0 as u128 * 8 * NANOS_PER_SECOND).div_ceil(self.0 as u128);
        let seconds = nanos / NANOS_PER_SECOND;
        if seconds > u64::MAX as u128 {
            return Some(Duration::MAX);
        }
        Some(Duration::new(seconds as u64, (nanos % NANOS_PER_SECOND) as u32))
    }
}

impl DataSize {
    /// The highest that the type holds: "no limit".
    pub const MAX: Self = Self(u64::MAX);

    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Thousands of bytes; saturates.
    pub const fn from_kilobytes(kilobytes: u64) -> Self {
        Self(kilobytes.saturating_mul(1_000))
    }

    /// Bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The rate at which this much passes in `time`, rounded down; `None` if `time` is zero. Saturates.
    pub const fn rate_over(self, time: Duration) -> Option<Bitrate> {
        if time.is_zero() {
            return None;
        }
        Some(Bitrate(saturated(self.0 as u128 * 8 * NANOS_PER_SECOND / time.as_nanos())))
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

const fn saturated(value: u128) -> u64 {
    if value > u64::MAX as u128 { u64::MAX } else { value as u64 }
}

macro_rules! arithmetic {
    ($unit:ident) => {
        impl $unit {
            /// The sum, or `None` if it does not fit.
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, or `None` if `other` is the larger.
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The sum, [`Self::MAX`] if it does not fit.
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, zero if `other` is the larger.
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// This times `numerator / denominator`, rounded down; `None` if `denominator` is zero. Saturates.
            pub const fn scaled(self, numerator: u64, denominator: u64) -> Option<Self> {
                if denominator == 0 {
                    return None;
                }
                Some(Self(saturated(self.0 as u128 * numerator as u128 / denominator as u128)))
            }
        }

        impl Add for $unit {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                self.checked_add(other).expect("the sum fits in 64 bits")
            }
        }

        impl AddAssign for $unit {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $unit {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                self.checked_sub(other).expect("the subtrahend is not the larger")
            }
        }

        impl SubAssign for $unit {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }

        impl Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(units: I) -> Self {
                units.fold(Self::ZERO, Add::add)
            }
        }

        impl fmt::Debug for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

arithmetic!(Bitrate);
arithmetic!(DataSize);

/// `850 b/s`, `64 kb/s`, `1.5 Mb/s`, `2.048 Gb/s`: cut (not rounded) to thousandths of the unit.
impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        readable(f, self.0, ["b/s", "kb/s", "Mb/s", "Gb/s"])
    }
}

/// `1200 B` is `1.2 kB`: decimal units, cut (not rounded) to thousandths.
impl fmt::Display for DataSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        readable(f, self.0, ["B", "kB", "MB", "GB"])
    }
}

fn readable(f: &mut fmt::Formatter<'_>, value: u64, units: [&str; 4]) -> fmt::Result {
    let (divisor, unit) = match value {
        0..1_000 => (1, units[0]),
        1_000..1_000_000 => (1_000, units[1]),
        1_000_000..1_000_000_000 => (1_000_000, units[2]),
        _ => (1_000_000_000, units[3]),
    };
    let thousandths = u128::from(value) * 1_000 / divisor;
    let (whole, fraction) = (thousandths / 1_000, thousandths % 1_000);
    let text = if fraction == 0 {
        format!("{whole} {unit}")
    } else {
        let digits = format!("{fraction:03}");
        format!("{whole}.{} {unit}", digits.trim_end_matches('0'))
    };
    f.pad(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_like_an_engineer_writes() {
        for (rate, text) in [
            (Bitrate::ZERO, "0 b/s"),
            (Bitrate::from_bps(850), "850 b/s"),
            (Bitrate::from_kbps(64), "64 kb/s"),
            (Bitrate::from_kbps(1_500), "1.5 Mb/s"),
            (Bitrate::from_bps(1_000_001), "1 Mb/s"),
            (Bitrate::from_mbps(2_048), "2.048 Gb/s"),
        ] {
            assert_eq!(rate.to_string(), text);
            assert_eq!(format!("{rate:?}"), text);
        }
        assert_eq!(DataSize::from_bytes(1_200).to_string(), "1.2 kB");
        assert_eq!(format!("{:>8}|", DataSize::from_bytes(7)), "     7 B|");
    }

    #[test]
    fn rates_times_and_sizes_agree() {
        let rate = Bitrate::from_mbps(1);
        assert_eq!(rate.data_in(Duration::from_millis(96)), DataSize::from_bytes(12_000));
        assert_eq!(rate.time_for(DataSize::from_bytes(12_000)), Some(Duration::from_millis(96)));
        assert_eq!(DataSize::from_bytes(12_000).rate_over(Duration::from_millis(96)), Some(rate));
        assert_eq!(Bitrate::ZERO.time_for(DataSize::from_bytes(1)), None);
        assert_eq!(DataSize::ZERO.rate_over(Duration::ZERO), None);
        assert_eq!(Bitrate::from_bps(300).scaled(2, 3), Some(Bitrate::from_bps(200)));
        assert_eq!(Bitrate::MAX.scaled(1, 0), None);
    }

    #[test]
    #[should_panic(expected = "the sum fits in 64 bits")]
    fn a_sum_that_does_not_fit_is_a_bug() {
        let _ = Bitrate::MAX + Bitrate::from_bps(1);
    }

    #[test]
    #[should_panic(expected = "the subtrahend is not the larger")]
    fn a_negative_size_is_a_bug() {
        let _ = DataSize::ZERO - DataSize::from_bytes(1);
    }

    proptest! {
        #[test]
        fn extremes_saturate(bits: u64, bytes: u64, nanos: u64, seconds: u64) {
            let (rate, size) = (Bitrate::from_bps(bits), DataSize::from_bytes(bytes));
            for time in [Duration::from_nanos(nanos), Duration::from_secs(seconds)] {
                let _ = rate.data_in(time);
                let _ = size.rate_over(time);
            }
            // Sending for as long as it takes sends it all.
            if let Some(time) = rate.time_for(size).filter(|time| *time < Duration::MAX) {
                prop_assert!(rate.data_in(time) >= size);
            }
        }
    }
}
