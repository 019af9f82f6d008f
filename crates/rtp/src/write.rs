//! Packets written once, into the buffer that they are sent from.

use std::ops::Range;

use crate::block::{self, Form, PREFIX_LEN};
use crate::extension::Element;
use crate::packet::{CSRCS_MAX, EXTENSION_BIT, FIXED_LEN, PADDING_BIT};
use crate::{Error, RtpTime, SeqNo, Ssrc};

/// What stands in the header of a packet to be written, but for its extension elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: SeqNo,
    /// The timestamp, in ticks of the payload's clock.
    pub timestamp: RtpTime,
    /// The source.
    pub ssrc: Ssrc,
    /// The contributing sources, 15 at most.
    pub csrcs: &'a [Ssrc],
}

/// Writes a packet to the end of a buffer: header, then extension elements, then payload.
///
/// What stood in the buffer stays. A writer that is dropped before [`PayloadWriter::finish`] takes back all that it has
/// written. Nothing is allocated while the buffer's capacity lasts.
///
/// The extension block is in the one-byte form until an element needs the two-byte form: an id above 14, no data, or
/// more than 16 bytes. Whether the receiver takes that form is negotiated (RFC 8285 §6, `extmap-allow-mixed`), and for
/// the caller to know.
///
/// ```
/// use plenary_rtp::{Error, Header, Packet, PacketWriter, RtpTime, SeqNo, Ssrc};
///
/// let header = Header {
///     marker: true,
///     payload_type: 96,
///     sequence_number: SeqNo(7),
///     timestamp: RtpTime(3000),
///     ssrc: Ssrc(5),
///     csrcs: &[],
/// };
/// let mut out = Vec::with_capacity(1500);
/// let mut writer = PacketWriter::begin(&header, &mut out)?;
/// writer.extension(1, b"0")?;
/// let mut payload = writer.into_payload();
/// payload.append(b"hello");
/// let range = payload.finish();
///
/// let packet = Packet::parse(&out[range]).expect("a packet");
/// assert_eq!((packet.extension(1), packet.payload()), (Some(&b"0"[..]), &b"hello"[..]));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct PacketWriter<'v> {
    tail: Tail<'v>,
    /// Where the content of the extension block starts in the buffer, once there is one.
    block: Option<usize>,
    form: Form,
    elements: usize,
}

impl<'v> PacketWriter<'v> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a payload type above 127, [`Error::TooLong`] for more than 15 contributing sources.
    #[inline]
    pub fn begin(header: &Header<'_>, out: &'v mut Vec<u8>) -> Result<Self, Error> {
        if header.payload_type > 127 {
            return Err(Error::OutOfRange);
        }
        if header.csrcs.len() > CSRCS_MAX {
            return Err(Error::TooLong);
        }
        let start = out.len();
        let mut fixed = [0; FIXED_LEN];
        fixed[0] = 0x80 | header.csrcs.len() as u8;
        fixed[1] = u8::from(header.marker) << 7 | header.payload_type;
        fixed[2..4].copy_from_slice(&header.sequence_number.0.to_be_bytes());
        fixed[4..8].copy_from_slice(&header.timestamp.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
        out.extend_from_slice(&fixed);
        for csrc in header.csrcs {
            out.extend_from_slice(&csrc.0.to_be_bytes());
        }
        Ok(Self { tail: Tail { out, start, finished: false }, block: None, form: Form::OneByte, elements: 0 })
    }

    /// Writes an extension element. An id that was written already is written again: readers take the first.
    ///
    /// # Errors
    ///
    /// - [`Error::ExtensionId`] for ids 0 and 15.
    /// - [`Error::TooLong`] for data above 255 bytes, or if the block would exceed its 262,140 bytes.
    #[inline]
    pub fn extension(&mut self, id: u8, data: &[u8]) -> Result<(), Error> {
        self.room_for(id, data.len())?.copy_from_slice(data);
        Ok(())
    }

    /// Writes a typed extension element, as [`extension`](Self::extension) does.
    ///
    /// # Errors
    ///
    /// Those of [`extension`](Self::extension).
    #[inline]
    pub fn element<'e, E: Element<'e>>(&mut self, id: u8, element: &E) -> Result<(), Error> {
        element.write(self.room_for(id, element.encoded_len())?);
        Ok(())
    }

    /// Closes the header: what follows is payload.
    #[inline]
    pub fn into_payload(self) -> PayloadWriter<'v> {
        let Self { tail, block, form, .. } = self;
        if let Some(block) = block {
            let start = tail.start;
            let padded = (tail.out.len() - block).next_multiple_of(4);
            tail.out.resize(block + padded, 0);
            block::write_prefix(form, &mut tail.out[block - PREFIX_LEN..], false, padded);
            tail.out[start] |= EXTENSION_BIT;
        }
        PayloadWriter { tail }
    }

    /// Writes an element's header, and makes room for its data.
    #[inline]
    fn room_for(&mut self, id: u8, len: usize) -> Result<&mut [u8], Error> {
        block::check_element(id, len)?;
        let out = &mut *self.tail.out;
        let block = self.block.unwrap_or(out.len() + PREFIX_LEN);
        let form = self.form.joined_by(id, len);
        let content = out.len().saturating_sub(block);
        let widened = if form == self.form { content } else { content + self.elements };
        if widened + form.header_len() + len > block::BLOCK_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let at = block + widened;
        out.resize(at + form.header_len() + len, 0);
        if form != self.form {
            block::widen(&mut out[block..at], content);
        }
        block::write_header(form, &mut out[at..], id, len);
        self.block = Some(block);
        self.form = form;
        self.elements += 1;
        Ok(&mut out[at + form.header_len()..])
    }
}

/// Writes the payload of a packet whose header is whole: see [`PacketWriter`].
#[derive(Debug)]
pub struct PayloadWriter<'v> {
    tail: Tail<'v>,
}

impl PayloadWriter<'_> {
    /// Appends to the payload. It may be called as often as the payload has parts.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.tail.out.extend_from_slice(bytes);
    }

    /// Ends the packet and says where in the buffer it stands.
    #[inline]
    pub fn finish(self) -> Range<usize> {
        let mut tail = self.tail;
        tail.finished = true;
        tail.start..tail.out.len()
    }

    /// Ends the packet with this many bytes of padding, the byte that counts them included (RFC 3550 §5.1), and says
    /// where in the buffer it stands. 0 is none.
    pub fn finish_padded(mut self, padding: u8) -> Range<usize> {
        if padding > 0 {
            let Tail { out, start, .. } = &mut self.tail;
            out.resize(out.len() + usize::from(padding) - 1, 0);
            out.push(padding);
            out[*start] |= PADDING_BIT;
        }
        self.finish()
    }
}

/// The part of the buffer that is being written: taken back when it is dropped unfinished.
#[derive(Debug)]
struct Tail<'v> {
    out: &'v mut Vec<u8>,
    start: usize,
    finished: bool,
}

impl Drop for Tail<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
    }
}

#[cfg(test)]
mod tests;
