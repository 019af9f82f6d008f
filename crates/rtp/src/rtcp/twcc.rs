//! Transport-wide congestion control feedback.

mod chunk;
#[cfg(test)]
mod tests;
mod writer;

use chunk::{CHUNK_LEN, StatusChunk};
pub use writer::{Arrival, TwccWriter};

use super::frame::{self, HEADER_LEN, take, take_seq_no, take_slice, take_ssrc, take_u16};
use super::{RawPacket, Record, kind};
use crate::{Error, ParseError, SeqNo, Ssrc};

/// Header, two SSRCs, and eight bytes before the chunks.
const FIXED_LEN: usize = HEADER_LEN + 16;

/// Bits of the reference time.
const REFERENCE_BITS: u32 = 24;
const REFERENCE_MICROS: i64 = 64_000;
/// How far from 0 a [`ReferenceClock`] goes, in units of 64 ms: 2200 years, so that microseconds and what a caller adds
/// to them never overflow.
const REFERENCE_MAX: u64 = 1 << 40;
const DELTA_MICROS: i32 = 250;

/// Transport-wide feedback: when each packet of a transport arrived, by the sequence number of the header extension
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). [`TwccWriter`] makes it.
///
/// Chunks and deltas have been held against the status count: what is announced is there.
///
/// ```
/// # use plenary_rtp::SeqNo;
/// # use plenary_rtp::rtcp::{Packet, ReferenceClock, Twcc, packets};
/// fn arrivals(feedback: &Twcc<'_>, clock: &mut ReferenceClock) -> Vec<(SeqNo, i64)> {
///     let mut micros = clock.micros(feedback.reference_time);
///     let mut arrivals = Vec::new();
///     for (seq, delta) in feedback.received() {
///         micros += i64::from(delta.as_micros());
///         arrivals.push((seq, micros));
///     }
///     arrivals
/// }
/// # let bytes = [0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 3, 0, 0, 1, 0, 0xa8, 0, 4, 8];
/// # let Some(Ok(Packet::Twcc(feedback))) = packets(&bytes).next() else { panic!() };
/// # assert_eq!(arrivals(&feedback, &mut ReferenceClock::default()), [(SeqNo(9), 65_000), (SeqNo(11), 67_000)]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twcc<'a> {
    /// Who reports.
    pub sender_ssrc: Ssrc,
    /// A stream of the transport; of no use, as the numbers run over all of them.
    pub media_ssrc: Ssrc,
    /// The transport-wide sequence number of the first status.
    pub base_seq: SeqNo,
    /// Where the deltas begin: units of 64 ms, 24 bits, signed; wraps after 12 days. [`ReferenceClock`] unwraps it.
    pub reference_time: i32,
    /// Counts the feedback packets, to tell that one was lost; wraps.
    pub feedback_count: u8,
    status_count: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// By how much a packet arrived later than the one reported before it (the first: than the reference time). Negative
/// where the network has reordered them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrivalDelta(i16);

impl ArrivalDelta {
    /// Microseconds: a multiple of 250 from −8 192 000 to 8 191 750.
    pub const fn as_micros(self) -> i32 {
        self.0 as i32 * DELTA_MICROS
    }
}

impl<'a> Twcc<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let sender_ssrc = take_ssrc(&mut rest)?;
        let media_ssrc = take_ssrc(&mut rest)?;
        let base_seq = take_seq_no(&mut rest)?;
        let status_count = take_u16(&mut rest)?;
        let [t0, t1, t2, feedback_count] = take(&mut rest)?;
        let reference_time = i32::from_be_bytes([t0, t1, t2, 0]) >> (32 - REFERENCE_BITS);

        let body = rest;
        let mut left = status_count;
        let mut deltas_len = 0;
        while left > 0 {
            let chunk = StatusChunk::from_word(take_u16(&mut rest)?);
            deltas_len += chunk.deltas_len(left)?;
            left = left.saturating_sub(chunk.len());
        }
        let chunks = body.get(..body.len() - rest.len()).unwrap_or_default();
        let deltas = take_slice(&mut rest, deltas_len)?;
        Ok(Self { sender_ssrc, media_ssrc, base_seq, reference_time, feedback_count, status_count, chunks, deltas })
    }

    /// How many packets it reports on, received or not.
    pub const fn status_count(&self) -> u16 {
        self.status_count
    }

    /// Each packet by its sequence number, from [`base_seq`](Self::base_seq) on, where 0 follows 65535: `None` if it has
    /// not arrived. There may be 65535 of them in 40 bytes; [`received`](Self::received) passes over long losses.
    pub const fn statuses(&self) -> TwccStatuses<'a> {
        let chunk = StatusChunk::EMPTY;
        TwccStatuses {
            seq: self.base_seq,
            left: self.status_count,
            chunks: self.chunks,
            deltas: self.deltas,
            chunk,
            chunk_left: 0,
        }
    }

    /// The packets that have arrived, by their sequence numbers, and nothing of the others: no more work than the packet
    /// has bytes. Lost are those of [`status_count`](Self::status_count) numbers from [`base_seq`](Self::base_seq) on
    /// that were sent and are not here.
    pub fn received(&self) -> impl Iterator<Item = (SeqNo, ArrivalDelta)> + Clone + use<'a> {
        Received { statuses: self.statuses() }
    }

    /// Appends the packet, as it was read.
    ///
    /// # Errors
    ///
    /// None; it is a `Result` as with every packet.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::RTPFB, usize::from(kind::RTPFB_TWCC), |out| {
            self.write_fixed(out);
            out.extend_from_slice(self.chunks);
            out.extend_from_slice(self.deltas);
            pad(out, self.chunks.len() + self.deltas.len());
            Ok(())
        })
    }

    /// What stands between the header and the chunks.
    fn write_fixed(&self, out: &mut Vec<u8>) {
        self.sender_ssrc.append(out);
        self.media_ssrc.append(out);
        out.extend_from_slice(&self.base_seq.0.to_be_bytes());
        out.extend_from_slice(&self.status_count.to_be_bytes());
        let reference = (self.reference_time as u32) << (32 - REFERENCE_BITS);
        out.extend_from_slice(&(reference | u32::from(self.feedback_count)).to_be_bytes());
    }
}

/// Zero bytes up to a whole word: the draft's own, that no padding bit announces, so that the packet may stand anywhere
/// in a compound.
fn pad(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&[0; 3][..len.next_multiple_of(4) - len]);
}

/// Iterates over the statuses of a [`Twcc`].
#[derive(Clone, Debug)]
pub struct TwccStatuses<'a> {
    seq: SeqNo,
    left: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: StatusChunk,
    /// Statuses of `chunk` that are still to be told.
    chunk_left: u16,
}

impl Iterator for TwccStatuses<'_> {
    type Item = (SeqNo, Option<ArrivalDelta>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk_left == 0 {
            let (word, rest) = self.chunks.split_first_chunk::<CHUNK_LEN>()?;
            self.chunks = rest;
            self.chunk = StatusChunk::from_word(u16::from_be_bytes(*word));
            self.chunk_left = self.chunk.len();
        }
        self.chunk_left -= 1;
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        let delta = match self.chunk.take_symbol() {
            0 => None,
            1 => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(ArrivalDelta(i16::from(delta)))
            }
            _ => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(ArrivalDelta(i16::from_be_bytes(*delta)))
            }
        };
        Some((seq, delta))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for TwccStatuses<'_> {}

impl TwccStatuses<'_> {
    /// Passes over what is left of a run of lost packets.
    fn skip_lost_run(&mut self) {
        if let StatusChunk::Run { symbol: chunk::LOST, .. } = self.chunk {
            let count = self.chunk_left.min(self.left);
            self.chunk_left -= count;
            self.left -= count;
            self.seq = self.seq.wrapping_add(count);
        }
    }
}

/// See [`Twcc::received`].
#[derive(Clone, Debug)]
struct Received<'a> {
    statuses: TwccStatuses<'a>,
}

impl Iterator for Received<'_> {
    type Item = (SeqNo, ArrivalDelta);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.statuses.skip_lost_run();
            if let (seq, Some(delta)) = self.statuses.next()? {
                return Some((seq, delta));
            }
        }
    }
}

/// Unwraps the reference times of one sender's feedback.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceClock {
    /// Units of 64 ms.
    last: Option<i64>,
}

impl ReferenceClock {
    /// Microseconds of a reference time on a clock that never wraps: that value which is nearest to the one before.
    ///
    /// The first is as it is; it may be negative. So is one more than 2200 years off, which only a sender that jumps on
    /// purpose gets to.
    pub fn micros(&mut self, reference_time: i32) -> i64 {
        const SPARE_BITS: u32 = i64::BITS - REFERENCE_BITS;
        let wrapped = i64::from(reference_time);
        let unwrapped = match self.last {
            None => wrapped,
            Some(last) => last + (wrapped.wrapping_sub(last) << SPARE_BITS >> SPARE_BITS),
        };
        let unwrapped = if unwrapped.unsigned_abs() > REFERENCE_MAX { wrapped } else { unwrapped };
        self.last = Some(unwrapped);
        unwrapped * REFERENCE_MICROS
    }
}
