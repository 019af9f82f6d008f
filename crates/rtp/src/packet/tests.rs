use super::*;

const FIXED: [u8; FIXED_LEN] = [0x80, 0xe0, 0x12, 0x34, 0, 0, 0x0b, 0xb8, 0xde, 0xad, 0xbe, 0xef];

/// A packet with an extension block of this profile and content, and the payload "media".
fn with_block(profile: u16, content: &[u8]) -> Vec<u8> {
    assert_eq!(content.len() % 4, 0);
    let mut bytes = FIXED.to_vec();
    bytes[0] |= EXTENSION_BIT;
    bytes.extend(profile.to_be_bytes());
    bytes.extend(((content.len() / 4) as u16).to_be_bytes());
    bytes.extend(content);
    bytes.extend(b"media");
    bytes
}

fn elements<'a>(packet: &Packet<'a>) -> Vec<(u8, &'a [u8])> {
    packet.extensions().collect()
}

#[derive(Debug, PartialEq)]
struct Two(u16);

impl<'a> Element<'a> for Two {
    const URI: &'static str = "urn:example:two";

    fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        data.try_into().map(|two| Self(u16::from_be_bytes(two))).map_err(|_| ParseError::Truncated)
    }

    fn encoded_len(&self) -> usize {
        2
    }

    fn write(&self, data: &mut [u8]) {
        data.copy_from_slice(&self.0.to_be_bytes());
    }
}

#[test]
fn every_field_is_where_the_specification_has_it() {
    let mut bytes = FIXED.to_vec();
    bytes[0] |= 2 | PADDING_BIT;
    bytes.extend([0, 0, 0, 7, 0, 0, 0, 8]);
    bytes.extend(b"media\x00\x00\x03");
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.marker());
    assert_eq!(packet.payload_type(), 96);
    assert_eq!(packet.sequence_number(), SeqNo(0x1234));
    assert_eq!(packet.timestamp(), RtpTime(3000));
    assert_eq!(packet.ssrc(), Ssrc(0xdead_beef));
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [Ssrc(7), Ssrc(8)]);
    assert_eq!((packet.header_len(), packet.payload(), packet.padding_len()), (20, &b"media"[..], 3));
    assert_eq!((packet.extension_profile(), packet.extension_block()), (None, &[][..]));
    assert_eq!(packet.extensions().next(), None);
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn rtp_version_zero_is_refused() {
    for version in [0, 1, 3] {
        let mut bytes = FIXED;
        bytes[0] = version << 6;
        assert_eq!(Packet::parse(&bytes), Err(ParseError::Version));
    }
}

#[test]
fn what_ends_inside_its_header_is_truncated() {
    let mut bytes = with_block(0xbede, &[0x10, 0xaa, 0, 0]);
    bytes[0] |= 1;
    bytes.splice(12..12, [0, 0, 0, 1]);
    let header_len = Packet::parse(&bytes).unwrap().header_len();
    assert_eq!(header_len, 12 + 4 + 4 + 4);
    for len in 0..header_len {
        assert_eq!(Packet::parse(&bytes[..len]), Err(ParseError::Truncated), "{len}");
    }
    assert_eq!(Packet::parse(&bytes[..header_len]).unwrap().payload(), b"");
}

#[test]
fn the_header_length_does_not_depend_on_what_is_encrypted() {
    // Padding flag, one contributing source, a block of one word, and bytes that make neither padding nor sense.
    let bytes = [0xb1, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xbe, 0xde, 0, 1, 0x1f, 1, 2, 3, 0xee, 0];
    assert_eq!(Packet::clear_header_len(&bytes), Ok(24));
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Overrun), "an element that is longer than its block");
    assert_eq!(Packet::clear_header_len(&bytes[..24]), Ok(24), "nothing need follow");
    for len in 0..24 {
        assert_eq!(Packet::clear_header_len(&bytes[..len]), Err(ParseError::Truncated), "{len}");
    }
    let version = [0x51; 24];
    assert_eq!(Packet::clear_header_len(&version), Err(ParseError::Version));
}

#[test]
fn padding_larger_than_the_payload_is_refused() {
    let mut bytes = FIXED.to_vec();
    bytes[0] |= PADDING_BIT;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Padding), "no byte to count it");
    bytes.extend([0, 0, 3]);
    assert_eq!(Packet::parse(&bytes).unwrap().payload(), b"", "a packet may be all padding");
    bytes[14] = 4;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Padding), "it would reach into the header");
}

#[test]
fn padding_of_length_zero_is_refused() {
    let mut bytes = FIXED.to_vec();
    bytes[0] |= PADDING_BIT;
    bytes.extend([1, 2, 0]);
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Padding));
}

#[test]
fn padding_between_one_byte_elements_is_skipped() {
    let bytes = with_block(0xbede, &[0, 0x10, 0xaa, 0, 0, 0x21, 1, 2]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(elements(&packet), [(1, &[0xaa][..]), (2, &[1, 2])]);
    assert_eq!(packet.extension(2), Some(&[1, 2][..]));
    assert_eq!(packet.extension(3), None);
    assert_eq!(packet.payload(), b"media");
}

#[test]
fn id_15_in_the_one_byte_form_ends_the_walk_not_the_block() {
    // The length that goes with id 15 would overrun the block: it is ignored.
    let bytes = with_block(0xbede, &[0x10, 0xaa, 0xff, 0x20, 0xbb, 0x20, 0xcc, 0]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(elements(&packet), [(1, &[0xaa][..])]);
    assert_eq!(packet.payload(), b"media");
}

#[test]
fn id_0_with_a_length_in_the_one_byte_form_ends_the_walk_not_the_block() {
    let bytes = with_block(0xbede, &[0x10, 0xaa, 0x0f, 0x20, 0xbb, 0x20, 0xcc, 0]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(elements(&packet), [(1, &[0xaa][..])]);
    assert_eq!(packet.payload(), b"media");
}

#[test]
fn id_15_in_the_two_byte_form_is_an_id() {
    let bytes = with_block(0x1000, &[15, 1, 0xaa, 0]);
    assert_eq!(elements(&Packet::parse(&bytes).unwrap()), [(15, &[0xaa][..])]);
}

#[test]
fn an_element_that_overruns_its_block_is_refused_even_where_the_payload_would_hold_it() {
    assert_eq!(Packet::parse(&with_block(0xbede, &[0x10, 0xaa, 0x21, 1])), Err(ParseError::Overrun));
    assert_eq!(Packet::parse(&with_block(0x1000, &[1, 3, 1, 2])), Err(ParseError::Overrun));
}

#[test]
fn a_two_byte_header_cut_by_the_end_of_its_block_is_refused() {
    assert_eq!(Packet::parse(&with_block(0x1000, &[1, 1, 0xaa, 2])), Err(ParseError::Overrun));
}

#[test]
fn two_byte_ids_above_16_and_all_appbits_are_read() {
    for profile in 0x1000..=0x100f {
        let bytes = with_block(profile, &[17, 1, 0xaa, 255, 2, 1, 2, 0]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(elements(&packet), [(17, &[0xaa][..]), (255, &[1, 2])]);
        assert_eq!(packet.extension_profile(), Some(profile));
    }
}

#[test]
fn zero_length_elements_are_legal_in_the_two_byte_form() {
    let bytes = with_block(0x1000, &[0, 3, 0, 4, 0, 5, 1, 0xaa]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(elements(&packet), [(3, &[][..]), (4, &[]), (5, &[0xaa])]);
    assert_eq!(packet.extension(4), Some(&[][..]));
}

#[test]
fn elements_of_sixteen_bytes_fill_the_one_byte_form() {
    let mut content = vec![0x1f];
    content.extend(1..=16);
    content.extend([0xe0, 0xaa, 0]);
    let bytes = with_block(0xbede, &content);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(elements(&packet), [(1, &content[1..17]), (14, &[0xaa])]);
}

#[test]
fn another_profile_is_handed_over_raw() {
    let bytes = with_block(0xabac, &[0xff, 0xff, 0xff, 0xff]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.extension_profile(), packet.extension_block()), (Some(0xabac), &[0xff; 4][..]));
    assert_eq!(packet.extensions().next(), None);
    assert_eq!(packet.payload(), b"media");
}

#[test]
fn an_empty_block_is_a_block() {
    for profile in [0xbede, 0x1000, 0xabac] {
        let bytes = with_block(profile, &[]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.extension_profile(), packet.extension_block()), (Some(profile), &[][..]));
        assert_eq!((packet.header_len(), packet.payload()), (16, &b"media"[..]));
    }
}

#[test]
fn a_bad_element_does_not_make_the_packet_bad() {
    let bytes = with_block(0xbede, &[0x10, 0xaa, 0x21, 1, 2, 0, 0, 0]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.element::<Two>(1), Some(Err(ParseError::Truncated)));
    assert_eq!(packet.element::<Two>(2), Some(Ok(Two(0x0102))));
    assert_eq!(packet.element::<Two>(3), None);
}

#[test]
fn edits_in_place_touch_their_field_alone() {
    let mut bytes = with_block(0xbede, &[0x10, 0xaa, 0x21, 1, 2, 0, 0, 0]);
    let before = bytes.clone();
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    packet.set_marker(false);
    packet.set_payload_type(127).unwrap();
    assert_eq!(packet.set_payload_type(128), Err(Error::OutOfRange));
    packet.set_sequence_number(SeqNo(0xffff));
    packet.set_timestamp(RtpTime(0x0102_0304));
    packet.set_ssrc(Ssrc(0x0506_0708));
    assert!(!packet.as_packet().marker());
    assert_eq!(packet.as_packet().payload_type(), 127);
    assert_eq!(bytes[..12], [0x90, 127, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[12..], before[12..]);

    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    packet.set_marker(true);
    packet.set_payload_type(0).unwrap();
    assert!(packet.as_packet().marker());
    assert_eq!(packet.write_element(2, &Two(0x0908)), Ok(()));
    assert_eq!(packet.write_element(1, &Two(0)), Err(Error::NoRoom));
    assert_eq!(packet.write_element(3, &Two(0)), Err(Error::NoRoom));
    packet.extension_mut(1).unwrap()[0] = 0xbb;
    packet.payload_mut().copy_from_slice(b"audio");
    assert_eq!(bytes[1], 0x80);
    assert_eq!(bytes[12..], *b"\xbe\xde\0\x02\x10\xbb\x21\x09\x08\0\0\0audio");
}

#[test]
fn payload_mut_leaves_the_padding_alone() {
    let mut bytes = FIXED.to_vec();
    bytes[0] |= PADDING_BIT;
    bytes.extend(b"ab\x01");
    PacketMut::parse(&mut bytes).unwrap().payload_mut().fill(b'z');
    assert_eq!(bytes[12..], *b"zz\x01");
}

#[test]
fn debug_is_one_readable_line_without_the_payload() {
    let bytes = with_block(0xbede, &[]);
    assert_eq!(
        format!("{:?}", Packet::parse(&bytes).unwrap()),
        "Packet { marker: true, payload_type: 96, sequence_number: SeqNo(4660), timestamp: RtpTime(3000), \
         ssrc: Ssrc(0xdeadbeef), header_len: 16, payload_len: 5, padding_len: 0 }"
    );
}
