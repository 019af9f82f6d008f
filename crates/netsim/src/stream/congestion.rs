use std::time::Duration;

use super::STREAM_SEGMENT;
use super::cubic::Cubic;
use super::dctcp::Dctcp;

const SEGMENT: u64 = STREAM_SEGMENT as u64;

/// How the sender of a stream shares what is there with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 5681 and RFC 6582, with selective acknowledgements (RFC 6675). Streams of machines use it.
    #[default]
    NewReno,
    /// RFC 9438, with fast convergence and without HyStart++.
    Cubic,
    /// RFC 8257, the scalable one: it sends ECT(1) as RFC 9331 has it for L4S, and grows on all acknowledgements without
    /// a mark, so that its window is two over the share of marks. Falls back to NewReno's answer where packets are lost.
    Dctcp,
}

/// How much may be on the way.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u64,
    threshold: u64,
    /// It grows no further.
    max: u64,
    algorithm: Algorithm,
}

#[derive(Debug)]
enum Algorithm {
    NewReno,
    Cubic(Cubic),
    Dctcp(Dctcp),
}

impl Window {
    pub(super) fn new(congestion: Congestion, max: u64) -> Self {
        let algorithm = match congestion {
            Congestion::NewReno => Algorithm::NewReno,
            Congestion::Cubic => Algorithm::Cubic(Cubic::default()),
            Congestion::Dctcp => Algorithm::Dctcp(Dctcp::new()),
        };
        // RFC 6928: ten segments to begin with.
        Self { bytes: 10 * SEGMENT, threshold: u64::MAX, max, algorithm }
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// New data is acknowledged, and the window was what held more back.
    pub(super) fn on_ack(&mut self, acknowledged: u64, round_trip: Duration, now: Duration) {
        let growth = if self.bytes < self.threshold {
            acknowledged.min(SEGMENT)
        } else if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.growth(self.bytes, acknowledged, round_trip, now)
        } else {
            (SEGMENT * SEGMENT / self.bytes).max(1)
        };
        self.bytes = (self.bytes + growth).min(self.max);
    }

    /// A packet is lost, with so much on the way; or one is marked, once in each round trip.
    pub(super) fn on_congestion(&mut self, flight: u64) {
        self.threshold = self.reduced(flight);
        self.bytes = self.threshold;
    }

    /// Nothing came for long.
    pub(super) fn on_timeout(&mut self, flight: u64, first: bool) {
        if first {
            // RFC 5681 §3.1: held constant when the same segment times out again.
            self.threshold = self.reduced(flight);
        }
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.forget();
        }
        self.bytes = SEGMENT;
    }

    fn reduced(&mut self, flight: u64) -> u64 {
        // What was sent beyond a hole while that was repaired counts for the flight, but never was in the window at once.
        let flight = flight.min(self.bytes);
        let reduced = match &mut self.algorithm {
            Algorithm::NewReno | Algorithm::Dctcp(_) => flight / 2,
            Algorithm::Cubic(cubic) => cubic.reduced(self.bytes, flight),
        };
        reduced.max(2 * SEGMENT)
    }

    /// Whether each mark is told of, and not only that there was one.
    pub(super) const fn counts_marks(&self) -> bool {
        matches!(self.algorithm, Algorithm::Dctcp(_))
    }

    /// So many bytes have arrived, all marked or none. `ack` is the next number expected, `sent` the next to send.
    pub(super) fn on_marks(&mut self, arrived: u64, marked: bool, (ack, sent): (u64, u64)) {
        if let Algorithm::Dctcp(dctcp) = &mut self.algorithm
            && let Some(reduced) = dctcp.on_ack(self.bytes, (arrived, marked), (ack, sent))
        {
            self.bytes = reduced.max(2 * SEGMENT);
            self.threshold = self.bytes;
        }
    }
}
