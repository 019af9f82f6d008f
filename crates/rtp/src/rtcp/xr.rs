use super::frame::{self, take, take_ntp, take_slice, take_ssrc, take_u16};
use super::records::{Record, word};
use super::{Entry, List, RawPacket, Records, kind};
use crate::{CompactNtp, Error, NtpTime, ParseError, Ssrc};

const RRTR: u8 = 4;
const DLRR: u8 = 5;

/// XR: extended reports (RFC 3611 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xr<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// The report blocks. One with bad content costs only itself; one that is longer than the rest ends the walk.
    pub blocks: List<'a, XrBlock<'a>>,
}

/// One report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XrBlock<'a> {
    /// Receiver reference time, for receivers that send no SR (RFC 3611 §4.4).
    ReferenceTime {
        /// NTP time of the report, as an SR's.
        ntp: NtpTime,
    },
    /// DLRR: the answers to reference times (RFC 3611 §4.5).
    Dlrr(Records<'a, DlrrReport>),
    /// A block that this crate has no view for.
    Other {
        /// The block type.
        kind: u8,
        /// What the type makes of the second byte.
        type_specific: u8,
        /// The block's content. Whole 32-bit words when written.
        body: &'a [u8],
    },
}

/// The answer to one receiver's reference time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DlrrReport {
    /// The receiver that is answered.
    pub ssrc: Ssrc,
    /// LRR: the middle 32 bits of its last reference time; 0 if there was none.
    pub last_rr: CompactNtp,
    /// DLRR: from that report's arrival to this one, in 65536ths of a second; 0 if there was none.
    pub delay_since_last_rr: CompactNtp,
}

impl<'a> Xr<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let ssrc = take_ssrc(&mut rest)?;
        Ok(Self { ssrc, blocks: List::from_wire(rest, None) })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if a block has more than 65535 words; [`Error::OutOfRange`] if one is not whole words, and
    /// where a packet that was read turns out to be malformed.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::XR, 0, |out| {
            self.ssrc.append(out);
            self.blocks.iter().try_for_each(|block| block.map_err(|_| Error::OutOfRange)?.append(out))
        })
    }
}

impl<'a> Entry<'a> for XrBlock<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = std::mem::take(bytes);
        let [kind, type_specific] = take(&mut rest)?;
        let words = usize::from(take_u16(&mut rest)?);
        let mut body = take_slice(&mut rest, words * 4).map_err(|_| ParseError::Overrun)?;
        *bytes = rest;
        match kind {
            RRTR if body.len() != 8 => Err(ParseError::Truncated),
            RRTR => take_ntp(&mut body).map(|ntp| Self::ReferenceTime { ntp }),
            DLRR if !body.len().is_multiple_of(DlrrReport::LEN) => Err(ParseError::Truncated),
            DLRR => Ok(Self::Dlrr(Records::from_wire(body))),
            _ => Ok(Self::Other { kind, type_specific, body }),
        }
    }
}

impl XrBlock<'_> {
    fn append(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        match *self {
            Self::ReferenceTime { ntp } => {
                out.extend_from_slice(&[RRTR, 0, 0, 0]);
                out.extend_from_slice(&ntp.0.to_be_bytes());
            }
            Self::Dlrr(reports) => {
                out.extend_from_slice(&[DLRR, 0, 0, 0]);
                reports.append(out);
            }
            Self::Other { kind, type_specific, body } => {
                if !body.len().is_multiple_of(4) {
                    return Err(Error::OutOfRange);
                }
                out.extend_from_slice(&[kind, type_specific, 0, 0]);
                out.extend_from_slice(body);
            }
        }
        let words = u16::try_from((out.len() - start) / 4 - 1).map_err(|_| Error::TooLong)?;
        out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
        Ok(())
    }
}

impl Record for DlrrReport {
    const LEN: usize = 12;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: Ssrc(word(bytes, 0)),
            last_rr: CompactNtp(word(bytes, 4)),
            delay_since_last_rr: CompactNtp(word(bytes, 8)),
        }
    }

    fn append(&self, out: &mut Vec<u8>) {
        for word in [self.ssrc.0, self.last_rr.0, self.delay_since_last_rr.0] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}
