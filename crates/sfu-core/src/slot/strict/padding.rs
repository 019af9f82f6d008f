//! Padding makes runs longer, and is little.

use std::time::Duration;

use plenary_netsim::base;
use plenary_rtp::{ExtendedSeqNo, Header, Packet, PacketWriter};

use super::bench::{Bench, OVERHEAD};
use super::capture::{ALL, Capture};
use super::replay::kind;
use crate::frame::Facts;
use crate::log::{Log, LogLimits};
use crate::slot::padding::Padding;

/// What one layer of a capture is sent as: packets, runs, bytes, and bytes of padding among them.
fn sent(capture: &Capture, layer: u8, max: u8) -> [usize; 4] {
    let mut bench = Bench::new(kind(capture.codec), true);
    bench.slot.padding = Padding::new(max);
    let track = bench.publish(capture.codec, capture.payload_type, capture.rids.len(), false);
    bench.attach(track, Some(layer));
    let own: Vec<_> = capture.sent.iter().filter(|sent| sent.layer == layer).collect();
    for together in own.chunk_by(|one, next| next.at - one.at < 2) {
        for sent in together {
            bench.arrive(track, layer, sent.repairs, &sent.bytes);
        }
        bench.drain();
    }
    let bytes = bench.sent.iter().map(|bytes| bytes.len() + OVERHEAD).sum();
    let padding = bench.sent.iter().map(|bytes| usize::from(Packet::parse(bytes).unwrap().padding_len())).sum();
    [bench.sent.len(), bench.runs, bytes, padding]
}

#[test]
fn runs_are_longer_for_little_padding() {
    let captures = ALL.map(Capture::open);
    // Bytes of padding in a packet at most; runs of all layers of all captures; padding in parts of a million bytes.
    let expected =
        [(0, 7802, 0), (1, 6961, 153), (8, 6916, 190), (16, 6883, 270), (64, 6752, 1030), (255, 6391, 10_394)];
    for (max, runs, share) in expected {
        let layers = captures.iter().flat_map(|it| (0..it.rids.len() as u8).map(move |layer| sent(it, layer, max)));
        let sum = layers.reduce(|sum, layer| std::array::from_fn(|index| sum[index] + layer[index])).unwrap();
        let [packets, _, bytes, padding] = sum;
        assert_eq!(sum, [10_079, runs, bytes, padding], "of {packets} packets, with up to {max} bytes");
        assert_eq!(padding * 1_000_000 / bytes, share, "with up to {max} bytes");
    }
}

#[test]
fn padding_is_of_use_and_within_its_share() {
    let now = base();
    let limits = LogLimits { packets_max: 64, bytes_max: 1 << 20, age_max: Duration::from_secs(1), chunk: 1 << 16 };
    let planned = |sizes: &[usize], max: u8, spare: u64| {
        let mut log = Log::new(limits);
        for (number, size) in (0..).zip(sizes) {
            let mut bytes = Vec::new();
            let mut writer = PacketWriter::begin(&Header::default(), &mut bytes).unwrap().into_payload();
            writer.append(&vec![0; *size]);
            writer.finish();
            log.append(&Packet::parse(&bytes).unwrap(), ExtendedSeqNo(number), Facts::default(), now);
        }
        let mut padding = Padding::new(max);
        padding.sent(spare as usize * 34, 0);
        let even = padding.plan(0, log.from(0));
        let each = (0..).zip(sizes).map(|(at, size)| even.map_or(0, |even| even.padding(at, *size)));
        each.collect::<Vec<_>>()
    };
    for (sizes, expected) in [
        (&[1000, 1000, 1000][..], &[0, 0, 0][..]),
        // As Chromium cuts frames: the longer ones last.
        (&[1000, 1000, 1001, 1001], &[1, 1, 0, 0]),
        (&[1000, 990, 1001, 700], &[1, 11, 0, 0]),
        // The last of a run may be shorter.
        (&[1000, 1000, 990], &[0, 0, 0]),
        (&[1000, 990, 500, 1000], &[0, 10, 0, 0]),
        // Too long for any of it.
        (&[1000, 990, 1100], &[0, 0, 0]),
        (&[1000, 990, 1007, 1006], &[0, 0, 0, 0]),
        // Left out by the way.
        (&[1000, 0, 1001], &[1, 0, 0]),
        (&[1000], &[0]),
    ] {
        assert_eq!(planned(sizes, 16, 1000), expected, "{sizes:?}");
        assert!(planned(sizes, 0, 1000).iter().all(|padding| *padding == 0), "{sizes:?} with none");
    }
    assert_eq!(planned(&[1000, 1000, 1001, 1003], 16, 2), [1, 1, 0, 0], "as far as it reaches");
    assert_eq!(planned(&[1000, 1000, 1001, 1003], 16, 1), [0, 0, 0, 0]);
}
