use proptest::prelude::*;

use super::*;

fn write_frame_len(len: usize, out: &mut Vec<u8>) {
    if len < 252 {
        out.push(len as u8);
    } else {
        out.extend([252 + (len & 3) as u8, ((len - 252 - (len & 3)) / 4) as u8]);
    }
}

proptest! {
    #[test]
    fn frames_of_any_length_are_found(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..6),
        padding in prop::option::of(0..600usize),
    ) {
        // 20 ms each, code 3 with lengths.
        let mut payload = vec![Toc::new(1, false, 3).unwrap().to_byte(), 0x80 | frames.len() as u8];
        if let Some(padding) = padding {
            payload[1] |= 0x40;
            payload.extend(vec![255; padding / 254]);
            payload.push((padding % 254) as u8);
        }
        for frame in &frames[..frames.len() - 1] {
            write_frame_len(frame.len(), &mut payload);
        }
        payload.extend(frames.concat());
        payload.extend(vec![0; padding.unwrap_or(0)]);
        let packet = Packet::parse(&payload).unwrap();
        prop_assert!(packet.frames().eq(frames.iter().map(Vec::as_slice)));
        prop_assert_eq!(packet.duration(), Duration::from_millis(20 * frames.len() as u64));
    }

    #[test]
    fn any_bytes_are_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = Packet::parse(&payload) {
            prop_assert_eq!(packet.frames().count(), usize::from(packet.frame_count()));
            prop_assert!(packet.frames().map(<[u8]>::len).sum::<usize>() < payload.len());
            prop_assert!((120..=PACKET_TICKS_MAX).contains(&packet.ticks()));
            let _ = packet.has_fec();
        }
    }
}

// RFC 6716 §3.1, table 2.
#[test]
fn configurations_are_those_of_the_table() {
    use Bandwidth::*;
    use Mode::*;
    let rows = [
        (0, Silk, Narrow, &[480, 960, 1920, 2880][..]),
        (4, Silk, Medium, &[480, 960, 1920, 2880]),
        (8, Silk, Wide, &[480, 960, 1920, 2880]),
        (12, Hybrid, SuperWide, &[480, 960]),
        (14, Hybrid, Full, &[480, 960]),
        (16, Celt, Narrow, &[120, 240, 480, 960]),
        (20, Celt, Wide, &[120, 240, 480, 960]),
        (24, Celt, SuperWide, &[120, 240, 480, 960]),
        (28, Celt, Full, &[120, 240, 480, 960]),
    ];
    let mut seen = 0;
    for (first, mode, bandwidth, ticks) in rows {
        for (config, &ticks) in (first..).zip(ticks) {
            let toc = Toc::new(config, true, 2).unwrap();
            assert_eq!((toc.mode(), toc.bandwidth(), toc.frame_ticks()), (mode, bandwidth, ticks), "{config}");
            assert_eq!((toc.config(), toc.is_stereo(), toc.code()), (config, true, 2));
            assert_eq!(Toc::from_byte(toc.to_byte()), toc);
            seen += 1;
        }
    }
    assert_eq!(seen, 32);
    assert_eq!(Toc::new(32, false, 0), Err(Error::OutOfRange));
    assert_eq!(Toc::new(0, false, 4), Err(Error::OutOfRange));
}

#[test]
fn the_four_codes_are_read() {
    let frames = |payload: &'static [u8]| Packet::parse(payload).map(|packet| packet.frames().collect::<Vec<_>>());
    assert_eq!(frames(&[0x78, 1, 2]), Ok(vec![&[1, 2][..]]));
    assert_eq!(frames(&[0x79, 1, 2]), Ok(vec![&[1][..], &[2]]));
    assert_eq!(frames(&[0x7a, 1, 2, 3]), Ok(vec![&[2][..], &[3]]));
    assert_eq!(frames(&[0x7b, 0x03, 1, 2, 3]), Ok(vec![&[1][..], &[2], &[3]]));
    // A frame of 252 bytes has a length of two bytes.
    let mut long = vec![0x7a, 252, 0];
    long.resize(3 + 252 + 1, 9);
    let packet = Packet::parse(&long).unwrap();
    assert_eq!(packet.frames().map(<[u8]>::len).collect::<Vec<_>>(), [252, 1]);
}

// RFC 6716 §3.4.
#[test]
fn packets_that_break_the_rules_are_refused() {
    for (payload, error) in [
        (&[][..], ParseError::Truncated),         // R1
        (&[0x79, 1], ParseError::Reserved),       // R3
        (&[0x7a], ParseError::Truncated),         // R4
        (&[0x7a, 252], ParseError::Truncated),    // R4
        (&[0x7a, 2, 1], ParseError::Overrun),     // R4
        (&[0x7b], ParseError::Truncated),         // R6, R7
        (&[0x7b, 0x00], ParseError::Reserved),    // R5
        (&[0x7b, 0x07], ParseError::TooMany),     // R5: 140 ms
        (&[0x7b, 0x02, 1], ParseError::Reserved), // R6
        (&[0x7b, 0x41, 1], ParseError::Overrun),  // R6
        (&[0x7b, 0x41, 255], ParseError::Truncated),
        (&[0x7b, 0x82, 2, 1], ParseError::Overrun), // R7
        (&[0x7b, 0x83, 0], ParseError::Truncated),  // R7
    ] {
        assert_eq!(Packet::parse(payload).map(|packet| packet.len), Err(error), "{payload:02x?}");
    }
    let long = |code: u8, bytes| {
        let mut payload = vec![0x78 | code];
        payload.resize(1 + bytes, 0);
        Packet::parse(&payload).map(|packet| packet.frame_count())
    };
    assert_eq!(long(0, FRAME_BYTES_MAX), Ok(1));
    assert_eq!(long(0, FRAME_BYTES_MAX + 1), Err(ParseError::Reserved), "R2");
    assert_eq!(long(1, 2 * FRAME_BYTES_MAX + 2), Err(ParseError::Reserved), "R3");
    assert_eq!(long(2, FRAME_BYTES_MAX + 2), Err(ParseError::Reserved), "R4");
    // 48 frames of 2.5 ms are the most.
    let mut most = vec![0xe3, 48];
    assert_eq!(Packet::parse(&most).unwrap().duration(), Duration::from_millis(120));
    most[1] = 49;
    assert_eq!(Packet::parse(&most), Err(ParseError::TooMany));
}

#[test]
fn silence_is_one_byte_or_two() {
    let packet = Packet::parse(&[0x78]).unwrap();
    assert!(packet.is_dtx() && !packet.has_fec());
    assert_eq!((packet.frame_count(), packet.duration()), (1, Duration::from_millis(20)));
    assert!(Packet::parse(&[0x78, 1]).unwrap().is_dtx());
    assert!(!Packet::parse(&[0x78, 1, 2]).unwrap().is_dtx());
}

#[test]
fn fec_is_flagged_behind_the_voice_activity() {
    let has_fec = |config, stereo, first| {
        let toc = Toc::new(config, stereo, 0).unwrap().to_byte();
        Packet::parse(&[toc, first, 0, 0]).unwrap().has_fec()
    };
    assert!(has_fec(9, false, 0b0100_0000), "20 ms: one activity bit");
    assert!(!has_fec(9, false, 0b1001_0000));
    assert!(has_fec(9, true, 0b0001_0000), "the second channel");
    assert!(has_fec(11, false, 0b0001_0000), "60 ms: three activity bits");
    assert!(has_fec(11, true, 0b0000_0001));
    assert!(!has_fec(11, false, 0b1110_1111));
    assert!(!has_fec(16, true, 0xff), "CELT has none");
}
