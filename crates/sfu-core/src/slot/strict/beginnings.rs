//! Where a picture of H.264 begins with which a decoder can begin.

use plenary_rtp::Packet;
use plenary_rtp::payload::{Codec, h264};

use super::bench::Bench;
use super::capture::Sent;
use super::encoder::{Encoder, Style};
use crate::ids::TrackKey;
use crate::track::Kind;

const STYLE: Style = Style {
    codec: Codec::H264,
    describes: false,
    picture_ids: None,
    aggregates: false,
    delimits: true,
    repeats_sets: true,
};

/// A slot that reads one layer of two, with their encoders.
fn room(style: Style) -> (Bench, TrackKey, [Encoder; 2]) {
    let mut bench = Bench::new(Kind::Video, true);
    let track = bench.publish(Codec::H264, 98, 2, false);
    bench.attach(track, Some(0));
    let encoders = [0, 1].map(|id| Encoder { style, id, payload_type: 98, seq: 100, timestamp: 9000, frame: 1 });
    (bench, track, encoders)
}

fn arrive(bench: &mut Bench, track: TrackKey, packets: impl IntoIterator<Item = Sent>) {
    for sent in packets {
        bench.wait(1);
        assert!(bench.arrive(track, sent.layer, false, &sent.bytes));
        bench.drain();
    }
}

/// Types of the first units of what was sent.
fn units(bench: &Bench) -> Vec<h264::UnitType> {
    let payloads = bench.sent.iter().map(|bytes| Packet::parse(bytes).unwrap().payload());
    payloads
        .map(|payload| h264::Payload::parse(payload).unwrap().units().next().unwrap().header().unit_type())
        .collect()
}

#[test]
fn parameter_sets_in_front_of_another_picture_are_no_beginning() {
    use h264::UnitType::{AccessUnitDelimiter, Idr, Pps, Slice, Sps};
    for aggregates in [false, true] {
        let (mut bench, track, [mut encoder, _]) = room(Style { aggregates, ..STYLE });
        arrive(&mut bench, track, encoder.frame(false, 1, (33, 1)));
        assert!(bench.sent.is_empty() && bench.needed_key_frame);
        arrive(&mut bench, track, encoder.frame(true, 1, (33, 1)));
        arrive(&mut bench, track, encoder.frame(false, 1, (33, 1)));
        let sets = if aggregates { vec![Sps] } else { vec![Sps, Pps] };
        let picture = |slice| [&[AccessUnitDelimiter], &sets[..], &[slice]].concat();
        assert_eq!(units(&bench), [picture(Idr), picture(Slice)].concat());
    }
}

#[test]
fn a_switch_takes_all_of_the_access_unit() {
    use h264::UnitType::{AccessUnitDelimiter, Idr, Pps, Sps};
    let (mut bench, track, [mut low, mut high]) = room(STYLE);
    arrive(&mut bench, track, low.frame(true, 5, (33, 1)));
    bench.slot.want(Some(1));
    let count = bench.sent.len();
    arrive(&mut bench, track, high.frame(true, 5, (66, 1)));
    assert_eq!(units(&bench)[count..], [AccessUnitDelimiter, Sps, Pps, Idr, Idr]);
    assert_eq!(bench.switches.len(), 2);
}

#[test]
fn an_access_unit_may_come_in_any_order() {
    use h264::UnitType::{AccessUnitDelimiter, Idr, Pps, Sps};
    let sorted = |order: [usize; 4]| {
        let (mut bench, track, [mut encoder, _]) = room(STYLE);
        let packets = encoder.frame(true, 4, (33, 1));
        for index in order {
            assert!(bench.arrive(track, 0, false, &packets[index].bytes));
        }
        bench.drain();
        let units = units(&bench).into_iter();
        let mut sent: Vec<_> =
            bench.sent.iter().map(|it| Packet::parse(it).unwrap().sequence_number().0).zip(units).collect();
        sent.sort_by_key(|(number, _)| *number);
        sent.into_iter().map(|(_, unit)| unit).collect::<Vec<_>>()
    };
    for order in [[0, 1, 2, 3], [1, 2, 3, 0], [3, 2, 1, 0], [3, 0, 2, 1]] {
        assert_eq!(sorted(order), [AccessUnitDelimiter, Sps, Pps, Idr], "{order:?}");
    }
}
