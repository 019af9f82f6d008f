use std::net::SocketAddr;
use std::ops::Range;

use crate::{Ecn, FlowId};

/// What one call of `poll_transmit` wrote: where to send which part of `out`.
///
/// It owns no bytes and borrows none, so that a whole batch of them can be gathered before the first is sent. On a
/// UDP flow the range holds one datagram, or several of `segment` bytes each of which only the last may be shorter:
/// what the kernel's segmentation offload (UDP GSO) takes as one call. On a byte stream the range is a piece of the
/// stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket or stream to send on.
    pub flow: FlowId,
    /// The source address. On a socket bound to the unspecified address: the one to send from.
    pub local: SocketAddr,
    /// The destination.
    pub remote: SocketAddr,
    /// Where the bytes are in the `out` of this call. Never empty.
    pub range: Range<usize>,
    /// Bytes in each datagram but perhaps the last: from 1 to the length of `range`.
    pub segment: usize,
    /// The ECN bits to send with.
    pub ecn: Ecn,
}

impl Transmit {
    /// The bytes, of the `out` that they were written to.
    ///
    /// # Panics
    ///
    /// If `out` is another, and too short.
    pub fn bytes<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        &out[self.range.clone()]
    }

    /// The datagrams one by one, for a caller without segmentation offload.
    ///
    /// # Panics
    ///
    /// As [`bytes`](Self::bytes).
    pub fn datagrams<'o>(&self, out: &'o [u8]) -> impl ExactSizeIterator<Item = &'o [u8]> + use<'o> {
        self.bytes(out).chunks(self.segment.max(1))
    }
}

/// How much one call of `poll_transmit` may write.
///
/// A machine writes at least one whole datagram if it has one that fits `bytes`, and none that doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes appended at most.
    pub bytes: usize,
    /// Datagrams at most; all of them go to one destination and are of one size, but perhaps the last.
    pub segments: usize,
}

impl Limit {
    /// One datagram of any size that UDP can carry: for callers that send them one by one.
    pub const DATAGRAM: Self = Self { bytes: 65_507, segments: 1 };

    /// What one call to Linux with UDP GSO takes: 64 segments, and 65,507 bytes with all of them together.
    pub const GSO: Self = Self { bytes: 65_507, segments: 64 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_equal_but_for_the_last() {
        let out = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let transmit =
            Transmit { flow: FlowId(0), local: address, remote: address, range: 1..8, segment: 3, ecn: Ecn::NotEct };
        assert_eq!(transmit.bytes(&out), [1, 2, 3, 4, 5, 6, 7]);
        let datagrams: Vec<_> = transmit.datagrams(&out).collect();
        assert_eq!(datagrams, [&[1, 2, 3][..], &[4, 5, 6], &[7]]);
    }
}
