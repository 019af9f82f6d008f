//! Redundant audio (RFC 2198): some older blocks in front of the newest.

use crate::{Error, ParseError};

/// The most redundant blocks that are read or written. Browsers send one; each costs four bytes.
pub const REDUNDANT_BLOCKS_MAX: usize = 16;
/// The largest timestamp offset of a redundant block.
pub const TIMESTAMP_OFFSET_MAX: u16 = (1 << 14) - 1;
/// The longest redundant block in bytes.
pub const BLOCK_BYTES_MAX: usize = (1 << 10) - 1;

const MORE: u8 = 0x80;

/// One block of a RED payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The payload type of what is in it, 0 to 127.
    pub payload_type: u8,
    /// How many ticks of the RTP clock before the packet's timestamp it belongs: 0 for the primary block, else up to
    /// [`TIMESTAMP_OFFSET_MAX`].
    pub timestamp_offset: u16,
    /// A payload of that type. May be empty.
    pub data: &'a [u8],
}

/// A RED payload taken apart. All lengths have been checked.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    redundant: RedundantBlocks<'a>,
    primary: Block<'a>,
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends within the block headers, [`ParseError::Overrun`] if a block reaches beyond
    /// it, [`ParseError::TooMany`] for more than [`REDUNDANT_BLOCKS_MAX`] redundant blocks.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = payload;
        let mut redundant_len = 0;
        let mut count = 0;
        let payload_type = loop {
            let &first = rest.first().ok_or(ParseError::Truncated)?;
            if first & MORE == 0 {
                rest = &rest[1..];
                break first;
            }
            if count == REDUNDANT_BLOCKS_MAX {
                return Err(ParseError::TooMany);
            }
            let (header, after) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
            redundant_len += BlockHeader::parse(*header).len;
            count += 1;
            rest = after;
        };
        let headers = &payload[..4 * count];
        let (data, primary) = rest.split_at_checked(redundant_len).ok_or(ParseError::Overrun)?;
        Ok(Self {
            redundant: RedundantBlocks { headers, data },
            primary: Block { payload_type, timestamp_offset: 0, data: primary },
        })
    }

    /// The newest block: what the packet is for.
    #[must_use]
    pub const fn primary(&self) -> Block<'a> {
        self.primary
    }

    /// The older blocks, as they stand: the oldest first, as a rule.
    #[must_use]
    pub fn redundant(&self) -> RedundantBlocks<'a> {
        self.redundant.clone()
    }
}

/// The redundant blocks of a payload.
#[derive(Clone, Debug)]
pub struct RedundantBlocks<'a> {
    headers: &'a [u8],
    data: &'a [u8],
}

impl<'a> Iterator for RedundantBlocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (header, headers) = self.headers.split_first_chunk()?;
        let header = BlockHeader::parse(*header);
        let (block, data) = self.data.split_at_checked(header.len)?;
        (self.headers, self.data) = (headers, data);
        Some(Block { payload_type: header.payload_type, timestamp_offset: header.timestamp_offset, data: block })
    }
}

struct BlockHeader {
    payload_type: u8,
    timestamp_offset: u16,
    len: usize,
}

impl BlockHeader {
    const fn parse(bytes: [u8; 4]) -> Self {
        let word = u32::from_be_bytes(bytes);
        Self {
            payload_type: bytes[0] & !MORE,
            timestamp_offset: (word >> 10 & TIMESTAMP_OFFSET_MAX as u32) as u16,
            len: word as usize & BLOCK_BYTES_MAX,
        }
    }
}

/// Appends a RED payload: redundant blocks in the order given, then the primary, whose `timestamp_offset` is 0.
///
/// # Errors
///
/// [`Error::TooLong`] for a redundant block above [`BLOCK_BYTES_MAX`], or more of them than [`REDUNDANT_BLOCKS_MAX`];
/// [`Error::OutOfRange`] if a payload type or offset does not fit. `out` is as before then.
pub fn write(redundant: &[Block<'_>], primary: &Block<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    if primary.payload_type >= MORE || primary.timestamp_offset != 0 {
        return Err(Error::OutOfRange);
    }
    if redundant.len() > REDUNDANT_BLOCKS_MAX || redundant.iter().any(|block| block.data.len() > BLOCK_BYTES_MAX) {
        return Err(Error::TooLong);
    }
    if redundant.iter().any(|block| block.payload_type >= MORE || block.timestamp_offset > TIMESTAMP_OFFSET_MAX) {
        return Err(Error::OutOfRange);
    }
    for block in redundant {
        let fields = u32::from(block.timestamp_offset) << 10 | block.data.len() as u32;
        out.extend_from_slice(&(u32::from(MORE | block.payload_type) << 24 | fields).to_be_bytes());
    }
    out.push(primary.payload_type);
    for block in redundant {
        out.extend_from_slice(block.data);
    }
    out.extend_from_slice(primary.data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRIMARY: Block<'_> = Block { payload_type: 111, timestamp_offset: 0, data: &[7, 8, 9] };

    proptest! {
        #[test]
        fn what_was_written_is_read(
            blocks in prop::collection::vec(
                (0..128u8, 0..=TIMESTAMP_OFFSET_MAX, prop::collection::vec(any::<u8>(), 0..40)),
                0..=REDUNDANT_BLOCKS_MAX,
            ),
            (payload_type, data) in (0..128u8, prop::collection::vec(any::<u8>(), 0..40)),
        ) {
            let redundant: Vec<_> = blocks
                .iter()
                .map(|(payload_type, offset, data)| Block { payload_type: *payload_type, timestamp_offset: *offset, data })
                .collect();
            let primary = Block { payload_type, timestamp_offset: 0, data: &data };
            let mut bytes = Vec::new();
            write(&redundant, &primary, &mut bytes).unwrap();
            let payload = Payload::parse(&bytes).unwrap();
            prop_assert_eq!(payload.primary(), primary);
            prop_assert!(payload.redundant().eq(redundant.iter().copied()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(payload) = Payload::parse(&bytes) {
                let data: usize = payload.redundant().map(|block| 4 + block.data.len()).sum();
                prop_assert_eq!(data + 1 + payload.primary().data.len(), bytes.len());
            }
        }
    }

    #[test]
    fn a_payload_of_two_blocks_is_read_field_by_field() {
        // Type 111, 960 ticks back, 2 bytes.
        let bytes = [0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 2, 7, 8, 9];
        let payload = Payload::parse(&bytes).unwrap();
        let old = Block { payload_type: 111, timestamp_offset: 960, data: &[1, 2] };
        assert_eq!(payload.redundant().collect::<Vec<_>>(), [old]);
        assert_eq!(payload.primary(), PRIMARY);
        assert_eq!(Payload::parse(&bytes[..4]).unwrap_err(), ParseError::Truncated);
        assert_eq!(Payload::parse(&bytes[..2]).unwrap_err(), ParseError::Truncated);
        assert_eq!(Payload::parse(&bytes[..6]).unwrap_err(), ParseError::Overrun);
        assert_eq!(Payload::parse(&[]).unwrap_err(), ParseError::Truncated);
    }

    #[test]
    fn blocks_have_a_largest_number() {
        let mut bytes = [0x80, 0, 0, 0].repeat(REDUNDANT_BLOCKS_MAX);
        bytes.push(0x6f);
        assert_eq!(Payload::parse(&bytes).unwrap().redundant().count(), REDUNDANT_BLOCKS_MAX);
        bytes.splice(0..0, [0x80, 0, 0, 0]);
        assert_eq!(Payload::parse(&bytes).unwrap_err(), ParseError::TooMany);
        let mut out = Vec::new();
        let many = [Block { data: &[], ..PRIMARY }; REDUNDANT_BLOCKS_MAX + 1];
        assert_eq!(write(&many, &PRIMARY, &mut out), Err(Error::TooLong));
        assert!(out.is_empty());
    }

    #[test]
    fn blocks_that_do_not_fit_are_not_written() {
        let mut out = Vec::new();
        let old = Block { timestamp_offset: 960, ..PRIMARY };
        let long = [0; BLOCK_BYTES_MAX + 1];
        assert_eq!(write(&[Block { data: &long, ..old }], &PRIMARY, &mut out), Err(Error::TooLong));
        assert_eq!(write(&[Block { timestamp_offset: 1 << 14, ..old }], &PRIMARY, &mut out), Err(Error::OutOfRange));
        assert_eq!(write(&[Block { payload_type: 128, ..old }], &PRIMARY, &mut out), Err(Error::OutOfRange));
        assert_eq!(write(&[], &old, &mut out), Err(Error::OutOfRange));
        assert_eq!(write(&[], &Block { payload_type: 128, ..PRIMARY }, &mut out), Err(Error::OutOfRange));
        assert!(out.is_empty());
    }
}
