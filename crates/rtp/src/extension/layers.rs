//! Which layers a sender sends, and at which rate.

use std::fmt;

use plenary_wire::Bitrate;

use super::Element;
use crate::bits::{leb128_len, read_leb128, write_leb128};
use crate::{Error, ParseError, Resolution};

/// What a sender's encoder was told to send: the rate, and at times the size, of every active layer of every stream
/// (libwebrtc, `video-layers-allocation00`).
///
/// Browsers send it at the start, beside key frames and when something changes; often without sizes, which then stay
/// as they were. In the extreme (16 layers with all sizes and the highest rates) it is longer than an element can be.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoLayersAllocation {
    stream: u8,
    streams: u8,
    count: u8,
    /// The first `count` are in use, the others zero.
    layers: [SpatialLayer; Self::LAYERS_MAX],
}

/// One active spatial layer of one stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpatialLayer {
    stream: u8,
    spatial_id: u8,
    temporal_layers: u8,
    /// The first `temporal_layers` are in use, the others zero.
    kbps: [u32; Self::TEMPORAL_LAYERS_MAX],
    picture: Option<(Resolution, u8)>,
}

impl SpatialLayer {
    /// Temporal layers in a spatial layer.
    pub const TEMPORAL_LAYERS_MAX: usize = 4;
    /// Spatial layers in a stream.
    pub const SPATIAL_LAYERS_MAX: usize = 4;
    /// The highest rate that is believed, as in libwebrtc: 1 Gbit/s.
    pub const RATE_MAX: Bitrate = Bitrate::from_kbps(Self::KBPS_MAX as u64);

    const KBPS_MAX: u32 = 1_000_000;
    const UNUSED: Self =
        Self { stream: 0, spatial_id: 0, temporal_layers: 0, kbps: [0; Self::TEMPORAL_LAYERS_MAX], picture: None };

    /// A layer of the stream with index `stream` (0 to 3, as RIDs are listed in the `a=simulcast` line).
    ///
    /// `rates` has one rate for each temporal layer, rounded down to kbit/s: what is needed to receive this layer with
    /// all that it depends on. `picture` is its size and highest frame rate per second.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if an index is above 3, there are not 1 to 4 rates, or one is above
    /// [`RATE_MAX`](Self::RATE_MAX).
    pub fn new(
        stream: u8,
        spatial_id: u8,
        rates: &[Bitrate],
        picture: Option<(Resolution, u8)>,
    ) -> Result<Self, Error> {
        let indexes_fit = usize::from(stream) < VideoLayersAllocation::STREAMS_MAX
            && usize::from(spatial_id) < Self::SPATIAL_LAYERS_MAX;
        if !indexes_fit || rates.is_empty() || rates.len() > Self::TEMPORAL_LAYERS_MAX {
            return Err(Error::OutOfRange);
        }
        let mut layer = Self { stream, spatial_id, temporal_layers: rates.len() as u8, picture, ..Self::UNUSED };
        for (kbps, rate) in layer.kbps.iter_mut().zip(rates) {
            if *rate > Self::RATE_MAX {
                return Err(Error::OutOfRange);
            }
            *kbps = (rate.as_bps() / 1000) as u32;
        }
        Ok(layer)
    }

    /// The index of the stream (RID) that carries the layer: 0 to 3.
    pub const fn stream(&self) -> u8 {
        self.stream
    }

    /// 0 to 3.
    pub const fn spatial_id(&self) -> u8 {
        self.spatial_id
    }

    /// For each temporal layer, lowest first, the rate of all that is needed to decode it: 1 to 4 of them.
    pub fn rates(&self) -> impl ExactSizeIterator<Item = Bitrate> {
        self.kbps().iter().map(|&kbps| Bitrate::from_kbps(kbps.into()))
    }

    /// Size and highest frame rate per second, if the allocation tells them.
    pub const fn picture(&self) -> Option<(Resolution, u8)> {
        self.picture
    }

    fn kbps(&self) -> &[u32] {
        &self.kbps[..usize::from(self.temporal_layers)]
    }
}

impl fmt::Debug for SpatialLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {:?} kbit/s {:?}", self.stream, self.spatial_id, self.kbps(), self.picture)
    }
}

impl VideoLayersAllocation {
    /// Streams (RIDs) of one sender.
    pub const STREAMS_MAX: usize = 4;
    /// Spatial layers over all streams.
    pub const LAYERS_MAX: usize = Self::STREAMS_MAX * SpatialLayer::SPATIAL_LAYERS_MAX;
    /// Nothing is sent: a single zero byte.
    pub const NOTHING: Self =
        Self { stream: 0, streams: 1, count: 0, layers: [SpatialLayer::UNUSED; Self::LAYERS_MAX] };

    const PICTURE_LEN: usize = 5;

    /// An allocation sent on the stream with index `stream`, of `streams` (1 to 4) in all, with all active layers in
    /// the order of stream, then spatial layer.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a stream is not below `streams`, the layers are out of order or none
    /// (see [`NOTHING`](Self::NOTHING)), or some tell a size and some do not.
    pub fn new(stream: u8, streams: u8, layers: &[SpatialLayer]) -> Result<Self, Error> {
        let ordered = layers.windows(2).all(|w| (w[0].stream, w[0].spatial_id) < (w[1].stream, w[1].spatial_id));
        let known = (1..=Self::STREAMS_MAX as u8).contains(&streams)
            && stream < streams
            && layers.iter().all(|layer| layer.stream < streams);
        let alike = layers.windows(2).all(|w| w[0].picture.is_some() == w[1].picture.is_some());
        if layers.is_empty() || !ordered || !known || !alike {
            return Err(Error::OutOfRange);
        }
        let mut allocation = Self { stream, streams, ..Self::NOTHING };
        for &layer in layers {
            allocation.push(layer);
        }
        Ok(allocation)
    }

    /// The index of the stream that this was sent on: 0 to 3.
    pub const fn stream(&self) -> u8 {
        self.stream
    }

    /// How many streams are live: 1 to 4. A browser counts a stream when it starts and no more when it stops.
    pub const fn streams(&self) -> u8 {
        self.streams
    }

    /// All active layers in the order of stream, then spatial layer. Either all or none have a size.
    pub fn layers(&self) -> &[SpatialLayer] {
        &self.layers[..usize::from(self.count)]
    }

    fn push(&mut self, layer: SpatialLayer) {
        self.layers[usize::from(self.count)] = layer;
        self.count += 1;
    }

    /// Active spatial layers of each stream, lowest in the lowest bit.
    fn masks(&self) -> [u8; Self::STREAMS_MAX] {
        let mut masks = [0; Self::STREAMS_MAX];
        for layer in self.layers() {
            masks[usize::from(layer.stream)] |= 1 << layer.spatial_id;
        }
        masks
    }

    /// The mask that all streams have, or 0.
    fn shared_mask(&self) -> u8 {
        let masks = self.masks();
        let shared = masks[..usize::from(self.streams)].iter().all(|&mask| mask == masks[0]);
        if shared { masks[0] } else { 0 }
    }

    /// Adds the layers of these masks, with the number of temporal layers that `counts` has in two bits each.
    fn add_layers(&mut self, masks: [u8; Self::STREAMS_MAX], counts: &[u8]) {
        for (stream, mask) in masks.into_iter().enumerate() {
            for spatial_id in (0..SpatialLayer::SPATIAL_LAYERS_MAX).filter(|id| mask >> id & 1 == 1) {
                let index = usize::from(self.count);
                let temporal_layers = (counts[index / 4] >> (6 - 2 * (index % 4)) & 3) + 1;
                let (stream, spatial_id) = (stream as u8, spatial_id as u8);
                self.push(SpatialLayer { stream, spatial_id, temporal_layers, ..SpatialLayer::UNUSED });
            }
        }
    }

    /// Reads the rates into the layers, and answers what follows them.
    fn read_rates<'a>(&mut self, mut data: &'a [u8]) -> Result<&'a [u8], ParseError> {
        for layer in &mut self.layers[..usize::from(self.count)] {
            for kbps in &mut layer.kbps[..usize::from(layer.temporal_layers)] {
                let (value, length) = read_leb128(data)?;
                *kbps = u32::try_from(value).map_err(|_| ParseError::Reserved)?;
                if *kbps > SpatialLayer::KBPS_MAX {
                    return Err(ParseError::Reserved);
                }
                data = &data[length..];
            }
        }
        Ok(data)
    }

    fn read_pictures(&mut self, data: &[u8]) -> Result<(), ParseError> {
        let (pictures, rest) = data.as_chunks::<{ Self::PICTURE_LEN }>();
        if pictures.is_empty() && rest.is_empty() {
            return Ok(());
        }
        if pictures.len() < self.count.into() {
            return Err(ParseError::Truncated);
        }
        if pictures.len() > self.count.into() || !rest.is_empty() {
            return Err(ParseError::Overrun);
        }
        for (layer, &[w0, w1, h0, h1, rate]) in self.layers.iter_mut().zip(pictures) {
            let resolution = Resolution::from_minus_one(u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
            layer.picture = Some((resolution, rate));
        }
        Ok(())
    }
}

impl fmt::Debug for VideoLayersAllocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {} of {} ", self.stream, self.streams)?;
        f.debug_list().entries(self.layers()).finish()
    }
}

impl Element<'_> for VideoLayersAllocation {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        if data == [0] {
            return Ok(Self::NOTHING);
        }
        let (&head, data) = data.split_first().ok_or(ParseError::Truncated)?;
        let (stream, streams, shared) = (head >> 6, (head >> 4 & 3) + 1, head & 0x0f);
        if stream >= streams {
            return Err(ParseError::Reserved);
        }
        let count = usize::from(streams);
        let own_masks = if shared == 0 { count.div_ceil(2) } else { 0 };
        let (own_masks, data) = data.split_at_checked(own_masks).ok_or(ParseError::Truncated)?;
        let mut masks = [0; Self::STREAMS_MAX];
        masks[..count].fill(shared);
        for (index, mask) in masks[..count].iter_mut().enumerate() {
            if let Some(byte) = own_masks.get(index / 2) {
                *mask = if index % 2 == 0 { byte >> 4 } else { byte & 0x0f };
            }
        }
        let layers: usize = masks.iter().map(|mask| mask.count_ones() as usize).sum();
        if layers == 0 {
            return Err(ParseError::Reserved);
        }
        let (temporal, data) = data.split_at_checked(layers.div_ceil(4)).ok_or(ParseError::Truncated)?;
        let mut allocation = Self { stream, streams, ..Self::NOTHING };
        allocation.add_layers(masks, temporal);
        let data = allocation.read_rates(data)?;
        allocation.read_pictures(data)?;
        Ok(allocation)
    }

    fn encoded_len(&self) -> usize {
        let layers = self.layers();
        let Some(first) = layers.first() else {
            return 1;
        };
        let own_masks = if self.shared_mask() == 0 { usize::from(self.streams).div_ceil(2) } else { 0 };
        let rates: usize = layers.iter().flat_map(SpatialLayer::kbps).map(|&kbps| leb128_len(kbps.into())).sum();
        let pictures = if first.picture.is_some() { Self::PICTURE_LEN * layers.len() } else { 0 };
        1 + own_masks + layers.len().div_ceil(4) + rates + pictures
    }

    fn write(&self, data: &mut [u8]) {
        assert_eq!(data.len(), self.encoded_len(), "the element's length");
        data.fill(0);
        if self.count == 0 {
            return;
        }
        let shared = self.shared_mask();
        data[0] = self.stream << 6 | (self.streams - 1) << 4 | shared;
        let mut at = 1;
        if shared == 0 {
            for (index, mask) in self.masks()[..usize::from(self.streams)].iter().enumerate() {
                data[at + index / 2] |= mask << (4 - 4 * (index % 2));
            }
            at += usize::from(self.streams).div_ceil(2);
        }
        for (index, layer) in self.layers().iter().enumerate() {
            data[at + index / 4] |= (layer.temporal_layers - 1) << (6 - 2 * (index % 4));
        }
        at += self.layers().len().div_ceil(4);
        for &kbps in self.layers().iter().flat_map(SpatialLayer::kbps) {
            at += write_leb128(kbps.into(), &mut data[at..]);
        }
        for (resolution, rate) in self.layers().iter().filter_map(SpatialLayer::picture) {
            let (width, height) = resolution.minus_one();
            data[at..at + 2].copy_from_slice(&width.to_be_bytes());
            data[at + 2..at + 4].copy_from_slice(&height.to_be_bytes());
            data[at + 4] = rate;
            at += Self::PICTURE_LEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{both_ways, refused};
    use super::*;

    fn layer(stream: u8, spatial_id: u8, kbps: &[u64], picture: Option<(u32, u32, u8)>) -> SpatialLayer {
        let rates: Vec<_> = kbps.iter().copied().map(Bitrate::from_kbps).collect();
        let picture = picture.map(|(width, height, rate)| (Resolution::new(width, height).unwrap(), rate));
        SpatialLayer::new(stream, spatial_id, &rates, picture).unwrap()
    }

    #[test]
    fn nothing_is_a_zero_byte() {
        both_ways(&VideoLayersAllocation::NOTHING, &[0]);
        assert_eq!(VideoLayersAllocation::new(0, 1, &[]), Err(Error::OutOfRange));
    }

    #[test]
    fn one_mask_stands_for_all_streams_that_share_it() {
        let layers = [layer(0, 0, &[100, 200], None), layer(1, 0, &[300], None)];
        let allocation = VideoLayersAllocation::new(1, 2, &layers).unwrap();
        both_ways(&allocation, &[0b0101_0001, 0b0100_0000, 100, 0xc8, 0x01, 0xac, 0x02]);
    }

    #[test]
    fn streams_with_other_layers_have_masks_of_their_own() {
        let layers = [
            layer(0, 0, &[1], Some((320, 180, 30))),
            layer(2, 0, &[2], Some((640, 360, 30))),
            layer(2, 1, &[3, 4, 5, 6], Some((65_536, 1, 255))),
        ];
        let allocation = VideoLayersAllocation::new(0, 3, &layers).unwrap();
        both_ways(
            &allocation,
            &[
                0b0010_0000,
                0b0001_0000,
                0b0011_0000,
                0b0000_1100,
                1,
                2,
                3,
                4,
                5,
                6, //
                0x01,
                0x3f,
                0,
                179,
                30,
                0x02,
                0x7f,
                0x01,
                0x67,
                30,
                0xff,
                0xff,
                0,
                0,
                255,
            ],
        );
        assert_eq!(allocation.layers()[2].rates().last(), Some(Bitrate::from_kbps(6)));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        refused::<VideoLayersAllocation>(&[], ParseError::Truncated);
        refused::<VideoLayersAllocation>(&[0x41, 0, 1], ParseError::Reserved); // on the second of one
        refused::<VideoLayersAllocation>(&[0, 0, 0], ParseError::Reserved); // long, but without layers
        refused::<VideoLayersAllocation>(&[0x10], ParseError::Truncated); // no masks
        refused::<VideoLayersAllocation>(&[0x01], ParseError::Truncated); // no counts
        refused::<VideoLayersAllocation>(&[0x01, 0x40, 1], ParseError::Truncated); // a rate short
        refused::<VideoLayersAllocation>(&[0x01, 0, 1, 0, 0, 0, 0], ParseError::Truncated); // half a picture
        refused::<VideoLayersAllocation>(&[0x01, 0, 1, 0, 0, 0, 0, 0, 0], ParseError::Overrun); // and one too long
        refused::<VideoLayersAllocation>(&[0x01, 0, 0xc1, 0x84, 0x3d], ParseError::Reserved); // 1,000,001 kbit/s
        refused::<VideoLayersAllocation>(&[0x01, 0, 0x80, 0x80, 0x80, 0x80, 0x10], ParseError::Reserved); // 2^32
    }

    #[test]
    fn what_can_not_be_written_can_not_be_built() {
        let (low, high) = (layer(0, 0, &[1], None), layer(0, 1, &[2], Some((1, 1, 1))));
        for (stream, streams, layers) in
            [(0, 0, [low].as_slice()), (0, 5, &[low]), (1, 1, &[low]), (0, 1, &[low, high]), (0, 1, &[low, low])]
        {
            assert_eq!(VideoLayersAllocation::new(stream, streams, layers), Err(Error::OutOfRange));
        }
        let rate = Bitrate::from_kbps(1);
        assert_eq!(SpatialLayer::new(4, 0, &[rate], None), Err(Error::OutOfRange));
        assert_eq!(SpatialLayer::new(0, 4, &[rate], None), Err(Error::OutOfRange));
        assert_eq!(SpatialLayer::new(0, 0, &[], None), Err(Error::OutOfRange));
        assert_eq!(SpatialLayer::new(0, 0, &[rate; 5], None), Err(Error::OutOfRange));
        assert_eq!(SpatialLayer::new(0, 0, &[Bitrate::from_bps(1_000_000_001)], None), Err(Error::OutOfRange));
    }

    fn allocations() -> impl Strategy<Value = VideoLayersAllocation> {
        let picture = (1..=65_536u32, 1..=65_536u32, any::<u8>());
        let cell = prop::option::weighted(0.6, (prop::collection::vec(0..=1_000_000u64, 1..=4), picture));
        (1..=4u8, any::<u8>(), any::<bool>(), prop::collection::vec(cell, 16)).prop_map(
            |(streams, stream, sized, cells)| {
                let layers: Vec<_> = cells
                    .iter()
                    .take(4 * usize::from(streams))
                    .enumerate()
                    .filter_map(|(index, cell)| {
                        let (kbps, picture) = cell.as_ref()?;
                        Some(layer(index as u8 / 4, index as u8 % 4, kbps, sized.then_some(*picture)))
                    })
                    .collect();
                VideoLayersAllocation::new(stream % streams, streams, &layers).unwrap_or(VideoLayersAllocation::NOTHING)
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(allocation in allocations()) {
            let mut bytes = vec![0xa5; allocation.encoded_len()];
            allocation.write(&mut bytes);
            prop_assert_eq!(VideoLayersAllocation::parse(&bytes), Ok(allocation));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(allocation) = VideoLayersAllocation::parse(&bytes) {
                let mut again = vec![0; allocation.encoded_len()];
                allocation.write(&mut again);
                prop_assert!(again.len() <= bytes.len());
                prop_assert_eq!(VideoLayersAllocation::parse(&again), Ok(allocation));
            }
        }
    }
}
