//! What every packet says of its frame.

use super::frame::{ChainDiffs, Dtis, FrameDependencies, FrameDiffs};
use super::{Layout, Structure, TEMPLATES_MAX};
use crate::bits::{BitReader, BitWriter};
use crate::{Error, ParseError, Resolution};

/// Bytes of a descriptor without extended fields.
pub(super) const MANDATORY_LEN: usize = 3;
/// Bits up to the end of the five flags behind them.
pub(super) const FLAGS_END: usize = 8 * MANDATORY_LEN + 5;

/// What can be read without a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The payload begins with the first byte of a frame.
    pub start_of_frame: bool,
    /// The payload ends with the last byte of a frame.
    pub end_of_frame: bool,
    /// Which template the frame follows: 0 to 63.
    pub template_id: u8,
    /// Goes on by one for each frame, modulo 2^16. A browser counts all streams of a simulcast together, and may leave
    /// numbers out without loss.
    pub frame_number: u16,
    /// A structure is attached: the packet begins a key frame.
    pub structure_attached: bool,
}

impl Header {
    /// Reads four bytes at most.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if there are fewer than three bytes.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let (&[first, high, low], rest) = data.split_first_chunk().ok_or(ParseError::Truncated)?;
        Ok(Self {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3f,
            frame_number: u16::from_be_bytes([high, low]),
            structure_attached: rest.first().is_some_and(|flags| flags & 0x80 != 0),
        })
    }

    /// Changes the frame number in a descriptor's bytes, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if there are fewer than three bytes.
    pub fn set_frame_number(data: &mut [u8], frame_number: u16) -> Result<(), Error> {
        data.get_mut(1..MANDATORY_LEN).ok_or(Error::NoRoom)?.copy_from_slice(&frame_number.to_be_bytes());
        Ok(())
    }
}

/// A dependency descriptor, with all that it takes from its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What stands in every packet.
    pub header: Header,
    /// The decode targets that can be had from this frame on, target 0 in the lowest bit, if the packet has a mask.
    /// Without one they stay as they were; where a structure is attached they are all active.
    pub active_decode_targets: Option<u32>,
    /// The place of the frame among the others.
    pub dependencies: FrameDependencies,
    /// The greatest size of frames of its spatial layer. It stands in the structure and is not written.
    pub resolution: Option<Resolution>,
}

/// What [`Descriptor::parse`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The descriptor.
    pub descriptor: Descriptor,
    /// Where its fields stand in the bytes.
    pub layout: Layout,
    /// The structure, if one is attached. The descriptor is read with it.
    pub structure: Option<Box<Structure>>,
}

impl Descriptor {
    /// Reads a whole descriptor. `known` is the structure of its stream, which one that is attached replaces. Allocates
    /// only if one is attached.
    ///
    /// # Errors
    ///
    /// [`ParseError::UnknownStructure`] if no structure is known, or it has no template with the descriptor's id: then
    /// [`Header::parse`] still reads what does not depend on it. [`ParseError::Truncated`] if a field is missing.
    /// [`ParseError::TooMany`] above 64 templates, 4 spatial or 8 temporal layers, or
    /// [`FRAME_DIFFS_MAX`](super::FRAME_DIFFS_MAX) frame differences.
    #[inline]
    pub fn parse(data: &[u8], known: Option<&Structure>) -> Result<Parsed, ParseError> {
        let header = Header::parse(data)?;
        let Some(&flags) = data.get(MANDATORY_LEN) else {
            let structure = known.ok_or(ParseError::UnknownStructure)?;
            let template = structure.template(header.template_id).ok_or(ParseError::UnknownStructure)?;
            return Ok(Parsed {
                descriptor: Self {
                    header,
                    active_decode_targets: None,
                    dependencies: *template,
                    resolution: structure.resolution(template.spatial_id),
                },
                layout: Layout::short(structure),
                structure: None,
            });
        };
        let mut reader = BitReader::new(data);
        reader.skip(FLAGS_END)?;
        let attached = if header.structure_attached { Some(Box::new(Structure::read(&mut reader)?)) } else { None };
        let structure = attached.as_deref().or(known).ok_or(ParseError::UnknownStructure)?;
        let targets = structure.decode_target_count() as u32;
        let mask_at = reader.position();
        let active_decode_targets = if flags & 0x40 != 0 { Some(reader.bits(targets)?) } else { None };
        let mut dependencies = *structure.template(header.template_id).ok_or(ParseError::UnknownStructure)?;
        if flags & 0x20 != 0 {
            dependencies.dtis = Dtis::read(&mut reader, targets)?;
        }
        if flags & 0x10 != 0 {
            dependencies.fdiffs = FrameDiffs::read_custom(&mut reader)?;
        }
        if flags & 0x08 != 0 {
            dependencies.chain_diffs = ChainDiffs::read(&mut reader, structure.chain_count() as u32, 8)?;
        }
        let resolution = structure.resolution(dependencies.spatial_id);
        let layout = Layout {
            len: data.len(),
            targets,
            mask_at,
            has_mask: active_decode_targets.is_some(),
            end: reader.position(),
        };
        let descriptor = Self { header, active_decode_targets, dependencies, resolution };
        Ok(Parsed { descriptor, layout, structure: attached })
    }

    /// A descriptor of one packet of a frame, with the template that makes it shortest. No structure is attached, no
    /// mask given.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the structure has no template of the frame's layer, or another number of decode
    /// targets or chains.
    pub fn new(
        structure: &Structure,
        frame_number: u16,
        start_of_frame: bool,
        end_of_frame: bool,
        dependencies: FrameDependencies,
    ) -> Result<Self, Error> {
        let template_id = structure.best_template(&dependencies).ok_or(Error::OutOfRange)?;
        let header = Header { start_of_frame, end_of_frame, template_id, frame_number, structure_attached: false };
        let resolution = structure.resolution(dependencies.spatial_id);
        let descriptor = Self { header, active_decode_targets: None, dependencies, resolution };
        descriptor.custom(structure)?;
        Ok(descriptor)
    }

    /// How many bytes [`write`](Self::write) fills.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encoded_len(&self, structure: &Structure) -> Result<usize, Error> {
        let custom = self.custom(structure)?;
        Ok(self.bits(structure, custom).div_ceil(8))
    }

    /// Writes the descriptor, and `structure` with it if [`Header::structure_attached`] says so, to the front of
    /// `out`: only what differs from the template, zeros up to the next byte. Answers how many bytes that is; they may
    /// be more than the 255 of an element only if a structure is attached.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the descriptor does not fit the structure: no template with its id and layer, another
    /// number of decode targets or chains, a mask with more bits. [`Error::NoRoom`] if `out` is too short.
    pub fn write(&self, structure: &Structure, out: &mut [u8]) -> Result<usize, Error> {
        let custom = self.custom(structure)?;
        let bits = self.bits(structure, custom);
        let out = out.get_mut(..bits.div_ceil(8)).ok_or(Error::NoRoom)?;
        let length = out.len();
        let mut writer = BitWriter::new(out);
        writer.bit(self.header.start_of_frame);
        writer.bit(self.header.end_of_frame);
        writer.bits(self.header.template_id.into(), 6);
        writer.bits(self.header.frame_number.into(), 16);
        if length > MANDATORY_LEN {
            writer.bit(self.header.structure_attached);
            writer.bit(self.active_decode_targets.is_some());
            writer.bit(custom.dtis);
            writer.bit(custom.fdiffs);
            writer.bit(custom.chains);
            self.write_extended(structure, custom, &mut writer);
            writer.align();
        }
        debug_assert_eq!(writer.position().div_ceil(8), length, "the length was computed before");
        Ok(length)
    }

    fn write_extended(&self, structure: &Structure, custom: Custom, writer: &mut BitWriter<'_>) {
        if self.header.structure_attached {
            structure.write(writer);
        }
        if let Some(mask) = self.active_decode_targets {
            writer.bits(mask, structure.decode_target_count() as u32);
        }
        if custom.dtis {
            self.dependencies.dtis.write(writer);
        }
        if custom.fdiffs {
            self.dependencies.fdiffs.write_custom(writer);
        }
        if custom.chains {
            self.dependencies.chain_diffs.write(writer, 8);
        }
    }

    fn bits(&self, structure: &Structure, custom: Custom) -> usize {
        let structure_bits = if self.header.structure_attached { structure.bits() } else { 0 };
        let mask_bits = if self.active_decode_targets.is_some() { structure.decode_target_count() } else { 0 };
        match structure_bits + mask_bits + custom.bits(&self.dependencies) as usize {
            0 => 8 * MANDATORY_LEN,
            extended => FLAGS_END + extended,
        }
    }

    /// What differs from the template that the header names.
    fn custom(&self, structure: &Structure) -> Result<Custom, Error> {
        let frame = &self.dependencies;
        let fits = |template: &&FrameDependencies| {
            (template.spatial_id, template.temporal_id) == (frame.spatial_id, frame.temporal_id)
                && template.dtis.count() == frame.dtis.count()
                && template.chain_diffs.as_slice().len() == frame.chain_diffs.as_slice().len()
        };
        let template = structure.template(self.header.template_id).filter(fits).ok_or(Error::OutOfRange)?;
        if self.active_decode_targets.is_some_and(|mask| mask & !structure.all_decode_targets() != 0) {
            return Err(Error::OutOfRange);
        }
        Ok(Custom::between(template, frame))
    }
}

/// What a descriptor says itself instead of leaving it to its template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Custom {
    dtis: bool,
    fdiffs: bool,
    chains: bool,
}

impl Custom {
    pub(super) fn between(template: &FrameDependencies, frame: &FrameDependencies) -> Self {
        Self {
            dtis: template.dtis != frame.dtis,
            fdiffs: template.fdiffs != frame.fdiffs,
            chains: template.chain_diffs != frame.chain_diffs,
        }
    }

    pub(super) fn bits(self, frame: &FrameDependencies) -> u32 {
        let dtis = if self.dtis { 2 * frame.dtis.count() as u32 } else { 0 };
        let fdiffs = if self.fdiffs { frame.fdiffs.custom_bits() } else { 0 };
        let chains = if self.chains { 8 * frame.chain_diffs.as_slice().len() as u32 } else { 0 };
        dtis + fdiffs + chains
    }
}

const _: () = assert!(TEMPLATES_MAX == 1 << 6, "a template id has six bits");
