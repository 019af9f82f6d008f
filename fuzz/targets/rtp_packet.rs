#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_rtp::{Error, Header, Packet, PacketMut, PacketWriter, SeqNo, Ssrc};

fuzz_target!(|bytes: &[u8]| {
    let mut own = bytes.to_vec();
    let clear = Packet::clear_header_len(bytes);
    assert!(
        clear.is_ok_and(|len| len <= bytes.len()) || clear == Packet::parse(bytes).map(|packet| packet.header_len())
    );
    let Ok(packet) = Packet::parse(bytes) else {
        assert!(PacketMut::parse(&mut own).is_err());
        return;
    };
    assert_eq!(packet.header_len() + packet.payload().len() + usize::from(packet.padding_len()), bytes.len());
    assert_eq!(clear, Ok(packet.header_len()));
    let one_byte = packet.extension_profile() == Some(0xbede);
    for (id, data) in packet.extensions() {
        assert!(!one_byte || (1..=14).contains(&id) && (1..=16).contains(&data.len()));
        assert!(packet.extension(id).is_some());
    }

    let written = rewritten(&packet);
    let again = Packet::parse(&written).expect("what was written is a packet");
    assert_same(&again, &packet);
    assert_eq!(rewritten(&again), written, "there is one way to write it");

    edit_in_place(&packet, &mut own);
});

fn rewritten(packet: &Packet<'_>) -> Vec<u8> {
    let csrcs: Vec<_> = packet.csrcs().collect();
    let header = Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence_number: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs: &csrcs,
    };
    let mut out = b"before".to_vec();
    let mut writer = PacketWriter::begin(&header, &mut out).expect("a header that was read");
    for (id, data) in packet.extensions() {
        let expected = if id == 15 { Err(Error::ExtensionId(15)) } else { Ok(()) };
        assert_eq!(writer.extension(id, data), expected);
    }
    let mut payload = writer.into_payload();
    payload.append(packet.payload());
    let range = payload.finish_padded(packet.padding_len());
    assert_eq!((range.start, range.end), (6, out.len()));
    out.split_off(6)
}

/// All but what only another writer writes: the id 15, and what stands behind the elements.
fn assert_same(a: &Packet<'_>, b: &Packet<'_>) {
    assert_eq!(
        (a.marker(), a.payload_type(), a.sequence_number()),
        (b.marker(), b.payload_type(), b.sequence_number())
    );
    assert_eq!((a.timestamp(), a.ssrc(), a.padding_len()), (b.timestamp(), b.ssrc(), b.padding_len()));
    assert!(a.csrcs().eq(b.csrcs()));
    assert!(a.extensions().eq(b.extensions().filter(|(id, _)| *id != 15)));
    assert_eq!(a.payload(), b.payload());
}

fn edit_in_place(packet: &Packet<'_>, own: &mut [u8]) {
    let mut edit = PacketMut::parse(own).expect("the same bytes");
    let sequence_number = SeqNo(!packet.sequence_number().0);
    edit.set_marker(!packet.marker());
    edit.set_sequence_number(sequence_number);
    edit.set_ssrc(Ssrc(!packet.ssrc().0));
    edit.set_timestamp(packet.timestamp());
    assert_eq!(edit.set_payload_type(packet.payload_type() ^ 1), Ok(()));
    assert_eq!(edit.set_payload_type(packet.payload_type() | 0x80), Err(Error::OutOfRange));
    for (id, _) in packet.extensions() {
        edit.extension_mut(id).expect("an id that is there").fill(0xa5);
    }

    let edited = Packet::parse(own).expect("no edit in place breaks a packet");
    assert_eq!((edited.marker(), edited.payload_type()), (!packet.marker(), packet.payload_type() ^ 1));
    assert_eq!((edited.sequence_number(), edited.ssrc()), (sequence_number, Ssrc(!packet.ssrc().0)));
    assert_eq!((edited.timestamp(), edited.padding_len()), (packet.timestamp(), packet.padding_len()));
    assert!(edited.csrcs().eq(packet.csrcs()));
    assert_eq!(edited.payload(), packet.payload());
    let shape = |packet: &Packet<'_>| packet.extensions().map(|(id, data)| (id, data.len())).collect::<Vec<_>>();
    assert_eq!(shape(&edited), shape(packet));
}
