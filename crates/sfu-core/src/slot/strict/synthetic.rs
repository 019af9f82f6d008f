//! Whatever encoders, networks and applications do, a slot is one valid stream.

use plenary_rtp::payload::Codec;
use proptest::prelude::*;

use super::bench::{Bench, FORMATS};
use super::capture::Sent;
use super::encoder::{Encoder, Style};
use super::path::again;
use super::receiver::{Published, receive};
use crate::ids::TrackKey;
use crate::track::Kind;

const TRACKS: usize = 3;

/// What becomes of a packet: it comes after so many steps, or is lost and repaired after so many, or is lost.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Comes(u8),
    ComesTwice(u8),
    IsRepaired(u8),
    IsLost,
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Frame { encoder: usize, is_key: bool, numbers: u16, fates: Vec<Fate> },
    Padding { encoder: usize, fate: Fate },
    Want(Option<u8>),
    Attach(usize, u8),
    Detach,
    Wait(u16),
    Drain,
    AskAgain(u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Comes(0)),
        3 => (1u8..6).prop_map(Fate::Comes),
        1 => (0u8..6).prop_map(Fate::ComesTwice),
        2 => (0u8..20).prop_map(Fate::IsRepaired),
        1 => Just(Fate::IsLost),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        14 => (0..2 * TRACKS, prop::bool::weighted(0.2), 1u16..4, prop::collection::vec(fate(), 1..5))
            .prop_map(|(encoder, is_key, numbers, fates)| Step::Frame { encoder, is_key, numbers, fates }),
        2 => (0..2 * TRACKS, fate()).prop_map(|(encoder, fate)| Step::Padding { encoder, fate }),
        2 => prop::option::weighted(0.8, 0u8..2).prop_map(Step::Want),
        2 => (0..TRACKS, 0u8..2).prop_map(|(track, layer)| Step::Attach(track, layer)),
        1 => Just(Step::Detach),
        3 => (0u16..1200).prop_map(Step::Wait),
        8 => Just(Step::Drain),
        3 => (0u8..10).prop_map(Step::AskAgain),
    ]
}

fn style(codec: Codec) -> impl Strategy<Value = Style> {
    (any::<bool>(), prop::option::of(any::<bool>()), any::<[bool; 3]>()).prop_map(
        move |(describes, picture_ids, [aggregates, delimits, repeats_sets])| {
            let describes = describes && codec != Codec::Opus;
            Style { codec, describes, picture_ids, aggregates, delimits, repeats_sets }
        },
    )
}

fn styles() -> impl Strategy<Value = [Style; TRACKS]> {
    let codecs = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
    let any_codec = move || prop::sample::select(codecs.to_vec()).prop_flat_map(style);
    [any_codec(), any_codec(), any_codec()]
}

/// Tracks of these styles, of two layers each, and a slot.
struct Room {
    bench: Bench,
    tracks: Vec<TrackKey>,
    encoders: Vec<Encoder>,
    sent: Vec<Vec<Sent>>,
    on_the_way: Vec<(u8, usize, Sent)>,
}

impl Room {
    fn new(kind: Kind, styles: &[Style; TRACKS], takes_descriptors: bool) -> Self {
        let mut bench = Bench::new(kind, takes_descriptors);
        let payload_type = |style: &Style| FORMATS.iter().find(|it| it.codec == style.codec).unwrap().payload_type;
        let tracks = styles.iter().map(|style| bench.publish(style.codec, payload_type(style), 2, false)).collect();
        let encoders = (0u8..).zip(styles.iter().flat_map(|style| [style; 2])).map(|(id, style)| Encoder {
            style: *style,
            id,
            payload_type: payload_type(style),
            seq: 65_500 + 7 * u16::from(id),
            timestamp: u32::MAX - 50_000 * u32::from(id),
            frame: 0xfff0 + u16::from(id),
        });
        Self { bench, tracks, encoders: encoders.collect(), sent: vec![Vec::new(); TRACKS], on_the_way: Vec::new() }
    }

    fn send(&mut self, encoder: usize, packets: Vec<Sent>, fates: &[Fate]) {
        for (index, packet) in packets.into_iter().enumerate() {
            let track = encoder / 2;
            match fates.get(index).copied().unwrap_or(Fate::Comes(0)) {
                Fate::Comes(steps) => self.on_the_way.push((steps, track, packet.clone())),
                Fate::ComesTwice(steps) => {
                    self.on_the_way.extend([0, steps].map(|steps| (steps, track, packet.clone())));
                }
                Fate::IsRepaired(steps) => self.on_the_way.push((steps, track, again(&packet, 0))),
                Fate::IsLost => {}
            }
            self.sent[track].push(packet);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Frame { encoder, is_key, numbers, fates } => {
                self.bench.wait(5);
                let packets = self.encoders[*encoder].frame(*is_key, fates.len() as u8, (20, *numbers));
                self.send(*encoder, packets, fates);
            }
            Step::Padding { encoder, fate } => {
                let packet = self.encoders[*encoder].padding();
                self.send(*encoder, vec![packet], &[*fate]);
            }
            Step::Want(layer) => self.bench.slot.want(*layer),
            Step::Attach(track, layer) => self.bench.attach(self.tracks[*track], Some(*layer)),
            Step::Detach => drop(self.bench.slot.detach()),
            Step::Wait(ms) => self.bench.wait((*ms).into()),
            Step::Drain => self.bench.drain(),
            Step::AskAgain(back) => {
                if let Some(index) = self.bench.sent.len().checked_sub(usize::from(*back) + 1) {
                    self.bench.ask_again(index);
                }
            }
        }
        let on_the_way = std::mem::take(&mut self.on_the_way);
        for (steps, track, packet) in on_the_way {
            match steps.checked_sub(1) {
                Some(steps) => self.on_the_way.push((steps, track, packet)),
                None => drop(self.bench.arrive(self.tracks[track], packet.layer, packet.repairs, &packet.bytes)),
            }
        }
    }
}

fn check(kind: Kind, styles: &[Style; TRACKS], takes_descriptors: bool, steps: &[Step]) {
    let mut room = Room::new(kind, styles, takes_descriptors);
    room.bench.attach(room.tracks[0], Some(0));
    steps.iter().for_each(|step| room.step(step));
    room.bench.drain();
    let mut published = Published::default();
    for (style, sent) in styles.iter().zip(&room.sent) {
        published.add(style.codec, sent, takes_descriptors, false);
    }
    let _ = receive(&room.bench, &published, false);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pictures_of_any_codec_are_one_valid_stream(styles in styles(), takes_descriptors: bool, steps in steps()) {
        check(Kind::Video, &styles, takes_descriptors, &steps);
    }

    #[test]
    fn sound_is_one_valid_stream(styles in [style(Codec::Opus), style(Codec::Opus), style(Codec::Opus)], steps in steps()) {
        check(Kind::Audio, &styles, false, &steps);
    }
}
