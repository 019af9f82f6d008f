//! What the path has been seen to carry: bytes that left in a span of time, and were acknowledged.
//!
//! libwebrtc has no such thing: there a receiver that makes up arrival times has a say in rates. Here it counts when
//! packets left, which the receiver can't change, and a target rises to twice that at most.

use plenary_wire::Bitrate;

use super::number::{Time, rate_of};

/// Bytes are counted in bins of so much time.
const BIN: i64 = 100_000;
/// How many bins are kept: 3.2 s.
const BINS: usize = 32;
/// A rate is that of so many bins in a row: half a second.
const SPAN: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// Bytes, each at its number modulo their count.
    bins: [i64; BINS],
    /// The number of the newest.
    newest: i64,
}

impl Proof {
    pub(crate) const fn new() -> Self {
        Self { bins: [0; BINS], newest: 0 }
    }

    /// So much left then, and has arrived.
    pub(crate) fn add(&mut self, sent: Time, bytes: i64) {
        let bin = sent.as_micros().div_euclid(BIN);
        self.advance(bin);
        if self.newest - bin < BINS as i64 {
            let place = &mut self.bins[index(bin)];
            *place = place.saturating_add(bytes);
        }
    }

    /// The largest rate of half a second in the last three.
    pub(crate) fn rate(&mut self, now: Time) -> Bitrate {
        self.advance(now.as_micros().div_euclid(BIN));
        let oldest = index(self.newest + 1);
        let (mut sum, mut largest) = (0_i64, 0);
        for step in 0..BINS {
            sum = sum.saturating_add(self.bins[(oldest + step) % BINS]);
            if step >= SPAN {
                sum = sum.saturating_sub(self.bins[(oldest + step - SPAN) % BINS]);
            }
            largest = largest.max(sum);
        }
        rate_of(largest, SPAN as i64 * BIN)
    }

    fn advance(&mut self, bin: i64) {
        let steps = bin.saturating_sub(self.newest).clamp(0, BINS as i64);
        for step in 0..steps {
            self.bins[index(bin - step)] = 0;
        }
        self.newest = self.newest.max(bin);
    }
}

const fn index(bin: i64) -> usize {
    bin.rem_euclid(BINS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    #[test]
    fn it_is_what_left_in_the_best_half_second_of_three() {
        let mut proof = Proof::new();
        for ms in (0..1_000).step_by(10) {
            proof.add(at(ms), 1_000);
        }
        assert_eq!(proof.rate(at(1_000)), Bitrate::from_kbps(800));
        // A burst of 35 kB counts for its half second, however it is said to have arrived.
        proof.add(at(1_250), 35_000);
        assert_eq!(proof.rate(at(1_300)), Bitrate::from_kbps(880));
        assert_eq!(proof.rate(at(4_099)), Bitrate::from_kbps(720));
        assert_eq!(proof.rate(at(5_000)), Bitrate::ZERO);
        // What left too long ago counts no more, and nothing overflows.
        proof.add(at(1_000), 1_000_000);
        assert_eq!(proof.rate(at(5_000)), Bitrate::ZERO);
        proof.add(at(5_000), i64::MAX);
        proof.add(at(5_000), i64::MAX);
        assert!(proof.rate(at(5_000)) > Bitrate::from_mbps(1_000_000));
        proof.rate(Time::from_micros(i64::MAX));
        proof.add(Time::from_micros(i64::MIN), 1);
    }
}
