use super::frame::{self, take, take_ssrc};
use super::{RawPacket, Record, kind};
use crate::{Error, ParseError, Ssrc};

/// APP: an application's own (RFC 3550 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct App<'a> {
    /// The application's subtype: 0 to 31.
    pub subtype: u8,
    /// The sender.
    pub ssrc: Ssrc,
    /// Whose it is: four ASCII characters.
    pub name: [u8; 4],
    /// The application's data. Whole 32-bit words when written.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let ssrc = take_ssrc(&mut rest)?;
        let name = take(&mut rest)?;
        Ok(Self { subtype: raw.count, ssrc, name, data: rest })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the subtype is above 31, or the data above 65533 words; [`Error::OutOfRange`] if the data
    /// is not whole words.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::APP, usize::from(self.subtype), |out| {
            self.ssrc.append(out);
            out.extend_from_slice(&self.name);
            out.extend_from_slice(self.data);
            Ok(())
        })
    }
}
