#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_fuzz::Payloads;
use plenary_rtp::payload::av1::{Assembler, Obu, ObuHeader, ObuType, Obus, Packetizer, Payload, SequenceHeader};
use plenary_rtp::{Error, SeqNo};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    starts_sequence: bool,
    obu_bytes_max: u16,
    payload_bytes_max: u16,
    payloads: Payloads<'a>,
}

fuzz_target!(|input: Input<'_>| {
    for (_, _, payload) in input.payloads.iter() {
        check_sequence_header(payload);
        packetize(payload, &input);
    }

    let (out, whole) = assemble(&input);
    let obus: Result<Vec<_>, _> = Obus::new(&out).collect();
    let obus = obus.expect("only whole ones stay");
    assert_eq!(obus.len(), whole);
    for obu in &obus {
        assert!(obu.header.has_size && is_sent(obu));
        check_sequence_header(obu.payload);
    }
    if packetize(&out, &input) {
        // Sizes are written the shortest way, so that they come back as they were.
        let again = assemble_all(&payloads_of(&out, &input));
        assert_eq!(again, out);
    }
});

fn is_sent(obu: &Obu<'_>) -> bool {
    !matches!(obu.header.obu_type, ObuType::TemporalDelimiter | ObuType::TileList | ObuType::Padding)
}

/// The OBUs that the payloads make, and how many.
fn assemble(input: &Input<'_>) -> (Vec<u8>, usize) {
    let mut assembler = Assembler::new(input.obu_bytes_max.into());
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
                whole += assembled.obus;
                let parsed = Payload::parse(payload).expect("the assembler reads the same");
                let elements: usize = parsed.elements().map(|element| element.bytes.len()).sum();
                assert!((1..payload.len()).contains(&elements));
                assert!(assembled.obus <= parsed.elements().count());
                let contents = parsed.contents().unwrap_or_default();
                assert!(contents.starts_frame || !contents.sequence_header);
            }
            Err(_) => assert_eq!((out.len(), assembler.is_open()), (before, open)),
        }
    }
    let open = assembler.is_open();
    assert_eq!(assembler.abandon(&mut out).is_some(), open);
    (out, whole)
}

fn check_sequence_header(payload: &[u8]) {
    if let Ok(header) = SequenceHeader::parse(payload) {
        assert!(header.profile <= 2 && header.level <= 31);
        assert!((1..=32).contains(&header.operating_points));
        assert!(!header.high_tier || header.level > 7);
    }
}

/// Packetizes what may be a temporal unit; its OBUs come back. Says if it is one.
fn packetize(unit: &[u8], input: &Input<'_>) -> bool {
    match Packetizer::new(unit, input.payload_bytes_max.into(), input.starts_sequence) {
        Ok(_) => {
            let out = assemble_all(&payloads_of(unit, input));
            let sent = Obus::new(unit).map(|obu| obu.expect("the packetizer has checked it")).filter(is_sent);
            let read = Obus::new(&out).map(|obu| obu.expect("the assembler keeps whole ones"));
            let content = |obu: Obu<'_>| (obu.header.obu_type, obu.header.layer, obu.payload.to_vec());
            assert!(read.map(content).eq(sent.map(content)));
            true
        }
        Err(Error::NoRoom) => {
            assert!(input.payload_bytes_max < 4);
            false
        }
        Err(_) => {
            assert!(Obus::new(unit).any(|obu| obu.is_err()));
            false
        }
    }
}

fn payloads_of(unit: &[u8], input: &Input<'_>) -> Vec<Vec<u8>> {
    let max = usize::from(input.payload_bytes_max);
    let mut packetizer = Packetizer::new(unit, max, input.starts_sequence).expect("it was made before");
    let mut payloads = Vec::new();
    while !packetizer.is_done() {
        let mut payload = Vec::new();
        assert_eq!(packetizer.write_next(&mut payload), Some(payload.len()));
        assert!(payload.len() <= max && payloads.len() <= unit.len());
        let parsed = Payload::parse(&payload).expect("a payload of ours");
        assert_eq!(parsed.header.starts_sequence, input.starts_sequence && payloads.is_empty());
        let begun = parsed.elements().filter(|element| element.begins);
        let mut layers: Vec<_> = begun.filter_map(|element| ObuHeader::parse(element.bytes).ok()?.0.layer).collect();
        layers.dedup();
        assert!(layers.len() <= 1, "no packet carries two layers");
        payloads.push(payload);
    }
    payloads
}

fn assemble_all(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut assembler = Assembler::new(usize::MAX);
    let mut out = Vec::new();
    for (number, payload) in (65_000_u32..).zip(payloads) {
        let assembled = assembler.push(SeqNo(number as u16), payload, &mut out).expect("a payload of ours");
        assert_eq!(assembled.lost, None);
    }
    assert!(!assembler.is_open());
    out
}
