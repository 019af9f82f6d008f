use std::collections::VecDeque;

use plenary_wire::{Bitrate, DataSize};

use crate::gcc::number::Time;

/// What is looked at, in milliseconds.
const WINDOW: i64 = 1_000;

/// What comes in a second: libwebrtc's `rtc_base/rate_statistics.cc` (revision bd635df347).
#[derive(Clone, Debug, Default)]
pub(super) struct IncomingRate {
    /// The oldest first.
    buckets: VecDeque<Bucket>,
    /// The sum of the buckets'.
    bytes: u64,
    packets: u64,
    /// The first millisecond since there was nothing.
    first: Option<i64>,
    /// There was a rate.
    has_rate: bool,
}

/// What came in one millisecond.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    at: i64,
    bytes: u64,
    packets: u64,
}

impl IncomingRate {
    /// A packet comes.
    pub(super) fn add(&mut self, size: DataSize, now: Time) {
        if self.rate(now).is_some() {
            self.has_rate = true;
        } else if self.has_rate {
            // What is left from before a pause would make the next rates too low.
            self.buckets.clear();
            (self.bytes, self.packets, self.first, self.has_rate) = (0, 0, None, false);
        }
        let at = now.as_micros().div_euclid(1_000);
        let bytes = size.as_bytes().min(u64::from(u16::MAX));
        self.first.get_or_insert(at);
        match self.buckets.back_mut() {
            Some(last) if last.at >= at => {
                last.bytes += bytes;
                last.packets += 1;
            }
            _ => self.buckets.push_back(Bucket { at, bytes, packets: 1 }),
        }
        self.bytes += bytes;
        self.packets += 1;
    }

    /// The rate; `None` if too little has come for one.
    pub(super) fn rate(&mut self, now: Time) -> Option<Bitrate> {
        let now = now.as_micros().div_euclid(1_000);
        while let Some(old) = self.buckets.front().copied().filter(|bucket| bucket.at <= now - WINDOW) {
            self.buckets.pop_front();
            self.bytes -= old.bytes;
            self.packets -= old.packets;
        }
        let window = (now - self.first? + 1).min(WINDOW);
        if self.packets == 0 || window <= 1 || self.packets == 1 && window < WINDOW {
            return None;
        }
        Some(Bitrate::from_bps(self.bytes * 8_000 / window.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: i64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn a_second_of_packets_is_the_rate_and_a_pause_begins_anew() {
        let mut incoming = IncomingRate::default();
        assert_eq!(incoming.rate(ms(0)), None);
        let size = DataSize::from_bytes(1_250);
        incoming.add(size, ms(0));
        assert_eq!(incoming.rate(ms(5)), None, "one is too little");
        for at in (10..2_000).step_by(10) {
            incoming.add(size, ms(at));
        }
        assert_eq!(incoming.rate(ms(1_999)), Some(Bitrate::from_mbps(1)));
        assert_eq!(incoming.rate(ms(2_490)), Some(Bitrate::from_kbps(500)));
        assert_eq!(incoming.rate(ms(2_990)), None);
        incoming.add(size, ms(5_000));
        assert_eq!(incoming.rate(ms(5_009)), None);
        incoming.add(size, ms(5_009));
        assert_eq!(incoming.rate(ms(5_009)), Some(Bitrate::from_mbps(2)), "of ten milliseconds");
        assert!(incoming.buckets.len() <= 1_000);
    }
}
