use super::{REFERENCES_MAX, References};
use crate::{Error, ParseError, Resolution};

/// The most spatial layers of a VP9 stream.
const SPATIAL_LAYERS_MAX: u8 = 8;
const HAS_RESOLUTIONS: u8 = 0x10;
const HAS_GROUP: u8 = 0x08;

/// The scalability structure of a VP9 stream (RFC 9628 §4.2.1): a view of checked bytes, 1054 at most.
///
/// It holds until the next one. Senders repeat it on key frames and when spatial layers come or go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScalabilityStructure<'a> {
    bytes: &'a [u8],
}

impl<'a> ScalabilityStructure<'a> {
    /// Reads a structure.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if the bytes end early, [`ParseError::Overrun`] if some are left.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = bytes;
        let structure = Self::split_from(&mut rest)?;
        if rest.is_empty() { Ok(structure) } else { Err(ParseError::Overrun) }
    }

    /// Takes a structure from the front of `rest`.
    pub(super) fn split_from(rest: &mut &'a [u8]) -> Result<Self, ParseError> {
        let bytes = *rest;
        let &first = bytes.first().ok_or(ParseError::Truncated)?;
        let mut len = 1 + resolutions_len(first);
        if first & HAS_GROUP != 0 {
            let &pictures = bytes.get(len).ok_or(ParseError::Truncated)?;
            len += 1;
            for _ in 0..pictures {
                let &picture = bytes.get(len).ok_or(ParseError::Truncated)?;
                len += 1 + reference_count(picture);
            }
        }
        let (bytes, after) = bytes.split_at_checked(len).ok_or(ParseError::Truncated)?;
        *rest = after;
        Ok(Self { bytes })
    }

    /// Appends a structure. `resolutions` is empty or has one for each spatial layer; `pictures` is the picture group of
    /// the non-flexible mode, which may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there is no spatial layer or more than 8, a temporal id above 7, or a size above 65535;
    /// [`Error::TooLong`] for more than 255 pictures. `out` is as before then.
    pub fn write(
        spatial_layers: u8,
        resolutions: &[Option<Resolution>],
        pictures: Option<&[GroupPicture]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let too_wide = |size: &Resolution| size.width().max(size.height()) > u32::from(u16::MAX);
        let sizes_fit = !resolutions.iter().flatten().any(too_wide);
        let sizes_match = resolutions.is_empty() || resolutions.len() == usize::from(spatial_layers);
        let ids_fit = pictures.unwrap_or_default().iter().all(|picture| picture.temporal_id <= 7);
        if !(1..=SPATIAL_LAYERS_MAX).contains(&spatial_layers) || !sizes_fit || !sizes_match || !ids_fit {
            return Err(Error::OutOfRange);
        }
        let count = u8::try_from(pictures.unwrap_or_default().len()).map_err(|_| Error::TooLong)?;
        let has_resolutions = if resolutions.is_empty() { 0 } else { HAS_RESOLUTIONS };
        let has_group = if pictures.is_some() { HAS_GROUP } else { 0 };
        out.push((spatial_layers - 1) << 5 | has_resolutions | has_group);
        for size in resolutions {
            let (width, height) = size.map_or((0, 0), |size| (size.width() as u16, size.height() as u16));
            out.extend_from_slice(&width.to_be_bytes());
            out.extend_from_slice(&height.to_be_bytes());
        }
        if let Some(pictures) = pictures {
            out.push(count);
            for picture in pictures {
                let references = picture.references.as_slice();
                let flags = u8::from(picture.switching_up_point) << 4 | (references.len() as u8) << 2;
                out.push(picture.temporal_id << 5 | flags);
                out.extend_from_slice(references);
            }
        }
        Ok(())
    }

    /// The structure as it stands in the descriptor.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many spatial layers the stream has: 1 to 8.
    #[must_use]
    pub fn spatial_layers(&self) -> u8 {
        (self.first() >> 5) + 1
    }

    /// The size of each spatial layer, lowest first. Empty if the structure does not say. `None` for a layer of size 0:
    /// browsers write it for a low layer that they have left out.
    ///
    /// What the encoder really codes may differ by some pixels.
    pub fn resolutions(&self) -> impl ExactSizeIterator<Item = Option<Resolution>> + use<'a> {
        self.bytes[1..1 + resolutions_len(self.first())].chunks_exact(4).map(|size| {
            let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
            Resolution::new(side(size[0], size[1]), side(size[2], size[3])).ok()
        })
    }

    /// The picture group that repeats itself in non-flexible mode. `None` if the structure has none.
    #[must_use]
    pub fn pictures(&self) -> Option<GroupPictures<'a>> {
        let start = 1 + resolutions_len(self.first());
        (self.first() & HAS_GROUP != 0).then(|| GroupPictures { rest: &self.bytes[start + 1..] })
    }

    fn first(&self) -> u8 {
        self.bytes[0]
    }
}

impl std::fmt::Debug for ScalabilityStructure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScalabilityStructure")
            .field("spatial_layers", &self.spatial_layers())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// One picture of a picture group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupPicture {
    /// TID: 0 to 7.
    pub temporal_id: u8,
    /// U: from this picture on, a receiver of a lower temporal layer may take this one.
    pub switching_up_point: bool,
    /// How many pictures back those stand that it refers to.
    pub references: References,
}

/// The pictures of a group, in order.
#[derive(Clone, Debug)]
pub struct GroupPictures<'a> {
    rest: &'a [u8],
}

impl Iterator for GroupPictures<'_> {
    type Item = GroupPicture;

    fn next(&mut self) -> Option<GroupPicture> {
        let (&first, rest) = self.rest.split_first()?;
        let (diffs, rest) = rest.split_at_checked(reference_count(first))?;
        self.rest = rest;
        Some(GroupPicture {
            temporal_id: first >> 5,
            switching_up_point: first & 0x10 != 0,
            references: References::new(diffs).ok()?,
        })
    }
}

/// R: two bits, so [`REFERENCES_MAX`] at most.
const fn reference_count(picture: u8) -> usize {
    (picture >> 2) as usize & REFERENCES_MAX
}

const fn resolutions_len(first: u8) -> usize {
    if first & HAS_RESOLUTIONS == 0 { 0 } else { 4 * ((first >> 5) as usize + 1) }
}
