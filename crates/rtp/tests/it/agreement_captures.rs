//! The dependency descriptor and the payload tell of the same frames, as browsers sent them.

use std::collections::BTreeMap;

use plenary_rtp::extension::dependency::StructureState;
use plenary_rtp::payload::Codec;
use plenary_rtp::{ExtendedSeqNo, Ssrc};

use crate::captures::Capture;

const DEPENDENCY: u8 = 5;

/// What was compared, in packets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compared {
    starts: usize,
    key_frames: usize,
    temporal_ids: usize,
    spatial_ids: usize,
    highest_layer: (u8, u8),
}

fn compare(name: &'static str, encoding: &str, codec: Codec) -> Compared {
    let capture = Capture::open(name);
    let mut states = BTreeMap::<Ssrc, StructureState>::new();
    let mut compared = Compared::default();
    for (_, packet) in capture.media(encoding) {
        let number = packet.sequence_number();
        let data = packet.extension(DEPENDENCY).expect("a descriptor on every media packet");
        let state = states.entry(packet.ssrc()).or_default();
        let (descriptor, _) = state.parse(data, ExtendedSeqNo(number.0.into())).expect("a good descriptor");
        let (frame, header) = (descriptor.dependencies, descriptor.header);
        let payload = codec.describe(packet.payload()).expect("a good payload");

        assert!(payload.starts_frame || !header.start_of_frame, "{name} {number}: a start that the payload has not");
        if matches!(codec, Codec::Vp8 | Codec::Vp9) {
            assert_eq!(payload.starts_frame, header.start_of_frame, "{name} {number}");
        }
        compared.starts += usize::from(header.start_of_frame);
        if header.start_of_frame && frame.spatial_id == 0 {
            assert_eq!(payload.key_frame, header.structure_attached, "{name} {number}");
            compared.key_frames += usize::from(payload.key_frame);
        }
        if let Some(temporal_id) = payload.temporal_id {
            assert_eq!(temporal_id, frame.temporal_id, "{name} {number}");
            compared.temporal_ids += 1;
        }
        if let Some(spatial_id) = payload.spatial_id {
            assert_eq!(spatial_id, frame.spatial_id, "{name} {number}");
            compared.spatial_ids += 1;
        }
        compared.highest_layer = compared.highest_layer.max((frame.spatial_id, frame.temporal_id));
    }
    compared
}

/// Of a codec whose payload names no layer where the descriptor does.
fn frames(starts: usize, key_frames: usize, highest_layer: (u8, u8)) -> Compared {
    Compared { starts, key_frames, highest_layer, ..Compared::default() }
}

#[test]
fn vp9_layers_are_those_of_the_descriptor() {
    let svc = compare("chromium-vp9-l3t3key", "VP9", Codec::Vp9);
    assert_eq!(svc, Compared { temporal_ids: 1828, spatial_ids: 1828, ..frames(1037, 4, (2, 2)) });
}

#[test]
fn av1_layers_are_those_of_the_descriptor() {
    // An OBU header stands where a frame begins.
    let svc = compare("chromium-av1-l3t3key", "AV1", Codec::Av1);
    assert_eq!(svc, Compared { temporal_ids: 1047, spatial_ids: 1047, ..frames(1047, 4, (2, 2)) });
    let single = compare("chromium-av1-simulcast-one-layer", "AV1", Codec::Av1);
    assert_eq!(single, frames(360, 3, (0, 0)));
}

#[test]
fn vp8_and_h264_frames_start_where_the_descriptor_says() {
    for (name, encoding, codec, expected) in [
        ("chromium-vp8-single", "VP8", Codec::Vp8, frames(239, 2, (0, 0))),
        ("chromium-vp8-simulcast", "VP8", Codec::Vp8, frames(1067, 12, (0, 2))),
        ("firefox-vp8-simulcast", "VP8", Codec::Vp8, frames(845, 10, (0, 1))),
        ("chromium-h264-simulcast", "H264", Codec::H264, frames(963, 10, (0, 0))),
    ] {
        assert_eq!(compare(name, encoding, codec), expected, "{name}");
    }
}
