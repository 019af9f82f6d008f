//! Edits of a packet that change its length, in the buffer that it stands in.

use std::ops::Range;

use crate::block::{self, Form, PREFIX_LEN, Walk};
use crate::extension::Element;
use crate::packet::{CSRC_COUNT, CSRCS_MAX, EXTENSION_BIT, FIXED_LEN, Layout, PADDING_BIT};
use crate::{Error, Packet, PacketMut, ParseError, Ssrc};

/// A packet at the end of a buffer, to be edited where it stands, whatever that does to its length.
///
/// Each edit is whole or, if it fails, not begun. No edit changes a byte of the payload; most move it. Nothing is
/// allocated while the buffer's capacity lasts: an edit adds at most what it says (an element, its header and the
/// rounding to 32 bits; on a first element the block's 4 bytes; on the change to the two-byte form one byte per
/// element).
///
/// ```
/// use plenary_rtp::{Error, Packet, PacketEdit};
///
/// let mut out = b"what stands before".to_vec();
/// let start = out.len();
/// out.extend([0x80, 96, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, b'h', b'i']);
///
/// let mut edit = PacketEdit::parse(&mut out, start).expect("a packet");
/// edit.set_extension(3, &[0x12, 0x34])?;
/// edit.set_padding(4);
///
/// let packet = Packet::parse(&out[start..]).expect("still a packet");
/// assert_eq!(packet.extension(3), Some(&[0x12, 0x34][..]));
/// assert_eq!((packet.payload(), packet.padding_len()), (&b"hi"[..], 4));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct PacketEdit<'v> {
    out: &'v mut Vec<u8>,
    start: usize,
    layout: Layout,
}

impl<'v> PacketEdit<'v> {
    /// Checks that the bytes from `start` to the end of the buffer are one RTP packet.
    ///
    /// # Errors
    ///
    /// Those of [`Packet::parse`]; [`ParseError::Truncated`] if `start` is beyond the end.
    pub fn parse(out: &'v mut Vec<u8>, start: usize) -> Result<Self, ParseError> {
        let layout = Layout::of(out.get(start..).ok_or(ParseError::Truncated)?)?;
        Ok(Self { out, start, layout })
    }

    /// The packet as it is now, to read.
    pub fn as_packet(&self) -> Packet<'_> {
        Packet::with_layout(&self.out[self.start..], self.layout)
    }

    /// The packet as it is now, for edits that do not change its length.
    pub fn as_mut(&mut self) -> PacketMut<'_> {
        PacketMut::with_layout(&mut self.out[self.start..], self.layout)
    }

    /// Inserts an extension element, or replaces all that have its id.
    ///
    /// One of the same length is written over; else the new one becomes the last. A block is made if there is none, in
    /// the one-byte form if that can carry the element. A block of the one-byte form changes to the two-byte form when
    /// the id is above 14, or the data is empty or above 16 bytes; it never changes back. Whether the receiver takes
    /// that form is negotiated (RFC 8285 §6, `extmap-allow-mixed`), and for the caller to know.
    ///
    /// What stands in the block behind the end of the walk (see [`Packet::extensions`]) may be dropped.
    ///
    /// # Errors
    ///
    /// - [`Error::ExtensionId`] for ids 0 and 15.
    /// - [`Error::TooLong`] for data above 255 bytes, or if the block would exceed its 262,140 bytes.
    /// - [`Error::ExtensionProfile`] if the packet has a block of another profile.
    pub fn set_extension(&mut self, id: u8, data: &[u8]) -> Result<(), Error> {
        self.room_for(id, data.len())?.copy_from_slice(data);
        Ok(())
    }

    /// Inserts or replaces a typed extension element, as [`set_extension`](Self::set_extension) does.
    ///
    /// # Errors
    ///
    /// Those of [`set_extension`](Self::set_extension).
    pub fn set_element<'e, E: Element<'e>>(&mut self, id: u8, element: &E) -> Result<(), Error> {
        element.write(self.room_for(id, element.encoded_len())?);
        Ok(())
    }

    /// Removes all extension elements with this id, and says whether there were any. With the last element the block
    /// goes too.
    ///
    /// # Errors
    ///
    /// [`Error::ExtensionProfile`] if the packet has a block of another profile.
    pub fn remove_extension(&mut self, id: u8) -> Result<bool, Error> {
        self.check_profile()?;
        let plan = self.plan(id);
        if plan.same_id == 0 {
            return Ok(false);
        }
        let content = plan.len_in(self.layout.form);
        block::compact(self.layout.form, &mut self.out[self.start..][self.layout.block()], Some(id));
        self.resize_block(self.layout.form, content);
        Ok(true)
    }

    /// Replaces the list of contributing sources.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] for more than 15.
    pub fn set_csrcs(&mut self, csrcs: &[Ssrc]) -> Result<(), Error> {
        if csrcs.len() > CSRCS_MAX {
            return Err(Error::TooLong);
        }
        let csrcs_end = FIXED_LEN + 4 * csrcs.len();
        self.move_rest(self.layout.csrcs_end, csrcs_end);
        self.layout.payload = self.layout.payload - self.layout.csrcs_end + csrcs_end;
        self.layout.csrcs_end = csrcs_end;
        let bytes = &mut self.out[self.start..];
        bytes[0] = bytes[0] & !CSRC_COUNT | csrcs.len() as u8;
        for (place, csrc) in bytes[FIXED_LEN..csrcs_end].chunks_exact_mut(4).zip(csrcs) {
            place.copy_from_slice(&csrc.0.to_be_bytes());
        }
        Ok(())
    }

    /// Makes the padding behind the payload this long, the byte that counts it included (RFC 3550 §5.1); 0 takes it
    /// away.
    pub fn set_padding(&mut self, len: u8) {
        let end = self.start + self.layout.end;
        self.out.truncate(end);
        self.out[self.start] &= !PADDING_BIT;
        if len > 0 {
            self.out.resize(end + usize::from(len) - 1, 0);
            self.out.push(len);
            self.out[self.start] |= PADDING_BIT;
        }
    }

    fn check_profile(&self) -> Result<(), Error> {
        match self.as_packet().extension_profile() {
            Some(profile) if self.layout.form == Form::Opaque => Err(Error::ExtensionProfile(profile)),
            _ => Ok(()),
        }
    }

    fn plan(&self, id: u8) -> Plan {
        let mut plan = Plan::default();
        for placed in Walk::new(self.layout.form, &self.out[self.start..][self.layout.block()]) {
            if placed.id == id {
                plan.same_id += 1;
                plan.replaced = placed.data..placed.end;
            } else {
                plan.kept += 1;
                plan.kept_data += placed.data_len();
            }
        }
        plan
    }

    /// Makes room for an element's data: zeros, or the data of the same length that it replaces.
    fn room_for(&mut self, id: u8, len: usize) -> Result<&mut [u8], Error> {
        block::check_element(id, len)?;
        self.check_profile()?;
        let plan = self.plan(id);
        if plan.same_id == 1 && plan.replaced.len() == len {
            return Ok(&mut self.out[self.start..][self.layout.block()][plan.replaced]);
        }
        let (old_form, form) = (self.layout.form, self.layout.form.joined_by(id, len));
        let kept = plan.len_in(form);
        let content = kept + form.header_len() + len;
        if content > block::BLOCK_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let compact = block::compact(old_form, &mut self.out[self.start..][self.layout.block()], Some(id));
        self.resize_block(form, content);
        let block = &mut self.out[self.start..][self.layout.block()];
        if form != old_form && compact > 0 {
            block::widen(block, compact);
        }
        // Widening leaves some of what it has read, and an element need not write every bit.
        let (_, rest) = block.split_at_mut(kept);
        rest.fill(0);
        block::write_header(form, rest, id, len);
        Ok(&mut rest[form.header_len()..][..len])
    }

    /// Gives the block the size for `content` bytes of compact elements; for none it goes. Keeps the bytes at its
    /// front, pads it, and moves the payload.
    fn resize_block(&mut self, form: Form, content: usize) {
        let padded = content.next_multiple_of(4);
        let payload = self.layout.csrcs_end + if content == 0 { 0 } else { PREFIX_LEN + padded };
        self.move_rest(self.layout.payload, payload);
        let keep_profile = self.layout.form == form;
        self.layout.payload = payload;
        self.layout.form = form;
        let bytes = &mut self.out[self.start..];
        if content == 0 {
            self.layout.form = Form::Opaque;
            bytes[0] &= !EXTENSION_BIT;
            return;
        }
        bytes[0] |= EXTENSION_BIT;
        block::write_prefix(form, &mut bytes[self.layout.csrcs_end..], keep_profile, padded);
        bytes[self.layout.block()][content..].fill(0);
    }

    /// Moves all from offset `from` to the end so that it starts at `to`. Of the layout only the end follows.
    fn move_rest(&mut self, from: usize, to: usize) {
        let old_len = self.out.len();
        if to > from {
            self.out.resize(old_len + (to - from), 0);
        }
        self.out.copy_within(self.start + from..old_len, self.start + to);
        self.out.truncate(old_len - from + to);
        self.layout.end = self.layout.end - from + to;
    }
}

/// What a block holds beside the elements of one id.
#[derive(Default)]
struct Plan {
    kept: usize,
    kept_data: usize,
    same_id: usize,
    /// The data of the last element with the id.
    replaced: Range<usize>,
}

impl Plan {
    fn len_in(&self, form: Form) -> usize {
        self.kept_data + self.kept * form.header_len()
    }
}

#[cfg(test)]
mod tests;
