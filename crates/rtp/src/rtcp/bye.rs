use super::frame::{self, take_slice};
use super::records::Record;
use super::{RawPacket, Records, kind};
use crate::{Error, ParseError, Ssrc};

/// BYE: sources that leave (RFC 3550 §6.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bye<'a> {
    /// Who leaves; 31 at most when written.
    pub sources: Records<'a, Ssrc>,
    /// Why, in UTF-8 that nobody has checked; 255 bytes at most when written.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let len = usize::from(raw.count) * Ssrc::LEN;
        let mut rest = raw.body;
        let sources = Records::from_wire(take_slice(&mut rest, len)?);
        let reason = match rest.split_first() {
            None => None,
            Some((&len, text)) => Some(text.get(..usize::from(len)).ok_or(ParseError::Overrun)?),
        };
        Ok(Self { sources, reason })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] with more than 31 sources or a reason of more than 255 bytes.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::BYE, self.sources.len(), |out| {
            self.sources.append(out);
            if let Some(reason) = self.reason {
                out.push(u8::try_from(reason.len()).map_err(|_| Error::TooLong)?);
                out.extend_from_slice(reason);
                let padding = (reason.len() + 1).next_multiple_of(4) - (reason.len() + 1);
                out.extend_from_slice(&[0; 3][..padding]);
            }
            Ok(())
        })
    }
}
