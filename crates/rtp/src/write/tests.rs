use super::*;
use crate::Packet;

const HEADER: Header<'_> = Header {
    marker: true,
    payload_type: 111,
    sequence_number: SeqNo(0x0102),
    timestamp: RtpTime(0x0304_0506),
    ssrc: Ssrc(0x0708_090a),
    csrcs: &[Ssrc(0x0b0c_0d0e)],
};

fn written(elements: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let mut writer = PacketWriter::begin(&HEADER, &mut out).unwrap();
    for &(id, data) in elements {
        writer.extension(id, data).unwrap();
    }
    let mut payload = writer.into_payload();
    payload.append(b"med");
    payload.append(b"ia");
    let range = payload.finish();
    assert_eq!(range, 6..out.len());
    assert_eq!(out[..6], *b"before");
    let block_at = 6 + 16;
    assert_eq!(out[7..block_at], [0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(out[6], if elements.is_empty() { 0x81 } else { 0x91 });
    let payload_at = out.len() - 5;
    assert_eq!(out[payload_at..], *b"media");
    out[block_at..payload_at].to_vec()
}

#[test]
fn without_elements_there_is_no_block() {
    assert_eq!(written(&[]), []);
}

#[test]
fn elements_are_padded_to_32_bits() {
    assert_eq!(written(&[(1, &[7]), (14, &[8, 9])]), [0xbe, 0xde, 0, 2, 0x10, 7, 0xe1, 8, 9, 0, 0, 0]);
    assert_eq!(written(&[(1, &[7, 8, 9])]), [0xbe, 0xde, 0, 1, 0x12, 7, 8, 9]);
}

#[test]
fn the_form_changes_when_first_an_element_needs_it() {
    for (id, data) in [(16, &[][..]), (3, &[]), (255, &[])] {
        assert_eq!(
            written(&[(1, &[7]), (2, &[8, 8]), (id, data), (4, &[9])]),
            [0x10, 0, 0, 3, 1, 1, 7, 2, 2, 8, 8, id, 0, 4, 1, 9]
        );
    }
    let long = written(&[(1, &[7]), (2, &[5; 17])]);
    assert_eq!((&long[..10], long.len()), (&[0x10, 0, 0, 6, 1, 1, 7, 2, 17, 5][..], 28));
    assert_eq!(written(&[(16, &[7])]), [0x10, 0, 0, 1, 16, 1, 7, 0]);
}

#[test]
fn what_no_form_can_carry_is_refused_and_the_packet_goes_on_without_it() {
    let mut out = Vec::new();
    let mut writer = PacketWriter::begin(&HEADER, &mut out).unwrap();
    assert_eq!(writer.extension(0, &[1]), Err(Error::ExtensionId(0)));
    assert_eq!(writer.extension(15, &[1]), Err(Error::ExtensionId(15)));
    assert_eq!(writer.extension(1, &[0; 256]), Err(Error::TooLong));
    let range = writer.into_payload().finish();
    assert_eq!(Packet::parse(&out[range]).unwrap().extension_profile(), None);
}

#[test]
fn a_block_is_filled_to_what_its_length_can_say_and_no_further() {
    let mut out = Vec::new();
    let mut writer = PacketWriter::begin(&HEADER, &mut out).unwrap();
    for _ in 1..block::BLOCK_BYTES_MAX / 257 {
        writer.extension(1, &[1; 255]).unwrap();
    }
    writer.extension(3, &[1; 254]).unwrap();
    assert_eq!(writer.extension(2, &[]), Err(Error::TooLong), "a byte is left, and the header takes two");
    let range = writer.into_payload().finish();
    let packet = Packet::parse(&out[range]).unwrap();
    assert_eq!((packet.extension_block().len(), packet.extension(2)), (block::BLOCK_BYTES_MAX, None));
    assert_eq!(packet.extension(3), Some(&[1; 254][..]));
}

#[test]
fn a_bad_header_writes_nothing() {
    let mut out = Vec::new();
    let bad = Header { payload_type: 128, ..HEADER };
    assert_eq!(PacketWriter::begin(&bad, &mut out).unwrap_err(), Error::OutOfRange);
    let bad = Header { csrcs: &[Ssrc(1); 16], ..HEADER };
    assert_eq!(PacketWriter::begin(&bad, &mut out).unwrap_err(), Error::TooLong);
    assert_eq!(out, []);
}

#[test]
fn a_writer_that_is_dropped_takes_back_what_it_has_written() {
    let mut out = b"before".to_vec();
    let mut writer = PacketWriter::begin(&HEADER, &mut out).unwrap();
    writer.extension(1, &[1]).unwrap();
    drop(writer);
    assert_eq!(out, b"before");
    let mut payload = PacketWriter::begin(&HEADER, &mut out).unwrap().into_payload();
    payload.append(b"media");
    drop(payload);
    assert_eq!(out, b"before");
}

#[test]
fn padding_is_counted_in_its_last_byte() {
    for padding in [0, 1, 5, 255] {
        let mut out = Vec::new();
        let mut payload = PacketWriter::begin(&HEADER, &mut out).unwrap().into_payload();
        payload.append(b"media");
        let range = payload.finish_padded(padding);
        let packet = Packet::parse(&out[range]).unwrap();
        assert_eq!((packet.payload(), packet.padding_len()), (&b"media"[..], padding));
        assert_eq!(packet.payload_range(), 16..21, "behind the contributing source");
    }
}
