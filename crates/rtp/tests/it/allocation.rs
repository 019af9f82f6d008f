//! What is promised to allocate nothing is counted.

use std::hint::black_box;

use plenary_rtp::{Header, Packet, PacketEdit, PacketMut, PacketWriter, RtpTime, SeqNo, Ssrc};

/// How often `work` allocates.
pub(crate) fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

const HEADER: Header<'_> = Header {
    marker: true,
    payload_type: 96,
    sequence_number: SeqNo(1),
    timestamp: RtpTime(2),
    ssrc: Ssrc(3),
    csrcs: &[Ssrc(4), Ssrc(5)],
};

fn write(out: &mut Vec<u8>) {
    let mut writer = PacketWriter::begin(&HEADER, out).unwrap();
    writer.extension(1, &[1; 3]).unwrap();
    writer.extension(2, &[2; 16]).unwrap();
    writer.extension(16, &[3; 17]).unwrap();
    let mut payload = writer.into_payload();
    payload.append(&[9; 1100]);
    payload.finish_padded(7);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![0u8; 9]))), 1);
}

#[test]
fn a_packet_is_written_without_allocating() {
    let mut out = Vec::with_capacity(1500);
    assert_eq!(allocations(|| write(&mut out)), 0);
    assert!(Packet::parse(&out).is_ok());
}

#[test]
fn a_packet_is_parsed_walked_and_changed_in_place_without_allocating() {
    let mut out = Vec::with_capacity(1500);
    write(&mut out);
    let count = allocations(|| {
        let packet = Packet::parse(&out).unwrap();
        assert_eq!(packet.extensions().map(|(_, data)| data.len()).sum::<usize>(), 36);
        assert_eq!(packet.csrcs().map(|csrc| csrc.0).sum::<u32>(), 9);
        assert_eq!(packet.extension(16), Some(&[3; 17][..]));
        assert_eq!(packet.payload().len(), 1100);
        let mut packet = PacketMut::parse(&mut out).unwrap();
        packet.set_ssrc(Ssrc(8));
        packet.extension_mut(1).unwrap().fill(7);
        packet.payload_mut()[0] = 1;
    });
    assert_eq!(count, 0);
}

#[test]
fn a_packet_is_edited_without_allocating_while_the_capacity_lasts() {
    let mut out = Vec::with_capacity(1500);
    write(&mut out);
    let count = allocations(|| {
        let mut packet = PacketEdit::parse(&mut out, 0).unwrap();
        packet.set_extension(3, &[1; 40]).unwrap();
        packet.set_extension(3, &[2; 2]).unwrap();
        for id in [1, 2, 3, 16] {
            packet.remove_extension(id).unwrap();
        }
        packet.set_extension(1, &[1]).unwrap();
        packet.set_extension(2, &[]).unwrap();
        packet.set_csrcs(&[Ssrc(1); 15]).unwrap();
        packet.set_csrcs(&[]).unwrap();
        packet.set_padding(255);
        packet.set_padding(0);
    });
    assert_eq!(count, 0);
    assert_eq!(Packet::parse(&out).unwrap().extensions().collect::<Vec<_>>(), [(1, &[1][..]), (2, &[])]);
}
