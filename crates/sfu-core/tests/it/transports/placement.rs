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
            let is_here = |((other, _), it): (&(TransportId, String), &Slot)| {
                other == transport && it.content.is_some_and(|content| content.track == belongs)
            };
            if slot.kind == Kind::Video && beside.is_some() && self.slots.iter().any(is_here) {
                assert!(content.synced, "its sound is on the same transport, and elsewhere");
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
