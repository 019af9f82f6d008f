//! What a key frame brings: templates, decode targets, chains and sizes.

use super::descriptor::Custom;
use super::frame::{Dti, FrameDependencies};
use super::{DECODE_TARGETS_MAX, SPATIAL_LAYERS_MAX, TEMPLATES_MAX, TEMPORAL_LAYERS_MAX};
use crate::{Error, Resolution};

/// A template dependency structure (AV1 RTP §A.8.2): what the descriptors from one key frame on refer to.
///
/// It takes 90 bytes for each template, so 6 KiB at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub(super) template_id_offset: u8,
    /// 1 to 64; all have as many decode targets, and as many chains.
    pub(super) templates: Vec<FrameDependencies>,
    /// The chain of each decode target; zeros without chains.
    pub(super) protected_by: [u8; DECODE_TARGETS_MAX],
    /// One for each spatial layer, or none at all.
    pub(super) resolutions: [Option<Resolution>; SPATIAL_LAYERS_MAX],
    /// The layer of each decode target.
    layers: [Layer; DECODE_TARGETS_MAX],
}

/// A spatial and a temporal layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// 0 to 3.
    pub spatial_id: u8,
    /// 0 to 7.
    pub temporal_id: u8,
}

/// How the layer of a template follows from that of the one before (table A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextLayer {
    Same,
    NextTemporal,
    NextSpatial,
}

impl NextLayer {
    /// `None` if the format can't say it.
    pub(super) fn between(from: &FrameDependencies, to: &FrameDependencies) -> Option<Self> {
        let step =
            (to.spatial_id.checked_sub(from.spatial_id)?, i16::from(to.temporal_id) - i16::from(from.temporal_id));
        match step {
            (0, 0) => Some(Self::Same),
            (0, 1) => Some(Self::NextTemporal),
            (1, _) if to.temporal_id == 0 => Some(Self::NextSpatial),
            _ => None,
        }
    }
}

impl Structure {
    /// A structure of these templates, the first of which has the id `template_id_offset` (0 to 63).
    ///
    /// The templates begin with layer (0, 0) and each is of the layer of the one before it, of the next temporal
    /// layer, or of temporal layer 0 of the next spatial layer. `protected_by` has the chain of each decode target,
    /// and is empty without chains; `resolutions` has one for each spatial layer, or none at all.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] above [`TEMPLATES_MAX`]. [`Error::OutOfRange`] if there is no template, the layers are not
    /// in such an order or above 3 and 7, the templates do not all have as many decode targets (1 at least) and
    /// chains (not more than targets), a frame difference in one is above 16 or a chain difference above 15, or
    /// another argument does not fit them.
    pub fn new(
        template_id_offset: u8,
        templates: Vec<FrameDependencies>,
        protected_by: &[u8],
        resolutions: &[Resolution],
    ) -> Result<Self, Error> {
        if templates.len() > TEMPLATES_MAX {
            return Err(Error::TooLong);
        }
        let (Some(first), Some(last)) = (templates.first(), templates.last()) else {
            return Err(Error::OutOfRange);
        };
        let (targets, chains) = (first.dtis.count(), first.chain_diffs.as_slice().len());
        let fit = |template: &FrameDependencies| {
            usize::from(template.temporal_id) < TEMPORAL_LAYERS_MAX
                && template.dtis.count() == targets
                && template.fdiffs.as_slice().iter().all(|&diff| diff <= 16)
                && template.chain_diffs.as_slice().len() == chains
                && template.chain_diffs.as_slice().iter().all(|&diff| diff <= 15)
        };
        let spatial_layers = usize::from(last.spatial_id) + 1;
        let valid = usize::from(template_id_offset) < TEMPLATES_MAX
            && (first.spatial_id, first.temporal_id) == (0, 0)
            && templates.windows(2).all(|pair| NextLayer::between(&pair[0], &pair[1]).is_some())
            && spatial_layers <= SPATIAL_LAYERS_MAX
            && templates.iter().all(fit)
            && targets > 0
            && chains <= targets
            && protected_by.len() == if chains == 0 { 0 } else { targets }
            && protected_by.iter().all(|&chain| usize::from(chain) < chains)
            && (resolutions.is_empty() || resolutions.len() == spatial_layers);
        if !valid {
            return Err(Error::OutOfRange);
        }
        let mut all_protected_by = [0; DECODE_TARGETS_MAX];
        all_protected_by[..protected_by.len()].copy_from_slice(protected_by);
        let mut all_resolutions = [None; SPATIAL_LAYERS_MAX];
        for (place, &resolution) in all_resolutions.iter_mut().zip(resolutions) {
            *place = Some(resolution);
        }
        Ok(Self::from_parts(template_id_offset, templates, all_protected_by, all_resolutions))
    }

    /// From parts that keep the rules of [`new`](Self::new).
    pub(super) fn from_parts(
        template_id_offset: u8,
        templates: Vec<FrameDependencies>,
        protected_by: [u8; DECODE_TARGETS_MAX],
        resolutions: [Option<Resolution>; SPATIAL_LAYERS_MAX],
    ) -> Self {
        let mut layers = [Layer::default(); DECODE_TARGETS_MAX];
        for template in &templates {
            for (layer, dti) in layers.iter_mut().zip(template.dtis.iter()) {
                if dti != Dti::NotPresent {
                    layer.spatial_id = layer.spatial_id.max(template.spatial_id);
                    layer.temporal_id = layer.temporal_id.max(template.temporal_id);
                }
            }
        }
        Self { template_id_offset, templates, protected_by, resolutions, layers }
    }

    /// The id of the first template: 0 to 63. Ids go on modulo 64.
    pub const fn template_id_offset(&self) -> u8 {
        self.template_id_offset
    }

    /// 1 to 64, in the order of their ids, which is also that of spatial layers.
    pub fn templates(&self) -> &[FrameDependencies] {
        &self.templates
    }

    /// The template with this id.
    pub fn template(&self, template_id: u8) -> Option<&FrameDependencies> {
        let index = template_id.wrapping_sub(self.template_id_offset) % TEMPLATES_MAX as u8;
        self.templates.get(usize::from(index)).filter(|_| usize::from(template_id) < TEMPLATES_MAX)
    }

    /// The id of the template of the same layer that needs the fewest bits beside it to say `frame`. `None` if there
    /// is no template of that layer.
    pub fn best_template(&self, frame: &FrameDependencies) -> Option<u8> {
        let same_layer = |template: &&FrameDependencies| {
            (template.spatial_id, template.temporal_id) == (frame.spatial_id, frame.temporal_id)
        };
        let (index, _) = (0u8..)
            .zip(&self.templates)
            .filter(|(_, template)| same_layer(template))
            .min_by_key(|(_, template)| Custom::between(template, frame).bits(frame))?;
        Some((self.template_id_offset + index) % TEMPLATES_MAX as u8)
    }

    /// 1 to 32.
    pub fn decode_target_count(&self) -> usize {
        self.templates.first().map_or(0, |template| template.dtis.count())
    }

    /// The mask of all decode targets.
    pub fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (DECODE_TARGETS_MAX - self.decode_target_count())
    }

    /// The highest layers that are in each decode target, target 0 first.
    pub fn decode_target_layers(&self) -> &[Layer] {
        &self.layers[..self.decode_target_count()]
    }

    /// 0 to the number of decode targets.
    pub fn chain_count(&self) -> usize {
        self.templates.first().map_or(0, |template| template.chain_diffs.as_slice().len())
    }

    /// The chain that protects each decode target, target 0 first. Empty without chains.
    pub fn protected_by(&self) -> &[u8] {
        let count = if self.chain_count() == 0 { 0 } else { self.decode_target_count() };
        &self.protected_by[..count]
    }

    /// The mask of the chains that protect one of the active decode targets. The others are not kept up and say
    /// nothing (AV1 RTP §A.5).
    pub fn active_chains(&self, active_decode_targets: u32) -> u32 {
        let targets = self.protected_by().iter().enumerate();
        targets
            .filter(|(target, _)| active_decode_targets >> target & 1 == 1)
            .fold(0, |mask, (_, &chain)| mask | 1 << chain)
    }

    /// The greatest size of frames of a spatial layer, as the sender claims it.
    pub fn resolution(&self, spatial_id: u8) -> Option<Resolution> {
        self.resolutions.get(usize::from(spatial_id)).copied().flatten()
    }
}
