use plenary_wire::Ecn;

use super::frame::{self, take_seq_no, take_slice, take_ssrc, take_u16};
use super::records::Record;
use super::{Entry, List, RawPacket, Records, kind};
use crate::{CompactNtp, Error, ParseError, SeqNo, Ssrc};

/// Congestion control feedback: arrival times and ECN marks by stream (RFC 8888 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ccfb<'a> {
    /// Who reports.
    pub sender_ssrc: Ssrc,
    /// What was received, by stream.
    pub blocks: List<'a, CcfbBlock<'a>>,
    /// RTS, when the report was made: the middle 32 bits of an NTP time.
    pub timestamp: CompactNtp,
}

/// What was received of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CcfbBlock<'a> {
    /// The stream.
    pub ssrc: Ssrc,
    /// The sequence number of the first metric; each further one is for the next number, where 0 follows 65535.
    pub begin_seq: SeqNo,
    /// What became of each packet; [`CcfbBlock::METRICS_MAX`] at most.
    pub metrics: Records<'a, Metric>,
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// It has not arrived.
    #[default]
    Lost,
    /// It has arrived.
    Received {
        /// The ECN bits that it came with.
        ecn: Ecn,
        /// When.
        offset: ArrivalOffset,
    },
}

/// How long before the report's timestamp a packet arrived.
///
/// 13 bits in 1024ths of a second: up to 8189 (just under 8 s), and two values of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArrivalOffset(u16);

impl ArrivalOffset {
    /// Longer ago than can be said: more than 8189 / 1024 s.
    pub const OVER_RANGE: Self = Self(0x1ffe);
    /// The time is not known, or it arrived after the report's timestamp.
    pub const UNAVAILABLE: Self = Self(0x1fff);

    /// So many 1024ths of a second before the report; above 8189 [`ArrivalOffset::OVER_RANGE`].
    pub const fn from_ticks(ticks: u64) -> Self {
        if ticks >= Self::OVER_RANGE.0 as u64 { Self::OVER_RANGE } else { Self(ticks as u16) }
    }

    /// 1024ths of a second before the report, or `None` for the two special values.
    pub const fn ticks(self) -> Option<u16> {
        if self.0 < Self::OVER_RANGE.0 { Some(self.0) } else { None }
    }
}

impl CcfbBlock<'_> {
    /// RFC 8888 §3.1: no block reports on more packets, so that a wrap can be told.
    pub const METRICS_MAX: usize = 16384;

    /// Each metric with its sequence number.
    pub fn numbered(&self) -> impl Iterator<Item = (SeqNo, Metric)> {
        self.metrics.iter().enumerate().map(|(index, metric)| (self.begin_seq.wrapping_add(index as u16), metric))
    }
}

impl<'a> Ccfb<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let sender_ssrc = take_ssrc(&mut rest)?;
        let (blocks, timestamp) = rest.split_last_chunk().ok_or(ParseError::Truncated)?;
        Ok(Self {
            sender_ssrc,
            blocks: List::from_wire(blocks, None),
            timestamp: CompactNtp(u32::from_be_bytes(*timestamp)),
        })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if a block has more than [`CcfbBlock::METRICS_MAX`] metrics, or all together do not fit a
    /// packet; [`Error::OutOfRange`] where a packet that was read turns out to be malformed.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::RTPFB, usize::from(kind::RTPFB_CCFB), |out| {
            self.sender_ssrc.append(out);
            for block in self.blocks.iter() {
                let block = block.map_err(|_| Error::OutOfRange)?;
                if block.metrics.len() > CcfbBlock::METRICS_MAX {
                    return Err(Error::TooLong);
                }
                block.ssrc.append(out);
                out.extend_from_slice(&block.begin_seq.0.to_be_bytes());
                out.extend_from_slice(&(block.metrics.len() as u16).to_be_bytes());
                block.metrics.append(out);
                if !block.metrics.len().is_multiple_of(2) {
                    out.extend_from_slice(&[0, 0]);
                }
            }
            out.extend_from_slice(&self.timestamp.0.to_be_bytes());
            Ok(())
        })
    }
}

impl<'a> Entry<'a> for CcfbBlock<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Self, ParseError> {
        // Nobody knows where a block begins that follows a malformed one.
        let mut rest = std::mem::take(bytes);
        let ssrc = take_ssrc(&mut rest)?;
        let begin_seq = take_seq_no(&mut rest)?;
        let count = usize::from(take_u16(&mut rest)?);
        if count > Self::METRICS_MAX {
            return Err(ParseError::TooMany);
        }
        let len = count * Metric::LEN;
        let padded = take_slice(&mut rest, len.next_multiple_of(4)).map_err(|_| ParseError::Overrun)?;
        let metrics = Records::from_wire(padded.get(..len).unwrap_or_default());
        *bytes = rest;
        Ok(Self { ssrc, begin_seq, metrics })
    }
}

impl Record for Metric {
    const LEN: usize = 2;

    fn read(bytes: &[u8]) -> Self {
        let word = bytes.first_chunk().copied().map_or(0, u16::from_be_bytes);
        // RFC 8888 §3.1: without the R bit the other bits say nothing.
        if word & 0x8000 == 0 {
            return Self::Lost;
        }
        Self::Received { ecn: Ecn::from_bits((word >> 13) as u8), offset: ArrivalOffset(word & 0x1fff) }
    }

    fn append(&self, out: &mut Vec<u8>) {
        let word = match *self {
            Self::Lost => 0,
            Self::Received { ecn, offset } => 0x8000 | u16::from(ecn.bits()) << 13 | offset.0,
        };
        out.extend_from_slice(&word.to_be_bytes());
    }
}
