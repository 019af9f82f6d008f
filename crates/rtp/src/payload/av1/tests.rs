use proptest::prelude::*;

use super::*;
use crate::SeqNo;
use crate::bits::write_leb128;
use crate::payload::Codec;

/// An OBU with its size.
fn obu(number: u8, layer: Option<Layer>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | if layer.is_some() { 4 } else { 0 } | 2];
    bytes.extend(layer.map(|layer| layer.temporal_id << 5 | layer.spatial_id << 3));
    let mut size = [0; 8];
    let len = write_leb128(payload.len() as u64, &mut size);
    bytes.extend_from_slice(&size[..len]);
    bytes.extend_from_slice(payload);
    bytes
}

fn packetize(unit: &[u8], max: usize, starts_sequence: bool) -> Vec<Vec<u8>> {
    let mut packetizer = Packetizer::new(unit, max, starts_sequence).unwrap();
    let mut payloads = Vec::new();
    while !packetizer.is_done() {
        let mut out = Vec::new();
        let len = packetizer.write_next(&mut out);
        assert_eq!(len, Some(out.len()));
        payloads.push(out);
    }
    assert_eq!(packetizer.write_next(&mut Vec::new()), None);
    payloads
}

fn any_obu() -> impl Strategy<Value = (u8, bool, Vec<u8>)> {
    let number = prop::sample::select(vec![1u8, 3, 4, 5, 6, 7, 9]);
    (number, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300))
}

proptest! {
    #[test]
    fn a_temporal_unit_comes_back_from_its_packets(
        obus in prop::collection::vec(any_obu(), 1..8),
        max in 4..200usize,
        starts_sequence: bool,
        spatial_ids in prop::collection::vec(0..3u8, 8),
    ) {
        let mut unit = Vec::new();
        for ((number, has_layer, payload), &spatial_id) in obus.iter().zip(&spatial_ids) {
            let layer = has_layer.then_some(Layer { temporal_id: 1, spatial_id });
            unit.extend(obu(*number, layer, payload));
        }
        let payloads = packetize(&unit, max, starts_sequence);
        let mut out = b"before".to_vec();
        let mut assembler = Assembler::new(1000);
        let mut whole = 0;
        for (index, payload) in payloads.iter().enumerate() {
            prop_assert!(payload.len() <= max);
            let parsed = Payload::parse(payload).unwrap();
            prop_assert_eq!(parsed.header.starts_sequence, starts_sequence && index == 0);
            let begun = parsed.elements().filter(|element| element.begins);
            let mut layers: Vec<_> = begun.filter_map(|element| ObuHeader::parse(element.bytes).unwrap().0.layer).collect();
            layers.dedup();
            prop_assert!(layers.len() <= 1);
            let assembled = assembler.push(SeqNo((index as u16).wrapping_sub(2)), payload, &mut out).unwrap();
            prop_assert_eq!(assembled.lost, None);
            whole += assembled.obus;
        }
        prop_assert_eq!(whole, obus.len());
        prop_assert_eq!(&out[6..], &unit[..]);
    }

    #[test]
    fn any_payloads_are_assembled_or_refused(
        payloads in prop::collection::vec((0..4u16, prop::collection::vec(any::<u8>(), 0..16)), 0..20),
    ) {
        let mut assembler = Assembler::new(40);
        let mut out = Vec::new();
        let mut whole = 0;
        for (number, payload) in &payloads {
            whole += assembler.push(SeqNo(*number), payload, &mut out).map_or(0, |assembled| assembled.obus);
            if let Ok(parsed) = Payload::parse(payload) {
                let _ = parsed.contents();
            }
        }
        assembler.abandon(&mut out);
        // Every OBU left in the buffer is one that was reported.
        let read: Result<Vec<_>, _> = Obus::new(&out).collect();
        prop_assert_eq!(read.map(|obus| obus.len()), Ok(whole));
    }

    #[test]
    fn any_bytes_are_packetized_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), max in 0..20usize) {
        if let Ok(mut packetizer) = Packetizer::new(&bytes, max, true) {
            let mut out = Vec::new();
            let mut packets = 0;
            while let Some(len) = packetizer.write_next(&mut out) {
                prop_assert!(len <= max);
                packets += 1;
                prop_assert!(packets <= bytes.len());
            }
        }
    }
}

// Found by fuzzing: the elements were counted in 8 bits, and the 256th was an overflow, or none at all.
#[test]
fn a_payload_can_have_more_elements_than_a_byte_counts() {
    for count in [255, 256, 257, 600] {
        let payload = [&[0x00][..], &[1, 0x30].repeat(count)].concat();
        assert_eq!(Payload::parse(&payload).unwrap().elements().count(), count);
        let mut out = Vec::new();
        assert_eq!(Assembler::new(100).push(SeqNo(1), &payload, &mut out), Ok(Assembled { obus: count, lost: None }));
    }
}

// An OBU header whose extension flag is set, and nothing behind it.
#[test]
fn av1_10_36_and_10_34_are_shorter_than_their_headers_claim() {
    for bytes in [[0x10, 0x36], [0x10, 0x34]] {
        let payload = Payload::parse(&bytes).unwrap();
        let element = Element { bytes: &bytes[1..], begins: true, ends: true };
        assert!(payload.elements().eq([element]));
        assert_eq!(payload.contents(), Err(ParseError::Truncated));
        assert_eq!(Codec::Av1.describe(&bytes), Err(ParseError::Truncated));
        let mut out = Vec::new();
        let lost = Some(Lost::Malformed);
        assert_eq!(Assembler::new(100).push(SeqNo(1), &bytes, &mut out), Ok(Assembled { obus: 0, lost }));
        assert!(out.is_empty());
    }
    // As the beginning of a longer OBU the same byte is sound.
    assert_eq!(Payload::parse(&[0x50, 0x34]).unwrap().contents(), Ok(Contents::default()));
}

#[test]
fn elements_are_read_with_and_without_a_count() {
    let elements = |bytes: &'static [u8]| {
        Payload::parse(bytes).map(|payload| payload.elements().map(|element| element.bytes).collect::<Vec<_>>())
    };
    let expected: Vec<&[u8]> = vec![&[0x0a, 1], &[0x30, 2, 3]];
    assert_eq!(elements(&[0x00, 2, 0x0a, 1, 3, 0x30, 2, 3]), Ok(expected.clone()));
    assert_eq!(elements(&[0x20, 2, 0x0a, 1, 0x30, 2, 3]), Ok(expected));
    for (bytes, error) in [
        (&[][..], ParseError::Truncated),
        (&[0x00], ParseError::Truncated),
        (&[0x10], ParseError::Truncated),
        (&[0x20, 2, 0x0a, 1], ParseError::Truncated),
        (&[0x20, 3, 0x0a, 1], ParseError::Overrun),
        (&[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], ParseError::Overrun),
        (&[0x00, 0x80], ParseError::Truncated),
        (&[0x00, 0], ParseError::Reserved),
        (&[0x98, 0x30], ParseError::Reserved),
    ] {
        assert_eq!(elements(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn fragments_are_told_from_whole_obus() {
    let payload = Payload::parse(&[0xe0, 1, 7, 0x30]).unwrap();
    let elements: Vec<_> = payload.elements().map(|element| (element.begins, element.ends)).collect();
    assert_eq!(elements, [(false, true), (true, false)]);
    let one = Payload::parse(&[0xd0, 7]).unwrap().elements().next();
    assert_eq!(one, Some(Element { bytes: &[7], begins: false, ends: false }));
}

#[test]
fn a_key_frame_has_the_n_bit_and_a_sequence_header() {
    let layer = Some(Layer { temporal_id: 0, spatial_id: 2 });
    let unit = [obu(2, None, &[]), obu(1, None, &[1, 2]), obu(6, layer, &[9; 30])].concat();
    let payloads = packetize(&unit, 20, true);
    assert_eq!(payloads[0][..6], [0x68, 3, 0x08, 1, 2, 0x34], "N, two elements, no delimiter, no sizes");
    let described: Vec<_> = payloads.iter().map(|payload| Codec::Av1.describe(payload).unwrap()).collect();
    assert_eq!(described.iter().map(|it| it.key_frame).collect::<Vec<_>>(), [true, false]);
    assert_eq!(described.iter().map(|it| it.starts_frame).collect::<Vec<_>>(), [true, false]);
    assert_eq!(described[0].spatial_id, Some(2));
    // A sequence header that is only repeated, and a frame without one.
    assert!(!Codec::Av1.describe(&[0x10, 0x08, 1]).unwrap().key_frame);
    assert!(!Codec::Av1.describe(&[0x18, 0x30, 1]).unwrap().key_frame);
}

#[test]
fn layers_do_not_share_a_packet() {
    let layer = |spatial_id| Some(Layer { temporal_id: 0, spatial_id });
    let unit = [obu(6, layer(0), &[1]), obu(5, None, &[2]), obu(6, layer(1), &[3])].concat();
    assert_eq!(packetize(&unit, 100, false).len(), 2);
}

#[test]
fn five_small_obus_go_without_a_count() {
    let unit: Vec<u8> = (0..5).flat_map(|index| obu(4, None, &[index])).collect();
    let payloads = packetize(&unit, 100, false);
    assert_eq!(payloads, [[0x00, 2, 0x20, 0, 2, 0x20, 1, 2, 0x20, 2, 2, 0x20, 3, 2, 0x20, 4]]);
}

#[test]
fn a_lost_packet_costs_the_obus_that_it_touches() {
    let unit = [obu(6, None, &[1; 50]), obu(5, None, &[2; 4])].concat();
    let payloads = packetize(&unit, 20, false);
    assert_eq!(payloads.len(), 3);
    let run = |lost: usize| {
        let mut out = Vec::new();
        let mut assembler = Assembler::new(100);
        let kept = payloads.iter().enumerate().filter(|(index, _)| *index != lost);
        let results: Vec<_> =
            kept.map(|(n, payload)| assembler.push(SeqNo(n as u16), payload, &mut out).unwrap()).collect();
        assert!(!assembler.is_open());
        (results.iter().map(|it| it.lost).collect::<Vec<_>>(), out)
    };
    let rest = obu(5, None, &[2; 4]);
    assert_eq!(run(0), (vec![Some(Lost::Start), Some(Lost::Start)], rest.clone()));
    assert_eq!(run(1), (vec![None, Some(Lost::End)], rest));
}

#[test]
fn obus_have_a_longest_size() {
    let payloads = packetize(&obu(6, None, &[1; 50]), 20, false);
    let mut out = Vec::new();
    let mut assembler = Assembler::new(50);
    let results: Vec<_> =
        (0..).zip(&payloads).map(|(n, it)| assembler.push(SeqNo(n), it, &mut out).unwrap().lost).collect();
    assert_eq!(results, [None, None, Some(Lost::TooLong)]);
    assert!(out.is_empty());
    let mut exact = Assembler::new(51);
    let whole: usize = (0..).zip(&payloads).map(|(n, it)| exact.push(SeqNo(n), it, &mut out).unwrap().obus).sum();
    assert_eq!(whole, 1);
}

#[test]
fn delimiters_and_tile_lists_are_ignored() {
    // Types 2 and 8 in front of a frame.
    let mut out = Vec::new();
    let whole = Assembled { obus: 1, lost: None };
    assert_eq!(Assembler::new(100).push(SeqNo(0), &[0x30, 1, 0x10, 2, 0x40, 9, 0x30, 7], &mut out), Ok(whole));
    assert_eq!(out, [0x32, 1, 7]);
    let unit = [obu(2, None, &[]), obu(8, None, &[9]), obu(6, None, &[7])].concat();
    assert_eq!(packetize(&unit, 100, false), [[0x10, 0x30, 7]]);
}

#[test]
fn sizes_inside_elements_are_checked() {
    let mut out = Vec::new();
    let mut assembler = Assembler::new(100);
    // A size that takes two bytes though one would do, then one that reaches too far.
    let whole = Assembled { obus: 1, lost: None };
    assert_eq!(assembler.push(SeqNo(0), &[0x10, 0x32, 0x82, 0x00, 7, 8], &mut out), Ok(whole));
    assert_eq!(out, [0x32, 2, 7, 8]);
    let malformed = Assembled { obus: 0, lost: Some(Lost::Malformed) };
    assert_eq!(assembler.push(SeqNo(1), &[0x10, 0x32, 3, 7, 8], &mut out), Ok(malformed));
    assert_eq!(out, [0x32, 2, 7, 8]);
}

#[test]
fn a_packetizer_refuses_what_is_no_temporal_unit() {
    assert_eq!(Packetizer::new(&[0x32, 5, 1], 100, false).unwrap_err(), Error::OutOfRange);
    assert_eq!(Packetizer::new(&[0x32, 1, 1], 3, false).unwrap_err(), Error::NoRoom);
    assert!(Packetizer::new(&[0x12, 0], 100, false).unwrap().is_done());
}
