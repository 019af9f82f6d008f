//! What both descriptions agree on becomes tracks, slots and a path.

use std::collections::BTreeSet;
use std::time::Instant;

use plenary_ice::Change;
use plenary_sdp::Media;

use super::Sfu;
use crate::ids::{SessionId, SessionKey, TrackKey, TransportId, TransportKey};
use crate::negotiation::{Agreement, NegotiationError, Outcome, Purpose, Section, SlotSection};
use crate::slot::{Format, SlotConfig};
use crate::{Error, Event, Publication, SubscriptionId, TrackId};

impl Sfu {
    /// Whether all of it can be done.
    pub(super) fn check_agreement(
        &self,
        key: TransportKey,
        sections: &[Section],
        agreement: &Agreement,
    ) -> Result<(), NegotiationError> {
        let connection = self.connections.get(key).ok_or(Error::NoTransport)?;
        let mut over = Vec::new();
        let mut new = Vec::new();
        for (index, (section, outcome)) in sections.iter().zip(&agreement.outcomes).enumerate() {
            let published = section.publishing().and_then(|it| it.published.as_ref());
            let agreed = if let Outcome::Publish(agreed) = outcome { agreed.as_ref() } else { None };
            if published.map(|(_, publication)| publication) != agreed {
                over.extend(published.map(|(track, _)| *track));
                new.extend(agreed.map(|publication| (index, publication)));
            }
        }
        if connection.tracks.len() + new.len() > self.config.transport_tracks_max + over.len() {
            return Err(Error::Limit("transport_tracks_max").into());
        }
        let stays = |track: TrackKey| !over.contains(&track);
        let mut seen = BTreeSet::new();
        for (index, publication) in new {
            let mut ssrcs = publication.layers.iter().flat_map(|layer| [layer.ssrc, layer.rtx_ssrc]).flatten();
            let is_taken = ssrcs.any(|ssrc| {
                let known = connection.incoming.place(ssrc).is_some_and(|place| stays(place.track));
                known || !seen.insert(ssrc)
            });
            if is_taken || connection.incoming.track_of(Some(&publication.mid)).is_some_and(stays) {
                return Err(NegotiationError::InUse(index));
            }
        }
        Ok(())
    }

    /// Takes the client's side of the transport: the last thing that may fail.
    pub(super) fn connect(
        &mut self,
        key: TransportKey,
        agreement: &Agreement,
        now: Instant,
    ) -> Result<Option<Change>, NegotiationError> {
        let connection = self.connections.get_mut(key).ok_or(Error::NoTransport)?;
        let Some(peer) = &agreement.peer else {
            // With its last section a client's transport ends. The next has other credentials.
            connection.negotiation.credentials = None;
            return Ok(None);
        };
        let change = connection.transport.set_remote(peer.parameters.clone(), now)?;
        connection.negotiation.credentials = Some(peer.parameters.ice.credentials.clone());
        for candidate in &peer.candidates {
            connection.transport.add_remote_candidate(candidate.clone(), now);
        }
        if peer.end_of_candidates {
            connection.transport.end_remote_candidates(now);
        }
        if change == Change::Restarted {
            self.route(key);
        }
        Ok(Some(change))
    }

    /// Lets it hold. `rejected` are the sections as they are written once they are free.
    pub(super) fn carry_out(&mut self, key: TransportKey, agreement: Agreement, rejected: Vec<Media>, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let session = connection.session;
        (connection.extensions, connection.sent_extensions) = (agreement.received, agreement.sent);
        // What ends makes room for what begins.
        let mut begin = Vec::new();
        for (index, (outcome, rejected)) in agreement.outcomes.into_iter().zip(rejected).enumerate() {
            match outcome {
                Outcome::Publish(publication) => begin.extend(self.end_publication(key, index, publication, now)),
                Outcome::Slot(formats) => self.take_formats(key, index, formats, now),
                Outcome::Free => self.free_section(key, index, rejected, now),
            }
        }
        for (index, publication) in begin {
            self.begin_publication(key, index, publication, now);
        }
        self.fill_slots(session, now);
        self.tell_of_codecs(session);
        self.settle(key, now);
    }

    /// Ends what is published in a section, unless it goes on as it is. The answer is what begins there.
    fn end_publication(
        &mut self,
        key: TransportKey,
        index: usize,
        agreed: Option<Publication>,
        now: Instant,
    ) -> Option<(usize, Publication)> {
        let connection = self.connections.get_mut(key)?;
        let (session, transport) = (SessionId(connection.session), TransportId(key));
        let section = connection.negotiation.sections.get_mut(index)?;
        let mid = section.mid.as_str().to_owned();
        let it = section.publishing_mut()?;
        let was_answered = std::mem::replace(&mut it.is_answered, true);
        if it.published.as_ref().map(|(_, publication)| publication) == agreed.as_ref() && was_answered {
            return None;
        }
        let (published, is_stopped) = (it.published.take(), it.is_stopped);
        let track = published.map(|(track, _)| track);
        if agreed.is_none() && !is_stopped {
            self.tell_published(Event::Unpublished { session, transport, track: track.map(TrackId), mid });
        }
        if let Some(track) = track {
            let _ = self.remove_track(track, now);
        }
        agreed.map(|publication| (index, publication))
    }

    fn begin_publication(&mut self, key: TransportKey, index: usize, publication: Publication, now: Instant) {
        let mid = publication.mid.clone();
        let Ok(track) = self.publish(TransportId(key), publication.clone(), now) else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (session, transport) = (SessionId(connection.session), TransportId(key));
        let section = connection.negotiation.sections.get_mut(index);
        if let Some(it) = section.and_then(Section::publishing_mut) {
            it.published = Some((track.0, publication));
        }
        self.tell_published(Event::Published { session, transport, track, mid });
    }

    /// One event for each section: what was not asked for yet is out of date.
    fn tell_published(&mut self, event: Event) {
        let section = |event: &Event| match event {
            Event::Published { transport, mid, .. } | Event::Unpublished { transport, mid, .. } => {
                Some((*transport, mid.clone()))
            }
            _ => None,
        };
        let own = section(&event);
        self.events.retain(|known| section(known) != own || own.is_none());
        self.events.push_back(event);
    }

    fn take_formats(&mut self, key: TransportKey, index: usize, formats: Vec<Format>, now: Instant) {
        let Some(section) = self.connections.get(key).and_then(|it| it.negotiation.sections.get(index)) else { return };
        let Some(it) = section.slot() else { return };
        let SlotSection { kind, pair, ssrc, rtx_ssrc, slot } = *it;
        if let Some(slot) = slot {
            self.set_formats(key, slot, formats);
            return;
        }
        if formats.is_empty() {
            return;
        }
        let mid = section.mid.as_str().to_owned();
        let config = SlotConfig { kind, mid, ssrc, rtx_ssrc, pair: Some(pair), formats };
        let Ok(slot) = self.open_slot(key, config, now) else { return };
        let section = self.connections.get_mut(key).and_then(|it| it.negotiation.sections.get_mut(index));
        if let Some(Section { purpose: Purpose::Slot(it), .. }) = section {
            it.slot = Some(slot);
        }
    }

    /// A section that is over is free for another use.
    fn free_section(&mut self, key: TransportKey, index: usize, rejected: Media, now: Instant) {
        let Some(section) = self.connections.get(key).and_then(|it| it.negotiation.sections.get(index)) else { return };
        if let Some(slot) = section.slot().and_then(|it| it.slot) {
            self.close_slot(key, slot);
        }
        self.end_publication(key, index, None, now);
        let section = self.connections.get_mut(key).and_then(|it| it.negotiation.sections.get_mut(index));
        if let Some(section) = section {
            section.purpose = Purpose::Free(rejected);
        }
    }

    /// Subscriptions that wait, and can't get a slot as the client takes their codec in none.
    pub(super) fn tell_of_codecs(&mut self, session: SessionKey) {
        let Some(it) = self.sessions.get(session) else { return };
        let waiting = it.waiting.iter().filter(|subscription| {
            let track = self.subscriptions.get(**subscription).and_then(|it| self.tracks.get(it.track));
            track.is_some_and(|track| self.lacks(session, track.kind, track.codec))
        });
        let untold: Vec<_> = waiting.map(|it| Event::NoCommonCodec(SubscriptionId(*it))).collect();
        for event in untold {
            if !self.events.contains(&event) {
                self.events.push_back(event);
            }
        }
    }
}
