use crate::Resolution;
use proptest::prelude::*;

use super::*;
use crate::payload::Codec;

fn references(max: u8) -> impl Strategy<Value = References> {
    prop::collection::vec(0..=max, 0..=REFERENCES_MAX).prop_map(|diffs| References::new(&diffs).unwrap())
}

prop_compose! {
    fn layer()(temporal_id in 0..8u8, switching_up_point: bool, spatial_id in 0..8u8, inter_layer: bool) -> Layer {
        Layer { temporal_id, switching_up_point, spatial_id, inter_layer }
    }
}

prop_compose! {
    fn structure()(
        spatial_layers in 1..=8u8,
        sizes in prop::option::of(prop::array::uniform8((0..=65_535u32, 0..=65_535u32))),
        pictures in prop::option::of(prop::collection::vec((0..8u8, any::<bool>(), references(255)), 0..20)),
    ) -> (u8, Vec<Option<Resolution>>, Option<Vec<GroupPicture>>) {
        let sizes = sizes.into_iter().flatten().take(spatial_layers.into());
        let resolutions = sizes.map(|(width, height)| Resolution::new(width, height).ok()).collect();
        let picture = |(temporal_id, switching_up_point, references)| {
            GroupPicture { temporal_id, switching_up_point, references }
        };
        let pictures = pictures.map(|pictures| pictures.into_iter().map(picture).collect());
        (spatial_layers, resolutions, pictures)
    }
}

prop_compose! {
    /// Any descriptor that can be written, without a structure.
    fn descriptor()(
        picture_id in prop::option::of((any::<bool>(), 0..1u16 << 15)),
        layer in prop::option::of(layer()),
        references in references(127),
        (flexible, begins_frame, ends_frame) in any::<(bool, bool, bool)>(),
        (inter_picture, not_for_upper_layers, tl0_pic_idx) in any::<(bool, bool, u8)>(),
    ) -> Descriptor<'static> {
        let picture_id = picture_id.map(|(long, value)| {
            if long { PictureId::Fifteen(value) } else { PictureId::Seven(value as u8 & 0x7f) }
        });
        let mode = if flexible {
            Mode::Flexible(references)
        } else {
            Mode::NonFlexible { tl0_pic_idx: layer.map(|_| tl0_pic_idx) }
        };
        let inter_picture = if flexible { !references.as_slice().is_empty() } else { inter_picture };
        Descriptor {
            picture_id, inter_picture, layer, mode, begins_frame, ends_frame, not_for_upper_layers, structure: None,
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(descriptor in descriptor(), structure in prop::option::of(structure())) {
        let mut structure_bytes = Vec::new();
        if let Some((layers, resolutions, pictures)) = &structure {
            ScalabilityStructure::write(*layers, resolutions, pictures.as_deref(), &mut structure_bytes).unwrap();
        }
        let view = structure.is_some().then(|| ScalabilityStructure::parse(&structure_bytes).unwrap());
        if let (Some(view), Some((layers, resolutions, pictures))) = (view, structure) {
            prop_assert_eq!(view.spatial_layers(), layers);
            prop_assert_eq!(view.resolutions().collect::<Vec<_>>(), resolutions);
            prop_assert_eq!(view.pictures().map(Iterator::collect::<Vec<_>>), pictures);
        }
        let descriptor = Descriptor { structure: view, ..descriptor };
        let mut bytes = Vec::new();
        descriptor.write(&mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), descriptor.encoded_len());
        for length in 0..bytes.len() {
            prop_assert_eq!(Payload::parse(&bytes[..length]), Err(ParseError::Truncated));
        }
        bytes.extend_from_slice(b"media");
        prop_assert_eq!(Payload::parse(&bytes), Ok(Payload { descriptor, data: b"media" }));
    }

    #[test]
    fn rewriting_changes_one_field(descriptor in descriptor(), picture: u16, tl0: u8) {
        let mut bytes = Vec::new();
        descriptor.write(&mut bytes).unwrap();
        bytes.extend_from_slice(b"media");
        let mut expected = descriptor;
        let fits = descriptor.picture_id.is_some_and(|id| picture <= id.max());
        prop_assert_eq!(set_picture_id(&mut bytes, picture).is_ok(), fits);
        if fits {
            expected.picture_id = descriptor.picture_id.map(|id| id.with_value(picture));
        }
        let written = set_tl0_pic_idx(&mut bytes, tl0);
        if let Mode::NonFlexible { tl0_pic_idx: Some(_) } = descriptor.mode {
            prop_assert_eq!(written, Ok(()));
            expected.mode = Mode::NonFlexible { tl0_pic_idx: Some(tl0) };
        } else {
            prop_assert_eq!(written, Err(Error::NoRoom));
        }
        prop_assert_eq!(Payload::parse(&bytes), Ok(Payload { descriptor: expected, data: b"media" }));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(payload) = Payload::parse(&bytes)
            && let Some(structure) = payload.descriptor.structure
        {
            prop_assert!(structure.resolutions().len() <= 8);
            prop_assert!(structure.pictures().into_iter().flatten().count() <= 255);
        }
        let _ = set_picture_id(&mut bytes, 1);
        let _ = set_tl0_pic_idx(&mut bytes, 1);
    }
}

#[test]
fn a_flexible_descriptor_is_read_field_by_field() {
    // I P L F B, picture id 0x1234, TID 2 U SID 1 D, differences 1 and 5.
    let bytes = [0xf8, 0x92, 0x34, 0x53, 0x03, 0x0a, 0xee];
    let descriptor = Descriptor {
        picture_id: Some(PictureId::Fifteen(0x1234)),
        inter_picture: true,
        layer: Some(Layer { temporal_id: 2, switching_up_point: true, spatial_id: 1, inter_layer: true }),
        mode: Mode::Flexible(References::new(&[1, 5]).unwrap()),
        begins_frame: true,
        ends_frame: false,
        not_for_upper_layers: false,
        structure: None,
    };
    assert_eq!(Payload::parse(&bytes), Ok(Payload { descriptor, data: &[0xee] }));
}

#[test]
fn a_layer_of_size_zero_has_no_resolution() {
    let bytes = [0x30, 0x00, 0x00, 0x00, 0x00, 0x02, 0x80, 0x01, 0x68];
    let structure = ScalabilityStructure::parse(&bytes).unwrap();
    let sizes = [None, Resolution::new(640, 360).ok()];
    assert!(structure.resolutions().eq(sizes));
    let mut written = Vec::new();
    ScalabilityStructure::write(2, &sizes, None, &mut written).unwrap();
    assert_eq!(written, bytes);
}

#[test]
fn a_structure_is_read_field_by_field() {
    // Two layers with sizes, and a group of two pictures.
    let bytes = [0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, 0x02, 0x10, 0x34, 0x01];
    let structure = ScalabilityStructure::parse(&bytes).unwrap();
    assert_eq!(structure.spatial_layers(), 2);
    let sizes = [Resolution::new(320, 180).ok(), Resolution::new(640, 360).ok()];
    assert!(structure.resolutions().eq(sizes));
    let references = References::new(&[1]).unwrap();
    let pictures = [
        GroupPicture { switching_up_point: true, ..GroupPicture::default() },
        GroupPicture { temporal_id: 1, switching_up_point: true, references },
    ];
    assert!(structure.pictures().unwrap().eq(pictures));
    assert_eq!(ScalabilityStructure::parse(&bytes[..12]), Err(ParseError::Truncated));
    assert_eq!(ScalabilityStructure::parse(&[0x00, 0x00]), Err(ParseError::Overrun));
}

#[test]
fn a_fourth_reference_is_refused() {
    assert_eq!(Payload::parse(&[0x50, 3, 3, 3, 2]), Err(ParseError::TooMany));
    assert_eq!(References::new(&[1; 4]), Err(Error::TooLong));
}

#[test]
fn only_the_lowest_layer_of_a_key_picture_is_a_key_frame() {
    let key_frame = |bytes: &[u8]| Codec::Vp9.describe(bytes).unwrap().key_frame;
    assert!(key_frame(&[0x08]));
    assert!(key_frame(&[0x38, 0x00]));
    assert!(!key_frame(&[0x38, 0x03]), "spatial layer 1 that refers to layer 0");
    assert!(!key_frame(&[0x78, 0x00, 0x02]), "refers to an earlier picture");
    assert!(!key_frame(&[0x30, 0x00]), "a later packet of the frame");
}

#[test]
fn fields_that_contradict_each_other_are_not_written() {
    let plain = Payload::parse(&[0x88, 0x01]).unwrap().descriptor;
    let mut out = b"before".to_vec();
    for wrong in [
        Descriptor { mode: Mode::NonFlexible { tl0_pic_idx: Some(1) }, ..plain },
        Descriptor { layer: Some(Layer::default()), ..plain },
        Descriptor { mode: Mode::Flexible(References::new(&[1]).unwrap()), ..plain },
        Descriptor { mode: Mode::Flexible(References::new(&[128]).unwrap()), inter_picture: true, ..plain },
        Descriptor { mode: Mode::Flexible(References::default()), inter_picture: true, ..plain },
        Descriptor { picture_id: Some(PictureId::Seven(128)), ..plain },
    ] {
        assert_eq!(wrong.write(&mut out), Err(Error::OutOfRange), "{wrong:?}");
    }
    let size = Resolution::new(65_536, 1).ok();
    assert_eq!(ScalabilityStructure::write(1, &[size], None, &mut out), Err(Error::OutOfRange));
    assert_eq!(ScalabilityStructure::write(9, &[], None, &mut out), Err(Error::OutOfRange));
    let pictures = [GroupPicture::default(); 256];
    assert_eq!(ScalabilityStructure::write(1, &[], Some(&pictures), &mut out), Err(Error::TooLong));
    assert_eq!(out, b"before");
}
