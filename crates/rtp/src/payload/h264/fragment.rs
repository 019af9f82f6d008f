use super::{FU_A, FU_END, FU_START, NalUnit};
use crate::Error;

/// Bytes of FU indicator and FU header.
const HEADER_LEN: usize = 2;

/// The payloads that carry one NAL unit, in order: the unit as it is if it fits, else FU-A fragments of like size.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The first byte of the unit.
    header: u8,
    /// What is left of the unit.
    rest: &'a [u8],
    /// Bytes of each part but the last. 0 if the unit goes whole.
    step: usize,
    start: bool,
}

impl<'a> Parts<'a> {
    /// Splits a NAL unit for payloads of at most `payload_bytes_max`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `unit` is not a NAL unit of type 1 to 23, [`Error::NoRoom`] if it does not fit whole and
    /// `payload_bytes_max` leaves no byte for a fragment.
    pub fn new(unit: &'a [u8], payload_bytes_max: usize) -> Result<Self, Error> {
        let header = NalUnit::parse(unit).map_err(|_| Error::OutOfRange)?.header().to_byte();
        if unit.len() <= payload_bytes_max {
            return Ok(Self { header, rest: unit, step: 0, start: true });
        }
        let room = payload_bytes_max.checked_sub(HEADER_LEN).filter(|&room| room > 0).ok_or(Error::NoRoom)?;
        let rest = &unit[1..];
        // Two at least: what does not fit whole has a body longer than `room`. One fragment with both bits set would be
        // forbidden (RFC 6184 §5.8).
        let count = rest.len().div_ceil(room);
        Ok(Self { header, rest, step: rest.len().div_ceil(count), start: true })
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if self.step == 0 {
            return Some(Part { header: None, data: std::mem::take(&mut self.rest) });
        }
        let (data, rest) = self.rest.split_at(self.step.min(self.rest.len()));
        let start = if self.start { FU_START } else { 0 };
        let end = if rest.is_empty() { FU_END } else { 0 };
        self.rest = rest;
        self.start = false;
        Some(Part { header: Some([self.header & 0xe0 | FU_A, start | end | self.header & 0x1f]), data })
    }
}

/// One payload of [`Parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// FU indicator and FU header. `None` if the unit goes whole.
    pub header: Option<[u8; HEADER_LEN]>,
    /// What follows.
    pub data: &'a [u8],
}

impl Part<'_> {
    /// How many bytes [`write`](Self::write) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.header.map_or(0, |header| header.len()) + self.data.len()
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.header.into_iter().flatten());
        out.extend_from_slice(self.data);
    }
}
