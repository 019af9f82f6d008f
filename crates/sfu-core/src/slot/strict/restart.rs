//! Publishers that begin anew.

use plenary_rtp::payload::Codec;
use plenary_rtp::{Packet, PacketMut, RtpTime, SeqNo};

use super::bench::Bench;
use super::capture::{ALL, Capture};
use super::receiver::{Published, receive};
use crate::track::Kind;

/// The packet as one with other numbers.
fn moved(bytes: &[u8], numbers: u16, ticks: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let packet = Packet::parse(&bytes).unwrap();
    let (number, timestamp) = (packet.sequence_number().0, packet.timestamp().0);
    let mut packet = PacketMut::parse(&mut bytes).unwrap();
    packet.set_sequence_number(SeqNo(number.wrapping_add(numbers)));
    packet.set_timestamp(RtpTime(timestamp.wrapping_add(ticks)));
    bytes
}

#[test]
fn a_publisher_that_restarts_is_begun_with_anew() {
    let name = "chromium-vp8-single";
    let mut capture = Capture::open(*ALL.iter().find(|(known, _)| *known == name).unwrap());
    capture.sent.retain(|sent| !sent.repairs);
    capture.sent.truncate(40);
    let mut bench = Bench::new(Kind::Video, true);
    let track = bench.publish(Codec::Vp8, capture.payload_type, 1, false);
    bench.attach(track, Some(0));
    let first_life = capture.sent.iter().map(|sent| sent.bytes.clone());
    // The next begins with one that is taken for a stray.
    let stray = moved(&capture.sent[0].bytes, 39_999, 1 << 30);
    let next_life = capture.sent.iter().map(|sent| moved(&sent.bytes, 40_000, (1 << 30) + 5));
    for bytes in first_life.chain([stray]).chain(next_life) {
        bench.wait(10);
        bench.arrive(track, 0, false, &bytes);
        bench.drain();
    }
    let numbers: Vec<_> = bench.sent.iter().map(|bytes| Packet::parse(bytes).unwrap().sequence_number().0).collect();
    assert_eq!(numbers, (32_700..32_780).collect::<Vec<_>>(), "far jumps would cost the subscriber's SRTP its count");
    let mut published = Published::default();
    published.add(Codec::Vp8, &capture.sent, true, false);
    let seen = receive(&bench, &published, false);
    assert_eq!((seen.runs.len(), seen.frames.len()), (2, 2 * published.counts[0]));
}
