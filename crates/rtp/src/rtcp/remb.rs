use plenary_wire::Bitrate;

use super::frame::{self, take, take_slice, take_ssrc, take_u32};
use super::records::Record;
use super::{RawPacket, Records, kind};
use crate::{Error, ParseError, Ssrc};

const NAME: &[u8; 4] = b"REMB";
const MANTISSA_BITS: u32 = 18;
/// The highest rate that 64 bits hold and that is written as it is.
const BITRATE_MAX: Bitrate = Bitrate::from_bps(u64::MAX << (u64::BITS - MANTISSA_BITS));

/// REMB: what a receiver believes it can receive (draft-alvestrand-rmcat-remb-03 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who says so.
    pub sender_ssrc: Ssrc,
    /// The most that all named streams together should send. It has 18 significant bits on the wire: rounded down when
    /// written. One that 64 bits can't hold is read as the highest of 18 bits that they can.
    pub bitrate: Bitrate,
    /// The streams; 255 at most when written.
    pub ssrcs: Records<'a, Ssrc>,
}

impl<'a> Remb<'a> {
    /// Whether application layer feedback is a REMB.
    pub(super) fn is(raw: RawPacket<'_>) -> bool {
        raw.body.get(8..12) == Some(NAME)
    }

    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let sender_ssrc = take_ssrc(&mut rest)?;
        let _media_ssrc = take_ssrc(&mut rest)?;
        if &take(&mut rest)? != NAME {
            return Err(ParseError::PacketType);
        }
        let word = take_u32(&mut rest)?;
        let (count, exponent, mantissa) = (word >> 24, word >> MANTISSA_BITS & 0x3f, u64::from(word & 0x3_ffff));
        let ssrcs = take_slice(&mut rest, count as usize * Ssrc::LEN)?;
        Ok(Self { sender_ssrc, bitrate: saturating(mantissa, exponent), ssrcs: Records::from_wire(ssrcs) })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] with more than 255 SSRCs.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::PSFB, usize::from(kind::PSFB_AFB), |out| {
            let count = u8::try_from(self.ssrcs.len()).map_err(|_| Error::TooLong)?;
            let bits = self.bitrate.as_bps();
            let exponent = (u64::BITS - bits.leading_zeros()).saturating_sub(MANTISSA_BITS);
            let mantissa = (bits >> exponent) as u32;
            self.sender_ssrc.append(out);
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(NAME);
            out.extend_from_slice(&(u32::from(count) << 24 | exponent << MANTISSA_BITS | mantissa).to_be_bytes());
            self.ssrcs.append(out);
            Ok(())
        })
    }
}

fn saturating(mantissa: u64, exponent: u32) -> Bitrate {
    if mantissa != 0 && exponent > mantissa.leading_zeros() {
        return BITRATE_MAX;
    }
    Bitrate::from_bps(mantissa << exponent)
}
