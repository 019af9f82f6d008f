#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_rtp::payload::{Codec, Description, PictureId, opus, red, rtx, vp8, vp9};
use plenary_rtp::{Error, ParseError};

/// Five bytes of numbers, then the payload.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    picture_id: u16,
    index: u8,
    start: u8,
    end: u8,
    payload: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let payload = input.payload;
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus] {
        let description = codec.describe(payload);
        assert!(description.is_err() || !payload.is_empty());
        let Description { spatial_id, temporal_id, .. } = description.unwrap_or_default();
        assert!(spatial_id.is_none_or(|id| id <= 7) && temporal_id.is_none_or(|id| id <= 7));
    }
    check_vp8(&input);
    check_vp9(&input);
    check_structure(payload);
    check_opus(payload);
    check_red(payload);
    check_rtx(&input);
});

/// What an edit has left: the same length, and no change if it was refused.
fn edited(payload: &[u8], edit: impl FnOnce(&mut [u8]) -> Result<(), Error>) -> Option<Vec<u8>> {
    let mut own = payload.to_vec();
    let result = edit(&mut own);
    if result.is_err() {
        assert_eq!(own, payload);
    }
    result.ok().map(|()| own)
}

/// The same number of bits, with another value.
fn renumbered(old: Option<PictureId>, value: u16) -> Option<PictureId> {
    match old? {
        PictureId::Seven(_) => u8::try_from(value).ok().filter(|&value| value < 1 << 7).map(PictureId::Seven),
        PictureId::Fifteen(_) => Some(value).filter(|&value| value < 1 << 15).map(PictureId::Fifteen),
    }
}

fn check_vp8(input: &Input<'_>) {
    let parsed = vp8::Payload::parse(input.payload);
    let descriptor = parsed.map(|parsed| parsed.descriptor).unwrap_or_default();
    if let Ok(vp8::Payload { descriptor, data }) = parsed {
        let mut written = b"before".to_vec();
        assert_eq!(descriptor.write(&mut written), Ok(()));
        assert_eq!(written.len(), 6 + descriptor.encoded_len());
        assert!(descriptor.encoded_len() + data.len() <= input.payload.len());
        written.extend_from_slice(data);
        assert_eq!(vp8::Payload::parse(&written[6..]), parsed);
    }

    let read = |bytes: Vec<u8>| vp8::Payload::parse(&bytes).map(|parsed| parsed.descriptor).ok();
    let new = edited(input.payload, |own| vp8::set_picture_id(own, input.picture_id));
    let picture_id = renumbered(descriptor.picture_id, input.picture_id);
    let expected = picture_id.map(|_| vp8::Descriptor { picture_id, ..descriptor });
    assert_eq!(new.and_then(read), expected);
    let new = edited(input.payload, |own| vp8::set_tl0_pic_idx(own, input.index));
    let tl0_pic_idx = descriptor.tl0_pic_idx.map(|_| input.index);
    assert_eq!(new.and_then(read), tl0_pic_idx.map(|_| vp8::Descriptor { tl0_pic_idx, ..descriptor }));
    let new = edited(input.payload, |own| vp8::set_key_idx(own, input.index));
    let key_idx = descriptor.key_idx.map(|_| input.index).filter(|&index| index <= vp8::KEY_IDX_MAX);
    assert_eq!(new.and_then(read), key_idx.map(|_| vp8::Descriptor { key_idx, ..descriptor }));
}

fn check_vp9(input: &Input<'_>) {
    let Ok(vp9::Payload { descriptor, data }) = vp9::Payload::parse(input.payload) else {
        // The numbers stand in front: they may be changed where what follows them is cut off.
        edited(input.payload, |own| vp9::set_picture_id(own, input.picture_id));
        edited(input.payload, |own| vp9::set_tl0_pic_idx(own, input.index));
        return;
    };
    let mut written = Vec::new();
    assert_eq!(descriptor.write(&mut written), Ok(()));
    assert_eq!(written.len(), descriptor.encoded_len());
    written.extend_from_slice(data);
    assert_eq!(written, input.payload, "there is one way to write it");

    let new = edited(input.payload, |own| vp9::set_picture_id(own, input.picture_id));
    let picture_id = renumbered(descriptor.picture_id, input.picture_id);
    assert_eq!(new.is_some(), picture_id.is_some());
    if let Some(new) = new {
        let read = vp9::Payload::parse(&new).expect("no number breaks a payload");
        assert_eq!(read, vp9::Payload { descriptor: vp9::Descriptor { picture_id, ..descriptor }, data });
    }
    let new = edited(input.payload, |own| vp9::set_tl0_pic_idx(own, input.index));
    let has_index = matches!(descriptor.mode, vp9::Mode::NonFlexible { tl0_pic_idx: Some(_) });
    assert_eq!(new.is_some(), has_index);
    if let Some(new) = new {
        let read = vp9::Payload::parse(&new).expect("no number breaks a payload");
        let mode = vp9::Mode::NonFlexible { tl0_pic_idx: Some(input.index) };
        assert_eq!(read, vp9::Payload { descriptor: vp9::Descriptor { mode, ..descriptor }, data });
    }
}

fn check_structure(payload: &[u8]) {
    let Ok(structure) = vp9::ScalabilityStructure::parse(payload) else { return };
    let resolutions: Vec<_> = structure.resolutions().collect();
    let pictures: Option<Vec<_>> = structure.pictures().map(Iterator::collect);
    let mut out = Vec::new();
    let written =
        vp9::ScalabilityStructure::write(structure.spatial_layers(), &resolutions, pictures.as_deref(), &mut out);
    assert_eq!((written, out.len()), (Ok(()), payload.len()));
    let again = vp9::ScalabilityStructure::parse(&out).expect("what was written is a structure");
    assert_eq!(again.spatial_layers(), structure.spatial_layers());
    assert!(again.resolutions().eq(resolutions));
    assert_eq!(again.pictures().map(Iterator::collect), pictures);
}

fn check_opus(payload: &[u8]) {
    let Ok(packet) = opus::Packet::parse(payload) else { return };
    let lengths: Vec<_> = packet.frames().map(<[u8]>::len).collect();
    assert_eq!(lengths.len(), usize::from(packet.frame_count()));
    assert!((1..=opus::FRAMES_MAX).contains(&lengths.len()));
    assert!(lengths.iter().all(|&len| len <= opus::FRAME_BYTES_MAX));
    assert!(lengths.iter().sum::<usize>() < payload.len());
    assert!((120..=opus::PACKET_TICKS_MAX).contains(&packet.ticks()));
    assert!(!packet.has_fec() || packet.toc.mode() != opus::Mode::Celt);
    assert_eq!(packet.is_dtx(), payload.len() <= 2);
}

fn check_red(payload: &[u8]) {
    let Ok(parsed) = red::Payload::parse(payload) else { return };
    let redundant: Vec<_> = parsed.redundant().collect();
    assert!(redundant.len() <= red::REDUNDANT_BLOCKS_MAX);
    let mut out = Vec::new();
    assert_eq!(red::write(&redundant, &parsed.primary(), &mut out), Ok(()));
    assert_eq!(out, payload, "there is one way to write it");
}

fn check_rtx(input: &Input<'_>) {
    let mut packet = input.payload.to_vec();
    let (start, end) = (usize::from(input.start), usize::from(input.end));
    let inside = input.payload.get(start..end);
    let expected = inside.map_or(Err(ParseError::Truncated), rtx::Payload::parse);
    match (rtx::strip(&mut packet, start..end), expected) {
        (Ok(Some((number, original))), Ok(Some(parsed))) => {
            assert_eq!(number, parsed.original_sequence_number);
            assert_eq!(original, [&input.payload[..start], &input.payload[start + 2..]].concat());
            let mut written = Vec::new();
            parsed.write(&mut written);
            assert_eq!(Some(&written[..]), inside);
        }
        (Ok(None), Ok(None)) => assert_eq!(packet, input.payload),
        (Err(error), Err(expected)) => {
            assert_eq!(error, expected);
            assert_eq!(packet, input.payload);
        }
        (found, expected) => panic!("{found:?}, not {expected:?}"),
    }
}
