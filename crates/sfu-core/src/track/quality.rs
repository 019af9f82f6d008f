//! Which layer of a track is better than which: by what descriptors, allocations and pictures say, never by its name or
//! its place.

use std::time::{Duration, Instant};

use plenary_rtp::extension::VideoLayersAllocation;
use plenary_rtp::extension::dependency::{Descriptor, SPATIAL_LAYERS_MAX};
use plenary_rtp::payload::{Codec, av1, h264, vp8, vp9};
use plenary_rtp::{Packet, Resolution};
use plenary_wire::Bitrate;

use super::{Layer, Track};
use crate::extensions::Extensions;
use crate::frame::Facts;

/// A layer of which nothing came for so long is not sent at present.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// What a layer was said to be, or was seen to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quality {
    /// In pixels, as all of these.
    described: Option<u64>,
    allocated: Option<u64>,
    seen: Option<u64>,
    target: Option<Bitrate>,
}

impl Quality {
    /// Takes note of what a packet says. Most say nothing.
    pub(super) fn note(&mut self, packet: &Packet<'_>, facts: &Facts, payload_of: Option<Codec>, ids: &Extensions) {
        if ids.layers_allocation != 0
            && let Some(Ok(allocation)) = packet.element::<VideoLayersAllocation>(ids.layers_allocation)
        {
            self.note_allocation(&allocation);
        }
        if !facts.starts_key_frame && !facts.unit.is_some_and(|unit| unit.sps) {
            return;
        }
        if let Some((range, _)) = &facts.descriptor {
            let bytes = &packet.bytes()[usize::from(range.start)..usize::from(range.end)];
            let structure = Descriptor::parse(bytes, None).ok().and_then(|parsed| parsed.structure);
            let sizes = |spatial_id| structure.as_ref()?.resolution(spatial_id);
            let described = (0..SPATIAL_LAYERS_MAX as u8).filter_map(sizes).map(pixels).max();
            self.described = described.or(self.described);
        }
        if let Some(codec) = payload_of {
            self.seen = seen(codec, packet.payload()).map(pixels).or(self.seen);
        }
    }

    /// Sizes are often left out, and are then as they were.
    fn note_allocation(&mut self, allocation: &VideoLayersAllocation) {
        let own = allocation.layers().iter().rfind(|layer| layer.stream() == allocation.stream());
        let Some(own) = own else { return };
        self.target = own.rates().last();
        self.allocated = own.picture().map(|(resolution, _)| pixels(resolution)).or(self.allocated);
    }

    fn pixels(&self) -> Option<u64> {
        self.described.or(self.allocated).or(self.seen)
    }
}

fn pixels(resolution: Resolution) -> u64 {
    u64::from(resolution.width()) * u64::from(resolution.height())
}

/// The size that the first packet of a key frame tells in its codec's own way.
fn seen(codec: Codec, payload: &[u8]) -> Option<Resolution> {
    match codec {
        Codec::Vp8 => vp8::FrameHeader::parse(vp8::Payload::parse(payload).ok()?.data).ok()?.key_frame,
        Codec::Vp9 => {
            let structure = vp9::Payload::parse(payload).ok()?.descriptor.structure?;
            structure.resolutions().flatten().max_by_key(|resolution| pixels(*resolution))
        }
        Codec::H264 => {
            let sets = h264::Payload::parse(payload).ok()?;
            let set = sets.units().find_map(|unit| h264::SequenceParameterSet::parse(unit.as_bytes()).ok())?;
            Some(set.resolution)
        }
        Codec::Av1 => {
            let elements = av1::Payload::parse(payload).ok()?.elements();
            let obu = elements.filter_map(|element| av1::Obu::parse(element.bytes).ok());
            let mut headers = obu.filter(|obu| obu.header.obu_type == av1::ObuType::SequenceHeader);
            Some(av1::SequenceHeader::parse(headers.next()?.payload).ok()?.resolution_max)
        }
        Codec::Opus => None,
    }
}

impl Track {
    /// The layers that are sent at present, the lowest first: by their sizes if all have one, then by the rates that they
    /// are meant to have if all have one, then by what came of them in the last second.
    pub(crate) fn ranked_layers(&self, now: Instant) -> Vec<u8> {
        let came = |layer: &Layer| layer.log.bytes_since(now.checked_sub(SILENT_AFTER));
        let mut live: Vec<_> = (0..).zip(&self.layers).map(|(index, layer)| (index, layer, came(layer))).collect();
        live.retain(|(_, _, bytes)| *bytes > 0);
        let are_sized = live.iter().all(|(_, layer, _)| layer.quality.pixels().is_some());
        let have_targets = live.iter().all(|(_, layer, _)| layer.quality.target.is_some());
        live.sort_by_key(|(_, layer, bytes)| {
            let size = layer.quality.pixels().filter(|_| are_sized);
            (size, layer.quality.target.filter(|_| have_targets), *bytes)
        });
        live.into_iter().map(|(index, ..)| index).collect()
    }
}
