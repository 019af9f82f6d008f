//! AV1 (RTP Payload Format For AV1 v1.0.0): the aggregation header, OBU elements, and the OBUs in them.

mod assembler;
mod obu;
mod packetizer;
mod sequence;

pub use assembler::{Assembled, Assembler, Lost};
pub use obu::{Layer, Obu, ObuHeader, ObuType, Obus};
pub use packetizer::Packetizer;
pub use sequence::SequenceHeader;

use super::Description;
use crate::bits::read_leb128;
use crate::{Error, ParseError};

/// The byte at the front of an AV1 payload (§4.4 of the payload format).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AggregationHeader {
    /// Z: the first element goes on with an OBU of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub is_continued: bool,
    /// W: how many elements there are, 1 to 3, and the last goes without its length; or 0 if all have one.
    pub element_count: u8,
    /// N: the first packet of a coded video sequence, that is, of a key frame.
    pub starts_sequence: bool,
}

impl AggregationHeader {
    const fn parse(byte: u8) -> Result<Self, ParseError> {
        let header = Self {
            continues: byte & 0x80 != 0,
            is_continued: byte & 0x40 != 0,
            element_count: byte >> 4 & 3,
            starts_sequence: byte & 0x08 != 0,
        };
        if header.continues && header.starts_sequence { Err(ParseError::Reserved) } else { Ok(header) }
    }

    /// The byte.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `element_count` is above 3, or if both `continues` and `starts_sequence` are set.
    pub fn to_byte(self) -> Result<u8, Error> {
        if self.element_count > 3 || self.continues && self.starts_sequence {
            return Err(Error::OutOfRange);
        }
        Ok(u8::from(self.continues) << 7
            | u8::from(self.is_continued) << 6
            | self.element_count << 4
            | u8::from(self.starts_sequence) << 3)
    }
}

/// An AV1 payload taken apart.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    /// What stands in front.
    pub header: AggregationHeader,
    elements: Elements<'a>,
}

impl<'a> Payload<'a> {
    /// Reads a payload and checks the lengths of its elements, but not what they hold.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Overrun`] if an element reaches beyond it,
    /// [`ParseError::Reserved`] for an element without bytes, and for a new sequence (N) that goes on with an old OBU (Z).
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let (&first, rest) = payload.split_first().ok_or(ParseError::Truncated)?;
        let header = AggregationHeader::parse(first)?;
        let elements = Elements { rest, index: 0, header };
        let mut check = elements.clone();
        let mut count = 0_usize;
        while check.step()?.is_some() {
            count += 1;
        }
        if count == 0 || count < header.element_count.into() {
            return Err(ParseError::Truncated);
        }
        Ok(Self { header, elements })
    }

    /// The elements, at least one.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        self.elements.clone()
    }

    /// What begins in this packet.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if an element is shorter than its own OBU header (unless the rest of it comes in the next
    /// packet), [`ParseError::Reserved`] if that header has its forbidden bit set.
    pub fn contents(&self) -> Result<Contents, ParseError> {
        let mut contents = Contents::default();
        for element in self.elements().filter(|element| element.begins) {
            let header = match ObuHeader::parse(element.bytes) {
                Ok((header, _)) => header,
                Err(ParseError::Truncated) if !element.ends => continue,
                Err(error) => return Err(error),
            };
            contents.layer = contents.layer.or(header.layer);
            contents.sequence_header |= header.obu_type == ObuType::SequenceHeader;
            contents.starts_frame |= matches!(
                header.obu_type,
                ObuType::SequenceHeader | ObuType::TemporalDelimiter | ObuType::FrameHeader | ObuType::Frame
            );
        }
        Ok(contents)
    }
}

/// What begins in a packet: of a fragmented OBU, only its first element counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Contents {
    /// The layer of all OBUs here that say one. The payload format allows no two in a packet.
    pub layer: Option<Layer>,
    /// A sequence header.
    pub sequence_header: bool,
    /// A frame, or what stands in front of one.
    pub starts_frame: bool,
}

/// A part of a payload: an OBU, or if it does not begin or end here, a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The OBU from its header on, without the element's length. Never empty.
    pub bytes: &'a [u8],
    /// The OBU begins here.
    pub begins: bool,
    /// The OBU ends here.
    pub ends: bool,
}

/// The elements of a payload, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    index: u8,
    header: AggregationHeader,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Element<'a>>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let first = self.index == 0;
        // Only W of 0 has more than three elements; the index need not count on.
        self.index = self.index.saturating_add(1);
        let (bytes, rest) = if self.index == self.header.element_count {
            (self.rest, &[][..])
        } else {
            let (length, prefix) = read_leb128(self.rest)?;
            let length = usize::try_from(length).map_err(|_| ParseError::Overrun)?;
            self.rest[prefix..].split_at_checked(length).ok_or(ParseError::Overrun)?
        };
        if bytes.is_empty() {
            return Err(ParseError::Reserved);
        }
        self.rest = rest;
        Ok(Some(Element {
            bytes,
            begins: !(first && self.header.continues),
            ends: !(rest.is_empty() && self.header.is_continued),
        }))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.step().ok().flatten()
    }
}

pub(super) fn describe(payload: &[u8]) -> Result<Description, ParseError> {
    let payload = Payload::parse(payload)?;
    let contents = payload.contents()?;
    Ok(Description {
        starts_frame: contents.starts_frame,
        // Without its sequence header nobody can begin; with it but without N it is only repeated.
        key_frame: payload.header.starts_sequence && contents.sequence_header,
        spatial_id: contents.layer.map(|layer| layer.spatial_id),
        temporal_id: contents.layer.map(|layer| layer.temporal_id),
        ..Description::default()
    })
}

#[cfg(test)]
mod tests;
