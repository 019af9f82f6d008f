use proptest::prelude::*;

use super::*;
use crate::SeqNo;
use crate::payload::Codec;

const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f];
const PPS: &[u8] = &[0x68, 0xce];
const IDR: &[u8] = &[0x65, 0x88, 1, 2, 3, 4, 5, 6, 7, 8, 9];

fn parts(unit: &[u8], max: usize) -> Vec<Vec<u8>> {
    let payload = |part: Part<'_>| {
        let mut out = Vec::new();
        part.write(&mut out);
        assert_eq!(out.len(), part.encoded_len());
        out
    };
    Parts::new(unit, max).unwrap().map(payload).collect()
}

/// Pushes payloads with the sequence numbers 65534, 65535, 0, ….
fn assemble(assembler: &mut Assembler, payloads: &[Vec<u8>], out: &mut Vec<u8>) -> Vec<Assembled> {
    let numbers = (0..).map(|index: u16| index.wrapping_sub(2));
    numbers.zip(payloads).map(|(number, payload)| assembler.push(SeqNo(number), payload, out).unwrap()).collect()
}

fn unit() -> impl Strategy<Value = Vec<u8>> {
    (1..=23u8, 0..4u8, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(unit_type, ref_idc, body)| {
        let mut unit = vec![ref_idc << 5 | unit_type];
        unit.extend(body);
        unit
    })
}

proptest! {
    #[test]
    fn a_unit_comes_back_from_its_parts(unit in unit(), max in 4..210usize, length: bool) {
        let framing = if length { Framing::Length } else { Framing::StartCode };
        let payloads = parts(&unit, max);
        prop_assert!(payloads.iter().all(|payload| payload.len() <= max));
        prop_assert_eq!(payloads.len() == 1, unit.len() <= max);
        let mut out = b"before".to_vec();
        let results = assemble(&mut Assembler::new(framing, 1000), &payloads, &mut out);
        prop_assert_eq!(results.last(), Some(&Assembled { units: 1, lost: None }));
        let prefix = if length { (unit.len() as u32).to_be_bytes() } else { [0, 0, 0, 1] };
        prop_assert_eq!(out, [b"before", &prefix[..], &unit].concat());
    }

    #[test]
    fn units_come_back_from_an_aggregate(units in prop::collection::vec(unit(), 1..6)) {
        let slices: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
        let mut bytes = Vec::new();
        write_aggregate(&slices, &mut bytes).unwrap();
        let payload = Payload::parse(&bytes).unwrap();
        prop_assert!(payload.units().map(|unit| unit.as_bytes()).eq(slices.iter().copied()));
        let most = slices.iter().map(|unit| unit[0] & 0x60).max().unwrap();
        prop_assert_eq!(bytes[0], most | 24);
        for length in 0..bytes.len() {
            // What is cut in the middle of a unit is refused whole.
            if let Ok(cut) = Payload::parse(&bytes[..length]) {
                prop_assert_eq!(cut.units().map(|unit| unit.as_bytes().len() + 2).sum::<usize>(), length - 1);
            }
        }
    }

    #[test]
    fn any_payloads_are_assembled_or_refused(
        payloads in prop::collection::vec((0..4u16, 0..=31u8, prop::collection::vec(any::<u8>(), 0..12)), 0..20),
    ) {
        let mut assembler = Assembler::new(Framing::Length, 40);
        let mut out = Vec::new();
        let mut whole = 0;
        for (number, first, rest) in payloads {
            let payload: Vec<u8> = std::iter::once(first).chain(rest).collect();
            whole += assembler.push(SeqNo(number), &payload, &mut out).map_or(0, |assembled| assembled.units);
        }
        assembler.abandon(&mut out);
        // Every unit left in the buffer is one that was reported.
        let mut rest = &out[..];
        let mut found = 0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            rest = &after[u32::from_be_bytes(*length) as usize..];
            found += 1;
        }
        prop_assert_eq!((found, rest.len()), (whole, 0));
    }
}

#[test]
fn h264_18_00_00_07_is_refused() {
    assert!(matches!(Payload::parse(&[0x18, 0x00, 0x00, 0x07]), Err(ParseError::Reserved)));
    assert_eq!(Codec::H264.describe(&[0x18, 0x00, 0x00, 0x07]), Err(ParseError::Reserved));
}

#[test]
fn a_truncated_stap_a_is_refused() {
    assert!(matches!(Payload::parse(&[0x18]), Err(ParseError::Truncated)));
    assert!(matches!(Payload::parse(&[0x18, 0x00]), Err(ParseError::Truncated)));
    assert!(matches!(Payload::parse(&[0x18, 0x00, 0x02, 0x67]), Err(ParseError::Overrun)));
    assert!(matches!(Payload::parse(&[0x18, 0xff, 0xff, 0x67]), Err(ParseError::Overrun)));
}

#[test]
fn aggregates_and_fragments_do_not_nest() {
    assert!(matches!(Payload::parse(&[0x18, 0x00, 0x01, 0x18]), Err(ParseError::Reserved)));
    assert!(matches!(Payload::parse(&[0x7c, 0x9c, 0x01]), Err(ParseError::Reserved)));
    assert_eq!(write_aggregate(&[&[0x7c, 0x85]], &mut Vec::new()), Err(Error::OutOfRange));
    assert_eq!(Parts::new(&[0x18, 0, 1, 0x65], 3).unwrap_err(), Error::OutOfRange);
}

#[test]
fn an_aggregate_is_damaged_if_one_of_its_units_is() {
    let mut out = Vec::new();
    write_aggregate(&[&[0x27, 1], &[0xc8, 2]], &mut out).unwrap();
    assert_eq!(out, [0xd8, 0, 2, 0x27, 1, 0, 2, 0xc8, 2]);
    let damaged: Vec<_> = Payload::parse(&out).unwrap().units().map(|unit| unit.header().is_damaged()).collect();
    assert_eq!(damaged, [false, true]);
}

#[test]
fn a_fragment_that_is_start_and_end_is_a_whole_unit() {
    // With the reserved bit set and without.
    for fu_header in [0xc5, 0xe5] {
        let mut out = Vec::new();
        let mut assembler = Assembler::new(Framing::Length, 100);
        let whole = Assembled { units: 1, lost: None };
        assert_eq!(assembler.push(SeqNo(0), &[0x7c, fu_header, 0x88, 1], &mut out), Ok(whole));
        assert_eq!(out, [0, 0, 0, 3, 0x65, 0x88, 1]);
    }
}

#[test]
fn types_of_the_interleaved_mode_are_named_and_told_apart_from_nonsense() {
    for unit_type in [25, 26, 27, 29] {
        let bytes = [0x60 | unit_type, 1, 2, 3];
        assert!(matches!(Payload::parse(&bytes), Ok(Payload::Unsupported(found)) if found == unit_type));
        assert_eq!(Codec::H264.describe(&bytes), Err(ParseError::Reserved));
    }
    for unit_type in [0, 30, 31] {
        assert!(matches!(Payload::parse(&[unit_type, 1]), Err(ParseError::Reserved)));
    }
}

#[test]
fn a_key_frame_begins_with_its_parameter_sets_and_its_first_slice() {
    let mut sets = Vec::new();
    write_aggregate(&[SPS, PPS], &mut sets).unwrap();
    let contents = Payload::parse(&sets).unwrap().contents();
    assert_eq!(contents, Contents { sps: true, pps: true, starts_frame: true, ..Contents::default() });
    assert!(Codec::H264.describe(&sets).unwrap().key_frame);

    let fragments = parts(IDR, 6);
    assert_eq!(fragments.len(), 3);
    let described: Vec<_> = fragments.iter().map(|payload| Codec::H264.describe(payload).unwrap()).collect();
    assert_eq!(described.iter().map(|it| it.key_frame).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(described.iter().map(|it| it.starts_frame).collect::<Vec<_>>(), [true, false, false]);

    // The second slice of an IDR picture: its first macroblock is not 0.
    let later = Codec::H264.describe(&[0x65, 0x48, 1]).unwrap();
    assert_eq!((later.key_frame, later.starts_frame), (false, false));
    // A slice that nothing refers to.
    let slice = Codec::H264.describe(&[0x01, 0x9a, 1]).unwrap();
    assert_eq!((slice.key_frame, slice.starts_frame, slice.discardable), (false, true, true));
}

#[test]
fn fu_a_with_a_lost_start_gives_nothing() {
    let fragments = parts(IDR, 6);
    let mut out = b"before".to_vec();
    let mut assembler = Assembler::new(Framing::StartCode, 100);
    let lost = Assembled { units: 0, lost: Some(Lost::Start) };
    assert_eq!(assemble(&mut assembler, &fragments[1..], &mut out), [lost, lost]);
    assert!(!assembler.is_open());
    assert_eq!(out, b"before");
}

#[test]
fn fu_a_with_a_lost_end_is_cut_off_by_what_follows() {
    let fragments = parts(IDR, 6);
    let mut out = b"before".to_vec();
    let mut assembler = Assembler::new(Framing::StartCode, 100);
    for (number, fragment) in [10, 11].into_iter().zip(&fragments) {
        assert_eq!(assembler.push(SeqNo(number), fragment, &mut out), Ok(Assembled::default()));
    }
    let lost = Some(Lost::End);
    assert_eq!(assembler.push(SeqNo(13), PPS, &mut out), Ok(Assembled { units: 1, lost }));
    assert_eq!(out, b"before\x00\x00\x00\x01\x68\xce");

    // The next unit's first fragment, and the end of the frame, do so too.
    assert_eq!(assembler.push(SeqNo(14), &fragments[0], &mut out), Ok(Assembled::default()));
    assert_eq!(assembler.push(SeqNo(16), &fragments[0], &mut out), Ok(Assembled { units: 0, lost }));
    assert_eq!(assembler.abandon(&mut out), lost);
    assert_eq!(assembler.abandon(&mut out), None);
    assert_eq!(out, b"before\x00\x00\x00\x01\x68\xce");
}

#[test]
fn fu_a_with_a_lost_middle_gives_nothing() {
    let fragments = parts(IDR, 6);
    let mut out = Vec::new();
    let mut assembler = Assembler::new(Framing::StartCode, 100);
    assert_eq!(assembler.push(SeqNo(65535), &fragments[0], &mut out), Ok(Assembled::default()));
    assert_eq!(assembler.push(SeqNo(1), &fragments[2], &mut out), Ok(Assembled { units: 0, lost: Some(Lost::End) }));
    assert!(out.is_empty());
}

#[test]
fn a_buffer_that_was_changed_loses_the_open_unit_and_nothing_else() {
    let fragments = parts(IDR, 6);
    let mut out = Vec::new();
    let mut assembler = Assembler::new(Framing::Length, 100);
    assert_eq!(assembler.push(SeqNo(1), &fragments[0], &mut out), Ok(Assembled::default()));
    out.clear();
    assert_eq!(assembler.push(SeqNo(2), &fragments[1], &mut out), Ok(Assembled { units: 0, lost: Some(Lost::End) }));
    assert!(out.is_empty());
}

#[test]
fn units_have_a_longest_size() {
    let mut out = Vec::new();
    let mut assembler = Assembler::new(Framing::Length, IDR.len() - 1);
    let too_long = Assembled { units: 0, lost: Some(Lost::TooLong) };
    assert_eq!(assembler.push(SeqNo(0), IDR, &mut out), Ok(too_long));
    assert_eq!(assemble(&mut assembler, &parts(IDR, 6), &mut out).last(), Some(&too_long));
    assert!(out.is_empty() && !assembler.is_open());
    let mut exact = Assembler::new(Framing::Length, IDR.len());
    assert_eq!(assemble(&mut exact, &parts(IDR, 6), &mut out).last().map(|it| it.units), Some(1));
}

#[test]
fn parts_need_room() {
    assert_eq!(Parts::new(IDR, 2).unwrap_err(), Error::NoRoom);
    assert_eq!(Parts::new(&[], 100).unwrap_err(), Error::OutOfRange);
    assert_eq!(Parts::new(IDR, 3).unwrap().count(), 10);
    assert_eq!(Parts::new(IDR, 11).unwrap().count(), 1);
    assert_eq!(write_aggregate(&[], &mut Vec::new()), Err(Error::OutOfRange));
    assert_eq!(write_aggregate(&[&[0x65; 65_536]], &mut Vec::new()), Err(Error::TooLong));
}
