//! Every RTP packet that browsers sent in the captures: parsed, edited and written again.

use plenary_rtp::{Header, Packet, PacketEdit, PacketWriter, Ssrc};

use crate::captures::{Capture, NAMES};

/// In all captures together.
const PACKETS: usize = 10_969;
const ELEMENTS: usize = 33_593;

/// Parses every packet of every capture.
fn each_packet(mut see: impl FnMut(Packet<'_>)) {
    for name in NAMES {
        Capture::open(name).packets().for_each(|(_, packet)| see(packet));
    }
}

/// The packet, written from what the view tells of it.
fn written(packet: &Packet<'_>) -> Vec<u8> {
    let csrcs: Vec<Ssrc> = packet.csrcs().collect();
    let header = Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence_number: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs: &csrcs,
    };
    let mut out = Vec::new();
    let mut writer = PacketWriter::begin(&header, &mut out).expect("a good header");
    for (id, data) in packet.extensions() {
        writer.extension(id, data).expect("an element that was sent can be written");
    }
    let mut payload = writer.into_payload();
    payload.append(packet.payload());
    payload.finish_padded(packet.padding_len());
    out
}

fn sorted<'a>(packet: &Packet<'a>) -> Vec<(u8, &'a [u8])> {
    let mut elements: Vec<_> = packet.extensions().collect();
    elements.sort_unstable();
    elements
}

#[test]
fn every_packet_parses() {
    let (mut packets, mut elements, mut padded, mut two_byte) = (0, 0, 0, 0);
    each_packet(|packet| {
        packets += 1;
        elements += packet.extensions().count();
        padded += usize::from(packet.padding_len() > 0);
        two_byte += usize::from(packet.extension_profile() == Some(0x1000));
        assert_eq!(Packet::clear_header_len(packet.bytes()), Ok(packet.header_len()));
    });
    assert_eq!((packets, elements, padded, two_byte), (PACKETS, ELEMENTS, 180, 123));
}

#[test]
fn every_packet_is_written_byte_by_byte_as_it_was() {
    let mut packets = 0;
    each_packet(|packet| {
        assert_eq!(written(&packet), packet.bytes());
        packets += 1;
    });
    assert_eq!(packets, PACKETS);
}

#[test]
fn an_element_that_is_removed_and_inserted_leaves_all_else_alone() {
    let mut edits = 0;
    let mut out = Vec::new();
    each_packet(|packet| {
        out.clear();
        out.extend_from_slice(packet.bytes());
        let mut edit = PacketEdit::parse(&mut out, 0).expect("a packet");
        for (id, data) in packet.extensions() {
            assert_eq!(edit.remove_extension(id), Ok(true));
            let without = edit.as_packet();
            assert_eq!(without.extension(id), None);
            assert_eq!((without.payload(), without.padding_len()), (packet.payload(), packet.padding_len()));
            edit.set_extension(id, data).expect("an element that was sent can be inserted");
            edits += 1;
        }
        let again = Packet::parse(&out).expect("still a packet");
        assert_eq!(sorted(&again), sorted(&packet));
        assert_eq!(again.bytes()[again.header_len()..], packet.bytes()[packet.header_len()..]);
        assert_eq!(again.bytes()[..12], packet.bytes()[..12]);
    });
    assert_eq!(edits, ELEMENTS);
}
