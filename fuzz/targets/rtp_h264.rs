#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_fuzz::Payloads;
use plenary_rtp::SeqNo;
use plenary_rtp::payload::h264::{self, Assembler, Framing, Parts, Payload, SequenceParameterSet};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    unit_bytes_max: u16,
    payload_bytes_max: u16,
    payloads: Payloads<'a>,
}

fuzz_target!(|input: Input<'_>| {
    for (_, _, payload) in input.payloads.iter() {
        check_parameter_set(payload);
        split_and_assemble(payload, input.payload_bytes_max.into());
    }

    let (out, whole) = assemble(&input, Framing::Length);
    let mut rest = &out[..];
    let mut units = Vec::new();
    let mut with_start_codes = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (unit, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
        units.push(unit);
        with_start_codes.extend_from_slice(&[0, 0, 0, 1]);
        with_start_codes.extend_from_slice(unit);
        rest = behind;
    }
    assert_eq!((rest.len(), units.len()), (0, whole), "only what was reported stays");
    assert_eq!(assemble(&input, Framing::StartCode), (with_start_codes, whole));
    for unit in &units {
        assert!(unit.len() <= input.unit_bytes_max.into());
        check_parameter_set(unit);
        split_and_assemble(unit, input.payload_bytes_max.into());
    }
    aggregate(&units);
});

/// The units that the payloads make, and how many.
fn assemble(input: &Input<'_>, framing: Framing) -> (Vec<u8>, usize) {
    let mut assembler = Assembler::new(framing, input.unit_bytes_max.into());
    let mut out = Vec::new();
    let mut whole = 0;
    for (number, is_taken, payload) in input.payloads.iter() {
        if is_taken {
            out.clear();
            whole = 0;
        }
        let (before, open) = (out.len(), assembler.is_open());
        match assembler.push(number, payload, &mut out) {
            Ok(assembled) => {
                whole += assembled.units;
                let parsed = Payload::parse(payload).expect("the assembler reads the same");
                assert!(assembled.units <= parsed.units().count().max(1));
                let contents = parsed.contents();
                assert!(contents.starts_frame || !contents.idr && !contents.sps && !contents.pps);
            }
            Err(_) => assert_eq!((out.len(), assembler.is_open()), (before, open)),
        }
    }
    let open = assembler.is_open();
    assert_eq!(assembler.abandon(&mut out).is_some(), open);
    (out, whole)
}

fn check_parameter_set(unit: &[u8]) {
    if let Ok(set) = SequenceParameterSet::parse(unit) {
        assert!(set.id <= 31 && set.reference_frames_max <= 16);
        assert_eq!(set.profile_level_id[0], unit[1]);
        assert!(set.resolution.width() <= 16 * 2112 && set.resolution.height() <= 2 * 16 * 2112);
    }
}

/// A unit comes back from its parts, whatever their size.
fn split_and_assemble(unit: &[u8], payload_bytes_max: usize) {
    let Ok(parts) = Parts::new(unit, payload_bytes_max) else { return };
    let mut assembler = Assembler::new(Framing::Length, usize::MAX);
    let mut out = Vec::new();
    let mut whole = 0;
    for (number, part) in (65_000_u32..).zip(parts) {
        assert_eq!(whole, 0, "the last part ends the unit");
        let mut payload = Vec::new();
        part.write(&mut payload);
        assert_eq!(payload.len(), part.encoded_len());
        assert!(payload.len() <= payload_bytes_max);
        let assembled = assembler.push(SeqNo(number as u16), &payload, &mut out).expect("a payload of ours");
        assert_eq!(assembled.lost, None);
        whole += assembled.units;
    }
    assert_eq!((whole, &out[4..]), (1, unit));
}

fn aggregate(units: &[&[u8]]) {
    let mut out = Vec::new();
    let written = h264::write_aggregate(units, &mut out);
    assert_eq!(written.is_ok(), !units.is_empty());
    if written.is_ok() {
        let Ok(Payload::Aggregate(read)) = Payload::parse(&out) else { panic!("{out:02x?}") };
        assert!(read.map(|unit| unit.as_bytes()).eq(units.iter().copied()));
    }
}
