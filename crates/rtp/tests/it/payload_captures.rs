//! What real browsers send (testdata/captures): every media payload is read, makes sense, and is written back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plenary_rtp::payload::{Codec, av1, h264, opus, red, rtx, vp8, vp9};
use plenary_rtp::{Packet, Resolution, RtpTime, SeqNo};

use crate::allocation::allocations;
use crate::captures::{Capture, RTX};

const VIDEO: [(&str, &str, Codec); 8] = [
    ("chromium-vp8-single", "VP8", Codec::Vp8),
    ("chromium-vp8-simulcast", "VP8", Codec::Vp8),
    ("firefox-vp8-simulcast", "VP8", Codec::Vp8),
    ("chromium-vp9-l3t3key", "VP9", Codec::Vp9),
    ("chromium-h264-simulcast", "H264", Codec::H264),
    ("chromium-av1-l3t3key", "AV1", Codec::Av1),
    ("chromium-av1-simulcast-one-layer", "AV1", Codec::Av1),
    ("firefox-av1-single", "AV1", Codec::Av1),
];

#[test]
fn every_video_payload_is_described() {
    let mut packets = 0;
    for (name, encoding, codec) in VIDEO {
        let capture = Capture::open(name);
        let encodings: BTreeSet<_> = capture.packets().map(|(_, it)| capture.encoding(it.payload_type())).collect();
        assert_eq!(encodings, BTreeSet::from([encoding, RTX]), "{name}");
        for stream in capture.streams(encoding) {
            let mut timestamp = None;
            for (_, packet) in stream {
                let number = packet.sequence_number();
                let description = codec.describe(packet.payload()).unwrap();
                let first = timestamp.replace(packet.timestamp()) != Some(packet.timestamp());
                assert!(!first || description.starts_frame, "{name} {number}");
                assert!(first || codec != Codec::Vp8 || !description.starts_frame, "{name} {number}");
                packets += 1;
            }
        }
    }
    assert_eq!(packets, 327 + 1895 + 1055 + 1828 + 1486 + 1760 + 362 + 182);
}

#[test]
fn describing_a_payload_allocates_nothing() {
    for (name, encoding, codec) in VIDEO.into_iter().chain([("chromium-opus", "opus", Codec::Opus)]) {
        let capture = Capture::open(name);
        let packets: Vec<_> = media(&capture, encoding).collect();
        let allocated = allocations(|| {
            for packet in &packets {
                codec.describe(packet.payload()).unwrap();
            }
        });
        assert_eq!(allocated, 0, "{name}");
    }
}

#[test]
fn key_frames_come_at_the_start_at_new_layers_and_every_four_seconds() {
    let expected: [&[usize]; 8] = [&[2], &[5, 3, 4], &[4, 3, 3], &[4], &[4, 3, 3], &[4], &[3], &[2]];
    for ((name, encoding, codec), expected) in VIDEO.into_iter().zip(expected) {
        let capture = Capture::open(name);
        let mut counts = Vec::new();
        for stream in capture.streams(encoding) {
            let mut keys = stream.clone();
            keys.retain(|(_, packet)| codec.describe(packet.payload()).unwrap().key_frame);
            keys.dedup_by_key(|(_, packet)| packet.timestamp());
            assert_eq!(keys[0].1, stream[0].1, "{name}: a stream begins with a key frame");
            for pair in keys.windows(2).filter(|pair| pair[0].0 > ms(1000)) {
                assert!((ms(3900)..ms(4100)).contains(&(pair[1].0 - pair[0].0)), "{name} {pair:?}");
            }
            counts.push(keys.len());
        }
        assert_eq!(counts, expected, "{name}");
    }
}

#[test]
fn vp8_descriptors_are_one_byte_and_come_back() {
    for (name, _, _) in &VIDEO[..3] {
        let capture = Capture::open(name);
        let mut sizes = Vec::new();
        for packet in media(&capture, "VP8") {
            let payload = vp8::Payload::parse(packet.payload()).unwrap();
            let descriptor = payload.descriptor;
            assert_eq!((descriptor.picture_id, descriptor.tl0_pic_idx, descriptor.layer), (None, None, None));
            let mut written = Vec::new();
            descriptor.write(&mut written).unwrap();
            assert_eq!(written, packet.payload()[..1]);
            if !descriptor.starts_frame() {
                continue;
            }
            let header = vp8::FrameHeader::parse(payload.data).unwrap();
            assert!(header.show && header.first_partition_len > 0, "{name} {}", packet.sequence_number());
            sizes.extend(header.key_frame);
        }
        sizes.sort_by_key(|size| size.width());
        sizes.dedup();
        let expected = match *name {
            "chromium-vp8-single" => vec![(640, 360)],
            _ => vec![(240, 135), (480, 270), (960, 540)],
        };
        assert_eq!(sizes, expected.into_iter().map(resolution).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn vp9_layers_and_picture_ids_go_on_and_descriptors_come_back() {
    let capture = Capture::open("chromium-vp9-l3t3key");
    let mut layers = 2;
    let mut structures = 0;
    let mut last: Option<(u16, RtpTime)> = None;
    let mut open = None;
    let mut numbers = media(&capture, "VP9").map(|packet| packet.sequence_number());
    let mut unmarked = 0;
    let mut marked = true;
    for packet in media(&capture, "VP9") {
        let payload = vp9::Payload::parse(packet.payload()).unwrap();
        let descriptor = payload.descriptor;
        let mut written = Vec::new();
        descriptor.write(&mut written).unwrap();
        assert_eq!(written, packet.payload()[..packet.payload().len() - payload.data.len()]);

        if let Some(structure) = descriptor.structure {
            layers = structure.spatial_layers();
            structures += 1;
            let expected = [(240, 135), (480, 270), (960, 540)].map(resolution);
            assert!(structure.resolutions().eq(expected.into_iter().take(layers.into()).map(Some)));
            assert!(structure.pictures().is_none());
        }
        let layer = descriptor.layer.unwrap();
        assert!(layer.spatial_id < layers && layer.temporal_id < 3, "{layer:?}");
        assert!(matches!(descriptor.mode, vp9::Mode::Flexible(_)));

        let picture_id = descriptor.picture_id.unwrap();
        assert_eq!(picture_id.width(), 15);
        match last {
            Some((id, timestamp)) if timestamp == packet.timestamp() => assert_eq!(picture_id.value(), id),
            Some((id, _)) => {
                assert_eq!(picture_id.value(), (id + 1) % (1 << 15));
                unmarked += usize::from(!marked);
            }
            None => {}
        }
        last = Some((picture_id.value(), packet.timestamp()));
        marked = packet.marker();

        // Frames begin and end in turn, each of one spatial layer.
        assert_eq!(descriptor.begins_frame, open.is_none(), "{}", packet.sequence_number());
        assert!(open.is_none_or(|spatial_id| spatial_id == layer.spatial_id));
        open = (!descriptor.ends_frame).then_some(layer.spatial_id);
        assert!(descriptor.ends_frame || !packet.marker());
    }
    let first = numbers.next().unwrap();
    assert!(numbers.zip(1..).all(|(number, step)| number == first.wrapping_add(step)));
    assert_eq!((structures, unmarked), (5, 4));
}

#[test]
fn vp9_numbers_are_rewritten_in_place() {
    for packet in media(&Capture::open("chromium-vp9-l3t3key"), "VP9") {
        let mut bytes = packet.payload().to_vec();
        let before = vp9::Payload::parse(packet.payload()).unwrap();
        vp9::set_picture_id(&mut bytes, 0x7abc).unwrap();
        let after = vp9::Payload::parse(&bytes).unwrap();
        let picture_id = after.descriptor.picture_id.unwrap();
        assert_eq!((picture_id.value(), picture_id.width()), (0x7abc, 15));
        assert_eq!(vp9::Descriptor { picture_id: before.descriptor.picture_id, ..after.descriptor }, before.descriptor);
        assert_eq!(after.data, before.data);
    }
}

#[test]
fn h264_units_are_whole_and_come_back() {
    let capture = Capture::open("chromium-h264-simulcast");
    let expected = [(240, 134), (960, 540), (480, 270)].map(resolution);
    let mut pictures = 0;
    for (stream, expected) in capture.streams("H264").into_iter().zip(expected) {
        let mut assembler = h264::Assembler::new(h264::Framing::Length, h264::Assembler::UNIT_BYTES_MAX);
        let mut out = Vec::new();
        for (_, packet) in stream {
            let assembled = assembler.push(packet.sequence_number(), packet.payload(), &mut out).unwrap();
            assert_eq!(assembled.lost, None, "{}", packet.sequence_number());
        }
        assert!(!assembler.is_open());
        let mut rest = &out[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (bytes, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            rest = after;
            let unit = h264::NalUnit::parse(bytes).unwrap();
            match unit.header().unit_type() {
                h264::UnitType::Sps => {
                    let set = h264::SequenceParameterSet::parse(bytes).unwrap();
                    assert_eq!(set.resolution, expected);
                    assert_eq!(set.profile_level_id[..2], [0x42, 0xc0]);
                }
                h264::UnitType::Pps => {}
                h264::UnitType::Idr | h264::UnitType::Slice => pictures += 1,
                other => panic!("{other:?}"),
            }
            let mut again = h264::Assembler::new(h264::Framing::Length, bytes.len());
            let mut copy = Vec::new();
            for (number, part) in (0..).zip(h264::Parts::new(bytes, 300).unwrap()) {
                let mut payload = Vec::new();
                part.write(&mut payload);
                again.push(SeqNo(number), &payload, &mut copy).unwrap();
            }
            assert_eq!(copy[4..], *bytes);
        }
    }
    assert!(pictures > 900, "{pictures}");
}

#[test]
fn h264_aggregates_come_back() {
    let capture = Capture::open("chromium-h264-simulcast");
    let mut aggregates = 0;
    for packet in media(&capture, "H264") {
        let payload = h264::Payload::parse(packet.payload()).unwrap();
        if let h264::Payload::Aggregate(units) = &payload {
            let units: Vec<_> = units.clone().map(|unit| unit.as_bytes()).collect();
            let mut written = Vec::new();
            h264::write_aggregate(&units, &mut written).unwrap();
            assert_eq!(written, packet.payload());
            let contents = payload.contents();
            assert!(contents.sps && contents.pps && contents.starts_frame && !contents.discardable);
            aggregates += 1;
        }
    }
    assert_eq!(aggregates, 10);
}

#[test]
fn av1_key_frames_begin_with_their_sequence_header() {
    let expected = [("chromium-av1-l3t3key", 9, (960, 540)), ("chromium-av1-simulcast-one-layer", 1, (240, 135))];
    for (name, points, size) in expected.into_iter().chain([("firefox-av1-single", 1, (640, 360))]) {
        let capture = Capture::open(name);
        for packet in media(&capture, "AV1") {
            let payload = av1::Payload::parse(packet.payload()).unwrap();
            assert_eq!(payload.header.to_byte(), Ok(packet.payload()[0]));
            let contents = payload.contents().unwrap();
            assert_eq!(contents.sequence_header, payload.header.starts_sequence);
            let svc = name == "chromium-av1-l3t3key";
            assert!(contents.layer.is_none_or(|layer| svc && layer.spatial_id < 3 && layer.temporal_id < 3));
            if contents.sequence_header {
                let obu = av1::Obu::parse(payload.elements().next().unwrap().bytes).unwrap();
                assert_eq!(obu.header.obu_type, av1::ObuType::SequenceHeader);
                let header = av1::SequenceHeader::parse(obu.payload).unwrap();
                assert_eq!((header.resolution_max, header.operating_points), (resolution(size), points));
                assert_eq!((header.profile, header.still_picture), (0, false));
            }
        }
    }
}

#[test]
fn av1_temporal_units_are_whole_and_come_back() {
    for (name, _, _) in &VIDEO[5..] {
        let capture = Capture::open(name);
        let mut units: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut assembler = av1::Assembler::new(av1::Assembler::OBU_BYTES_MAX);
        for packet in media(&capture, "AV1") {
            let unit = units.entry(packet.timestamp().0).or_default();
            let assembled = assembler.push(packet.sequence_number(), packet.payload(), unit).unwrap();
            assert_eq!(assembled.lost, None, "{name} {}", packet.sequence_number());
            assert!(!(packet.marker() && assembler.is_open()));
        }
        for unit in units.values() {
            assert!(av1::Obus::new(unit).count() > 0);
            let mut packetizer = av1::Packetizer::new(unit, 500, false).unwrap();
            let mut again = av1::Assembler::new(unit.len());
            let mut copy = Vec::new();
            let mut payload = Vec::new();
            for number in 0.. {
                payload.clear();
                let Some(length) = packetizer.write_next(&mut payload) else { break };
                assert!(length <= 500);
                assert_eq!(again.push(SeqNo(number), &payload, &mut copy).unwrap().lost, None);
            }
            assert_eq!(copy, *unit);
        }
    }
}

#[test]
fn opus_packets_last_20_ms_and_silence_is_one_byte() {
    for (name, packets, silent) in [("chromium-opus", 494, 2), ("firefox-opus", 301, 0)] {
        let capture = Capture::open(name);
        let mut count = 0;
        let mut dtx = 0;
        for packet in media(&capture, "opus") {
            let opus = opus::Packet::parse(packet.payload()).unwrap();
            assert_eq!((opus.ticks(), opus.frame_count()), (960, 1));
            assert!(!opus.toc.is_stereo() && !opus.has_fec());
            assert_eq!(opus.is_dtx(), packet.payload().len() == 1);
            assert_eq!(opus.toc.to_byte(), packet.payload()[0]);
            dtx += usize::from(opus.is_dtx());
            count += 1;
        }
        assert_eq!((count, dtx), (packets, silent), "{name}");
    }
}

#[test]
fn red_repeats_an_earlier_packet_most_often_the_one_before() {
    let capture = Capture::open("chromium-opus-red");
    let mut sent: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut offsets = BTreeMap::new();
    let mut dtx = 0;
    for packet in media(&capture, "red") {
        let payload = red::Payload::parse(packet.payload()).unwrap();
        let blocks: Vec<_> = payload.redundant().collect();
        let primary = payload.primary();
        assert_eq!(primary.payload_type, 111);
        dtx += usize::from(opus::Packet::parse(primary.data).unwrap().is_dtx());
        assert_eq!(blocks.len(), usize::from(!sent.is_empty()));
        for block in &blocks {
            let original = &sent[&packet.timestamp().0.wrapping_sub(block.timestamp_offset.into())];
            assert_eq!((block.payload_type, block.data), (111, &original[..]));
            *offsets.entry(block.timestamp_offset).or_insert(0) += 1;
        }
        sent.insert(packet.timestamp().0, primary.data.to_vec());
        let mut written = Vec::new();
        red::write(&blocks, &primary, &mut written).unwrap();
        assert_eq!(written, packet.payload());
    }
    // 20 ms, but for silence and the padding-only packets, where Chromium repeats the last packet but one, or older.
    assert_eq!(offsets, BTreeMap::from([(960, 365), (1920, 16), (2880, 5), (3840, 1), (14_400, 1)]));
    let padding_only = capture.packets().filter(|(_, packet)| packet.payload().is_empty()).count();
    assert_eq!((dtx, padding_only), (7, 18));
}

#[test]
fn every_retransmission_repeats_a_packet_sent_before() {
    let mut repeats = 0;
    for (name, _, _) in VIDEO {
        let capture = Capture::open(name);
        let mut sent = BTreeMap::new();
        let mut repaired = BTreeMap::new();
        for (_, packet) in capture.packets() {
            if capture.encoding(packet.payload_type()) != RTX {
                sent.insert((packet.sequence_number().0, packet.timestamp().0), packet);
                continue;
            }
            let Some(rtx) = rtx::Payload::parse(packet.payload()).unwrap() else {
                continue; // Padding alone, to probe.
            };
            let original = sent[&(rtx.original_sequence_number.0, packet.timestamp().0)];
            assert_eq!(original.payload(), rtx.data, "{name} {}", packet.sequence_number());
            let source = original.ssrc();
            assert_eq!(*repaired.entry(packet.ssrc().0).or_insert(source), source, "{name}");
            let mut written = Vec::new();
            rtx.write(&mut written);
            assert_eq!(written, packet.payload());
            repeats += 1;
        }
    }
    assert_eq!(repeats, 8 + 59 + 538 + 10 + 44 + 12 + 17 + 22);
}

/// The packets of one encoding in order of arrival.
fn media<'a>(capture: &'a Capture, encoding: &str) -> impl Iterator<Item = Packet<'a>> {
    capture.media(encoding).map(|(_, packet)| packet)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn resolution((width, height): (u32, u32)) -> Resolution {
    Resolution::new(width, height).unwrap()
}
