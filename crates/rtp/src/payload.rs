//! What stands at the front of a media payload, per codec: frame starts, key frames, layers, numbers to rewrite.
//!
//! A payload is what an RTP packet carries between its header and its padding. Each module reads it as a view, writes it
//! to the end of a caller's `Vec`, and where an SFU must, changes it in place. Nothing here allocates, keeps state from
//! one packet to the next (but for the two `Assembler`s, which say so), or trusts a byte that it has not checked.
//!
//! A padding-only packet has an empty payload. It carries no media and is none of the readers' business: all but
//! [`rtx`] refuse it.

pub mod av1;
pub mod h264;
pub mod opus;
pub mod red;
pub mod rtx;
mod unfinished;
pub mod vp8;
pub mod vp9;

use crate::{Error, ParseError};

/// A codec whose payload says something about frames.
///
/// RED and RTX are not codecs but wrappers: take the packet out of them first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// VP8, RFC 7741.
    Vp8,
    /// VP9, RFC 9628.
    Vp9,
    /// H.264, RFC 6184.
    H264,
    /// AV1, RTP Payload Format For AV1 v1.0.0.
    Av1,
    /// Opus, RFC 7587.
    Opus,
}

impl Codec {
    /// What the payload of one packet says about its frame, as far as the codec says it at all.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the payload is empty or not of the codec's form, or of a form that tells nothing (H264 packets
    /// of the interleaved mode).
    pub fn describe(self, payload: &[u8]) -> Result<Description, ParseError> {
        match self {
            Self::Vp8 => vp8::describe(payload),
            Self::Vp9 => vp9::Payload::parse(payload).map(|payload| payload.descriptor.describe()),
            Self::H264 => h264::describe(payload),
            Self::Av1 => av1::describe(payload),
            Self::Opus => opus::Packet::parse(payload).map(|_| Description {
                starts_frame: true,
                key_frame: true,
                ..Description::default()
            }),
        }
    }
}

/// What one payload says about its frame.
///
/// Where the dependency descriptor is in use it knows more, and browsers then leave the layers out of the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Description {
    /// The first packet of a frame, of one spatial layer where there are several.
    ///
    /// H264 and AV1 don't mark it. There it means that something stands here with which a frame can begin; packets with
    /// parameter sets and the packets of the picture that follows may each say so. The RTP timestamp tells them apart.
    pub starts_frame: bool,
    /// A decoder that knows nothing can begin at this packet: it begins a key frame of the lowest spatial layer, or for
    /// H264 carries the sequence parameter set in front of one.
    pub key_frame: bool,
    /// 0 to 7. `None` if the payload does not say.
    pub spatial_id: Option<u8>,
    /// 0 to 7. `None` if the payload does not say.
    pub temporal_id: Option<u8>,
    /// From this frame on, a receiver of a lower temporal layer may take this one (VP8 Y, VP9 U). False if the payload
    /// does not say.
    pub switching_up_point: bool,
    /// No other frame needs this one (VP8 N, H264 `nal_ref_idc` 0). False if the payload does not say.
    pub discardable: bool,
}

/// A picture id of VP8 or VP9 with the width that the sender chose (RFC 7741 §4.2, RFC 9628 §4.2).
///
/// It grows by one a picture and wraps at its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureId {
    /// 7 bits: 0 to 127.
    Seven(u8),
    /// 15 bits: 0 to 32767.
    Fifteen(u16),
}

impl PictureId {
    /// The number, whatever its width.
    #[must_use]
    pub const fn value(self) -> u16 {
        match self {
            Self::Seven(value) => value as u16,
            Self::Fifteen(value) => value,
        }
    }

    /// 7 or 15.
    #[must_use]
    pub const fn width(self) -> u32 {
        match self {
            Self::Seven(_) => 7,
            Self::Fifteen(_) => 15,
        }
    }

    /// The largest number of this width.
    #[must_use]
    pub const fn max(self) -> u16 {
        (1 << self.width()) - 1
    }

    /// Another number in the same width, which it fits.
    const fn with_value(self, value: u16) -> Self {
        match self {
            Self::Seven(_) => Self::Seven(value as u8),
            Self::Fifteen(_) => Self::Fifteen(value),
        }
    }

    const fn encoded_len(self) -> usize {
        match self {
            Self::Seven(_) => 1,
            Self::Fifteen(_) => 2,
        }
    }

    /// Reads one from the front of `bytes`.
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let &first = bytes.first().ok_or(ParseError::Truncated)?;
        if first & 0x80 == 0 {
            return Ok(Self::Seven(first));
        }
        let &[_, second] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        Ok(Self::Fifteen(u16::from_be_bytes([first & 0x7f, second])))
    }

    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.value() > self.max() {
            return Err(Error::OutOfRange);
        }
        match self {
            Self::Seven(value) => out.push(value),
            Self::Fifteen(value) => out.extend_from_slice(&(0x8000 | value).to_be_bytes()),
        }
        Ok(())
    }

    /// Replaces the one at the front of `bytes`, keeping its width.
    fn overwrite(bytes: &mut [u8], value: u16) -> Result<(), Error> {
        let old = Self::parse(bytes).map_err(|_| Error::NoRoom)?;
        if value > old.max() {
            return Err(Error::OutOfRange);
        }
        match old.with_value(value) {
            Self::Seven(value) => bytes[0] = value,
            Self::Fifteen(value) => bytes[..2].copy_from_slice(&(0x8000 | value).to_be_bytes()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Codec; 5] = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus];

    proptest! {
        #[test]
        fn any_bytes_are_described_or_refused(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            for codec in CODECS {
                let _ = codec.describe(&payload);
            }
        }

        #[test]
        fn a_picture_id_keeps_its_width(old in 0..1u16 << 15, new: u16, long: bool) {
            let old = if long { PictureId::Fifteen(old) } else { PictureId::Seven(old as u8 & 0x7f) };
            let mut bytes = Vec::new();
            prop_assert_eq!(old.write(&mut bytes), Ok(()));
            prop_assert_eq!(PictureId::parse(&bytes), Ok(old));
            let fits = u32::from(new) < 1 << old.width();
            let before = bytes.clone();
            prop_assert_eq!(PictureId::overwrite(&mut bytes, new).is_ok(), fits);
            if fits {
                let read = PictureId::parse(&bytes).unwrap();
                prop_assert_eq!((read.value(), read.width()), (new, old.width()));
            } else {
                prop_assert_eq!(bytes, before);
            }
        }
    }

    #[test]
    fn an_empty_payload_is_no_media() {
        for codec in CODECS {
            assert_eq!(codec.describe(&[]), Err(ParseError::Truncated), "{codec:?}");
        }
    }

    #[test]
    fn every_opus_packet_is_a_place_to_begin() {
        let description = Codec::Opus.describe(&[0x78, 1, 2]).unwrap();
        assert!(description.key_frame && description.starts_frame && !description.discardable);
    }

    #[test]
    fn numbers_wider_than_their_form_are_not_written() {
        let mut out = Vec::new();
        assert_eq!(PictureId::Seven(128).write(&mut out), Err(Error::OutOfRange));
        assert_eq!(PictureId::Fifteen(1 << 15).write(&mut out), Err(Error::OutOfRange));
        assert!(out.is_empty());
    }
}
