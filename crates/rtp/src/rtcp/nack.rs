use super::frame::{self, HEADER_LEN, take_ssrc};
use super::records::{Record, word};
use super::{RawPacket, Records, RecordsIter, kind};
use crate::{Error, ParseError, SeqNo, Ssrc};

/// Header, two SSRCs.
const FIXED_LEN: usize = HEADER_LEN + 8;
const PAIR_LEN: usize = NackPair::LEN;
/// As many as the length field can say.
const PAIRS_MAX: usize = u16::MAX as usize - 2;

/// Generic NACK: packets that are missing (RFC 4585 §6.2.1). [`NackWriter`] makes them from sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who misses them.
    pub sender_ssrc: Ssrc,
    /// The stream that they belong to.
    pub media_ssrc: Ssrc,
    /// Up to 17 sequence numbers each; at least one pair.
    pub pairs: Records<'a, NackPair>,
}

/// A missing packet, and which of the 16 after it are missing too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NackPair {
    /// PID: a sequence number.
    pub seq: SeqNo,
    /// BLP: bit 0, the lowest, is `seq + 1`; bit 15 is `seq + 16`.
    pub following: u16,
}

/// Iterates over the sequence numbers of a [`Nack`].
#[derive(Clone, Debug)]
pub struct LostNumbers<'a> {
    pairs: RecordsIter<'a, NackPair>,
    seq: SeqNo,
    /// Which of `seq` (bit 0) to `seq + 16` are still to be told.
    mask: u32,
}

impl<'a> Nack<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let sender_ssrc = take_ssrc(&mut rest)?;
        let media_ssrc = take_ssrc(&mut rest)?;
        if rest.is_empty() || !rest.len().is_multiple_of(PAIR_LEN) {
            return Err(ParseError::Truncated);
        }
        Ok(Self { sender_ssrc, media_ssrc, pairs: Records::from_wire(rest) })
    }

    /// The missing sequence numbers, in the order of the packet: 17 for each pair at most. A hostile peer may repeat
    /// one as often as it likes.
    pub fn lost(&self) -> LostNumbers<'a> {
        LostNumbers { pairs: self.pairs.iter(), seq: SeqNo(0), mask: 0 }
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] without a pair; [`Error::TooLong`] with more than 65533.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::RTPFB, usize::from(kind::RTPFB_NACK), |out| {
            if self.pairs.is_empty() {
                return Err(Error::OutOfRange);
            }
            self.sender_ssrc.append(out);
            self.media_ssrc.append(out);
            self.pairs.append(out);
            Ok(())
        })
    }
}

impl Iterator for LostNumbers<'_> {
    type Item = SeqNo;

    #[inline]
    fn next(&mut self) -> Option<SeqNo> {
        if self.mask == 0 {
            let pair = self.pairs.next()?;
            self.seq = pair.seq;
            self.mask = u32::from(pair.following) << 1 | 1;
        }
        let offset = self.mask.trailing_zeros() as u16;
        self.mask &= self.mask - 1;
        Some(self.seq.wrapping_add(offset))
    }
}

/// Writes missing sequence numbers in the fewest pairs, over as many packets as a size limit makes of them.
///
/// The numbers come in ascending order, where 0 follows 65535; one that repeats its predecessor is ignored. In another
/// order all are written too, but not in the fewest pairs.
///
/// ```
/// use plenary_rtp::rtcp::NackWriter;
/// use plenary_rtp::{SeqNo, Ssrc};
///
/// let mut out = Vec::new();
/// let mut writer = NackWriter::new(Ssrc(1), Ssrc(2), [65534, 65535, 1, 40].map(SeqNo));
/// assert_eq!(writer.write(1200, &mut out), Ok(true));
/// assert_eq!(out[12..], [0xff, 0xfe, 0, 0b101, 0, 40, 0, 0]);
/// assert_eq!(writer.write(1200, &mut out), Ok(false), "all is written");
/// ```
#[derive(Clone, Debug)]
pub struct NackWriter<I> {
    sender_ssrc: Ssrc,
    media_ssrc: Ssrc,
    /// The first number that is not written yet.
    next: Option<SeqNo>,
    rest: I,
}

impl<I: Iterator<Item = SeqNo>> NackWriter<I> {
    /// A writer of `lost` packets of the stream `media_ssrc`.
    pub fn new(sender_ssrc: Ssrc, media_ssrc: Ssrc, lost: impl IntoIterator<IntoIter = I>) -> Self {
        let mut rest = lost.into_iter();
        Self { sender_ssrc, media_ssrc, next: rest.next(), rest }
    }

    /// Appends one packet of `size_max` bytes at most with as many of the numbers as it can hold, and says whether it
    /// did: `false` is when none are left.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `size_max` is less than the 16 bytes of a packet with one pair.
    pub fn write(&mut self, size_max: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.next.is_none() {
            return Ok(false);
        }
        let pairs_max = (size_max.saturating_sub(FIXED_LEN) / PAIR_LEN).min(PAIRS_MAX);
        if pairs_max == 0 {
            return Err(Error::NoRoom);
        }
        frame::write(out, kind::RTPFB, usize::from(kind::RTPFB_NACK), |out| {
            self.sender_ssrc.append(out);
            self.media_ssrc.append(out);
            for pair in std::iter::from_fn(|| self.pair()).take(pairs_max) {
                pair.append(out);
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// The next number and those that fit beside it. The first number that is not covered must be in some pair, and
    /// the pair that begins with it reaches furthest: so no other choice needs fewer.
    fn pair(&mut self) -> Option<NackPair> {
        let mut pair = NackPair { seq: self.next?, following: 0 };
        loop {
            self.next = self.rest.next();
            match self.next.map(|seq| seq.0.wrapping_sub(pair.seq.0)) {
                Some(0) => {}
                Some(offset @ 1..=16) => pair.following |= 1 << (offset - 1),
                Some(_) | None => return Some(pair),
            }
        }
    }
}

impl Record for NackPair {
    const LEN: usize = 4;

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let word = word(bytes, 0);
        Self { seq: SeqNo((word >> 16) as u16), following: word as u16 }
    }

    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(u32::from(self.seq.0) << 16 | u32::from(self.following)).to_be_bytes());
    }
}
