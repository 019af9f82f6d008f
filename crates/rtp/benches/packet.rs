//! What a packet costs: ours beside `rtc-rtp`, in one run. `cargo bench -p plenary-rtp --bench packet`

use divan::{Bencher, black_box};
use plenary_rtp::{Header, Packet, PacketEdit, PacketMut, PacketWriter, RtpTime, SeqNo, Ssrc};
use rtc_shared::marshal::{Marshal, Unmarshal};

fn main() {
    divan::main();
}

const PAYLOAD: [u8; 1188] = [0x5a; 1188];

/// A packet of 1216 bytes with three elements of the one-byte form, as a video sender makes them.
fn packet() -> Vec<u8> {
    let mut out = Vec::with_capacity(1500);
    write(7, &mut out);
    out
}

fn write(number: u16, out: &mut Vec<u8>) {
    let header = Header {
        marker: false,
        payload_type: 96,
        sequence_number: SeqNo(number),
        timestamp: RtpTime(3000),
        ssrc: Ssrc(5),
        csrcs: &[],
    };
    let mut writer = PacketWriter::begin(&header, out).expect("a header");
    writer.extension(1, b"0").expect("an element");
    writer.extension(4, &[1, 2, 3]).expect("an element");
    writer.extension(6, &number.to_be_bytes()).expect("an element");
    let mut payload = writer.into_payload();
    payload.append(&PAYLOAD);
    payload.finish();
}

/// What a router asks of a packet's elements.
#[inline]
fn walk(packet: &Packet<'_>) -> usize {
    packet.extensions().map(|(id, data)| usize::from(id) + data.len()).sum()
}

#[inline]
fn rewrite(packet: &mut PacketMut<'_>, number: u16) {
    packet.set_ssrc(Ssrc(9));
    packet.set_sequence_number(SeqNo(number));
    packet.set_timestamp(RtpTime(6000));
}

/// Parse, walk the elements, and change SSRC, sequence number and timestamp.
#[divan::bench_group(name = "a_parse_walk_rewrite")]
mod parse_walk_rewrite {
    use super::*;

    #[divan::bench(sample_size = 200)]
    fn plenary(bencher: Bencher<'_, '_>) {
        let mut bytes = packet();
        let mut number = 0u16;
        bencher.bench_local(|| {
            number = number.wrapping_add(1);
            let mut packet = PacketMut::parse(black_box(&mut bytes)).expect("a packet");
            rewrite(&mut packet, number);
            walk(&packet.as_packet())
        });
    }

    #[divan::bench(sample_size = 200)]
    fn rtc_rtp(bencher: Bencher<'_, '_>) {
        // Shared bytes, so that its payload is a reference and not a copy.
        let bytes = rtc_rtp::Packet { payload: packet().into(), ..Default::default() }.payload;
        let mut out = vec![0; 1500];
        let mut number = 0u16;
        bencher.bench_local(|| {
            number = number.wrapping_add(1);
            let mut packet = rtc_rtp::Packet::unmarshal(&mut black_box(bytes.clone())).expect("a packet");
            packet.header.ssrc = 9;
            packet.header.sequence_number = number;
            packet.header.timestamp = 6000;
            let elements = &packet.header.extensions;
            let seen: usize = elements.iter().map(|element| usize::from(element.id) + element.payload.len()).sum();
            packet.marshal_to(black_box(&mut out)).expect("room") + seen
        });
    }
}

/// Only the check of a view and the change of five fields.
#[divan::bench(name = "b_view_edits", sample_size = 200)]
fn view_edits(bencher: Bencher<'_, '_>) {
    let mut bytes = packet();
    let mut number = 0u16;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        let mut packet = PacketMut::parse(black_box(&mut bytes)).expect("a packet");
        rewrite(&mut packet, number);
        packet.set_marker(number & 1 == 1);
        packet.set_payload_type(97).expect("seven bits");
    });
}

/// What forwarding does per subscriber: copy to the buffer that is sent from, change, walk.
#[divan::bench(name = "c_copy_edit_walk", sample_size = 200)]
fn copy_edit_walk(bencher: Bencher<'_, '_>) {
    let bytes = packet();
    let mut out = Vec::with_capacity(1500);
    let mut number = 0u16;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        out.clear();
        out.extend_from_slice(black_box(&bytes));
        let mut packet = PacketMut::parse(&mut out).expect("a packet");
        rewrite(&mut packet, number);
        walk(&packet.as_packet())
    });
}

/// A header, three elements and a payload of 1188 bytes.
#[divan::bench(name = "d_write", sample_size = 200)]
fn write_whole(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(1500);
    let mut number = 0u16;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        out.clear();
        write(black_box(number), &mut out);
        out.len()
    });
}

/// An element inserted and removed: the payload moves twice.
#[divan::bench(name = "e_insert_remove_element", sample_size = 200)]
fn insert_remove(bencher: Bencher<'_, '_>) {
    let mut out = packet();
    bencher.bench_local(|| {
        let mut packet = PacketEdit::parse(black_box(&mut out), 0).expect("a packet");
        packet.set_extension(10, &[1, 2, 3, 4]).expect("an element");
        packet.remove_extension(10).expect("our block")
    });
}
