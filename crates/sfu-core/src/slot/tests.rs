//! A slot before a strict receiver: whatever happens to its sources, it sees one valid stream.

use std::collections::BTreeMap;

use plenary_netsim::base;
use plenary_rtp::payload::vp8;
use plenary_rtp::{ExtendedSeqNo, Header, Packet, PacketWriter};
use proptest::prelude::*;
use slotmap::SlotMap;

use super::*;
use crate::extensions::Extensions;
use crate::frame::Facts;
use crate::ids::{SessionKey, TransportKey};
use crate::track::Layer;

const VP8: Format = Format { codec: Codec::Vp8, payload_type: 96, rtx_payload_type: Some(97) };
const ENVELOPE: Envelope<'static> = Envelope { extensions: &EXTENSIONS, overhead: 16 };
const EXTENSIONS: Extensions = Extensions {
    mid: 1,
    rid: 0,
    repaired_rid: 0,
    dependency_descriptor: 0,
    audio_level: 0,
    transport_sequence: 0,
    send_time: 0,
    capture_time: 0,
    orientation: 0,
    layers_allocation: 0,
    playout_delay: 0,
};

/// An encoder: frames of a few packets, each of which says what it is.
#[derive(Clone, Copy, Debug)]
struct Encoder {
    id: u8,
    seq: u64,
    frame: u16,
    timestamp: u32,
}

impl Encoder {
    /// The packets of the next frame, with their numbers; its time goes on by `ms`.
    fn frame(&mut self, is_key: bool, parts: u8, ms: u32) -> Vec<(u64, Vec<u8>)> {
        self.frame = self.frame.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(90 * ms);
        (0..parts).map(|part| self.packet(is_key, part, parts)).collect()
    }

    fn packet(&mut self, is_key: bool, part: u8, parts: u8) -> (u64, Vec<u8>) {
        let descriptor = vp8::Descriptor {
            start_of_partition: part == 0,
            picture_id: Some(plenary_rtp::payload::PictureId::Fifteen(self.frame & 0x7fff)),
            tl0_pic_idx: Some(self.frame as u8),
            layer: Some(vp8::TemporalLayer::default()),
            ..vp8::Descriptor::default()
        };
        let mut payload = Vec::new();
        descriptor.write(&mut payload).unwrap();
        if part == 0 {
            // A frame header; of a key frame with its start code and 640 x 360.
            let key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1];
            payload.extend(if is_key { &key[..] } else { &[0x11, 0, 0] });
        }
        let [high, low] = self.frame.to_be_bytes();
        payload.extend([self.id, high, low, part, parts, u8::from(is_key)]);
        self.write(part + 1 == parts, &payload, 0)
    }

    fn padding(&mut self) -> (u64, Vec<u8>) {
        self.write(false, &[], 200)
    }

    fn write(&mut self, marker: bool, payload: &[u8], padding: u8) -> (u64, Vec<u8>) {
        let header = Header {
            marker,
            payload_type: 96,
            sequence_number: SeqNo(self.seq as u16),
            timestamp: RtpTime(self.timestamp),
            ssrc: Ssrc(1000 + u32::from(self.id)),
            csrcs: &[],
        };
        let mut out = Vec::new();
        let mut writer = PacketWriter::begin(&header, &mut out).unwrap().into_payload();
        writer.append(payload);
        writer.finish_padded(padding);
        self.seq += 1;
        (self.seq - 1, out)
    }
}

/// A room of two tracks of two layers each, and a slot that looks at them.
struct Bench {
    tracks: SlotMap<TrackKey, Track>,
    keys: Vec<TrackKey>,
    encoders: Vec<Encoder>,
    slot: Slot,
    now: Instant,
    sent: Vec<Vec<u8>>,
    needed_key_frame: bool,
}

impl Bench {
    fn new() -> Self {
        let (now, mut tracks) = (base(), SlotMap::with_key());
        let keys = (0..2)
            .map(|_| {
                tracks.insert(Track {
                    session: SessionKey::default(),
                    transport: TransportKey::default(),
                    kind: Kind::Video,
                    codec: Codec::Vp8,
                    payload_type: 96,
                    rtx_payload_type: Some(97),
                    others: Vec::new(),
                    unknown: 0,
                    changed_at: None,
                    nack: true,
                    opaque: false,
                    stream: String::new(),
                    layers: (0..2).map(|_| Layer::new(Kind::Video, None)).collect(),
                    subscriptions: Vec::new(),
                    csrc: Ssrc(7),
                })
            })
            .collect();
        let encoders = (0u8..4)
            .map(|id| Encoder {
                id,
                seq: 65_500 + 7 * u64::from(id),
                frame: 0x7ff0 + u16::from(id),
                timestamp: u32::MAX - 50_000 * u32::from(id),
            })
            .collect();
        let config = SlotConfig {
            kind: Kind::Video,
            mid: "v0".into(),
            ssrc: Ssrc(5),
            rtx_ssrc: Some(Ssrc(6)),
            pair: None,
            formats: vec![VP8],
        };
        let begin = Beginnings {
            sequence_number: 32_700,
            rtx_sequence_number: 9,
            timestamp: u32::MAX - 1000,
            picture_id: 0x7ffa,
        };
        let slot = Slot::new(config, &begin, 16, now);
        Self { tracks, keys, encoders, slot, now, sent: Vec::new(), needed_key_frame: false }
    }

    fn attach(&mut self, track: usize, layer: u8) {
        self.slot.attach(Source::new(SubscriptionKey::default(), self.keys[track], VP8, Ssrc(7)));
        self.slot.want(Some(layer));
    }

    fn arrive(&mut self, encoder: usize, seq: u64, bytes: &[u8]) {
        let packet = Packet::parse(bytes).unwrap();
        let facts = Facts::read(&packet, Codec::Vp8, false, &EXTENSIONS).unwrap();
        let layer = &mut self.tracks[self.keys[encoder / 2]].layers[encoder % 2];
        layer.append(&packet, ExtendedSeqNo(seq), facts, self.now);
    }

    /// A frame that arrives as it was sent.
    fn frame(&mut self, encoder: usize, is_key: bool) {
        for (seq, bytes) in self.encoders[encoder].frame(is_key, 3, 33) {
            self.arrive(encoder, seq, &bytes);
        }
    }

    /// Sends what there is.
    fn drain(&mut self) {
        while let Some(key) = self.slot.source().map(|source| source.track) {
            let track = &self.tracks[key];
            let next = self.slot.next(track, &mut None);
            self.needed_key_frame |= next == Next::NeedsKeyFrame;
            if next != Next::Packet {
                return;
            }
            let mut out = Vec::new();
            let written = self.slot.write(track, &ENVELOPE, &mut out).unwrap();
            self.slot.commit(track, &written, self.now).unwrap();
            assert_eq!(written.len, out.len());
            assert_eq!(written.number as u16, u16::from_be_bytes([out[2], out[3]]));
            out.truncate(out.len() - 16);
            self.sent.push(out);
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

/// What a receiver makes of a stream: its whole frames, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Source, frame number there, whether it is a key frame.
    frames: Vec<(u8, u16, bool)>,
    /// Numbers that never came.
    holes: u64,
    packets: usize,
}

/// Holds a stream against all that a decoder takes for granted. Panics if something is wrong with it.
fn receive(sent: &[Vec<u8>]) -> Seen {
    let mut unwrapper = plenary_rtp::SeqUnwrapper::new();
    let mut packets = BTreeMap::new();
    for bytes in sent {
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!((packet.ssrc(), packet.payload_type()), (Ssrc(5), 96));
        let seq = unwrapper.unwrap(packet.sequence_number());
        assert!(packets.insert(seq.0, packet).is_none(), "the number {seq:?} twice");
    }
    let mut seen = Seen { packets: packets.len(), ..Seen::default() };
    let mut newest: Option<(RtpTime, u16)> = None;
    let mut parts: Vec<(u64, &Packet<'_>)> = Vec::new();
    for (seq, packet) in &packets {
        if let Some((last, _)) = parts.last() {
            seen.holes += seq - last - 1;
        }
        parts.push((*seq, packet));
        if packet.payload().is_empty() {
            continue;
        }
        let payload = vp8::Payload::parse(packet.payload()).unwrap();
        let picture = payload.descriptor.picture_id.unwrap().value();
        if let Some((timestamp, last)) = newest {
            let step = timestamp.distance_to(packet.timestamp());
            assert!(step >= 0, "time goes back by {step} at {seq}");
            assert_eq!(step == 0, picture == last, "a picture has one time, and a time one picture");
            let pictures = picture.wrapping_sub(last) & 0x7fff;
            assert!(pictures < 0x4000, "pictures go back at {seq}");
        }
        newest = Some((packet.timestamp(), picture));
        seen.frames.extend(packet.marker().then(|| whole(&parts)).flatten());
    }
    seen
}

/// The frame that ends with the last of these packets, if it is whole by what a receiver can tell.
fn whole(parts: &[(u64, &Packet<'_>)]) -> Option<(u8, u16, bool)> {
    let (mut next, end) = parts.last().map(|(seq, packet)| (*seq, packet))?;
    let mut marks = Vec::new();
    for (seq, packet) in parts.iter().rev() {
        if *seq != next {
            return None;
        }
        next = next.wrapping_sub(1);
        if packet.payload().is_empty() {
            continue;
        }
        assert_eq!(packet.timestamp(), end.timestamp(), "a frame without its beginning is told as whole");
        let payload = vp8::Payload::parse(packet.payload()).unwrap();
        let mark = packet.payload()[packet.payload().len() - 6..].to_vec();
        marks.push(mark);
        if payload.descriptor.starts_frame() {
            marks.reverse();
            let (first, count) = (&marks[0], marks.len());
            assert_eq!(count, usize::from(first[4]), "parts of a frame that is told as whole");
            for (part, mark) in marks.iter().enumerate() {
                assert_eq!((&mark[..3], usize::from(mark[3])), (&first[..3], part), "parts of one frame in order");
            }
            return Some((first[0], u16::from_be_bytes([first[1], first[2]]), first[5] == 1));
        }
    }
    None
}

#[test]
fn it_begins_with_a_key_frame_and_goes_on() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, false);
    bench.drain();
    assert!(bench.sent.is_empty() && bench.needed_key_frame);
    for is_key in [true, false, false] {
        bench.wait(33);
        bench.frame(0, is_key);
        bench.drain();
    }
    let seen = receive(&bench.sent);
    assert_eq!(seen.frames, [(0, 0x7ff2, true), (0, 0x7ff3, false), (0, 0x7ff4, false)]);
    assert_eq!((seen.holes, seen.packets), (0, 9));
    let first = Packet::parse(&bench.sent[0]).unwrap();
    assert_eq!((first.sequence_number(), first.timestamp()), (SeqNo(32_700), RtpTime(u32::MAX - 1000)));
    assert_eq!(first.extension(1), Some(&b"v0"[..]), "the MID, until it is acknowledged");
    let block = ReportBlock { ssrc: Ssrc(5), ..ReportBlock::default() };
    bench.slot.handle_report_block(&block, &NtpClock::new(bench.now, plenary_rtp::NtpTime(0)), bench.now);
    bench.frame(0, false);
    bench.drain();
    assert_eq!(Packet::parse(bench.sent.last().unwrap()).unwrap().extension(1), None);
}

#[test]
fn another_layer_is_taken_at_its_key_frame() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    bench.drain();
    bench.slot.want(Some(1));
    for is_key in [false, false, true, false] {
        bench.wait(33);
        bench.frame(0, false);
        bench.frame(1, is_key);
        bench.drain();
    }
    let seen = receive(&bench.sent);
    let sources: Vec<_> = seen.frames.iter().map(|(source, _, is_key)| (*source, *is_key)).collect();
    assert_eq!(sources, [(0, true), (0, false), (0, false), (1, true), (1, false)]);
    assert_eq!((seen.holes, bench.slot.current()), (0, Some(1)));
}

#[test]
fn a_key_frame_of_a_moment_ago_is_begun_with() {
    let mut bench = Bench::new();
    bench.frame(0, true);
    bench.wait(400);
    bench.frame(0, false);
    bench.attach(0, 0);
    bench.drain();
    assert_eq!(receive(&bench.sent).frames.len(), 2);
    assert!(!bench.needed_key_frame);
    // But not if what was sent since then is younger: time would pass twice.
    bench.frame(2, true);
    bench.wait(50);
    bench.frame(0, false);
    bench.drain();
    bench.attach(1, 0);
    bench.drain();
    assert!(bench.needed_key_frame);
    assert_eq!(receive(&bench.sent).frames.len(), 3);
}

#[test]
fn a_hole_keeps_its_number_and_its_repair_fills_it() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    let mut late = bench.encoders[0].frame(false, 4, 33);
    let (seq, bytes) = late.remove(1);
    for (seq, bytes) in late {
        bench.arrive(0, seq, &bytes);
    }
    bench.frame(0, false);
    bench.drain();
    let seen = receive(&bench.sent);
    assert_eq!((seen.frames.len(), seen.holes), (2, 1));
    bench.arrive(0, seq, &bytes);
    bench.drain();
    let seen = receive(&bench.sent);
    assert_eq!((seen.frames.len(), seen.holes), (3, 0));
}

#[test]
fn a_key_frame_whose_first_packet_was_repaired_is_sent_whole() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    let mut key = bench.encoders[0].frame(true, 5, 33);
    let (seq, first) = key.remove(0);
    for (seq, bytes) in key {
        bench.arrive(0, seq, &bytes);
    }
    bench.frame(0, false);
    bench.drain();
    assert!(bench.sent.is_empty());
    bench.arrive(0, seq, &first);
    bench.drain();
    let seen = receive(&bench.sent);
    assert_eq!((seen.frames.len(), seen.holes, seen.packets), (2, 0, 8));
}

#[test]
fn padding_costs_no_number_unless_it_comes_late() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    let (seq, padding) = bench.encoders[0].padding();
    bench.arrive(0, seq, &padding);
    bench.frame(0, false);
    bench.drain();
    assert_eq!(bench.sent.len(), 6);
    let (seq, padding) = bench.encoders[0].padding();
    bench.frame(0, false);
    bench.drain();
    bench.arrive(0, seq, &padding);
    bench.drain();
    let seen = receive(&bench.sent);
    assert_eq!((seen.frames.len(), seen.holes, seen.packets), (4 - 1, 0, 10), "its number was taken");
}

#[test]
fn who_fell_behind_begins_anew_with_a_key_frame() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    bench.drain();
    for _ in 0..1000 {
        bench.frame(0, false);
    }
    bench.drain();
    assert!(bench.needed_key_frame);
    bench.wait(33);
    bench.frame(0, true);
    bench.drain();
    let seen = receive(&bench.sent);
    assert_eq!((seen.frames.len(), seen.holes), (2, 0));
    assert!(seen.frames[1].2);
}

#[test]
fn what_was_sent_is_sent_again_as_it_was() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    bench.drain();
    bench.attach(1, 0);
    bench.wait(40);
    bench.frame(2, true);
    bench.drain();
    let lost: Vec<_> = [1, 4].map(|index: usize| bench.sent[index].clone()).to_vec();
    let numbers: Vec<_> = lost.iter().map(|bytes| Packet::parse(bytes).unwrap().sequence_number()).collect();
    let repairs: Vec<_> = bench.slot.handle_nack(numbers.clone(), bench.now).collect();
    for ((repair, original), number) in repairs.iter().zip(&lost).zip(numbers) {
        let track = &bench.tracks[bench.slot.track_of(repair).unwrap()];
        let mut out = Vec::new();
        bench.slot.write_again(repair, track, &ENVELOPE, &mut out).unwrap();
        let again = Packet::parse(&out[..out.len() - 16]).unwrap();
        let original = Packet::parse(original).unwrap();
        assert_eq!((again.ssrc(), again.payload_type()), (Ssrc(6), 97));
        assert_eq!((again.timestamp(), again.marker()), (original.timestamp(), original.marker()));
        assert_eq!(again.payload()[..2], number.0.to_be_bytes());
        assert_eq!(&again.payload()[2..], original.payload());
    }
    assert_eq!(repairs.len(), 2);
}

#[test]
fn a_source_that_stops_its_clock_does_not_stop_ours() {
    let mut bench = Bench::new();
    bench.attach(0, 0);
    bench.frame(0, true);
    bench.drain();
    bench.wait(10_000);
    bench.frame(0, false);
    bench.drain();
    let times: Vec<_> = bench.sent.iter().map(|bytes| Packet::parse(bytes).unwrap().timestamp()).collect();
    assert_eq!(times[2].distance_to(times[3]), 900_000);
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A frame of an encoder, with what becomes of each packet: lost, now, or after so many further steps.
    Frame {
        encoder: usize,
        is_key: bool,
        fates: Vec<Option<u8>>,
    },
    Padding {
        encoder: usize,
        fate: Option<u8>,
    },
    Want(Option<u8>),
    Attach(usize, u8),
    Detach,
    Wait(u16),
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = || prop_oneof![1 => Just(None), 6 => Just(Some(0)), 2 => (1u8..6).prop_map(Some)];
    prop_oneof![
        12 => (0usize..4, prop::bool::weighted(0.2), prop::collection::vec(fate(), 1..5))
            .prop_map(|(encoder, is_key, fates)| Step::Frame { encoder, is_key, fates }),
        2 => (0usize..4, fate()).prop_map(|(encoder, fate)| Step::Padding { encoder, fate }),
        2 => prop::option::weighted(0.8, 0u8..2).prop_map(Step::Want),
        2 => (0usize..2, 0u8..2).prop_map(|(track, layer)| Step::Attach(track, layer)),
        1 => Just(Step::Detach),
        4 => (0u16..1500).prop_map(Step::Wait),
        8 => Just(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_the_receiver_sees_one_valid_stream(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        let start = bench.now;
        let mut on_the_way: Vec<(u8, usize, u64, Vec<u8>)> = Vec::new();
        for step in steps {
            let mut packets = Vec::new();
            match step {
                Step::Frame { encoder, is_key, fates } => {
                    bench.wait(5);
                    let frame = bench.encoders[encoder].frame(is_key, fates.len() as u8, 20);
                    packets.extend(fates.into_iter().zip(frame).map(|(fate, (seq, bytes))| (fate, encoder, seq, bytes)));
                }
                Step::Padding { encoder, fate } => {
                    let (seq, bytes) = bench.encoders[encoder].padding();
                    packets.push((fate, encoder, seq, bytes));
                }
                Step::Want(layer) => bench.slot.want(layer),
                Step::Attach(track, layer) => bench.attach(track, layer),
                Step::Detach => drop(bench.slot.detach()),
                Step::Wait(ms) => bench.wait(ms.into()),
                Step::Drain => bench.drain(),
            }
            on_the_way.extend(packets.into_iter().filter_map(|(fate, encoder, seq, bytes)| {
                fate.map(|steps| (steps, encoder, seq, bytes))
            }));
            let (arrived, rest) = on_the_way.into_iter().partition::<Vec<_>, _>(|(steps, ..)| *steps == 0);
            on_the_way = rest.into_iter().map(|(steps, encoder, seq, bytes)| (steps - 1, encoder, seq, bytes)).collect();
            for (_, encoder, seq, bytes) in arrived {
                bench.arrive(encoder, seq, &bytes);
            }
        }
        bench.drain();
        receive(&bench.sent);
        // Time is that of the wall, but for clocks of sources that stand still for less than is called a break.
        let times: Vec<_> = bench.sent.iter().map(|bytes| Packet::parse(bytes).unwrap().timestamp()).collect();
        if let [first, .., last] = times[..] {
            let (elapsed, off) = ((bench.now - start).as_millis() as i32 * 90, 90 * 4500);
            prop_assert!(first.distance_to(last) < elapsed + off, "{} ticks in {elapsed}", first.distance_to(last));
        }
    }
}
