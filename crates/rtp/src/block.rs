//! The header extension block (RFC 3550 §5.3.1) and the two forms of its elements (RFC 8285 §4).

use crate::{Error, ParseError};

/// Profile and length in words: what stands before the elements.
pub(crate) const PREFIX_LEN: usize = 4;
/// What the 16-bit count of words can say, in bytes.
pub(crate) const BLOCK_BYTES_MAX: usize = u16::MAX as usize * 4;

const ONE_BYTE_PROFILE: u16 = 0xbede;
const TWO_BYTE_PROFILE: u16 = 0x1000;

/// How the elements of a block are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    OneByte,
    TwoByte,
    /// Another profile's, opaque to us; also a packet without a block.
    Opaque,
}

impl Form {
    #[inline]
    pub(crate) const fn of(profile: u16) -> Self {
        // RFC 8285 §4.3: the low four bits of the two-byte profile are "appbits", free for the application.
        match profile {
            ONE_BYTE_PROFILE => Self::OneByte,
            TWO_BYTE_PROFILE..=0x100f => Self::TwoByte,
            _ => Self::Opaque,
        }
    }

    /// The form to write a block in that so far has this form, when an element joins it.
    #[inline]
    pub(crate) const fn joined_by(self, id: u8, len: usize) -> Self {
        if matches!(self, Self::TwoByte) || id > 14 || len == 0 || len > 16 { Self::TwoByte } else { Self::OneByte }
    }

    /// Bytes of an element before its data.
    #[inline]
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::OneByte => 1,
            Self::TwoByte => 2,
            Self::Opaque => 0,
        }
    }

    const fn profile(self) -> u16 {
        match self {
            Self::OneByte => ONE_BYTE_PROFILE,
            Self::TwoByte | Self::Opaque => TWO_BYTE_PROFILE,
        }
    }
}

/// Refuses an element that neither form can carry.
#[inline]
pub(crate) const fn check_element(id: u8, len: usize) -> Result<(), Error> {
    if id == 0 || id == 15 {
        Err(Error::ExtensionId(id))
    } else if len > u8::MAX as usize {
        Err(Error::TooLong)
    } else {
        Ok(())
    }
}

/// An element, by its offsets in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) id: u8,
    /// Where its header starts.
    pub(crate) start: usize,
    /// Where its data starts.
    pub(crate) data: usize,
    pub(crate) end: usize,
}

impl Placed {
    #[inline]
    pub(crate) const fn data_len(&self) -> usize {
        self.end - self.data
    }
}

/// The first element at or after `at`, or `None` where the walk ends.
#[inline]
pub(crate) fn element_at(form: Form, block: &[u8], mut at: usize) -> Result<Option<Placed>, ParseError> {
    while let Some(&first) = block.get(at) {
        if first == 0 {
            at += 1;
            continue;
        }
        let (id, data, len) = match form {
            Form::OneByte => {
                let id = first >> 4;
                // RFC 8285 §4.1.2 and §4.2: id 0 with a length, and id 15, end the walk whatever their length says.
                if id == 0 || id == 15 {
                    return Ok(None);
                }
                (id, at + 1, (first & 0x0f) as usize + 1)
            }
            Form::TwoByte => {
                let len = *block.get(at + 1).ok_or(ParseError::Overrun)?;
                (first, at + 2, len as usize)
            }
            Form::Opaque => return Ok(None),
        };
        let end = data + len;
        if end > block.len() {
            return Err(ParseError::Overrun);
        }
        return Ok(Some(Placed { id, start: at, data, end }));
    }
    Ok(None)
}

/// The elements of a block that parsing has checked.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    form: Form,
    block: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(crate) const fn new(form: Form, block: &'a [u8]) -> Self {
        Self { form, block, at: 0 }
    }

    #[inline]
    pub(crate) const fn block(&self) -> &'a [u8] {
        self.block
    }
}

impl Iterator for Walk<'_> {
    type Item = Placed;

    #[inline]
    fn next(&mut self) -> Option<Placed> {
        let placed = element_at(self.form, self.block, self.at).ok().flatten()?;
        self.at = placed.end;
        Some(placed)
    }
}

/// Moves the elements that are not `without` to the front of the block and returns how many bytes they take there.
pub(crate) fn compact(form: Form, block: &mut [u8], without: Option<u8>) -> usize {
    let (mut read, mut written) = (0, 0);
    while let Ok(Some(placed)) = element_at(form, block, read) {
        if Some(placed.id) != without {
            block.copy_within(placed.start..placed.end, written);
            written += placed.end - placed.start;
        }
        read = placed.end;
    }
    written
}

/// Rewrites the `len` bytes of compact one-byte elements at the front of the block in the two-byte form, and returns
/// how many bytes they take then. The block has room for one byte more per element.
pub(crate) fn widen(block: &mut [u8], len: usize) -> usize {
    // What is still to be read stands at the end, so that what is written never reaches it.
    let mut read = block.len() - len;
    block.copy_within(..len, read);
    let mut written = 0;
    while let Ok(Some(placed)) = element_at(Form::OneByte, block, read) {
        block.copy_within(placed.data..placed.end, written + 2);
        write_header(Form::TwoByte, &mut block[written..], placed.id, placed.data_len());
        written += 2 + placed.data_len();
        read = placed.end;
    }
    written
}

/// Writes what stands before an element's data. The form can carry it.
#[inline]
pub(crate) fn write_header(form: Form, bytes: &mut [u8], id: u8, len: usize) {
    match form {
        Form::OneByte => bytes[0] = id << 4 | (len - 1) as u8,
        Form::TwoByte => bytes[..2].copy_from_slice(&[id, len as u8]),
        Form::Opaque => {}
    }
}

/// Writes what stands before the elements: `bytes` starts with the prefix, `len` is that of the padded content.
///
/// A profile that already tells the form, and so its "appbits", is kept.
#[inline]
pub(crate) fn write_prefix(form: Form, bytes: &mut [u8], keep_profile: bool, len: usize) {
    debug_assert!(len.is_multiple_of(4) && len <= BLOCK_BYTES_MAX, "a length that words can say");
    if !keep_profile {
        bytes[..2].copy_from_slice(&form.profile().to_be_bytes());
    }
    bytes[2..PREFIX_LEN].copy_from_slice(&((len / 4) as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(form: Form, block: &[u8]) -> Vec<(u8, &[u8])> {
        Walk::new(form, block).map(|placed| (placed.id, &block[placed.data..placed.end])).collect()
    }

    #[test]
    fn compacting_drops_padding_the_unwanted_and_what_stands_behind_the_end_of_the_walk() {
        let mut block = [0x10, 0xaa, 0, 0x20, 0xbb, 0x31, 1, 2, 0xf0, 0x40, 0xcc, 0];
        let len = compact(Form::OneByte, &mut block, Some(2));
        assert_eq!(block[..len], [0x10, 0xaa, 0x31, 1, 2]);
    }

    #[test]
    fn widening_needs_one_byte_more_per_element() {
        let mut block = [0x10, 0xaa, 0x31, 1, 2, 0xe0, 0xbb, 9, 9, 9];
        assert_eq!(widen(&mut block, 7), 10);
        assert_eq!(block, [1, 1, 0xaa, 3, 2, 1, 2, 14, 1, 0xbb]);
        assert_eq!(ids(Form::TwoByte, &block), [(1, &[0xaa][..]), (3, &[1, 2]), (14, &[0xbb])]);
    }

    #[test]
    fn all_sixteen_appbits_are_the_two_byte_form() {
        for profile in 0x1000..=0x100f {
            assert_eq!(Form::of(profile), Form::TwoByte);
        }
        assert_eq!((Form::of(0x0fff), Form::of(0x1010)), (Form::Opaque, Form::Opaque));
    }
}
