//! A structure and its parts as bits (AV1 RTP §A.8.2), in the order in which they are read.

use super::frame::{ChainDiffs, Dti, Dtis, FrameDependencies, FrameDiffs};
use super::structure::{NextLayer, Structure};
use super::{DECODE_TARGETS_MAX, SPATIAL_LAYERS_MAX, TEMPLATES_MAX, TEMPORAL_LAYERS_MAX};
use crate::bits::{BitReader, BitWriter, non_symmetric_len};
use crate::{ParseError, Resolution};

const NO_MORE_TEMPLATES: u32 = 3;

impl Structure {
    pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let template_id_offset = reader.bits(6)? as u8;
        let targets = reader.bits(5)? + 1;
        let mut templates = read_template_layers(reader)?;
        for template in &mut templates {
            template.dtis = Dtis::read(reader, targets)?;
        }
        for template in &mut templates {
            template.fdiffs = FrameDiffs::read_template(reader)?;
        }
        let chains = reader.non_symmetric(targets + 1)?;
        let mut protected_by = [0; DECODE_TARGETS_MAX];
        if chains > 0 {
            for chain in &mut protected_by[..targets as usize] {
                *chain = reader.non_symmetric(chains)? as u8;
            }
            for template in &mut templates {
                template.chain_diffs = ChainDiffs::read(reader, chains, 4)?;
            }
        }
        let mut resolutions = [None; SPATIAL_LAYERS_MAX];
        if reader.bit()? {
            let spatial_layers = templates.last().map_or(0, |last| usize::from(last.spatial_id) + 1);
            for resolution in &mut resolutions[..spatial_layers] {
                let (width, height) = (reader.bits(16)? as u16, reader.bits(16)? as u16);
                *resolution = Some(Resolution::from_minus_one(width, height));
            }
        }
        Ok(Self::from_parts(template_id_offset, templates, protected_by, resolutions))
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>) {
        let (targets, chains) = (self.decode_target_count() as u32, self.chain_count() as u32);
        writer.bits(self.template_id_offset.into(), 6);
        writer.bits(targets - 1, 5);
        for pair in self.templates.windows(2) {
            let step = NextLayer::between(&pair[0], &pair[1]).expect("the layers were checked when it was made");
            writer.bits(step as u32, 2);
        }
        writer.bits(NO_MORE_TEMPLATES, 2);
        for template in &self.templates {
            template.dtis.write(writer);
        }
        for template in &self.templates {
            template.fdiffs.write_template(writer);
        }
        writer.non_symmetric(chains, targets + 1);
        for &chain in self.protected_by() {
            writer.non_symmetric(chain.into(), chains);
        }
        for template in &self.templates {
            template.chain_diffs.write(writer, 4);
        }
        writer.bit(self.resolutions[0].is_some());
        for resolution in self.resolutions.into_iter().flatten() {
            let (width, height) = resolution.minus_one();
            writer.bits(width.into(), 16);
            writer.bits(height.into(), 16);
        }
    }

    /// Bits that [`write`](Self::write) writes.
    pub(super) fn bits(&self) -> usize {
        let (targets, chains) = (self.decode_target_count(), self.chain_count());
        let per_template = 2 + 2 * targets + 4 * chains;
        let fdiffs: usize = self.templates.iter().map(|template| 1 + 5 * template.fdiffs.as_slice().len()).sum();
        let protected_by = self.protected_by().iter();
        let protected_by: u32 = protected_by.map(|&chain| non_symmetric_len(chain.into(), chains as u32)).sum();
        let chain_count = non_symmetric_len(chains as u32, targets as u32 + 1);
        let resolutions = 1 + 32 * self.resolutions.iter().flatten().count();
        11 + self.templates.len() * per_template + fdiffs + (chain_count + protected_by) as usize + resolutions
    }
}

/// Templates with their layers only.
fn read_template_layers(reader: &mut BitReader<'_>) -> Result<Vec<FrameDependencies>, ParseError> {
    let mut templates = Vec::new();
    let mut template = FrameDependencies::default();
    loop {
        if templates.len() == TEMPLATES_MAX {
            return Err(ParseError::TooMany);
        }
        templates.push(template);
        match reader.bits(2)? {
            0 => {}
            1 => template.temporal_id += 1,
            2 => {
                template.temporal_id = 0;
                template.spatial_id += 1;
            }
            _ => return Ok(templates),
        }
        let (spatial_layers, temporal_layers) = (SPATIAL_LAYERS_MAX as u8, TEMPORAL_LAYERS_MAX as u8);
        if template.spatial_id >= spatial_layers || template.temporal_id >= temporal_layers {
            return Err(ParseError::TooMany);
        }
    }
}

impl Dtis {
    /// `count` is not above [`DECODE_TARGETS_MAX`].
    pub(super) fn read(reader: &mut BitReader<'_>, count: u32) -> Result<Self, ParseError> {
        let mut dtis = Self::default();
        for _ in 0..count {
            dtis.push(Dti::from_bits(reader.bits(2)?));
        }
        Ok(dtis)
    }

    pub(super) fn write(self, writer: &mut BitWriter<'_>) {
        for dti in self.iter() {
            writer.bits(dti as u32, 2);
        }
    }
}

impl FrameDiffs {
    /// Each behind a bit, in four bits.
    fn read_template(reader: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut diffs = Self::default();
        while reader.bit()? {
            if !diffs.push(reader.bits(4)? as u16 + 1) {
                return Err(ParseError::TooMany);
            }
        }
        Ok(diffs)
    }

    /// No difference is above 16.
    fn write_template(&self, writer: &mut BitWriter<'_>) {
        for &diff in self.as_slice() {
            writer.bits(1 << 4 | u32::from(diff - 1), 5);
        }
        writer.bit(false);
    }

    /// Each behind its size in steps of four bits.
    pub(super) fn read_custom(reader: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut diffs = Self::default();
        loop {
            let size = reader.bits(2)?;
            if size == 0 {
                return Ok(diffs);
            }
            if !diffs.push(reader.bits(4 * size)? as u16 + 1) {
                return Err(ParseError::TooMany);
            }
        }
    }

    pub(super) fn write_custom(&self, writer: &mut BitWriter<'_>) {
        for &diff in self.as_slice() {
            let size = custom_size(diff);
            writer.bits(size, 2);
            writer.bits(u32::from(diff - 1), 4 * size);
        }
        writer.bits(0, 2);
    }

    /// Bits that [`write_custom`](Self::write_custom) writes.
    pub(super) fn custom_bits(&self) -> u32 {
        self.as_slice().iter().map(|&diff| 2 + 4 * custom_size(diff)).sum::<u32>() + 2
    }
}

/// In steps of four bits.
const fn custom_size(diff: u16) -> u32 {
    match diff {
        ..=0x10 => 1,
        0x11..=0x100 => 2,
        _ => 3,
    }
}

impl ChainDiffs {
    /// `count` is not above [`CHAINS_MAX`](super::CHAINS_MAX), and `width` not above 8.
    pub(super) fn read(reader: &mut BitReader<'_>, count: u32, width: u32) -> Result<Self, ParseError> {
        let mut diffs = Self::default();
        for _ in 0..count {
            diffs.push(reader.bits(width)? as u8);
        }
        Ok(diffs)
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>, width: u32) {
        for &diff in self.as_slice() {
            writer.bits(diff.into(), width);
        }
    }
}
