//! Whatever comes and goes in whatever order: as many subscriptions as there are slots for are in one each.

use std::collections::{BTreeMap, BTreeSet};

use plenary_rtp::Ssrc;
use plenary_rtp::payload::Codec;
use plenary_sfu_core::{
    Event, Format, Kind, LayerConfig, Publication, SessionId, SlotConfig, SlotContent, SubscriptionId, TrackId,
    TransportId,
};
use proptest::prelude::*;

use crate::lab::{Lab, VP8};

const OPUS: Format = Format { codec: Codec::Opus, payload_type: 111, rtx_payload_type: None };

/// Sources with sound and picture each.
const SOURCES: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    AddTransport,
    RemoveTransport(u8),
    /// On which transport, for what, in which pair.
    AddSlot(u8, Kind, u16),
    Subscribe(u8),
    Unsubscribe(u8),
    Pause(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(Kind::Audio), Just(Kind::Video)];
    prop_oneof![
        2 => Just(Step::AddTransport),
        1 => any::<u8>().prop_map(Step::RemoveTransport),
        6 => (any::<u8>(), kind, 0..3u16).prop_map(|(at, kind, pair)| Step::AddSlot(at, kind, pair)),
        6 => (0..SOURCES * 2).prop_map(Step::Subscribe),
        2 => any::<u8>().prop_map(Step::Unsubscribe),
        1 => any::<u8>().prop_map(Step::Pause),
    ]
}

/// What is known of a slot from outside.
struct Slot {
    kind: Kind,
    pair: u16,
    content: Option<SlotContent>,
}

struct Model {
    lab: Lab,
    watcher: SessionId,
    /// Sound and picture of each source in turn.
    tracks: Vec<TrackId>,
    slots: BTreeMap<(TransportId, String), Slot>,
    subscriptions: Vec<(SubscriptionId, TrackId)>,
    added: u32,
}

fn publication(number: u8) -> Publication {
    let (kind, format) = if number.is_multiple_of(2) { (Kind::Audio, OPUS) } else { (Kind::Video, VP8) };
    let ssrc = Some(Ssrc(1000 + u32::from(number)));
    Publication {
        kind,
        mid: number.to_string(),
        codec: format.codec,
        payload_type: format.payload_type,
        rtx_payload_type: None,
        others: Vec::new(),
        nack: true,
        opaque: false,
        stream: (number / 2).to_string(),
        layers: vec![LayerConfig { rid: None, ssrc, rtx_ssrc: None }],
    }
}

impl Model {
    fn new() -> Self {
        let mut lab = Lab::new();
        let (publisher, watcher) = (lab.enter(), lab.sfu.join(lab.room).unwrap());
        let id = lab.clients[publisher].id;
        let tracks = (0..SOURCES * 2).map(|number| lab.sfu.publish(id, publication(number), lab.now).unwrap());
        let tracks = tracks.collect();
        Self { lab, watcher, tracks, slots: BTreeMap::new(), subscriptions: Vec::new(), added: 0 }
    }

    /// One of the watcher's transports, if there are any.
    fn transport(&self, at: u8) -> Option<TransportId> {
        let all: Vec<_> = self.lab.sfu.transports(self.watcher).unwrap().collect();
        all.get(usize::from(at) % all.len().max(1)).copied()
    }

    fn act(&mut self, step: &Step) {
        let now = self.lab.now;
        match *step {
            // There are four at most.
            Step::AddTransport => drop(self.lab.sfu.add_transport(self.watcher, now)),
            Step::RemoveTransport(at) => {
                let Some(transport) = self.transport(at) else { return };
                self.lab.sfu.remove_transport(transport, now).unwrap();
                self.slots.retain(|(known, _), _| *known != transport);
            }
            Step::AddSlot(at, kind, pair) => {
                let Some(transport) = self.transport(at) else { return };
                let is_taken = |((known, _), slot): (&(TransportId, String), &Slot)| {
                    (*known, slot.kind, slot.pair) == (transport, kind, pair)
                };
                if self.slots.iter().any(is_taken) {
                    return;
                }
                self.added += 1;
                let (mid, ssrc) = (self.added.to_string(), Ssrc(self.added));
                let formats = vec![if kind == Kind::Audio { OPUS } else { VP8 }];
                let config = SlotConfig { kind, mid: mid.clone(), ssrc, rtx_ssrc: None, pair: Some(pair), formats };
                self.lab.sfu.add_slot(transport, config, now).unwrap();
                self.slots.insert((transport, mid), Slot { kind, pair, content: None });
            }
            Step::Subscribe(number) => {
                let track = self.tracks[usize::from(number)];
                let subscription = self.lab.sfu.subscribe(self.watcher, track, now);
                self.subscriptions.extend(subscription.map(|subscription| (subscription, track)));
            }
            Step::Unsubscribe(at) if !self.subscriptions.is_empty() => {
                let (subscription, _) = self.subscriptions.remove(usize::from(at) % self.subscriptions.len());
                self.lab.sfu.unsubscribe(subscription, now).unwrap();
            }
            Step::Pause(at) if !self.subscriptions.is_empty() => {
                let (subscription, _) = self.subscriptions[usize::from(at) % self.subscriptions.len()];
                self.lab.sfu.select_layer(subscription, None, now).unwrap();
            }
            Step::Unsubscribe(_) | Step::Pause(_) => {}
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.lab.sfu.poll_event() {
            if let Event::Slot(change) = event {
                let slot = self.slots.get_mut(&(change.transport, change.mid)).expect("of a slot that there is");
                slot.content = change.content;
            }
        }
    }

    fn check(&self) {
        let shown: Vec<_> = self.slots.values().filter_map(|slot| slot.content).collect();
        let seen: BTreeSet<_> = shown.iter().map(|content| content.subscription).collect();
        assert_eq!(seen.len(), shown.len(), "a subscription is in one slot");
        for kind in [Kind::Audio, Kind::Video] {
            let is_of = |track: &TrackId| self.lab.sfu.track(*track).unwrap().kind == kind;
            let wanted = self.subscriptions.iter().filter(|(_, track)| is_of(track)).count();
            let slots = self.slots.values().filter(|slot| slot.kind == kind).count();
            let filled = shown.iter().filter(|content| is_of(&content.track)).count();
            assert_eq!(filled, wanted.min(slots), "no {kind:?} waits while a slot is free");
        }
        for ((transport, _), slot) in &self.slots {
            let Some(content) = slot.content else { continue };
            assert!(self.subscriptions.contains(&(content.subscription, content.track)));
            let belongs = self.partner(content.track);
            let beside = self
                .slots
                .iter()
                .find(|((other, _), it)| (other, it.pair) == (transport, slot.pair) && it.kind != slot.kind);
            let beside = beside.map(|(_, it)| it.content.map(|content| content.track));
            assert_eq!(content.synced, beside == Some(Some(belongs)), "of one source, side by side");
            let is_heard = shown.iter().any(|content| content.track == belongs);
            if slot.kind == Kind::Video && beside.is_some() && is_heard {
                assert!(content.synced, "its sound is elsewhere");
            }
        }
    }

    /// The sound of a picture, the picture of a sound.
    fn partner(&self, track: TrackId) -> TrackId {
        let at = self.tracks.iter().position(|known| *known == track).unwrap();
        self.tracks[at ^ 1]
    }
}

proptest! {
    #[test]
    fn no_subscription_waits_while_a_slot_is_free(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        for step in &steps {
            model.act(step);
            model.hear();
            model.check();
        }
        model.lab.sfu.leave(model.watcher, model.lab.now).unwrap();
        model.slots.clear();
        model.hear();
    }
}

/// One who publishes sound and picture, and one who watches and has no transport yet.
fn source() -> (Lab, SessionId, [TrackId; 2]) {
    let mut lab = Lab::new();
    let (publisher, watcher) = (lab.enter(), lab.sfu.join(lab.room).unwrap());
    let id = lab.clients[publisher].id;
    let tracks = [0, 1].map(|number| lab.sfu.publish(id, publication(number), lab.now).unwrap());
    (lab, watcher, tracks)
}

fn add_slot(lab: &mut Lab, transport: TransportId, format: Format, pair: u16) {
    let kind = if format.codec == Codec::Opus { Kind::Audio } else { Kind::Video };
    let ssrc = Ssrc(u32::from(pair) + if kind == Kind::Audio { 100 } else { 200 });
    let mid = format!("{}{pair}", if kind == Kind::Audio { 'a' } else { 'v' });
    let config = SlotConfig { kind, mid, ssrc, rtx_ssrc: None, pair: Some(pair), formats: vec![format] };
    lab.sfu.add_slot(transport, config, lab.now).unwrap();
}

/// What is shown where, as was told last.
fn shown(lab: &mut Lab) -> BTreeMap<(TransportId, String), SlotContent> {
    while let Some(event) = lab.sfu.poll_event() {
        lab.events.push(event);
    }
    let mut shown = BTreeMap::new();
    for event in &lab.events {
        let Event::Slot(change) = event else { continue };
        let place = (change.transport, change.mid.clone());
        match change.content {
            Some(content) => drop(shown.insert(place, content)),
            None => drop(shown.remove(&place)),
        }
    }
    shown
}

#[test]
fn a_transport_that_is_connected_comes_before_an_older_one() {
    let (mut lab, watcher, [_, picture]) = source();
    let older = lab.sfu.add_transport(watcher, lab.now).unwrap();
    let client = lab.join_again(watcher);
    let connected = lab.clients[client].id;
    for transport in [older, connected] {
        add_slot(&mut lab, transport, VP8, 0);
    }
    lab.sfu.subscribe(watcher, picture, lab.now).unwrap();
    assert!(shown(&mut lab).keys().eq([&(connected, "v0".to_owned())]));
}

#[test]
fn a_picture_goes_to_its_sound_before_it_goes_to_an_older_transport() {
    let (mut lab, watcher, [sound, picture]) = source();
    let [older, newer] = [(); 2].map(|()| lab.sfu.add_transport(watcher, lab.now).unwrap());
    for (transport, format) in [(older, VP8), (newer, OPUS), (newer, VP8)] {
        add_slot(&mut lab, transport, format, 0);
    }
    for track in [sound, picture] {
        lab.sfu.subscribe(watcher, track, lab.now).unwrap();
    }
    let shown = shown(&mut lab);
    assert!(shown.keys().all(|(transport, _)| *transport == newer) && shown.values().all(|content| content.synced));
}

#[test]
fn sound_goes_to_its_picture_on_another_transport_if_media_flows_there() {
    for flows in [true, false] {
        let (mut lab, watcher, [sound, picture]) = source();
        let client = lab.join_again(watcher);
        let first = lab.clients[client].id;
        let second = if flows {
            let client = lab.join_again(watcher);
            lab.clients[client].id
        } else {
            lab.sfu.add_transport(watcher, lab.now).unwrap()
        };
        for (transport, format) in [(first, OPUS), (second, VP8), (second, OPUS)] {
            add_slot(&mut lab, transport, format, 0);
        }
        for track in [sound, picture] {
            lab.sfu.subscribe(watcher, track, lab.now).unwrap();
        }
        let shown = shown(&mut lab);
        let heard = shown.iter().find(|(_, content)| content.track == sound).unwrap();
        assert_eq!((heard.0.0, heard.1.synced), (if flows { second } else { first }, flows));
    }
}

#[test]
fn those_that_were_shown_are_shown_before_those_that_wait() {
    let mut lab = Lab::new();
    let (publisher, watcher) = (lab.enter(), lab.sfu.join(lab.room).unwrap());
    let id = lab.clients[publisher].id;
    let pictures = [1, 3, 5, 7].map(|number| lab.sfu.publish(id, publication(number), lab.now).unwrap());
    let [old, new] = [(); 2].map(|()| lab.sfu.add_transport(watcher, lab.now).unwrap());
    for pair in 0..3 {
        add_slot(&mut lab, old, VP8, pair);
    }
    for picture in pictures {
        lab.sfu.subscribe(watcher, picture, lab.now).unwrap();
    }
    lab.sfu.remove_transport(old, lab.now).unwrap();
    for pair in 0..2 {
        add_slot(&mut lab, new, VP8, pair);
    }
    let shown = shown(&mut lab);
    let on_new = shown.iter().filter(|((transport, _), _)| *transport == new);
    assert_eq!(on_new.map(|(_, content)| content.track).collect::<Vec<_>>(), pictures[..2]);
}

#[test]
fn who_can_not_be_sent_a_codec_over_what_is_left_is_told() {
    let (mut lab, watcher, [_, picture]) = source();
    let [old, new] = [(); 2].map(|()| lab.sfu.add_transport(watcher, lab.now).unwrap());
    add_slot(&mut lab, old, VP8, 0);
    let h264 = Format { codec: Codec::H264, payload_type: 102, rtx_payload_type: None };
    add_slot(&mut lab, new, h264, 0);
    let subscription = lab.sfu.subscribe(watcher, picture, lab.now).unwrap();
    shown(&mut lab);
    assert!(!lab.events.contains(&Event::NoCommonCodec(subscription)));
    lab.sfu.remove_transport(old, lab.now).unwrap();
    shown(&mut lab);
    assert!(lab.events.contains(&Event::NoCommonCodec(subscription)));
}

#[test]
fn while_a_publisher_moves_the_old_sound_keeps_its_picture() {
    let (mut lab, watcher, [sound, picture]) = source();
    // The same over another transport, under the same name.
    let mover = lab.clients[0].session;
    let again = lab.enter_again(mover);
    let new = lab.sfu.publish(lab.clients[again].id, publication(0), lab.now).unwrap();
    let transport = lab.sfu.add_transport(watcher, lab.now).unwrap();
    for (format, pair) in [(OPUS, 0), (OPUS, 1), (VP8, 0), (VP8, 1)] {
        add_slot(&mut lab, transport, format, pair);
    }
    for track in [sound, picture, new] {
        lab.sfu.subscribe(watcher, track, lab.now).unwrap();
    }
    let seen: Vec<_> = shown(&mut lab).into_values().map(|content| (content.track, content.synced)).collect();
    assert_eq!(seen, [(sound, true), (new, false), (picture, true)]);
    // The old one is over: the new sound goes to the picture that there is.
    lab.sfu.unpublish(sound, lab.now).unwrap();
    let seen: Vec<_> = shown(&mut lab).into_values().map(|content| (content.track, content.synced)).collect();
    assert_eq!(seen, [(new, true), (picture, true)]);
}
