//! Layers of what browsers sent, in whatever order they were announced.

use super::bench::Bench;
use super::capture::{ALL, Capture, IDS};
use super::opaque::encrypted;
use crate::extensions::Extensions;
use crate::track::Kind;

const ORDERS: [[u8; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The RIDs as they are ranked so many milliseconds after the start, with layers in this order.
fn ranked(capture: &Capture, order: [u8; 3], (opaque, ids): (bool, Extensions), until: u64) -> String {
    let mut bench = Bench::new(Kind::Video, true);
    bench.ids = ids;
    let track = bench.publish(capture.codec, capture.payload_type, capture.rids.len(), opaque);
    let mut clock = 0;
    for sent in capture.sent.iter().filter(|sent| !sent.repairs).take_while(|sent| sent.at <= until) {
        bench.wait(sent.at - clock);
        clock = sent.at;
        bench.arrive(track, order[usize::from(sent.layer)], false, &sent.bytes);
    }
    let layers = bench.tracks[track].ranked_layers(bench.now);
    let rid = |layer: u8| {
        let index = order.iter().position(|it| *it == layer).unwrap();
        capture.rids[index].clone().unwrap()
    };
    layers.into_iter().map(rid).collect()
}

#[test]
fn layers_are_ranked_by_what_they_are() {
    let blind = Extensions { layers_allocation: 0, dependency_descriptor: 0, ..IDS };
    let described = Extensions { layers_allocation: 0, ..IDS };
    let allocated = Extensions { dependency_descriptor: 0, ..IDS };
    for name in ["chromium-vp8-simulcast", "chromium-h264-simulcast", "firefox-vp8-simulcast"] {
        let clear = Capture::open(*ALL.iter().find(|(known, _)| *known == name).unwrap());
        let noise = encrypted(name);
        // Each source alone, and all of them, with another order each.
        let cases = [IDS, described, allocated, blind].into_iter().flat_map(|ids| [(ids, false), (ids, true)]);
        for ((ids, opaque), order) in cases.zip(ORDERS.into_iter().cycle()) {
            let capture = if opaque { &noise } else { &clear };
            assert_eq!(ranked(capture, order, (opaque, ids), 8000), "qhf", "{name} {order:?} {opaque} {ids:?}");
        }
        for order in ORDERS {
            assert_eq!(ranked(&clear, order, (false, IDS), 3000), "qhf", "{name} {order:?}");
        }
    }
}

#[test]
fn layers_that_are_not_sent_are_not_ranked() {
    // Chromium begins with the smallest, and the others come as it has found out that they fit.
    let capture = Capture::open(ALL[0]);
    let ranks: Vec<_> = [100, 8000, 14_000].map(|until| ranked(&capture, [2, 0, 1], (false, IDS), until)).into();
    assert_eq!(ranks, ["q", "qhf", "qh"], "and the largest was stopped");
}
