//! One RTP packet (RFC 3550 §5.1), seen in the bytes that it came in.

use std::fmt;
use std::ops::Range;

use crate::block::{self, Form, Walk};
use crate::extension::Element;
use crate::{Error, ParseError, RtpTime, SeqNo, Ssrc};

/// Bytes of the header that every packet has.
pub(crate) const FIXED_LEN: usize = 12;
/// Contributing sources that the four bits of CC can count.
pub(crate) const CSRCS_MAX: usize = 15;

pub(crate) const PADDING_BIT: u8 = 0x20;
pub(crate) const EXTENSION_BIT: u8 = 0x10;
pub(crate) const CSRC_COUNT: u8 = 0x0f;
const MARKER_BIT: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 0x7f;

/// A checked view on the bytes of one RTP packet.
///
/// [`parse`](Self::parse) checks every length once, so that no later call can fail or reach outside of the packet. It
/// copies nothing and allocates nothing.
///
/// ```
/// use plenary_rtp::{Packet, ParseError};
///
/// let bytes = [0x80, 0xe0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, b'h', b'i'];
/// let packet = Packet::parse(&bytes)?;
/// assert_eq!((packet.payload_type(), packet.marker(), packet.sequence_number().0), (96, true, 7));
/// assert_eq!(packet.payload(), b"hi");
/// # Ok::<(), ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> Packet<'a> {
    #[inline]
    pub(crate) const fn with_layout(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, layout }
    }

    /// Checks that the bytes are one RTP packet, whole.
    ///
    /// The payload type is not looked at: telling RTCP from RTP is the demultiplexer's task (RFC 5761 §4).
    ///
    /// # Errors
    ///
    /// - [`ParseError::Truncated`] if the header, its contributing sources or its extension block do not end in time.
    /// - [`ParseError::Version`] if the version is not 2.
    /// - [`ParseError::Padding`] if the padding is of length 0 or longer than what follows the header.
    /// - [`ParseError::Overrun`] if an extension element reaches beyond its block. RFC 8285 does not say what to do
    ///   with one. No sender writes it but by mistake, and what stood before it may be the mistake: so nothing is read.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Ok(Self { bytes, layout: Layout::of(bytes)? })
    }

    /// [`header_len`](Self::header_len) of a packet whose payload and padding are still encrypted: SRTP leaves the
    /// header in the clear (RFC 3711 §3.1).
    ///
    /// Extension elements and padding are not looked at: [`parse`](Self::parse) does, once they can be believed.
    ///
    /// # Errors
    ///
    /// - [`ParseError::Truncated`] if the header, its contributing sources or its extension block do not end in time.
    /// - [`ParseError::Version`] if the version is not 2.
    #[inline]
    pub fn clear_header_len(bytes: &[u8]) -> Result<usize, ParseError> {
        Layout::of_header(bytes).map(|layout| layout.payload)
    }

    /// All bytes of the packet.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn fixed(&self) -> &'a [u8; FIXED_LEN] {
        self.bytes.first_chunk().expect("parse has seen the fixed header")
    }

    /// The marker bit. What it marks depends on the payload: the last packet of a video frame, the first of a talk
    /// spurt.
    #[inline]
    pub fn marker(&self) -> bool {
        self.fixed()[1] & MARKER_BIT != 0
    }

    /// The payload type, 0 to 127.
    #[inline]
    pub fn payload_type(&self) -> u8 {
        self.fixed()[1] & PAYLOAD_TYPE
    }

    /// The sequence number.
    #[inline]
    pub fn sequence_number(&self) -> SeqNo {
        let fixed = self.fixed();
        SeqNo(u16::from_be_bytes([fixed[2], fixed[3]]))
    }

    /// The timestamp, in ticks of the payload's clock.
    #[inline]
    pub fn timestamp(&self) -> RtpTime {
        let fixed = self.fixed();
        RtpTime(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
    }

    /// The source of the stream that the packet belongs to.
    #[inline]
    pub fn ssrc(&self) -> Ssrc {
        let fixed = self.fixed();
        Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]))
    }

    /// The contributing sources that a mixer has listed, 15 at most.
    #[inline]
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        let (csrcs, _) = self.bytes[FIXED_LEN..self.layout.csrcs_end].as_chunks();
        csrcs.iter().map(|&csrc| Ssrc(u32::from_be_bytes(csrc)))
    }

    /// Bytes before the payload: fixed header, contributing sources and extension block.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.layout.payload
    }

    /// The payload, without padding. Empty in a packet that is all padding.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.layout.payload..self.layout.end]
    }

    /// Where in the packet its payload stands, without padding.
    #[inline]
    pub const fn payload_range(&self) -> Range<usize> {
        self.layout.payload..self.layout.end
    }

    /// Bytes of padding behind the payload, the byte that counts them included; 0 without padding.
    #[inline]
    pub const fn padding_len(&self) -> u8 {
        (self.bytes.len() - self.layout.end) as u8
    }

    /// The 16 bits that "the profile defines" (RFC 3550 §5.3.1), or `None` without an extension block.
    ///
    /// `0xbede` is the one-byte form, `0x1000` to `0x100f` the two-byte form of RFC 8285 with its four "appbits".
    #[inline]
    pub fn extension_profile(&self) -> Option<u16> {
        let at = self.layout.csrcs_end;
        self.layout.has_block().then(|| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// The content of the extension block, whatever its profile, with its padding; empty without a block.
    #[inline]
    pub fn extension_block(&self) -> &'a [u8] {
        &self.bytes[self.layout.block()]
    }

    /// The extension elements as they stand in the packet: id and data.
    ///
    /// Ids are 1 to 14 with 1 to 16 bytes, or 1 to 255 with 0 to 255 bytes in the two-byte form. Padding is skipped. In
    /// the one-byte form, id 15 and an id 0 with a length end the walk (RFC 8285 §4.1.2, §4.2). There are none in a
    /// block of another profile. An id that is sent twice comes twice.
    #[inline]
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions { walk: Walk::new(self.layout.form, self.extension_block()) }
    }

    /// The data of the first extension element with this id.
    #[inline]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find_map(|(found, data)| (found == id).then_some(data))
    }

    /// The first extension element with this id, as the type that was negotiated for the id.
    ///
    /// # Errors
    ///
    /// Those of [`Element::parse`]: a bad element does not make the packet bad.
    #[inline]
    pub fn element<E: Element<'a>>(&self, id: u8) -> Option<Result<E, ParseError>> {
        self.extension(id).map(E::parse)
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("marker", &self.marker())
            .field("payload_type", &self.payload_type())
            .field("sequence_number", &self.sequence_number())
            .field("timestamp", &self.timestamp())
            .field("ssrc", &self.ssrc())
            .field("header_len", &self.header_len())
            .field("payload_len", &self.payload().len())
            .field("padding_len", &self.padding_len())
            .finish()
    }
}

/// The extension elements of a packet: see [`Packet::extensions`].
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    walk: Walk<'a>,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let placed = self.walk.next()?;
        Some((placed.id, &self.walk.block()[placed.data..placed.end]))
    }
}

/// A checked view on the bytes of one RTP packet, to change what does not change its length.
///
/// What changes the length (new elements, padding, contributing sources) is [`PacketEdit`](crate::PacketEdit)'s.
pub struct PacketMut<'a> {
    bytes: &'a mut [u8],
    layout: Layout,
}

impl<'a> PacketMut<'a> {
    /// Checks that the bytes are one RTP packet, whole.
    ///
    /// # Errors
    ///
    /// Those of [`Packet::parse`].
    #[inline]
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, ParseError> {
        let layout = Layout::of(bytes)?;
        Ok(Self { bytes, layout })
    }

    #[inline]
    pub(crate) const fn with_layout(bytes: &'a mut [u8], layout: Layout) -> Self {
        Self { bytes, layout }
    }

    /// The same packet, to read.
    #[inline]
    pub const fn as_packet(&self) -> Packet<'_> {
        Packet { bytes: self.bytes, layout: self.layout }
    }

    #[inline]
    fn fixed(&mut self) -> &mut [u8; FIXED_LEN] {
        self.bytes.first_chunk_mut().expect("parse has seen the fixed header")
    }

    /// Sets the marker bit.
    #[inline]
    pub fn set_marker(&mut self, marker: bool) {
        let byte = &mut self.fixed()[1];
        *byte = *byte & PAYLOAD_TYPE | if marker { MARKER_BIT } else { 0 };
    }

    /// Sets the payload type.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] above 127.
    #[inline]
    pub fn set_payload_type(&mut self, payload_type: u8) -> Result<(), Error> {
        if payload_type > PAYLOAD_TYPE {
            return Err(Error::OutOfRange);
        }
        let byte = &mut self.fixed()[1];
        *byte = *byte & MARKER_BIT | payload_type;
        Ok(())
    }

    /// Sets the sequence number.
    #[inline]
    pub fn set_sequence_number(&mut self, sequence_number: SeqNo) {
        self.fixed()[2..4].copy_from_slice(&sequence_number.0.to_be_bytes());
    }

    /// Sets the timestamp.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: RtpTime) {
        self.fixed()[4..8].copy_from_slice(&timestamp.0.to_be_bytes());
    }

    /// Sets the source.
    #[inline]
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.fixed()[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    }

    /// The data of the first extension element with this id.
    #[inline]
    pub fn extension_mut(&mut self, id: u8) -> Option<&mut [u8]> {
        let block = &mut self.bytes[self.layout.block()];
        let placed = Walk::new(self.layout.form, block).find(|placed| placed.id == id)?;
        Some(&mut block[placed.data..placed.end])
    }

    /// Writes over the first extension element with this id.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if the packet has none, or one of another length.
    #[inline]
    pub fn write_element<'e, E: Element<'e>>(&mut self, id: u8, element: &E) -> Result<(), Error> {
        let data = self.extension_mut(id).filter(|data| data.len() == element.encoded_len()).ok_or(Error::NoRoom)?;
        element.write(data);
        Ok(())
    }

    /// The payload, without padding.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.layout.payload..self.layout.end]
    }
}

impl fmt::Debug for PacketMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_packet().fmt(f)
    }
}

/// Where the parts of a packet are: offsets from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) form: Form,
    /// Where the contributing sources end, and the extension block starts if there is one.
    pub(crate) csrcs_end: usize,
    pub(crate) payload: usize,
    /// Where the payload ends and the padding starts.
    pub(crate) end: usize,
}

impl Layout {
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut layout = Self::of_header(bytes)?;
        let block = bytes.get(layout.block()).ok_or(ParseError::Truncated)?;
        let mut at = 0;
        while let Some(placed) = block::element_at(layout.form, block, at)? {
            at = placed.end;
        }
        if bytes[0] & PADDING_BIT != 0 {
            // RFC 3550 §5.1: the last byte counts the padding, itself included.
            let rest = bytes.get(layout.payload..).ok_or(ParseError::Truncated)?;
            let padding = usize::from(*rest.last().ok_or(ParseError::Padding)?);
            if padding == 0 || padding > rest.len() {
                return Err(ParseError::Padding);
            }
            layout.end -= padding;
        }
        Ok(layout)
    }

    /// The layout as far as version, CSRC count and block length tell it: elements and padding are not looked at.
    #[inline]
    fn of_header(bytes: &[u8]) -> Result<Self, ParseError> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_LEN>().ok_or(ParseError::Truncated)?;
        let flags = fixed[0];
        if flags >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let csrcs_len = 4 * usize::from(flags & CSRC_COUNT);
        let rest = rest.get(csrcs_len..).ok_or(ParseError::Truncated)?;
        let csrcs_end = FIXED_LEN + csrcs_len;
        let mut layout = Self { form: Form::Opaque, csrcs_end, payload: csrcs_end, end: bytes.len() };
        if flags & EXTENSION_BIT != 0 {
            let (&[p0, p1, l0, l1], behind) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
            let len = 4 * usize::from(u16::from_be_bytes([l0, l1]));
            if behind.len() < len {
                return Err(ParseError::Truncated);
            }
            layout.form = Form::of(u16::from_be_bytes([p0, p1]));
            layout.payload += block::PREFIX_LEN + len;
        }
        Ok(layout)
    }

    /// Whether there is an extension block, which may be empty behind its prefix.
    #[inline]
    pub(crate) const fn has_block(&self) -> bool {
        self.payload > self.csrcs_end
    }

    /// The content of the extension block, behind its prefix.
    #[inline]
    pub(crate) const fn block(&self) -> Range<usize> {
        if self.has_block() { self.csrcs_end + block::PREFIX_LEN..self.payload } else { self.payload..self.payload }
    }
}

#[cfg(test)]
mod tests;
