use proptest::prelude::*;

use super::*;
use crate::{Error, ExtendedSeqNo, ParseError, Resolution};

fn dtis(letters: &str) -> Dtis {
    let dtis: Vec<_> = letters
        .chars()
        .map(|letter| match letter {
            'D' => Dti::Discardable,
            'S' => Dti::Switch,
            'R' => Dti::Required,
            _ => Dti::NotPresent,
        })
        .collect();
    Dtis::new(&dtis).unwrap()
}

fn frame(layer: (u8, u8), letters: &str, fdiffs: &[u16], chain_diffs: &[u8]) -> FrameDependencies {
    FrameDependencies {
        spatial_id: layer.0,
        temporal_id: layer.1,
        dtis: dtis(letters),
        fdiffs: FrameDiffs::new(fdiffs).unwrap(),
        chain_diffs: ChainDiffs::new(chain_diffs).unwrap(),
    }
}

/// L2T2: two spatial and two temporal layers, a chain for each spatial one.
fn l2t2(template_id_offset: u8) -> Structure {
    let templates = vec![
        frame((0, 0), "SSSS", &[], &[0, 0]),
        frame((0, 0), "SSRR", &[4], &[4, 3]),
        frame((0, 1), "-D-R", &[2], &[2, 1]),
        frame((1, 0), "--SS", &[1], &[1, 1]),
        frame((1, 0), "--SS", &[4, 1], &[1, 1]),
        frame((1, 1), "---D", &[2, 1], &[3, 2]),
    ];
    let resolutions = [Resolution::new(320, 180).unwrap(), Resolution::new(640, 360).unwrap()];
    Structure::new(template_id_offset, templates, &[0, 0, 1, 1], &resolutions).unwrap()
}

/// Bytes from `0` and `1`, zeros up to the next byte.
fn bits(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    digits.chunks(8).map(|byte| byte.iter().zip((0..8).rev()).fold(0, |sum, (bit, place)| sum | bit << place)).collect()
}

/// A packet that is a whole frame.
fn whole(structure: &Structure, frame_number: u16, frame: FrameDependencies) -> Descriptor {
    Descriptor::new(structure, frame_number, true, true, frame).unwrap()
}

fn written(descriptor: &Descriptor, structure: &Structure) -> Vec<u8> {
    let mut bytes = vec![0xa5; descriptor.encoded_len(structure).unwrap()];
    assert_eq!(descriptor.write(structure, &mut bytes), Ok(bytes.len()));
    bytes
}

fn key_frame(structure: &Structure, frame_number: u16) -> Vec<u8> {
    let mut descriptor = whole(structure, frame_number, structure.templates()[0]);
    descriptor.header.structure_attached = true;
    written(&descriptor, structure)
}

#[test]
fn structure_tells_layers_chains_and_sizes() {
    let structure = l2t2(60);
    assert_eq!((structure.decode_target_count(), structure.chain_count()), (4, 2));
    assert_eq!(structure.all_decode_targets(), 0b1111);
    let layers: Vec<_> = structure.decode_target_layers().iter().map(|l| (l.spatial_id, l.temporal_id)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert_eq!(structure.active_chains(0b1111), 0b11);
    assert_eq!(structure.active_chains(0b0010), 0b01, "a chain of targets that are off says nothing");
    assert_eq!(structure.resolution(1), Resolution::new(640, 360).ok());
    assert_eq!(structure.resolution(2), None);
    // Ids go on modulo 64.
    assert_eq!(structure.template(60), structure.templates().first());
    assert_eq!(structure.template(1), structure.templates().last());
    for unknown in [2, 59, 64, 255] {
        assert_eq!(structure.template(unknown), None);
    }
}

#[test]
fn one_template_is_three_bytes() {
    let structure = l2t2(0);
    let descriptor = whole(&structure, 0x1234, structure.templates()[5]);
    let bytes = written(&descriptor, &structure);
    assert_eq!(bytes, [0xc0 | 5, 0x12, 0x34]);
    let parsed = Descriptor::parse(&bytes, Some(&structure)).unwrap();
    assert_eq!((parsed.descriptor, parsed.structure), (descriptor, None));
    assert_eq!(parsed.descriptor.resolution, Resolution::new(640, 360).ok());
}

#[test]
fn custom_parts_are_written_where_they_differ() {
    let structure = l2t2(0);
    // Nearest to the second template of its layer: only the differences are custom, each with its size.
    let descriptor = whole(&structure, 1, frame((0, 0), "SSRR", &[4, 20, 257], &[4, 3]));
    assert_eq!(descriptor.header.template_id, 1);
    let expected = bits("11 000001 0000000000000001 00010 01 0011 10 00010011 11 000100000000 00");
    assert_eq!(written(&descriptor, &structure), expected);
    assert_eq!(Descriptor::parse(&expected, Some(&structure)).unwrap().descriptor, descriptor);

    let descriptor = whole(&structure, 1, frame((1, 1), "--DR", &[2, 1], &[3, 255]));
    assert_eq!(descriptor.header.template_id, 5);
    let expected = bits("11 000101 0000000000000001 00101 00 00 01 11 00000011 11111111");
    assert_eq!(written(&descriptor, &structure), expected);
    assert_eq!(Descriptor::parse(&expected, Some(&structure)).unwrap().descriptor, descriptor);
}

#[test]
fn header_needs_no_structure() {
    let structure = l2t2(0);
    let bytes = key_frame(&structure, 7);
    let header = Header::parse(&bytes).unwrap();
    assert!(header.structure_attached && header.start_of_frame && header.end_of_frame);
    assert_eq!((header.template_id, header.frame_number), (0, 7));
    assert_eq!(Header::parse(&[0x45, 1, 2]).map(|h| (h.start_of_frame, h.end_of_frame)), Ok((false, true)));
    assert_eq!(Header::parse(&[0x45, 1]), Err(ParseError::Truncated));
    assert_eq!(Descriptor::parse(&[0x45, 1, 2], None), Err(ParseError::UnknownStructure));
    assert_eq!(Descriptor::parse(&[0x46, 1, 2], Some(&structure)), Err(ParseError::UnknownStructure));
}

#[test]
fn truncation_anywhere_is_seen() {
    let structure = l2t2(0);
    let whole = key_frame(&structure, 7);
    for length in 0..whole.len() {
        assert_eq!(
            Descriptor::parse(&whole[..length], None).map(|_| ()),
            Err(match length {
                // Three bytes are a descriptor of their own, without a structure.
                3 => ParseError::UnknownStructure,
                _ => ParseError::Truncated,
            })
        );
    }
    assert!(Descriptor::parse(&whole, None).is_ok());
}

#[test]
fn endless_lists_are_refused() {
    let structure = l2t2(0);
    let bytes = bits(&("11 000000 0000000000000001 00010".to_owned() + &"01 0000".repeat(60)));
    assert_eq!(Descriptor::parse(&bytes, Some(&structure)), Err(ParseError::TooMany));
    // Templates of one layer without an end.
    let mut bytes = vec![0xc0, 0, 1, 0x80, 0, 0];
    bytes.extend([0; 100]);
    assert_eq!(Descriptor::parse(&bytes, None), Err(ParseError::TooMany));
    // Layers without an end: next_layer_idc 01, and 10.
    for layers in [0x55, 0xaa] {
        let mut bytes = vec![0xc0, 0, 1, 0x80, 0, layers];
        bytes.extend([layers; 100]);
        assert_eq!(Descriptor::parse(&bytes, None), Err(ParseError::TooMany));
    }
}

#[test]
fn what_can_not_be_written_can_not_be_built() {
    let key = frame((0, 0), "SS", &[], &[0]);
    let size = Resolution::new(1, 1).unwrap();
    type Case<'a> = (u8, Vec<FrameDependencies>, &'a [u8], &'a [Resolution]);
    let cases: [Case<'_>; 13] = [
        (64, vec![key], &[0, 0], &[]),
        (0, vec![], &[], &[]),
        (0, vec![frame((0, 1), "SS", &[], &[0])], &[0, 0], &[]),
        (0, vec![key, frame((0, 2), "SS", &[], &[0])], &[0, 0], &[]),
        (0, vec![key, frame((1, 1), "SS", &[], &[0])], &[0, 0], &[]),
        (0, vec![key, frame((0, 0), "SSS", &[], &[0])], &[0, 0], &[]),
        (0, vec![key, frame((0, 0), "SS", &[], &[])], &[0, 0], &[]),
        (0, vec![frame((0, 0), "SS", &[17], &[0])], &[0, 0], &[]),
        (0, vec![frame((0, 0), "SS", &[], &[16])], &[0, 0], &[]),
        (0, vec![frame((0, 0), "S", &[], &[0, 0])], &[0], &[]),
        (0, vec![key], &[0], &[]),
        (0, vec![key], &[0, 1], &[]),
        (0, vec![key], &[0, 0], &[size, size]),
    ];
    for (index, (offset, templates, protected_by, sizes)) in cases.into_iter().enumerate() {
        assert_eq!(Structure::new(offset, templates, protected_by, sizes), Err(Error::OutOfRange), "case {index}");
    }
    assert_eq!(Structure::new(0, vec![key; 65], &[0, 0], &[]), Err(Error::TooLong));
    assert_eq!(Dtis::new(&[Dti::Switch; 33]), Err(Error::TooLong));
    assert_eq!(FrameDiffs::new(&[1; 17]), Err(Error::TooLong));
    assert_eq!(FrameDiffs::new(&[0]), Err(Error::OutOfRange));
    assert_eq!(FrameDiffs::new(&[4097]), Err(Error::OutOfRange));
    assert_eq!(ChainDiffs::new(&[0; 33]), Err(Error::TooLong));
}

#[test]
fn descriptor_fits_its_structure_or_is_not_written() {
    let structure = l2t2(0);
    let mut out = [0; 64];
    let good = whole(&structure, 1, structure.templates()[3]);
    assert_eq!(good.write(&structure, &mut out[..2]), Err(Error::NoRoom));
    for change in [
        |d: &mut Descriptor| d.header.template_id = 0,
        |d: &mut Descriptor| d.header.template_id = 6,
        |d: &mut Descriptor| d.dependencies.dtis = dtis("SSS"),
        |d: &mut Descriptor| d.dependencies.chain_diffs = ChainDiffs::default(),
        |d: &mut Descriptor| d.active_decode_targets = Some(0b1_0000),
    ] {
        let mut bad = good;
        change(&mut bad);
        assert_eq!(bad.write(&structure, &mut out), Err(Error::OutOfRange));
        assert_eq!(bad.encoded_len(&structure), Err(Error::OutOfRange));
    }
    assert_eq!(out, [0; 64]);
    let unknown_layer = frame((1, 2), "SSSS", &[], &[0, 0]);
    assert_eq!(Descriptor::new(&structure, 1, true, true, unknown_layer), Err(Error::OutOfRange));
}

#[test]
fn mask_is_put_into_three_bytes() {
    let structure = l2t2(0);
    let short = written(&whole(&structure, 1, structure.templates()[3]), &structure);
    let layout = Descriptor::parse(&short, Some(&structure)).unwrap().layout;
    let mut out = [0xa5; 8];
    assert_eq!(layout.rewritten_len(Some(0b0011)), 5);
    assert_eq!(layout.rewrite(&short, 0x0203, Some(0b0011), &mut out), Ok(5));
    assert_eq!(out, [0xc3, 2, 3, 0b0100_0001, 0b1000_0000, 0xa5, 0xa5, 0xa5]);
    assert_eq!(layout.rewrite(&short, 0x0203, None, &mut out), Ok(3));
    assert_eq!(layout.rewrite(&short, 1, Some(0b0011), &mut out[..4]), Err(Error::NoRoom));
    assert_eq!(layout.rewrite(&short, 1, Some(0b1_0000), &mut out), Err(Error::OutOfRange));
    assert_eq!(layout.rewrite(&[0xc3, 0, 1, 0], 1, None, &mut out), Err(Error::OutOfRange));
    assert_eq!(layout.set_active_decode_targets(&mut out[..3], 0b0011), Err(Error::NoRoom));
}

mod state {
    use super::*;

    fn with_mask(structure: &Structure, frame_number: u16, mask: u32) -> Vec<u8> {
        let mut descriptor = whole(structure, frame_number, structure.templates()[1]);
        descriptor.active_decode_targets = Some(mask);
        written(&descriptor, structure)
    }

    #[test]
    fn a_mask_holds_until_the_next_one() {
        let structure = l2t2(0);
        let mut state = StructureState::new();
        assert_eq!(state.parse(&[0xc1, 0, 1], ExtendedSeqNo(9)), Err(ParseError::UnknownStructure));
        assert_eq!(state.active_decode_targets(), None);
        state.parse(&key_frame(&structure, 1), ExtendedSeqNo(10)).unwrap();
        assert_eq!((state.structure(), state.active_decode_targets()), (Some(&structure), Some(0b1111)));
        state.parse(&with_mask(&structure, 2, 0b0011), ExtendedSeqNo(20)).unwrap();
        state.parse(&with_mask(&structure, 2, 0b0111), ExtendedSeqNo(15)).unwrap();
        state.parse(&[0xc1, 0, 3], ExtendedSeqNo(21)).unwrap();
        assert_eq!(state.active_decode_targets(), Some(0b0011), "the late mask of packet 15 is overruled");
        state.parse(&key_frame(&structure, 1), ExtendedSeqNo(10)).unwrap();
        assert_eq!(state.active_decode_targets(), Some(0b0011), "so is the key frame that comes once more");
        state.parse(&key_frame(&structure, 4), ExtendedSeqNo(22)).unwrap();
        assert_eq!(state.active_decode_targets(), Some(0b1111));
    }

    #[test]
    fn a_late_packet_does_not_bring_back_an_old_structure() {
        let (old, new) = (l2t2(0), l2t2(10));
        let mut state = StructureState::new();
        state.parse(&key_frame(&old, 1), ExtendedSeqNo(10)).unwrap();
        state.parse(&key_frame(&new, 5), ExtendedSeqNo(30)).unwrap();
        // It can be read by itself, but nothing follows from it.
        let (descriptor, _) = state.parse(&key_frame(&old, 1), ExtendedSeqNo(10)).unwrap();
        assert_eq!(descriptor.header.template_id, 0);
        assert_eq!(state.structure(), Some(&new));
        assert_eq!(state.parse(&[0xc1, 0, 2], ExtendedSeqNo(11)), Err(ParseError::UnknownStructure));
        assert!(state.parse(&[0xc0 | 11, 0, 6], ExtendedSeqNo(31)).is_ok());
    }

    // Browsers always begin at template id 0, so an id alone can't tell two structures apart.
    #[test]
    fn a_late_packet_is_not_read_with_a_structure_that_begins_at_the_same_id() {
        let old = l2t2(0);
        let new = Structure::new(0, old.templates()[..3].to_vec(), &[0, 0, 1, 1], &[]).unwrap();
        let mut state = StructureState::new();
        state.parse(&key_frame(&old, 1), ExtendedSeqNo(10)).unwrap();
        state.parse(&key_frame(&new, 5), ExtendedSeqNo(30)).unwrap();
        assert_eq!(state.parse(&[0xc1, 0, 2], ExtendedSeqNo(11)), Err(ParseError::UnknownStructure));
    }

    #[test]
    fn packets_before_a_repeated_structure_are_still_read() {
        let structure = l2t2(0);
        let mut state = StructureState::new();
        state.parse(&key_frame(&structure, 1), ExtendedSeqNo(10)).unwrap();
        state.parse(&key_frame(&structure, 5), ExtendedSeqNo(30)).unwrap();
        assert!(state.parse(&[0xc1, 0, 4], ExtendedSeqNo(29)).is_ok());
    }

    #[test]
    fn refused_bytes_change_nothing() {
        let (old, new) = (l2t2(0), l2t2(10));
        let mut state = StructureState::new();
        state.parse(&key_frame(&old, 1), ExtendedSeqNo(10)).unwrap();
        let mut bad = key_frame(&new, 2);
        bad[0] = 0xc0; // no template of the structure beside it
        assert_eq!(state.parse(&bad, ExtendedSeqNo(20)), Err(ParseError::UnknownStructure));
        assert_eq!(state.structure(), Some(&old));
    }

    #[test]
    fn packets_without_a_structure_allocate_nothing() {
        let structure = l2t2(0);
        let mut state = StructureState::new();
        state.parse(&key_frame(&structure, 1), ExtendedSeqNo(10)).unwrap();
        let custom = written(&whole(&structure, 2, frame((1, 1), "DDDD", &[1, 2, 3, 400], &[9, 9])), &structure);
        let masked = with_mask(&structure, 3, 1);
        let mut out = [0; 32];
        let counted = allocation_counter::measure(|| {
            for (packet, sequence) in [(&custom, 11), (&masked, 12)] {
                let (descriptor, layout) = state.parse(packet, ExtendedSeqNo(sequence)).unwrap();
                assert_eq!(descriptor.write(state.structure().unwrap(), &mut out), Ok(packet.len()));
                layout.rewrite(packet, 77, Some(3), &mut out).unwrap();
            }
        });
        assert_eq!(counted.count_total, 0);
    }
}

prop_compose! {
    fn any_frame(layer: (u8, u8), targets: usize, chains: usize, fdiff_max: u16, chain_diff_max: u8)(
        dtis in prop::collection::vec(prop::sample::select(&LETTERS[..]), targets),
        fdiffs in prop::collection::vec(1..=fdiff_max, 0..=5),
        chain_diffs in prop::collection::vec(0..=chain_diff_max, chains),
    ) -> FrameDependencies {
        FrameDependencies {
            spatial_id: layer.0,
            temporal_id: layer.1,
            dtis: Dtis::new(&dtis).unwrap(),
            fdiffs: FrameDiffs::new(&fdiffs).unwrap(),
            chain_diffs: ChainDiffs::new(&chain_diffs).unwrap(),
        }
    }
}

const LETTERS: [Dti; 4] = [Dti::NotPresent, Dti::Discardable, Dti::Switch, Dti::Required];

/// The layers that some steps lead through, as far as they can be taken.
fn walk(steps: &[u8]) -> Vec<(u8, u8)> {
    let mut layers = vec![(0, 0)];
    for step in steps {
        let (spatial_id, temporal_id) = layers[layers.len() - 1];
        layers.push(match step {
            1 if temporal_id < 7 => (spatial_id, temporal_id + 1),
            2 if spatial_id < 3 => (spatial_id + 1, 0),
            _ => (spatial_id, temporal_id),
        });
    }
    layers
}

fn structures() -> impl Strategy<Value = Structure> {
    let counts = (1..=32usize).prop_flat_map(|targets| (Just(targets), 0..=targets));
    let steps = prop::collection::vec(0..3u8, 0..20);
    (0..64u8, counts, steps, any::<bool>()).prop_flat_map(|(offset, (targets, chains), steps, sized)| {
        let layers = walk(&steps);
        let spatial_layers = usize::from(layers[layers.len() - 1].0) + 1;
        let templates: Vec<_> = layers.into_iter().map(|layer| any_frame(layer, targets, chains, 16, 15)).collect();
        let protected = if chains == 0 { 0 } else { targets };
        let protected_by = prop::collection::vec(0..chains.max(1) as u8, protected);
        let size = (1..=65_536u32, 1..=65_536u32).prop_map(|(width, height)| Resolution::new(width, height).unwrap());
        let sizes = prop::collection::vec(size, if sized { spatial_layers } else { 0 });
        (templates, protected_by, sizes).prop_map(move |(templates, protected_by, sizes)| {
            Structure::new(offset, templates, &protected_by, &sizes).unwrap()
        })
    })
}

/// A structure and a descriptor that fits it: of a template's layer, with some, all or none of its fields.
fn descriptors() -> impl Strategy<Value = (Structure, Descriptor)> {
    structures().prop_flat_map(|structure| {
        let (targets, chains) = (structure.decode_target_count(), structure.chain_count());
        let template = prop::sample::select(structure.templates().to_vec());
        let frame = template.prop_flat_map(move |template| {
            let layer = (template.spatial_id, template.temporal_id);
            (Just(template), any_frame(layer, targets, chains, FRAME_DIFF_MAX, 255), any::<[bool; 3]>())
        });
        let mask = prop::option::of(any::<u32>());
        (Just(structure), frame, any::<u16>(), any::<[bool; 3]>(), mask).prop_map(
            |(structure, (template, custom, which), frame_number, [start, end, attached], mask)| {
                let frame = FrameDependencies {
                    dtis: if which[0] { custom.dtis } else { template.dtis },
                    fdiffs: if which[1] { custom.fdiffs } else { template.fdiffs },
                    chain_diffs: if which[2] { custom.chain_diffs } else { template.chain_diffs },
                    ..template
                };
                let mut descriptor = Descriptor::new(&structure, frame_number, start, end, frame).unwrap();
                descriptor.header.structure_attached = attached;
                descriptor.active_decode_targets = mask.map(|mask| mask & structure.all_decode_targets());
                (structure, descriptor)
            },
        )
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read((structure, descriptor) in descriptors()) {
        let bytes = written(&descriptor, &structure);
        let parsed = Descriptor::parse(&bytes, Some(&structure)).unwrap();
        prop_assert_eq!(parsed.descriptor, descriptor);
        prop_assert_eq!(parsed.structure.is_some(), descriptor.header.structure_attached);
        prop_assert_eq!(parsed.structure.as_deref().unwrap_or(&structure), &structure);
        prop_assert_eq!(Header::parse(&bytes), Ok(descriptor.header));
        if descriptor.header.structure_attached {
            prop_assert_eq!(Descriptor::parse(&bytes, None), Ok(parsed));
        }
    }

    #[test]
    fn no_other_template_of_the_layer_is_shorter((structure, descriptor) in descriptors()) {
        let length = descriptor.encoded_len(&structure).unwrap();
        for template_id in 0..64 {
            let mut other = descriptor;
            other.header.template_id = template_id;
            if let Ok(other) = other.encoded_len(&structure) {
                prop_assert!(length <= other);
            }
        }
    }

    #[test]
    fn rewriting_changes_the_number_and_the_mask_only(
        (structure, descriptor) in descriptors(), frame_number: u16, mask in prop::option::of(any::<u32>()),
        padding in 0..3usize,
    ) {
        let mut bytes = written(&descriptor, &structure);
        bytes.resize(bytes.len() + padding, 0);
        let Parsed { layout, structure: attached, .. } = Descriptor::parse(&bytes, Some(&structure)).unwrap();
        let mask = mask.map(|mask| mask & structure.all_decode_targets());
        let mut out = vec![0xa5; 2000];
        let length = layout.rewrite(&bytes, frame_number, mask, &mut out).unwrap();
        prop_assert_eq!(length, layout.rewritten_len(mask));
        prop_assert!(out[length..].iter().all(|&byte| byte == 0xa5));
        let mut expected = descriptor;
        expected.header.frame_number = frame_number;
        expected.active_decode_targets = mask.or(descriptor.active_decode_targets);
        let again = Descriptor::parse(&out[..length], Some(&structure)).unwrap();
        prop_assert_eq!(again.descriptor, expected);
        prop_assert_eq!(again.structure, attached);
        let fresh = written(&expected, &structure);
        prop_assert_eq!(&out[..fresh.len()], &fresh[..]);
        prop_assert!(out[fresh.len()..length].iter().all(|&byte| byte == 0));

        // In place, where the mask stands already.
        let in_place = layout.set_active_decode_targets(&mut bytes, mask.unwrap_or(0));
        Header::set_frame_number(&mut bytes, frame_number).unwrap();
        expected.active_decode_targets = in_place.is_ok().then_some(mask.unwrap_or(0));
        prop_assert_eq!(in_place.is_ok(), descriptor.active_decode_targets.is_some());
        prop_assert_eq!(Descriptor::parse(&bytes, Some(&structure)).unwrap().descriptor, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256), structure in structures()) {
        let mut state = StructureState::new();
        let _ = state.parse(&bytes, ExtendedSeqNo(1));
        if let Ok(parsed) = Descriptor::parse(&bytes, Some(&structure)) {
            let structure = parsed.structure.as_deref().unwrap_or(&structure);
            let again = written(&parsed.descriptor, structure);
            prop_assert_eq!(Descriptor::parse(&again, Some(structure)).unwrap().descriptor, parsed.descriptor);
            let mut out = [0; 300];
            parsed.layout.rewrite(&bytes, 1, Some(1), &mut out).unwrap();
        }
    }

    // Random bytes rarely make a structure: so change a good one.
    #[test]
    fn damaged_bytes_are_read_or_refused(
        (structure, mut descriptor) in descriptors(), at: prop::sample::Index, flip: u8, cut: prop::sample::Index,
    ) {
        descriptor.header.structure_attached = true;
        let mut bytes = written(&descriptor, &structure);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        bytes.truncate(cut.index(4 * bytes.len()) + 1);
        if let Ok(Parsed { descriptor, layout, structure: Some(structure) }) = Descriptor::parse(&bytes, None) {
            let again = written(&descriptor, &structure);
            let again = Descriptor::parse(&again, None).unwrap();
            prop_assert_eq!((again.descriptor, again.structure), (descriptor, Some(structure)));
            let mut out = vec![0; bytes.len() + 6];
            layout.rewrite(&bytes, 1, Some(1), &mut out).unwrap();
        }
    }
}
