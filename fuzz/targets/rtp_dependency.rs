#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_rtp::extension::dependency::{Descriptor, Header, Parsed, Structure, StructureState};
use plenary_rtp::{ExtendedSeqNo, ParseError, Resolution};

/// As long as the length byte here can say, and a mask with its flags.
const DESCRIPTOR_BYTES_MAX: usize = 255 + 5;

// The descriptors of a stream: each a byte of length, a byte by which its sequence number differs from the one before,
// and the descriptor.
fuzz_target!(|bytes: &[u8]| {
    let mut state = StructureState::new();
    let mut sequence = ExtendedSeqNo(1 << 16);
    let mut rest = bytes;
    while let [len, step, behind @ ..] = rest {
        let (data, behind) = behind.split_at(usize::from(*len).min(behind.len()));
        rest = behind;
        sequence.0 = sequence.0.saturating_add_signed(i64::from(step.cast_signed()));
        push(&mut state, data, sequence);
    }
});

fn push(state: &mut StructureState, data: &[u8], sequence: ExtendedSeqNo) {
    let known = state.structure().cloned();
    let active = state.active_decode_targets();
    let parsed = Descriptor::parse(data, known.as_ref());
    match (state.parse(data, sequence), &parsed) {
        (Ok(pushed), Ok(parsed)) => assert_eq!(pushed, (parsed.descriptor, parsed.layout)),
        (Err(error), _) => {
            // Of a packet from before the structure, nobody knows what it means.
            assert!(parsed == Err(error) || error == ParseError::UnknownStructure);
            assert_eq!((state.structure(), state.active_decode_targets()), (known.as_ref(), active));
        }
        (Ok(pushed), Err(error)) => panic!("{pushed:?} or {error:?}"),
    }
    let all = state.structure().map(Structure::all_decode_targets);
    assert_eq!(state.active_decode_targets().map(|mask| mask & !all.unwrap_or(0)), all.map(|_| 0));

    let Ok(parsed) = parsed else { return };
    let structure = parsed.structure.as_deref().or(known.as_ref()).expect("it was read with one");
    if parsed.structure.is_some() {
        check_structure(structure);
    }
    check_written(&parsed, structure, data);
    check_rewritten(&parsed, structure, data);
}

/// It can be made by hand from what it tells.
fn check_structure(structure: &Structure) {
    let sizes: Vec<Resolution> = (0..4).filter_map(|id| structure.resolution(id)).collect();
    let templates = structure.templates().to_vec();
    let by_hand = Structure::new(structure.template_id_offset(), templates, structure.protected_by(), &sizes);
    assert_eq!(by_hand.as_ref(), Ok(structure));
    assert_eq!(structure.decode_target_layers().len(), structure.decode_target_count());
    let all_chains = structure.protected_by().iter().fold(0, |mask, chain| mask | 1u32 << chain);
    assert_eq!(structure.active_chains(structure.all_decode_targets()), all_chains);
    let of_id = (0..=255).filter(|&id| structure.template(id).is_some());
    assert_eq!(of_id.count(), structure.templates().len());
}

/// What was read is written in as many bytes or fewer, and read again as the same.
fn check_written(parsed: &Parsed, structure: &Structure, data: &[u8]) {
    let descriptor = parsed.descriptor;
    assert_eq!(Header::parse(data), Ok(descriptor.header));
    let mut out = [0xa5; DESCRIPTOR_BYTES_MAX];
    let len = descriptor.write(structure, &mut out).expect("it fits the structure that it was read with");
    assert_eq!(descriptor.encoded_len(structure), Ok(len));
    assert!(len <= data.len());
    assert!(descriptor.write(structure, &mut [0; DESCRIPTOR_BYTES_MAX][..len - 1]).is_err());
    let again = Descriptor::parse(&out[..len], Some(structure)).expect("what was written is a descriptor");
    assert_eq!((again.descriptor, &again.structure), (descriptor, &parsed.structure));

    let Header { frame_number, start_of_frame, end_of_frame, .. } = descriptor.header;
    let shortest = Descriptor::new(structure, frame_number, start_of_frame, end_of_frame, descriptor.dependencies)
        .expect("a frame of this structure");
    assert_eq!((shortest.dependencies, shortest.resolution), (descriptor.dependencies, descriptor.resolution));
    assert!(shortest.encoded_len(structure).is_ok_and(|shortest| shortest <= len));
}

/// Another frame number and another mask change nothing else.
fn check_rewritten(parsed: &Parsed, structure: &Structure, data: &[u8]) {
    let old = parsed.descriptor;
    let frame_number = !old.header.frame_number;
    let mask = !old.active_decode_targets.unwrap_or(0x5555_5555) & structure.all_decode_targets();
    for mask in [None, Some(mask)] {
        let mut out = [0xa5; DESCRIPTOR_BYTES_MAX];
        let len = parsed.layout.rewrite(data, frame_number, mask, &mut out).expect("the bytes that it was read from");
        assert_eq!(len, parsed.layout.rewritten_len(mask));
        assert!(len <= data.len() + 5);
        let mut expected = old;
        expected.header.frame_number = frame_number;
        expected.active_decode_targets = mask.or(old.active_decode_targets);
        let new = Descriptor::parse(&out[..len], Some(structure)).expect("a descriptor still");
        assert_eq!((new.descriptor, &new.structure), (expected, &parsed.structure));
    }

    let mut own = data.to_vec();
    let changed = parsed.layout.set_active_decode_targets(&mut own, mask);
    assert_eq!(changed.is_ok(), old.active_decode_targets.is_some());
    if changed.is_ok() {
        let new = Descriptor::parse(&own, Some(structure)).expect("a descriptor still");
        assert_eq!(new.descriptor, Descriptor { active_decode_targets: Some(mask), ..old });
    } else {
        assert_eq!(own, data);
    }
}
