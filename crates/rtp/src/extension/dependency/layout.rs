//! Changes in a descriptor's bytes that leave the rest as it is.

use super::descriptor::{FLAGS_END, Header, MANDATORY_LEN};
use super::structure::Structure;
use crate::Error;
use crate::bits::{BitReader, BitWriter};

/// The flag in the fourth byte that a mask follows.
const MASK_FLAG: u8 = 0x40;

/// Where the fields of a descriptor stand in the bytes that it was read from.
///
/// It allows to forward a descriptor with another frame number and another set of active decode targets, without its
/// structure at hand. Template ids, custom fields and an attached structure stay as they are, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the whole.
    pub(super) len: usize,
    /// Decode targets, which is the width of a mask: 1 to 32.
    pub(super) targets: u32,
    /// The bit at which a mask stands, or would stand if there were flags.
    pub(super) mask_at: usize,
    pub(super) has_mask: bool,
    /// Bits in use; what follows is padding.
    pub(super) end: usize,
}

impl Layout {
    /// Of three bytes.
    pub(super) fn short(structure: &Structure) -> Self {
        let (targets, end) = (structure.decode_target_count() as u32, 8 * MANDATORY_LEN);
        Self { len: MANDATORY_LEN, targets, mask_at: end, has_mask: false, end }
    }

    /// How many bytes [`rewrite`](Self::rewrite) fills with this mask: the same as before if there is no mask to
    /// write, or one in the bytes already; else up to five more.
    pub const fn rewritten_len(&self, active_decode_targets: Option<u32>) -> usize {
        if active_decode_targets.is_none() || self.has_mask {
            return self.len;
        }
        let flags = if self.len == MANDATORY_LEN { FLAGS_END - 8 * MANDATORY_LEN } else { 0 };
        (self.end + flags + self.targets as usize).div_ceil(8)
    }

    /// Copies the descriptor that this was read from, `data`, to the front of `out`, with another frame number and, if
    /// one is given, this mask of active decode targets. Answers how many bytes that is:
    /// [`rewritten_len`](Self::rewritten_len).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `data` has another length, or the mask more bits than there are decode targets;
    /// [`Error::NoRoom`] if `out` is too short.
    pub fn rewrite(
        &self,
        data: &[u8],
        frame_number: u16,
        active_decode_targets: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if data.len() != self.len {
            return Err(Error::OutOfRange);
        }
        let length = self.rewritten_len(active_decode_targets);
        let out = out.get_mut(..length).ok_or(Error::NoRoom)?;
        match active_decode_targets {
            Some(mask) if !self.has_mask => {
                self.check(mask)?;
                self.insert(data, mask, out);
            }
            Some(mask) => {
                self.check(mask)?;
                out.copy_from_slice(data);
                self.overwrite(mask, out);
            }
            None => out.copy_from_slice(data),
        }
        Header::set_frame_number(out, frame_number)?;
        Ok(length)
    }

    /// Changes the mask of active decode targets in the descriptor that this was read from.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if it has no mask (use [`rewrite`](Self::rewrite)); [`Error::OutOfRange`] if `data` has
    /// another length, or the mask more bits than there are decode targets.
    pub fn set_active_decode_targets(&self, data: &mut [u8], mask: u32) -> Result<(), Error> {
        if data.len() != self.len {
            return Err(Error::OutOfRange);
        }
        self.check(mask)?;
        if !self.has_mask {
            return Err(Error::NoRoom);
        }
        self.overwrite(mask, data);
        Ok(())
    }

    const fn check(&self, mask: u32) -> Result<(), Error> {
        if mask & !(u32::MAX >> (32 - self.targets)) != 0 { Err(Error::OutOfRange) } else { Ok(()) }
    }

    fn overwrite(&self, mask: u32, data: &mut [u8]) {
        BitWriter::at(data, self.mask_at).bits(mask, self.targets);
    }

    fn insert(&self, data: &[u8], mask: u32, out: &mut [u8]) {
        let mask_at = self.mask_at.max(FLAGS_END);
        let head = mask_at.div_ceil(8).min(data.len());
        out[..head].copy_from_slice(&data[..head]);
        if data.len() == MANDATORY_LEN {
            out[MANDATORY_LEN] = 0;
        }
        out[MANDATORY_LEN] |= MASK_FLAG;
        let mut writer = BitWriter::at(out, mask_at);
        writer.bits(mask, self.targets);
        let mut rest = self.end - self.mask_at;
        let mut reader = BitReader::new(data);
        let same_bytes = "the bytes are as long as those that were read";
        reader.skip(self.mask_at).expect(same_bytes);
        while rest > 0 {
            let count = rest.min(32) as u32;
            let bits = reader.bits(count).expect(same_bytes);
            writer.bits(bits, count);
            rest -= count as usize;
        }
        writer.align();
    }
}
