//! VP9 (RFC 9628): the payload descriptor, in flexible and non-flexible mode, and the scalability structure.

mod structure;

pub use structure::{GroupPicture, GroupPictures, ScalabilityStructure};

use super::{Description, PictureId};
use crate::{Error, ParseError};

/// The most pictures that a picture can refer to.
pub const REFERENCES_MAX: usize = 3;

const PICTURE_ID: u8 = 0x80;
const INTER_PICTURE: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const STRUCTURE: u8 = 0x02;
const NOT_FOR_UPPER: u8 = 0x01;

/// A VP9 payload taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// What stands in front.
    pub descriptor: Descriptor<'a>,
    /// A part of a VP9 frame.
    pub data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it is shorter than its flags say, [`ParseError::TooMany`] for more than
    /// [`REFERENCES_MAX`] references.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let (&flags, mut rest) = payload.split_first().ok_or(ParseError::Truncated)?;
        let has = |flag| flags & flag != 0;
        let picture_id = has(PICTURE_ID).then(|| PictureId::parse(rest)).transpose()?;
        rest = &rest[picture_id.map_or(0, PictureId::encoded_len)..];
        let layer = has(LAYERS).then(|| take_byte(&mut rest)).transpose()?.map(Layer::from_byte);
        let mode = if !has(FLEXIBLE) {
            Mode::NonFlexible { tl0_pic_idx: has(LAYERS).then(|| take_byte(&mut rest)).transpose()? }
        } else if has(INTER_PICTURE) {
            Mode::Flexible(References::parse(&mut rest)?)
        } else {
            Mode::Flexible(References::default())
        };
        let structure = has(STRUCTURE).then(|| ScalabilityStructure::split_from(&mut rest)).transpose()?;
        let descriptor = Descriptor {
            picture_id,
            inter_picture: has(INTER_PICTURE),
            layer,
            mode,
            begins_frame: has(BEGINS),
            ends_frame: has(ENDS),
            not_for_upper_layers: has(NOT_FOR_UPPER),
            structure,
        };
        Ok(Self { descriptor, data: rest })
    }
}

fn take_byte(rest: &mut &[u8]) -> Result<u8, ParseError> {
    let (&byte, after) = rest.split_first().ok_or(ParseError::Truncated)?;
    *rest = after;
    Ok(byte)
}

/// The VP9 payload descriptor (RFC 9628 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// I: the picture id, with its width. All spatial layers of a picture share it.
    pub picture_id: Option<PictureId>,
    /// P: the frame refers to earlier pictures.
    pub inter_picture: bool,
    /// L: the layers.
    pub layer: Option<Layer>,
    /// F: how the references are told.
    pub mode: Mode,
    /// B: the first packet of a frame (one spatial layer of a picture).
    pub begins_frame: bool,
    /// E: the last packet of a frame. The RTP marker ends a picture, and is missing if the encoder dropped the top layer.
    pub ends_frame: bool,
    /// Z: higher spatial layers of the picture do not refer to this frame.
    pub not_for_upper_layers: bool,
    /// V: the scalability structure.
    pub structure: Option<ScalabilityStructure<'a>>,
}

/// The layer indices of a VP9 frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layer {
    /// TID: 0 to 7.
    pub temporal_id: u8,
    /// U: from this frame on, a receiver of a lower temporal layer may take this one.
    pub switching_up_point: bool,
    /// SID: 0 to 7.
    pub spatial_id: u8,
    /// D: the frame refers to the next lower spatial layer of its picture.
    pub inter_layer: bool,
}

impl Layer {
    const fn from_byte(byte: u8) -> Self {
        Self {
            temporal_id: byte >> 5,
            switching_up_point: byte & 0x10 != 0,
            spatial_id: byte >> 1 & 7,
            inter_layer: byte & 1 != 0,
        }
    }

    fn to_byte(self) -> Result<u8, Error> {
        if self.temporal_id > 7 || self.spatial_id > 7 {
            return Err(Error::OutOfRange);
        }
        let flags = u8::from(self.switching_up_point) << 4 | u8::from(self.inter_layer);
        Ok(self.temporal_id << 5 | self.spatial_id << 1 | flags)
    }
}

/// How a VP9 frame says what it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// F = 1: the references are listed if there are any.
    Flexible(References),
    /// F = 0: they follow from the picture groups of the last scalability structure.
    NonFlexible {
        /// A running number of the pictures of the lowest temporal layer. Stands exactly where layers do.
        tl0_pic_idx: Option<u8>,
    },
}

/// Distances to the pictures referred to, as differences of picture ids (`P_DIFF`): [`REFERENCES_MAX`] at most.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct References {
    diffs: [u8; REFERENCES_MAX],
    len: u8,
}

impl References {
    /// A list of distances, 127 at most in a descriptor and 255 in a picture group.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] for more than [`REFERENCES_MAX`].
    pub fn new(diffs: &[u8]) -> Result<Self, Error> {
        let mut references = Self::default();
        let room = references.diffs.get_mut(..diffs.len()).ok_or(Error::TooLong)?;
        room.copy_from_slice(diffs);
        references.len = diffs.len() as u8;
        Ok(references)
    }

    /// The distances.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.diffs[..usize::from(self.len)]
    }

    fn parse(rest: &mut &[u8]) -> Result<Self, ParseError> {
        let mut references = Self::default();
        for slot in &mut references.diffs {
            let byte = take_byte(rest)?;
            *slot = byte >> 1;
            references.len += 1;
            if byte & 1 == 0 {
                return Ok(references);
            }
        }
        Err(ParseError::TooMany)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let last = self.as_slice().len().saturating_sub(1);
        out.extend(self.as_slice().iter().enumerate().map(|(index, diff)| diff << 1 | u8::from(index < last)));
    }
}

impl std::fmt::Debug for References {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl Descriptor<'_> {
    /// The first packet of a key frame of the lowest spatial layer.
    ///
    /// At a key picture the layers above it refer to it alone; a receiver can begin with them only from here.
    #[must_use]
    pub fn starts_key_frame(&self) -> bool {
        let lowest = self.layer.is_none_or(|layer| layer.spatial_id == 0 && !layer.inter_layer);
        self.begins_frame && !self.inter_picture && lowest
    }

    /// How many bytes [`write`](Self::write) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mode = match &self.mode {
            Mode::Flexible(references) => references.as_slice().len(),
            Mode::NonFlexible { tl0_pic_idx } => usize::from(tl0_pic_idx.is_some()),
        };
        1 + self.picture_id.map_or(0, PictureId::encoded_len)
            + usize::from(self.layer.is_some())
            + mode
            + self.structure.map_or(0, |structure| structure.as_bytes().len())
    }

    /// Appends the descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a number does not fit its field, or if fields contradict each other: references without
    /// [`inter_picture`](Self::inter_picture) or the reverse, TL0PICIDX without layers or the reverse. `out` is as
    /// before then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let consistent = match &self.mode {
            Mode::Flexible(references) => {
                references.as_slice().is_empty() != self.inter_picture
                    && references.as_slice().iter().all(|&diff| diff < 128)
            }
            Mode::NonFlexible { tl0_pic_idx } => tl0_pic_idx.is_some() == self.layer.is_some(),
        };
        if !consistent {
            return Err(Error::OutOfRange);
        }
        let layer = self.layer.map(Layer::to_byte).transpose()?;
        let start = out.len();
        out.push(self.flags());
        if let Some(picture_id) = self.picture_id {
            picture_id.write(out).inspect_err(|_| out.truncate(start))?;
        }
        out.extend(layer);
        match &self.mode {
            Mode::Flexible(references) => references.write(out),
            Mode::NonFlexible { tl0_pic_idx } => out.extend(*tl0_pic_idx),
        }
        if let Some(structure) = self.structure {
            out.extend_from_slice(structure.as_bytes());
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let flag = |present, bit| if present { bit } else { 0 };
        flag(self.picture_id.is_some(), PICTURE_ID)
            | flag(self.inter_picture, INTER_PICTURE)
            | flag(self.layer.is_some(), LAYERS)
            | flag(matches!(self.mode, Mode::Flexible(_)), FLEXIBLE)
            | flag(self.begins_frame, BEGINS)
            | flag(self.ends_frame, ENDS)
            | flag(self.structure.is_some(), STRUCTURE)
            | flag(self.not_for_upper_layers, NOT_FOR_UPPER)
    }

    pub(super) fn describe(&self) -> Description {
        Description {
            starts_frame: self.begins_frame,
            key_frame: self.starts_key_frame(),
            spatial_id: self.layer.map(|layer| layer.spatial_id),
            temporal_id: self.layer.map(|layer| layer.temporal_id),
            switching_up_point: self.layer.is_some_and(|layer| layer.switching_up_point),
            discardable: false,
        }
    }
}

/// Replaces the picture id of a payload. Its width stays.
///
/// # Errors
///
/// [`Error::NoRoom`] if the payload has none, [`Error::OutOfRange`] if the number is wider. Nothing is changed then.
pub fn set_picture_id(payload: &mut [u8], picture_id: u16) -> Result<(), Error> {
    match payload {
        [flags, rest @ ..] if *flags & PICTURE_ID != 0 => PictureId::overwrite(rest, picture_id),
        _ => Err(Error::NoRoom),
    }
}

/// Replaces the TL0PICIDX of a payload.
///
/// # Errors
///
/// [`Error::NoRoom`] if the payload has none, as in flexible mode.
pub fn set_tl0_pic_idx(payload: &mut [u8], tl0_pic_idx: u8) -> Result<(), Error> {
    let (&flags, rest) = payload.split_first().ok_or(Error::NoRoom)?;
    if flags & (LAYERS | FLEXIBLE) != LAYERS {
        return Err(Error::NoRoom);
    }
    let picture_id =
        if flags & PICTURE_ID == 0 { 0 } else { PictureId::parse(rest).map_err(|_| Error::NoRoom)?.encoded_len() };
    *payload.get_mut(1 + picture_id + 1).ok_or(Error::NoRoom)? = tl0_pic_idx;
    Ok(())
}

#[cfg(test)]
mod tests;
