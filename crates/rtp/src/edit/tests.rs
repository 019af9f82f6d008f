use super::*;

/// A buffer with something before a packet; the packet has the extension block `block`, payload "media", and 2 bytes of
/// padding.
fn buffer(block: &[u8]) -> (Vec<u8>, usize) {
    let mut out = b"before".to_vec();
    let flags = 0x80 | PADDING_BIT | if block.is_empty() { 0 } else { EXTENSION_BIT };
    out.extend([flags, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    out.extend(block);
    out.extend(b"media\x00\x02");
    (out, 6)
}

/// The block after the edit, prefix included. All else is checked to be as it was.
fn edited(block: &[u8], edit: impl FnOnce(&mut PacketEdit<'_>)) -> Vec<u8> {
    let (mut out, start) = buffer(block);
    let mut packet = PacketEdit::parse(&mut out, start).unwrap();
    edit(&mut packet);
    let seen = format!("{:?}", packet.as_packet());
    let packet = Packet::parse(&out[start..]).unwrap();
    assert_eq!(seen, format!("{packet:?}"));
    assert_eq!((packet.payload(), packet.padding_len()), (&b"media"[..], 2));
    assert_eq!(out[..start], *b"before");
    assert_eq!(out[start + 1..start + 12], [96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    let block = out[start + 12..start + packet.header_len()].to_vec();
    assert_eq!(out[start], 0x80 | PADDING_BIT | if block.is_empty() { 0 } else { EXTENSION_BIT });
    block
}

#[track_caller]
fn refused(block: &[u8], error: Error, edit: impl FnOnce(&mut PacketEdit<'_>) -> Result<(), Error>) {
    let (mut out, start) = buffer(block);
    let before = out.clone();
    assert_eq!(edit(&mut PacketEdit::parse(&mut out, start).unwrap()), Err(error));
    assert_eq!(out, before, "an edit that fails changes nothing");
}

#[test]
fn the_first_element_makes_a_block_in_the_smallest_form() {
    assert_eq!(edited(&[], |packet| packet.set_extension(1, &[7]).unwrap()), [0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    assert_eq!(edited(&[], |packet| packet.set_extension(16, &[7]).unwrap()), [0x10, 0, 0, 1, 16, 1, 7, 0]);
    assert_eq!(edited(&[], |packet| packet.set_extension(1, &[]).unwrap()), [0x10, 0, 0, 1, 1, 0, 0, 0]);
    let long = edited(&[], |packet| packet.set_extension(14, &[9; 16]).unwrap());
    assert_eq!((&long[..5], long.len()), (&[0xbe, 0xde, 0, 5, 0xef][..], 24));
    let longer = edited(&[], |packet| packet.set_extension(14, &[9; 17]).unwrap());
    assert_eq!((&longer[..6], longer.len()), (&[0x10, 0, 0, 5, 14, 17][..], 24));
}

#[test]
fn an_element_that_fits_the_padding_of_the_block_does_not_make_it_longer() {
    let block = [0xbe, 0xde, 0, 1, 0x10, 7, 0, 0];
    assert_eq!(edited(&block, |packet| packet.set_extension(2, &[8]).unwrap()), [0xbe, 0xde, 0, 1, 0x10, 7, 0x20, 8]);
}

#[test]
fn a_replacement_of_the_same_length_stays_in_its_place() {
    let block = [0xbe, 0xde, 0, 2, 0x10, 7, 0, 0x20, 8, 0, 0, 0];
    assert_eq!(
        edited(&block, |packet| packet.set_extension(1, &[9]).unwrap()),
        [0xbe, 0xde, 0, 2, 0x10, 9, 0, 0x20, 8, 0, 0, 0]
    );
}

#[test]
fn a_replacement_of_another_length_becomes_the_last() {
    let block = [0xbe, 0xde, 0, 2, 0x12, 7, 7, 7, 0x20, 8, 0, 0];
    assert_eq!(edited(&block, |packet| packet.set_extension(1, &[9]).unwrap()), [0xbe, 0xde, 0, 1, 0x20, 8, 0x10, 9]);
    assert_eq!(
        edited(&block, |packet| packet.set_extension(1, &[9; 7]).unwrap()),
        [0xbe, 0xde, 0, 3, 0x20, 8, 0x16, 9, 9, 9, 9, 9, 9, 9, 0, 0]
    );
}

#[test]
fn an_id_that_stands_twice_is_replaced_or_removed_wholly() {
    let block = [0xbe, 0xde, 0, 2, 0x10, 7, 0x20, 8, 0x10, 9, 0, 0];
    assert_eq!(edited(&block, |packet| packet.set_extension(1, &[1]).unwrap()), [0xbe, 0xde, 0, 1, 0x20, 8, 0x10, 1]);
    assert_eq!(
        edited(&block, |packet| assert_eq!(packet.remove_extension(1), Ok(true))),
        [0xbe, 0xde, 0, 1, 0x20, 8, 0, 0]
    );
}

#[test]
fn a_one_byte_block_changes_to_the_two_byte_form_when_an_element_needs_it() {
    let block = [0xbe, 0xde, 0, 2, 0x10, 7, 0x22, 8, 8, 8, 0, 0];
    for (id, data) in [(3, &[][..]), (16, &[]), (15 + 240, &[])] {
        assert_eq!(
            edited(&block, |packet| packet.set_extension(id, data).unwrap()),
            [0x10, 0, 0, 3, 1, 1, 7, 2, 3, 8, 8, 8, id, 0, 0, 0]
        );
    }
    let long = edited(&block, |packet| packet.set_extension(2, &[9; 17]).unwrap());
    assert_eq!(long[..10], [0x10, 0, 0, 6, 1, 1, 7, 2, 17, 9]);
    assert_eq!(long[25..], [9, 0, 0]);
}

#[test]
fn the_two_byte_form_and_its_appbits_stay() {
    let block = [0x10, 0x05, 0, 1, 20, 1, 7, 0];
    assert_eq!(
        edited(&block, |packet| {
            packet.set_extension(1, &[8]).unwrap();
            assert_eq!(packet.remove_extension(20), Ok(true));
        }),
        [0x10, 0x05, 0, 1, 1, 1, 8, 0]
    );
}

#[test]
fn the_block_goes_with_its_last_element() {
    let block = [0xbe, 0xde, 0, 1, 0x10, 7, 0, 0];
    assert_eq!(edited(&block, |packet| assert_eq!(packet.remove_extension(1), Ok(true))), []);
    assert_eq!(edited(&block, |packet| assert_eq!(packet.remove_extension(2), Ok(false))), block);
    assert_eq!(edited(&[], |packet| assert_eq!(packet.remove_extension(2), Ok(false))), []);
}

#[test]
fn an_edit_drops_what_stands_behind_the_end_of_the_walk() {
    let block = [0xbe, 0xde, 0, 2, 0x10, 7, 0xf1, 0x20, 8, 1, 2, 3];
    assert_eq!(edited(&block, |packet| packet.set_extension(2, &[9]).unwrap()), [0xbe, 0xde, 0, 1, 0x10, 7, 0x20, 9]);
}

#[test]
fn a_block_of_another_profile_is_not_edited() {
    let block = [0xab, 0xac, 0, 1, 1, 2, 3, 4];
    refused(&block, Error::ExtensionProfile(0xabac), |packet| packet.set_extension(1, &[1]));
    refused(&block, Error::ExtensionProfile(0xabac), |packet| packet.remove_extension(1).map(|_| ()));
    assert_eq!(edited(&block, |packet| packet.set_csrcs(&[]).unwrap()), block);
}

#[test]
fn what_no_form_can_carry_is_refused() {
    let block = [0xbe, 0xde, 0, 1, 0x10, 7, 0, 0];
    refused(&block, Error::ExtensionId(0), |packet| packet.set_extension(0, &[1]));
    refused(&block, Error::ExtensionId(15), |packet| packet.set_extension(15, &[1]));
    refused(&block, Error::TooLong, |packet| packet.set_extension(1, &[0; 256]));
    refused(&block, Error::TooLong, |packet| packet.set_csrcs(&[Ssrc(0); 16]));
}

#[test]
fn a_block_is_filled_to_what_its_length_can_say_and_no_further() {
    let mut out = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0xff, 0xff];
    // One-byte elements of 2 bytes: the two-byte form would take half as much again.
    out.extend([0x10, 7].repeat(block::BLOCK_BYTES_MAX / 2));
    out.extend(b"media");
    let before = out.clone();
    let mut packet = PacketEdit::parse(&mut out, 0).unwrap();
    assert_eq!(packet.set_extension(2, &[1]), Err(Error::TooLong));
    assert_eq!(packet.set_extension(16, &[1]), Err(Error::TooLong));
    assert_eq!(out, before);
    let mut packet = PacketEdit::parse(&mut out, 0).unwrap();
    assert_eq!(packet.set_extension(1, &[1, 2, 3]), Ok(()));
    assert_eq!(out, b"\x90\x60\0\x01\0\0\0\x02\0\0\0\x03\xbe\xde\0\x01\x12\x01\x02\x03media");
}

#[test]
fn contributing_sources_are_replaced_before_the_block() {
    let block = [0xbe, 0xde, 0, 1, 0x10, 7, 0, 0];
    let (mut out, start) = buffer(&block);
    let before = out.clone();
    let mut packet = PacketEdit::parse(&mut out, start).unwrap();
    packet.set_csrcs(&[Ssrc(1), Ssrc(2)]).unwrap();
    packet.set_extension(2, &[8]).unwrap();
    let seen = packet.as_packet();
    assert_eq!(seen.csrcs().collect::<Vec<_>>(), [Ssrc(1), Ssrc(2)]);
    assert_eq!((seen.extension(1), seen.extension(2)), (Some(&[7][..]), Some(&[8][..])));
    assert_eq!((seen.payload(), seen.padding_len()), (&b"media"[..], 2));
    packet.set_csrcs(&[Ssrc(9)]).unwrap();
    assert_eq!(packet.as_packet().csrcs().collect::<Vec<_>>(), [Ssrc(9)]);
    packet.set_csrcs(&[]).unwrap();
    packet.remove_extension(2).unwrap();
    assert_eq!(out, before);
}

#[test]
fn padding_is_set_changed_and_taken_away() {
    let (mut out, start) = buffer(&[]);
    let bare = out.len() - 2;
    for len in [0, 1, 255, 4] {
        let mut packet = PacketEdit::parse(&mut out, start).unwrap();
        packet.set_padding(len);
        assert_eq!((packet.as_packet().payload(), packet.as_packet().padding_len()), (&b"media"[..], len));
        assert_eq!(out.len(), bare + usize::from(len));
        assert_eq!(Packet::parse(&out[start..]).unwrap().padding_len(), len);
    }
    assert_eq!(out[bare..], [0, 0, 0, 4]);
}

#[test]
fn the_view_for_edits_in_place_is_the_same_packet() {
    let (mut out, start) = buffer(&[0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    let mut packet = PacketEdit::parse(&mut out, start).unwrap();
    packet.set_csrcs(&[Ssrc(1)]).unwrap();
    packet.as_mut().extension_mut(1).unwrap()[0] = 8;
    packet.as_mut().set_ssrc(Ssrc(0x0102_0304));
    assert_eq!(packet.as_packet().extension(1), Some(&[8][..]));
    assert_eq!(packet.as_packet().ssrc(), Ssrc(0x0102_0304));
}

#[test]
fn a_start_beyond_the_buffer_is_refused() {
    assert_eq!(PacketEdit::parse(&mut vec![0; 3], 4).unwrap_err(), ParseError::Truncated);
}
