//! What the engine tells.

use std::time::Instant;

use plenary_sfu_core::{Event, Sfu, SlotChange, SubscriptionId, TrackId, TransportId};

use super::{ClientId, Meetings, Section, text};
use crate::protocol::{Content, EndReason, Kind, ServerMessage};

impl Meetings {
    pub(crate) fn handle_event(&mut self, event: Event, sfu: &mut Sfu, now: Instant) {
        match event {
            Event::Offer { transport, version, sdp } => {
                self.tell_peer(transport, ServerMessage::Offer { version, sdp });
            }
            Event::Published { transport, track, mid, .. } => self.published(transport, track, mid, sfu, now),
            Event::Unpublished { transport, track, mid, .. } => self.unpublished(transport, track, mid, now),
            Event::Slot(change) => self.slot(change),
            Event::NoCommonCodec(subscription) => self.no_common_codec(subscription),
            Event::UnknownPayloadType { transport, track, payload_type } => {
                let track = text(track.to_bits());
                self.tell_peer(transport, ServerMessage::UnknownPayloadType { track, payload_type });
            }
            Event::Closed(transport, _) => {
                if let Some(client) = self.clients.get(&transport) {
                    self.leave(*client, Some(EndReason::Transport), sfu, now);
                }
            }
            // Candidates are in the offers; that media flows is seen.
            _ => {}
        }
        self.end_slow(sfu, now);
    }

    fn published(&mut self, transport: TransportId, track: TrackId, mid: String, sfu: &mut Sfu, now: Instant) {
        let Some(client) = self.clients.get(&transport).copied() else { return };
        let Ok(info) = sfu.track(track) else { return };
        let kind = match info.kind {
            plenary_sfu_core::Kind::Audio => Kind::Audio,
            plenary_sfu_core::Kind::Video => Kind::Video,
        };
        let members = self.members(client);
        let Some(participant) = self.participants.get_mut(&client) else { return };
        let section = participant.sections.entry(mid.clone());
        let section = section.or_insert_with(|| Section::new(kind, info.stream.clone()));
        (section.layers, section.ranking) = (info.rids.len(), Vec::new());
        let has_layers = section.layers > 1;
        if let Some(before) = section.track.replace(track) {
            self.forget_track(&members, before);
        }
        self.tell(client, ServerMessage::Published { mid, track: text(track.to_bits()) });
        self.tell_of(client, now);
        if has_layers {
            self.watch_layers(now);
        }
        for member in members {
            if member != client {
                self.subscribe(member, track, sfu, now);
            }
        }
    }

    fn unpublished(&mut self, transport: TransportId, track: Option<TrackId>, mid: String, now: Instant) {
        let Some(client) = self.clients.get(&transport).copied() else { return };
        let Some(participant) = self.participants.get_mut(&client) else { return };
        // If it is published again, it comes with its name.
        participant.sections.remove(&mid);
        self.tell(client, ServerMessage::Unpublished { mid });
        if let Some(track) = track {
            let members = self.members(client);
            self.forget_track(&members, track);
            self.tell_of(client, now);
        }
    }

    fn slot(&mut self, change: SlotChange) {
        let content = change.content.map(|content| Content {
            session: text(content.source.to_bits()),
            track: text(content.track.to_bits()),
            layer: content.layer,
            timestamp: content.timestamp.map(|timestamp| timestamp.0),
            csrc: content.csrc.0,
            synced: content.synced,
        });
        self.tell_peer(change.transport, ServerMessage::Slot { mid: change.mid, content });
    }

    fn no_common_codec(&mut self, subscription: SubscriptionId) {
        let found = self.participants.iter().find_map(|(client, it)| {
            let (track, _) = it.subscriptions.iter().find(|(_, known)| **known == subscription)?;
            Some((*client, *track))
        });
        if let Some((client, track)) = found {
            self.tell(client, ServerMessage::NoCommonCodec { track: text(track.to_bits()) });
        }
    }

    fn tell_peer(&mut self, transport: TransportId, message: ServerMessage) {
        let client: Option<ClientId> = self.clients.get(&transport).copied();
        if let Some(client) = client {
            self.tell(client, message);
        }
    }
}
