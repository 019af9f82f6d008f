//! Requests for a picture: PLI and FIR.

use super::frame::{self, take_ssrc};
use super::records::{Record, word};
use super::{RawPacket, Records, kind};
use crate::{Error, ParseError, Ssrc};

/// PLI: a picture was lost, and a key frame would help (RFC 4585 §6.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pli {
    /// Who asks.
    pub sender_ssrc: Ssrc,
    /// The stream that is asked.
    pub media_ssrc: Ssrc,
}

/// FIR: a key frame is needed (RFC 5104 §4.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender_ssrc: Ssrc,
    /// Not used: 0 (RFC 5104 §4.3.1.2). Some senders repeat an entry's SSRC.
    pub media_ssrc: Ssrc,
    /// The streams that are asked; at least one.
    pub entries: Records<'a, FirEntry>,
}

/// One stream that is asked for a key frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FirEntry {
    /// The stream.
    pub ssrc: Ssrc,
    /// Which request it is: the same number is the same request, sent again. Wraps.
    pub seq: u8,
}

impl Pli {
    pub(super) fn parse(raw: RawPacket<'_>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        Ok(Self { sender_ssrc: take_ssrc(&mut rest)?, media_ssrc: take_ssrc(&mut rest)? })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// None; it is a `Result` as with every packet.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::PSFB, usize::from(kind::PSFB_PLI), |out| {
            self.sender_ssrc.append(out);
            self.media_ssrc.append(out);
            Ok(())
        })
    }
}

impl<'a> Fir<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let sender_ssrc = take_ssrc(&mut rest)?;
        let media_ssrc = take_ssrc(&mut rest)?;
        if rest.is_empty() || !rest.len().is_multiple_of(FirEntry::LEN) {
            return Err(ParseError::Truncated);
        }
        Ok(Self { sender_ssrc, media_ssrc, entries: Records::from_wire(rest) })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] without an entry; [`Error::TooLong`] with more than 32766.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::PSFB, usize::from(kind::PSFB_FIR), |out| {
            if self.entries.is_empty() {
                return Err(Error::OutOfRange);
            }
            self.sender_ssrc.append(out);
            self.media_ssrc.append(out);
            self.entries.append(out);
            Ok(())
        })
    }
}

impl Record for FirEntry {
    const LEN: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        Self { ssrc: Ssrc(word(bytes, 0)), seq: (word(bytes, 4) >> 24) as u8 }
    }

    fn append(&self, out: &mut Vec<u8>) {
        self.ssrc.append(out);
        out.extend_from_slice(&[self.seq, 0, 0, 0]);
    }
}
