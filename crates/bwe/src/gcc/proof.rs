//! What the path has been seen to carry: bytes that left in a span of time, and were acknowledged.
//!
//! libwebrtc has no such thing: there a receiver that makes up arrival times has a say in rates. Here it counts when
//! packets left, which the receiver can't change, and a target rises to twice that at most.

use plenary_wire::Bitrate;

use super::number::{Time, rate_of};

/// Bytes are counted in bins of so much time.
const BIN: i64 = 100_000;
/// A rate is that of so many bins in a row: half a second.
const SPAN: i64 = 5;
/// How many spans are kept, each named by its last bin: 3.2 s, and those that have begun.
const SPANS: i64 = 32 + SPAN - 1;
/// The next power of two.
const ROOM: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// Bytes of each span, each at its last bin modulo their count. Those that are not kept are zero.
    spans: [u32; ROOM],
    /// The newest bin.
    newest: i64,
    largest: u32,
    /// The largest has gone.
    is_stale: bool,
    /// A bin, and bytes of it that no span has yet: packets of a feedback left one after the other.
    added: Option<(i64, u32)>,
}

impl Proof {
    pub(crate) const fn new() -> Self {
        Self { spans: [0; ROOM], newest: 0, largest: 0, is_stale: false, added: None }
    }

    /// So much left then, and has arrived.
    pub(crate) fn add(&mut self, sent: Time, bytes: i64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let bin = sent.as_micros().div_euclid(BIN);
        match &mut self.added {
            Some((last, sum)) if *last == bin => *sum = sum.saturating_add(bytes),
            _ => {
                self.settle();
                self.added = Some((bin, bytes));
            }
        }
    }

    /// The largest rate of half a second in the last three.
    pub(crate) fn rate(&mut self, now: Time) -> Bitrate {
        self.settle();
        self.advance(now.as_micros().div_euclid(BIN));
        if self.is_stale {
            self.largest = self.spans.iter().copied().max().unwrap_or(0);
            self.is_stale = false;
        }
        rate_of(i64::from(self.largest), SPAN * BIN)
    }

    /// Adds to the spans what was added.
    fn settle(&mut self) {
        let Some((bin, bytes)) = self.added.take() else { return };
        self.advance(bin);
        if self.newest - bin > SPANS - SPAN {
            return;
        }
        for span in bin..bin + SPAN {
            let sum = self.spans[index(span)].saturating_add(bytes);
            self.spans[index(span)] = sum;
            self.largest = self.largest.max(sum);
        }
    }

    fn advance(&mut self, bin: i64) {
        for _ in 0..bin.saturating_sub(self.newest).min(SPANS) {
            self.newest += 1;
            let oldest = &mut self.spans[index(self.newest - SPANS + SPAN - 1)];
            self.is_stale |= *oldest == self.largest;
            *oldest = 0;
        }
        self.newest = self.newest.max(bin);
    }
}

const fn index(bin: i64) -> usize {
    bin.rem_euclid(ROOM as i64) as usize
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
        for (ms, kbps) in [(4_399, 880), (4_400, 720), (4_799, 560), (4_800, 0)] {
            assert_eq!(proof.rate(at(ms)), Bitrate::from_kbps(kbps), "{ms}");
        }
        // What left too long ago counts no more, and nothing overflows.
        proof.add(at(1_000), 1_000_000);
        assert_eq!(proof.rate(at(5_000)), Bitrate::ZERO);
        proof.add(at(5_000), i64::MAX);
        proof.add(at(5_000), i64::MAX);
        assert!(proof.rate(at(5_000)) > Bitrate::from_mbps(60_000));
        proof.rate(Time::from_micros(i64::MAX));
        proof.add(Time::from_micros(i64::MIN), 1);
    }
}
