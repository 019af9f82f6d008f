//! What one packet says of its frame, as far as who forwards it needs to know.

use std::ops::Range;

use plenary_rtp::extension::dependency::Header as DescriptorHeader;
use plenary_rtp::payload::{Codec, Description, PictureId, h264, vp8, vp9};
use plenary_rtp::{Packet, ParseError};

use crate::extensions::Extensions;

/// What a packet says of its frame. Read once, when it comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The first packet of a frame.
    pub(crate) starts_frame: bool,
    /// The last packet of a frame.
    pub(crate) ends_frame: bool,
    /// The first packet of a frame with which a decoder can begin.
    pub(crate) starts_key_frame: bool,
    /// Of H.264 without a descriptor: several packets of an access unit say together that it is a key frame.
    pub(crate) unit: Option<Unit>,
    pub(crate) numbers: Numbers,
    /// Where in the packet the dependency descriptor stands, and the frame number in it.
    pub(crate) descriptor: Option<(Range<u16>, u16)>,
    pub(crate) audio_level: Option<u8>,
    pub(crate) orientation: Option<u8>,
}

/// Running numbers in the payload, which each receiver must see without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) picture_id: Option<PictureId>,
    pub(crate) tl0_pic_idx: Option<u8>,
    pub(crate) key_idx: Option<u8>,
}

/// What of a beginning a packet of H.264 has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// A sequence parameter set, without which nobody can decode a picture.
    pub(crate) sps: bool,
    /// The first slice of an IDR picture.
    pub(crate) idr: bool,
}

impl Facts {
    pub(crate) fn frame_number(&self) -> Option<u16> {
        self.descriptor.as_ref().map(|(_, number)| *number)
    }

    /// Packets of one shape, sent in one stream, have headers of one length.
    pub(crate) fn shape(&self) -> (usize, bool, bool) {
        let descriptor = self.descriptor.as_ref().map_or(0, |(range, _)| range.len());
        (descriptor, self.audio_level.is_some(), self.orientation.is_some())
    }

    /// Reads a packet of this codec. Of an `opaque` one the payload is not looked at.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the payload is none of the codec's: such packets are not forwarded, as a decoder would take harm.
    pub(crate) fn read(
        packet: &Packet<'_>,
        codec: Codec,
        opaque: bool,
        extensions: &Extensions,
    ) -> Result<Self, ParseError> {
        let mut facts = Self { ends_frame: packet.marker(), ..Self::default() };
        if packet.payload().is_empty() {
            return Ok(facts);
        }
        facts.read_extensions(packet, extensions);
        if codec == Codec::Opus {
            (facts.starts_frame, facts.ends_frame, facts.starts_key_frame) = (true, true, true);
            return if opaque { Ok(facts) } else { codec.describe(packet.payload()).map(|_| facts) };
        }
        if !opaque {
            facts.read_payload(packet.payload(), codec)?;
        }
        if let Some((range, _)) = &facts.descriptor {
            let bytes = &packet.bytes()[usize::from(range.start)..usize::from(range.end)];
            let header = DescriptorHeader::parse(bytes)?;
            // It knows more than the payload: codecs that do not mark where a frame begins, markers that are missing.
            facts.starts_frame = header.start_of_frame;
            facts.ends_frame = header.end_of_frame;
            // Without the structure a receiver of the descriptor could not begin: such a key frame is none to it.
            facts.starts_key_frame = header.start_of_frame && header.structure_attached;
            facts.unit = None;
        }
        Ok(facts)
    }

    fn read_extensions(&mut self, packet: &Packet<'_>, extensions: &Extensions) {
        let start = packet.bytes().as_ptr() as usize;
        for (id, data) in packet.extensions() {
            if id == extensions.dependency_descriptor {
                let at = (data.as_ptr() as usize - start) as u16;
                if let Ok(header) = DescriptorHeader::parse(data) {
                    self.descriptor = Some((at..at + data.len() as u16, header.frame_number));
                }
            } else if id == extensions.audio_level {
                self.audio_level = data.first().copied();
            } else if id == extensions.orientation {
                self.orientation = data.first().copied();
            }
        }
    }

    fn read_payload(&mut self, payload: &[u8], codec: Codec) -> Result<(), ParseError> {
        let description = codec.describe(payload)?;
        let Description { starts_frame, key_frame, .. } = description;
        self.starts_frame = starts_frame;
        self.starts_key_frame = starts_frame && key_frame;
        match codec {
            Codec::Vp8 => {
                let descriptor = vp8::Payload::parse(payload)?.descriptor;
                let (picture_id, tl0_pic_idx) = (descriptor.picture_id, descriptor.tl0_pic_idx);
                self.numbers = Numbers { picture_id, tl0_pic_idx, key_idx: descriptor.key_idx };
            }
            Codec::Vp9 => {
                let descriptor = vp9::Payload::parse(payload)?.descriptor;
                self.ends_frame = descriptor.ends_frame;
                let tl0_pic_idx = match descriptor.mode {
                    vp9::Mode::NonFlexible { tl0_pic_idx } => tl0_pic_idx,
                    vp9::Mode::Flexible(_) => None,
                };
                self.numbers = Numbers { picture_id: descriptor.picture_id, tl0_pic_idx, key_idx: None };
            }
            Codec::H264 => {
                let h264::Contents { sps, idr, .. } = h264::Payload::parse(payload)?.contents();
                (self.starts_key_frame, self.unit) = (false, Some(Unit { sps, idr }));
            }
            Codec::Av1 | Codec::Opus => {}
        }
        Ok(())
    }
}
