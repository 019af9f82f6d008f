//! VP8 (RFC 7741): the payload descriptor, and the frame header behind it.
//!
//! Where the dependency descriptor is negotiated, browsers send one byte of descriptor without any number or layer.

use super::{Description, PictureId};
use crate::{Error, ParseError, Resolution};

const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const START_OF_PARTITION: u8 = 0x10;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0_PIC_IDX: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_IDX: u8 = 0x10;

/// The largest KEYIDX.
pub const KEY_IDX_MAX: u8 = 31;

/// A VP8 payload taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// What stands in front.
    pub descriptor: Descriptor,
    /// A part of a VP8 frame.
    pub data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it is shorter than its flags say.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let layout = Layout::of(payload)?;
        let at = |position: Option<usize>| position.and_then(|position| payload.get(position).copied());
        let layers = at(layout.layers);
        let descriptor = Descriptor {
            non_reference: payload[0] & NON_REFERENCE != 0,
            start_of_partition: payload[0] & START_OF_PARTITION != 0,
            partition_id: payload[0] & 7,
            picture_id: layout.picture_id.map(|position| PictureId::parse(&payload[position..])).transpose()?,
            tl0_pic_idx: at(layout.tl0_pic_idx),
            layer: layers
                .filter(|_| layout.flags & HAS_TID != 0)
                .map(|byte| TemporalLayer { id: byte >> 6, sync: byte & 0x20 != 0 }),
            key_idx: layers.filter(|_| layout.flags & HAS_KEY_IDX != 0).map(|byte| byte & KEY_IDX_MAX),
        };
        Ok(Self { descriptor, data: &payload[layout.len..] })
    }
}

/// The VP8 payload descriptor (RFC 7741 §4.2).
///
/// Each is read from its own packet alone: what a packet leaves out is `None`, whatever the packet before said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: the first byte behind the descriptor is the first of a partition.
    pub start_of_partition: bool,
    /// PID: the partition that the packet begins with, 0 to 7.
    pub partition_id: u8,
    /// PictureID, with its width.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: a running number of the frames of the lowest temporal layer. Makes sense only beside [`Self::layer`].
    pub tl0_pic_idx: Option<u8>,
    /// TID and Y.
    pub layer: Option<TemporalLayer>,
    /// KEYIDX: a running number of the key frames, 0 to [`KEY_IDX_MAX`].
    pub key_idx: Option<u8>,
}

/// The temporal layer of a VP8 frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TemporalLayer {
    /// TID: 0 to 3.
    pub id: u8,
    /// Y: the frame depends on the lowest layer only, so a receiver of that layer can go up here.
    pub sync: bool,
}

impl Descriptor {
    /// The first packet of a frame: a partition begins, and it is the first.
    #[must_use]
    pub const fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition_id == 0
    }

    /// How many bytes [`write`](Self::write) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + usize::from(self.flags() != 0)
            + self.picture_id.map_or(0, PictureId::encoded_len)
            + usize::from(self.tl0_pic_idx.is_some())
            + usize::from(self.layer.is_some() || self.key_idx.is_some())
    }

    /// Appends the descriptor in its shortest form.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a number does not fit its field. `out` is as before then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let layer = self.layer.unwrap_or_default();
        let key_idx = self.key_idx.unwrap_or_default();
        if self.partition_id > 7 || layer.id > 3 || key_idx > KEY_IDX_MAX {
            return Err(Error::OutOfRange);
        }
        let start = out.len();
        let flags = self.flags();
        let first = if flags != 0 { EXTENDED } else { 0 }
            | if self.non_reference { NON_REFERENCE } else { 0 }
            | if self.start_of_partition { START_OF_PARTITION } else { 0 }
            | self.partition_id;
        out.push(first);
        if flags != 0 {
            out.push(flags);
        }
        if let Some(picture_id) = self.picture_id {
            picture_id.write(out).inspect_err(|_| out.truncate(start))?;
        }
        out.extend(self.tl0_pic_idx);
        if self.layer.is_some() || self.key_idx.is_some() {
            out.push(layer.id << 6 | u8::from(layer.sync) << 5 | key_idx);
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let flag = |present, bit| if present { bit } else { 0 };
        flag(self.picture_id.is_some(), HAS_PICTURE_ID)
            | flag(self.tl0_pic_idx.is_some(), HAS_TL0_PIC_IDX)
            | flag(self.layer.is_some(), HAS_TID)
            | flag(self.key_idx.is_some(), HAS_KEY_IDX)
    }
}

/// Replaces the picture id of a payload. Its width stays.
///
/// # Errors
///
/// [`Error::NoRoom`] if the payload has none, [`Error::OutOfRange`] if the number is wider. Nothing is changed then.
pub fn set_picture_id(payload: &mut [u8], picture_id: u16) -> Result<(), Error> {
    let position = Layout::of(payload).ok().and_then(|layout| layout.picture_id).ok_or(Error::NoRoom)?;
    PictureId::overwrite(&mut payload[position..], picture_id)
}

/// Replaces the TL0PICIDX of a payload.
///
/// # Errors
///
/// [`Error::NoRoom`] if the payload has none.
pub fn set_tl0_pic_idx(payload: &mut [u8], tl0_pic_idx: u8) -> Result<(), Error> {
    let position = Layout::of(payload).ok().and_then(|layout| layout.tl0_pic_idx).ok_or(Error::NoRoom)?;
    payload[position] = tl0_pic_idx;
    Ok(())
}

/// Replaces the KEYIDX of a payload.
///
/// # Errors
///
/// [`Error::NoRoom`] if the payload has none, [`Error::OutOfRange`] above [`KEY_IDX_MAX`]. Nothing is changed then.
pub fn set_key_idx(payload: &mut [u8], key_idx: u8) -> Result<(), Error> {
    let layout = Layout::of(payload).ok().filter(|layout| layout.flags & HAS_KEY_IDX != 0);
    let position = layout.and_then(|layout| layout.layers).ok_or(Error::NoRoom)?;
    if key_idx > KEY_IDX_MAX {
        return Err(Error::OutOfRange);
    }
    payload[position] = payload[position] & !KEY_IDX_MAX | key_idx;
    Ok(())
}

/// Where the fields of a descriptor stand. All of them lie within the payload it was made of.
struct Layout {
    /// The byte of I, L, T and K, or 0.
    flags: u8,
    picture_id: Option<usize>,
    tl0_pic_idx: Option<usize>,
    /// The byte of TID, Y and KEYIDX.
    layers: Option<usize>,
    len: usize,
}

impl Layout {
    fn of(payload: &[u8]) -> Result<Self, ParseError> {
        let at = |position: usize| payload.get(position).copied().ok_or(ParseError::Truncated);
        let mut layout = Self { flags: 0, picture_id: None, tl0_pic_idx: None, layers: None, len: 1 };
        if at(0)? & EXTENDED == 0 {
            return Ok(layout);
        }
        layout.flags = at(1)?;
        layout.len = 2;
        let mut take = |len| {
            let position = layout.len;
            layout.len += len;
            at(layout.len - 1).map(|_| Some(position))
        };
        if layout.flags & HAS_PICTURE_ID != 0 {
            layout.picture_id = take(if at(2)? & 0x80 == 0 { 1 } else { 2 })?;
        }
        if layout.flags & HAS_TL0_PIC_IDX != 0 {
            layout.tl0_pic_idx = take(1)?;
        }
        if layout.flags & (HAS_TID | HAS_KEY_IDX) != 0 {
            layout.layers = take(1)?;
        }
        Ok(layout)
    }
}

/// The start of a VP8 frame (RFC 6386 §9.1): what stands in [`Payload::data`] where the descriptor
/// [starts a frame](Descriptor::starts_frame).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// The bitstream version, 0 to 3 today.
    pub version: u8,
    /// The frame is meant to be shown.
    pub show: bool,
    /// Length of the first partition in bytes, of 19 bits.
    pub first_partition_len: u32,
    /// For a key frame, its size before upscaling.
    pub key_frame: Option<Resolution>,
}

impl FrameHeader {
    /// Reads the first bytes of a frame.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] under 3 bytes, or 10 for a key frame. [`ParseError::Reserved`] if a key frame lacks its
    /// start code or a side of it has no pixel.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let (&[a, b, c], rest) = data.split_first_chunk().ok_or(ParseError::Truncated)?;
        let tag = u32::from_le_bytes([a, b, c, 0]);
        let key_frame = if tag & 1 == 0 {
            let &[s0, s1, s2, w0, w1, h0, h1] = rest.first_chunk().ok_or(ParseError::Truncated)?;
            if [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
                return Err(ParseError::Reserved);
            }
            // RFC 6386 §9.1: 14 bits of size, then 2 bits of a scale that is a wish to the one that shows it.
            let pixels = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Some(Resolution::new(pixels(w0, w1), pixels(h0, h1)).map_err(|_| ParseError::Reserved)?)
        } else {
            None
        };
        Ok(Self { version: (tag >> 1 & 7) as u8, show: tag >> 4 & 1 == 1, first_partition_len: tag >> 5, key_frame })
    }
}

pub(super) fn describe(payload: &[u8]) -> Result<Description, ParseError> {
    let Payload { descriptor, data } = Payload::parse(payload)?;
    let starts_frame = descriptor.starts_frame();
    Ok(Description {
        starts_frame,
        key_frame: starts_frame && FrameHeader::parse(data)?.key_frame.is_some(),
        spatial_id: None,
        temporal_id: descriptor.layer.map(|layer| layer.id),
        switching_up_point: descriptor.layer.is_some_and(|layer| layer.sync),
        discardable: descriptor.non_reference,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::Codec;

    const FULL: [u8; 7] = [0xb0, 0xf0, 0x92, 0x34, 0x56, 0xa5, 0x01];

    fn picture_id() -> impl Strategy<Value = PictureId> {
        prop_oneof![(0..1u8 << 7).prop_map(PictureId::Seven), (0..1u16 << 15).prop_map(PictureId::Fifteen)]
    }

    prop_compose! {
        fn descriptor()(
            (non_reference, start_of_partition, partition_id) in (any::<bool>(), any::<bool>(), 0..8u8),
            picture_id in prop::option::of(picture_id()),
            tl0_pic_idx: Option<u8>,
            layer in prop::option::of((0..4u8, any::<bool>())),
            key_idx in prop::option::of(0..=KEY_IDX_MAX),
        ) -> Descriptor {
            let layer = layer.map(|(id, sync)| TemporalLayer { id, sync });
            Descriptor { non_reference, start_of_partition, partition_id, picture_id, tl0_pic_idx, layer, key_idx }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(descriptor in descriptor(), data in prop::collection::vec(any::<u8>(), 0..8)) {
            let mut bytes = Vec::new();
            descriptor.write(&mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), descriptor.encoded_len());
            for length in 0..bytes.len() {
                prop_assert_eq!(Payload::parse(&bytes[..length]), Err(ParseError::Truncated));
            }
            bytes.extend_from_slice(&data);
            prop_assert_eq!(Payload::parse(&bytes), Ok(Payload { descriptor, data: &data }));
        }

        #[test]
        fn rewriting_changes_one_field(descriptor in descriptor(), picture: u16, tl0: u8, key in 0..64u8) {
            let mut bytes = Vec::new();
            descriptor.write(&mut bytes).unwrap();
            bytes.extend_from_slice(b"media");
            let mut expected = descriptor;
            let fits = descriptor.picture_id.is_some_and(|id| picture <= id.max());
            prop_assert_eq!(set_picture_id(&mut bytes, picture).is_ok(), fits);
            if fits {
                expected.picture_id = descriptor.picture_id.map(|id| id.with_value(picture));
            }
            prop_assert_eq!(set_tl0_pic_idx(&mut bytes, tl0).is_ok(), descriptor.tl0_pic_idx.is_some());
            expected.tl0_pic_idx = descriptor.tl0_pic_idx.map(|_| tl0);
            let fits = descriptor.key_idx.is_some() && key <= KEY_IDX_MAX;
            prop_assert_eq!(set_key_idx(&mut bytes, key).is_ok(), fits);
            if fits {
                expected.key_idx = Some(key);
            }
            prop_assert_eq!(Payload::parse(&bytes), Ok(Payload { descriptor: expected, data: b"media" }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let length = bytes.len();
            if let Ok(payload) = Payload::parse(&bytes) {
                prop_assert!(payload.data.len() < length);
            }
            let _ = FrameHeader::parse(&bytes);
            let _ = set_picture_id(&mut bytes, 1);
            let _ = set_tl0_pic_idx(&mut bytes, 1);
            let _ = set_key_idx(&mut bytes, 1);
        }
    }

    #[test]
    fn a_full_descriptor_is_read_field_by_field() {
        let payload = Payload::parse(&FULL).unwrap();
        let expected = Descriptor {
            non_reference: true,
            start_of_partition: true,
            partition_id: 0,
            picture_id: Some(PictureId::Fifteen(0x1234)),
            tl0_pic_idx: Some(0x56),
            layer: Some(TemporalLayer { id: 2, sync: true }),
            key_idx: Some(5),
        };
        assert_eq!(payload, Payload { descriptor: expected, data: &[1] });
    }

    #[test]
    fn reserved_bits_and_fields_without_their_flag_are_ignored() {
        let start = Descriptor { start_of_partition: true, ..Descriptor::default() };
        assert_eq!(Payload::parse(&[0x58, 0x01]), Ok(Payload { descriptor: start, data: &[1] }));
        assert_eq!(Payload::parse(&[0x98, 0x0f, 0x01]), Ok(Payload { descriptor: start, data: &[1] }));
        let only_key_idx = Descriptor { key_idx: Some(31), ..start };
        assert_eq!(Payload::parse(&[0x90, 0x10, 0xff, 0x01]).unwrap().descriptor, only_key_idx);
        let only_layer = Descriptor { layer: Some(TemporalLayer { id: 3, sync: true }), ..start };
        assert_eq!(Payload::parse(&[0x90, 0x20, 0xff, 0x01]).unwrap().descriptor, only_layer);
    }

    #[test]
    fn vp8_descriptor_state_does_not_leak_from_one_packet_to_the_next() {
        assert!(Payload::parse(&FULL).unwrap().descriptor.picture_id.is_some());
        let expected = Descriptor { start_of_partition: true, ..Descriptor::default() };
        assert_eq!(Payload::parse(&[0x10, 0x01]).unwrap().descriptor, expected);
        assert_eq!(set_picture_id(&mut [0x10, 0x01], 7), Err(Error::NoRoom));
    }

    #[test]
    fn a_number_that_does_not_fit_changes_nothing() {
        let mut bytes = [0x80, 0x80, 0x7f, 0x01];
        assert_eq!(set_picture_id(&mut bytes, 128), Err(Error::OutOfRange));
        assert_eq!(set_key_idx(&mut bytes, 1), Err(Error::NoRoom));
        assert_eq!(bytes, [0x80, 0x80, 0x7f, 0x01]);
        assert_eq!(set_key_idx(&mut FULL.clone(), 32), Err(Error::OutOfRange));
        let mut out = b"before".to_vec();
        let wide = Descriptor { picture_id: Some(PictureId::Seven(200)), ..Descriptor::default() };
        assert_eq!(wide.write(&mut out), Err(Error::OutOfRange));
        assert_eq!(out, b"before");
    }

    #[test]
    fn key_frames_are_told_by_the_frame_header() {
        // A key frame of 640x360 with a first partition of 0x123 bytes; the scale bits are not part of the width.
        let key = [0x10, 0x70, 0x24, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x01];
        let header = FrameHeader::parse(&key[1..]).unwrap();
        let size = Resolution::new(640, 360).unwrap();
        assert_eq!(header, FrameHeader { version: 0, show: true, first_partition_len: 0x123, key_frame: Some(size) });
        assert!(Codec::Vp8.describe(&key).unwrap().key_frame);

        let mut inter = key;
        inter[1] |= 1;
        assert!(!Codec::Vp8.describe(&inter).unwrap().key_frame);
        let mut later = key;
        later[0] = 0x11;
        assert_eq!(Codec::Vp8.describe(&later), Ok(Description::default()));
        let mut broken = key;
        broken[5] = 0;
        assert_eq!(Codec::Vp8.describe(&broken), Err(ParseError::Reserved));
        assert_eq!(Codec::Vp8.describe(&key[..10]), Err(ParseError::Truncated));
    }
}
