//! Units as numbers, and numbers as units. What is not a number, or below zero, is zero; what is too large is the largest.

use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};

/// Microseconds since the controller began, of its caller's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub(crate) const fn as_micros(self) -> i64 {
        self.0
    }

    /// Microseconds; negative if `earlier` is the later.
    pub(crate) const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Whether so much has passed since then; it has since never.
    pub(crate) fn is_past(self, earlier: Option<Self>, micros: i64) -> bool {
        earlier.is_none_or(|earlier| self.since(earlier) >= micros)
    }
}

/// Where [`Time`] counts from: the first instant that it is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock(Option<Instant>);

impl Clock {
    pub(crate) fn time(&mut self, at: Instant) -> Time {
        let zero = *self.0.get_or_insert(at);
        match at.checked_duration_since(zero) {
            Some(since) => Time(micros(since)),
            None => Time(-micros(zero.saturating_duration_since(at))),
        }
    }

    pub(crate) fn instant(self, time: Time) -> Option<Instant> {
        self.0?.checked_add(duration(time.0))
    }
}

pub(crate) const fn micros(time: Duration) -> i64 {
    let (seconds, micros) = (time.as_secs(), time.subsec_micros() as i64);
    if seconds > (i64::MAX / 1_000_000 - 1) as u64 { i64::MAX } else { seconds as i64 * 1_000_000 + micros }
}

pub(crate) const fn duration(micros: i64) -> Duration {
    Duration::from_micros(if micros > 0 { micros.unsigned_abs() } else { 0 })
}

pub(crate) const fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

pub(crate) const fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}

pub(crate) const fn bps(rate: Bitrate) -> f64 {
    rate.as_bps() as f64
}

pub(crate) const fn rate(bps: f64) -> Bitrate {
    Bitrate::from_bps(bps as u64)
}

pub(crate) const fn scaled(of: Bitrate, factor: f64) -> Bitrate {
    rate(bps(of) * factor)
}

/// The rate of so many bytes in so many microseconds, at least one.
pub(crate) fn rate_of(bytes: i64, micros: i64) -> Bitrate {
    rate(bytes as f64 * 8e6 / micros.max(1) as f64)
}

pub(crate) const fn bytes(size: DataSize) -> i64 {
    if size.as_bytes() > MAX_BYTES as u64 { MAX_BYTES } else { size.as_bytes() as i64 }
}

/// A packet is smaller; so many of them add up without overflow.
const MAX_BYTES: i64 = 1 << 32;
