//! Descriptions: what the engine offers, and what comes of a client's answers and offers.

use std::time::Instant;

use plenary_ice::{Attribute, Change};
use plenary_rtp::Ssrc;
use plenary_sdp::offer_answer::{Answer, Rejection, Section as Agreed, answer, apply_answer};
use plenary_sdp::{Description, Limits};
use rand_chacha::rand_core::Rng;

use super::Sfu;
use crate::connection::{Connection, SLOTS_MAX};
use crate::ids::{TransportId, TransportKey};
use crate::negotiation::{
    Agreement, Answered, NegotiationError, PublishRequest, Publishing, Purpose, Section, SlotSection, Voice,
    answer_policy, kind, kind_of, local_transport,
};
use crate::{Error, Event, Kind, Publication, RoomCodec};

impl Sfu {
    /// Asks a client to publish, with the next offer. The answer is the MID of the section that it may use;
    /// [`Event::Published`] or [`Event::Unpublished`] tells what it did.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], [`Error::NoCodec`] if the room has none of this kind, or not all of `codecs`,
    /// [`Error::OutOfRange`] for a `stream` of more than 64 bytes, or [`Error::Limit`] of `transport_tracks_max` or `transport_sections_max`.
    pub fn ask_to_publish(&mut self, transport: TransportId, request: PublishRequest) -> Result<String, Error> {
        let it = self.connections.get(transport.0).ok_or(Error::NoTransport)?;
        let codecs = self.codecs(it);
        let has = |codec| kind(codec) == request.kind && codecs.iter().any(|one| one.codec == codec);
        if !codecs.iter().any(|one| request.takes(one.codec)) || !request.codecs.iter().all(|codec| has(*codec)) {
            return Err(Error::NoCodec);
        }
        if request.stream.len() > Publication::STREAM_MAX {
            return Err(Error::OutOfRange);
        }
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        let negotiation = &mut it.negotiation;
        if negotiation.publishing().filter(|it| !it.is_stopped).count() >= self.config.transport_tracks_max {
            return Err(Error::Limit("transport_tracks_max"));
        }
        if negotiation.all().count() >= self.config.transport_sections_max {
            return Err(Error::Limit("transport_sections_max"));
        }
        let request = PublishRequest { simulcast: request.simulcast && request.kind == Kind::Video, ..request };
        let mid = negotiation.new_mid('p');
        negotiation.wishes.push(Section { mid: mid.clone(), purpose: Purpose::Publish(Publishing::new(request)) });
        self.want_offer(transport.0);
        Ok(mid.as_str().to_owned())
    }

    /// Ends what a client was asked to publish, or publishes, in this section. The next offer rejects the section, and a
    /// later one uses it again.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], [`Error::NoSection`].
    pub fn stop_publishing(&mut self, transport: TransportId, mid: &str, now: Instant) -> Result<(), Error> {
        let negotiation = &mut self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?.negotiation;
        if let Some(at) = negotiation.wishes.iter().position(|it| it.mid == *mid && it.publishing().is_some()) {
            negotiation.wishes.remove(at);
            return Ok(());
        }
        let mut sections = negotiation.sections.iter_mut().filter(|section| section.mid == *mid);
        let publishing = sections.find_map(Section::publishing_mut).filter(|it| !it.is_stopped);
        let publishing = publishing.ok_or(Error::NoSection)?;
        publishing.is_stopped = true;
        let published = publishing.published.take();
        self.want_offer(transport.0);
        if let Some((track, _)) = published {
            self.remove_track(track, now)?;
        }
        Ok(())
    }

    /// Gives a client at least so many slots to receive in, with the next offer. There are never fewer than there were:
    /// one that is not used costs next to nothing. Audio slot i and video slot i share a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], [`Error::NoCodec`], or [`Error::Limit`] of `transport_slots_max` or `transport_sections_max`.
    pub fn set_slots(&mut self, transport: TransportId, audio: u16, video: u16) -> Result<(), Error> {
        let it = self.connections.get(transport.0).ok_or(Error::NoTransport)?;
        let codecs = self.codecs(it);
        let mut missing = [(Kind::Audio, audio), (Kind::Video, video)];
        for (of, count) in &mut missing {
            *count = count.saturating_sub(it.negotiation.slots(*of).count() as u16);
            if *count > 0 && !codecs.iter().any(|one| kind(one.codec) == *of) {
                return Err(Error::NoCodec);
            }
        }
        let more: usize = missing.iter().map(|(_, count)| usize::from(*count)).sum();
        let slots = [Kind::Audio, Kind::Video].map(|of| it.negotiation.slots(of).count()).iter().sum::<usize>();
        if slots + more > self.config.transport_slots_max.min(SLOTS_MAX) {
            return Err(Error::Limit("transport_slots_max"));
        }
        if it.negotiation.all().count() + more > self.config.transport_sections_max {
            return Err(Error::Limit("transport_sections_max"));
        }
        for (of, count) in missing {
            for _ in 0..count {
                self.wish_for_slot(transport.0, of);
            }
        }
        if more > 0 {
            self.want_offer(transport.0);
        }
        Ok(())
    }

    fn wish_for_slot(&mut self, key: TransportKey, of: Kind) {
        let Some(pair) = self.connections.get(key).map(|it| it.negotiation.free_pair(of)) else { return };
        let slot = self.new_slot_section(key, of, pair, &[]);
        let Some(it) = self.connections.get_mut(key) else { return };
        let mid = it.negotiation.new_mid(if of == Kind::Audio { 'a' } else { 'v' });
        it.negotiation.wishes.push(Section { mid, purpose: Purpose::Slot(slot) });
    }

    /// A slot with SSRCs that no other has, those of `drafts` included.
    fn new_slot_section(&mut self, key: TransportKey, of: Kind, pair: u16, drafts: &[Section]) -> SlotSection {
        let ssrc = self.free_ssrc(key, drafts, None);
        let rtx_ssrc = (of == Kind::Video).then(|| self.free_ssrc(key, drafts, Some(ssrc)));
        SlotSection { kind: of, pair, ssrc, rtx_ssrc, slot: None }
    }

    fn free_ssrc(&mut self, key: TransportKey, drafts: &[Section], other: Option<Ssrc>) -> Ssrc {
        loop {
            let ssrc = Ssrc(self.chance.next_u32());
            let Some(it) = self.connections.get(key) else { return ssrc };
            let is_of = |slot: &SlotSection| slot.ssrc == ssrc || slot.rtx_ssrc == Some(ssrc);
            let mut sections = it.negotiation.all().chain(drafts);
            let in_slots = it.slots.iter().any(|slot| slot.config.ssrc == ssrc || slot.config.rtx_ssrc == Some(ssrc));
            let is_taken = in_slots || sections.any(|section| section.slot().is_some_and(is_of));
            if ssrc.0 != 0 && ssrc != it.ssrc && Some(ssrc) != other && !is_taken {
                return ssrc;
            }
        }
    }

    /// The offer that waits for an answer, with its version: for a client that has lost it.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn offer_in_flight(&self, transport: TransportId) -> Result<Option<(u64, String)>, Error> {
        let negotiation = &self.connections.get(transport.0).ok_or(Error::NoTransport)?.negotiation;
        Ok(negotiation.in_flight.as_ref().map(|offer| (negotiation.version, offer.description.to_string())))
    }

    /// Takes a client's answer to the offer of this version. What it agrees to holds from now on, and tracks that it
    /// publishes are there.
    ///
    /// # Errors
    ///
    /// [`NegotiationError`]. Nothing was changed: the offer waits for another answer.
    pub fn handle_answer(
        &mut self,
        transport: TransportId,
        version: u64,
        answer: &str,
        now: Instant,
    ) -> Result<Answered, NegotiationError> {
        let it = self.connections.get(transport.0).ok_or(Error::NoTransport)?;
        let negotiation = &it.negotiation;
        if version > negotiation.version || version == 0 {
            return Err(NegotiationError::NoOffer);
        }
        let in_flight = negotiation.in_flight.as_ref().filter(|_| version == negotiation.version);
        let Some(in_flight) = in_flight else { return Ok(Answered::Stale) };
        let answer = Description::parse(answer, &self.description_limits())?;
        let negotiated = apply_answer(&in_flight.description, &answer)?;
        let agreement = Agreement::new(&negotiation.sections, &negotiated)?;
        if let (Some(known), Some(peer)) = (&negotiation.credentials, &agreement.peer)
            && in_flight.is_restart == (*known == peer.parameters.ice.credentials)
        {
            return Err(NegotiationError::Credentials);
        }
        let rejected = in_flight.description.media.iter().map(plenary_sdp::Media::rejected).collect();
        self.check_agreement(transport.0, &negotiation.sections, &agreement)?;
        self.connect(transport.0, &agreement, now)?;
        if let Some(it) = self.connections.get_mut(transport.0) {
            it.negotiation.in_flight = None;
        }
        self.carry_out(transport.0, agreement, rejected, now);
        if self.connections.get(transport.0).is_some_and(|it| it.negotiation.restart_next) {
            self.restart_ice(transport, now).map_err(NegotiationError::Engine)?;
        }
        self.queue_offer(transport.0);
        Ok(Answered::Applied)
    }

    /// Takes a client's offer, and answers it. What it sends is published, what it only receives becomes a slot; data
    /// channels are refused.
    ///
    /// # Errors
    ///
    /// [`NegotiationError`]. Nothing was changed. With [`NegotiationError::Glare`] the client's offer has crossed one of
    /// the engine: it is to answer that, and may offer again then.
    pub fn handle_offer(
        &mut self,
        transport: TransportId,
        offer: &str,
        now: Instant,
    ) -> Result<String, NegotiationError> {
        let negotiation = &self.connections.get(transport.0).ok_or(Error::NoTransport)?.negotiation;
        if negotiation.in_flight.is_some() || negotiation.restarted {
            return Err(NegotiationError::Glare);
        }
        let offer = Description::parse(offer, &self.description_limits())?;
        let sections = self.draft(transport.0, &offer)?;
        let Answer { description, negotiated } = self.answer(transport.0, &sections, &offer)?;
        let is_refused = |pair: &(&Section, &Agreed)| match pair {
            (Section { purpose: Purpose::Free(_), .. }, _) | (_, Agreed::Rejected(Rejection::ByOffer)) => None,
            (_, Agreed::Rejected(reason)) => Some(*reason),
            _ => None,
        };
        if negotiated.transport.is_none()
            && let Some(reason) = sections.iter().zip(&negotiated.sections).find_map(|pair| is_refused(&pair))
        {
            return Err(NegotiationError::Nothing(reason));
        }
        let agreement = Agreement::new(&sections, &negotiated)?;
        self.check_agreement(transport.0, &sections, &agreement)?;
        let change = self.connect(transport.0, &agreement, now)?;
        let description = match change {
            // With the credentials of now.
            Some(Change::Restarted) => self.answer(transport.0, &sections, &offer)?.description,
            _ => description,
        };
        if let Some(it) = self.connections.get_mut(transport.0) {
            it.negotiation.sections = sections;
            it.negotiation.numbers.adopt(&offer, &negotiated);
            it.negotiation.next_origin();
        }
        let rejected = offer.media.iter().map(plenary_sdp::Media::rejected).collect();
        self.carry_out(transport.0, agreement, rejected, now);
        Ok(description.to_string())
    }

    fn answer(&self, key: TransportKey, sections: &[Section], offer: &Description) -> Result<Answer, NegotiationError> {
        let it = self.connections.get(key).ok_or(Error::NoTransport)?;
        let voice = Voice { codecs: self.codecs(it), cname: self.cname() };
        let transport = local_transport(&it.transport);
        Ok(answer(offer, &answer_policy(sections, &voice, it.negotiation.origin().clone(), transport)))
    }

    /// Takes a line that a client trickles: a candidate, with or without `a=`; or that it has no more, which is an empty
    /// line too.
    ///
    /// # Errors
    ///
    /// [`NegotiationError::Candidate`], or there is no such transport.
    pub fn add_remote_candidate_line(
        &mut self,
        transport: TransportId,
        line: &str,
        now: Instant,
    ) -> Result<(), NegotiationError> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        let line = line.trim();
        if line.is_empty() {
            it.transport.end_remote_candidates(now);
        } else {
            match Attribute::parse(line)? {
                Attribute::Candidate(candidate) => {
                    it.transport.add_remote_candidate(candidate, now);
                }
                Attribute::EndOfCandidates => it.transport.end_remote_candidates(now),
                _ => return Err(plenary_ice::ParseError::NotIce.into()),
            }
        }
        self.settle(transport.0, now);
        Ok(())
    }

    /// The next offer, of those that want to make one.
    pub(super) fn make_offer(&mut self) -> Option<Event> {
        while let Some(key) = self.offering.pop_front() {
            let Some(it) = self.connections.get_mut(key) else { continue };
            it.negotiation.is_queued = false;
            if !it.negotiation.may_offer() || it.transport.closed().is_some() {
                continue;
            }
            let room = self.sessions.get(it.session).and_then(|session| self.rooms.get(session.room));
            let codecs = room.map_or(&[][..], |room| &room.codecs);
            let cname = std::str::from_utf8(&self.cname).expect("it is of letters");
            let transport = local_transport(&it.transport);
            let (version, sdp) = it.negotiation.make_offer(&Voice { codecs, cname }, &transport);
            return Some(Event::Offer { transport: TransportId(key), version, sdp });
        }
        None
    }

    /// Something changed that the client is to be told.
    pub(super) fn want_offer(&mut self, key: TransportKey) {
        if let Some(it) = self.connections.get_mut(key) {
            it.negotiation.is_wanted = true;
        }
        self.queue_offer(key);
    }

    fn queue_offer(&mut self, key: TransportKey) {
        let negotiation = self.connections.get_mut(key).map(|it| &mut it.negotiation);
        if let Some(it) = negotiation.filter(|it| it.may_offer() && !it.is_queued) {
            it.is_queued = true;
            self.offering.push_back(key);
        }
    }

    /// What a client's offer makes of the sections, and of those that it adds.
    fn draft(&mut self, key: TransportKey, offer: &Description) -> Result<Vec<Section>, NegotiationError> {
        let negotiation = self.connections.get(key).map(|it| &it.negotiation).ok_or(Error::NoTransport)?;
        let mut drafts = negotiation.draft(offer)?;
        for (index, media) in offer.media.iter().enumerate() {
            let is_free = matches!(drafts.get(index), Some(Section { purpose: Purpose::Free(_), .. }));
            if !is_free || media.is_rejected() {
                continue;
            }
            let Some(mid) = media.mid().cloned() else { continue };
            let purpose = self.purpose_of(key, offer, index, &drafts);
            drafts[index] = Section { mid, purpose };
        }
        Ok(drafts)
    }

    /// What a section that a client adds is for; nothing, beyond the limits.
    fn purpose_of(&mut self, key: TransportKey, offer: &Description, index: usize, drafts: &[Section]) -> Purpose {
        let media = &offer.media[index];
        let refused = Purpose::Free(media.rejected());
        let Some((of, it)) = kind_of(&media.kind).zip(self.connections.get(key)) else { return refused };
        let all = || drafts.iter().chain(&it.negotiation.wishes);
        let direction = offer.direction(media);
        if direction.sends() || !direction.receives() {
            let count = all().filter_map(Section::publishing).filter(|it| !it.is_stopped).count();
            if count >= self.config.transport_tracks_max {
                return refused;
            }
            return Purpose::Publish(Publishing::offered(of, media));
        }
        let count = all().filter(|section| section.slot().is_some()).count();
        let is_short = media.mid().is_some_and(|mid| mid.as_str().len() <= 16);
        if count >= self.config.transport_slots_max.min(SLOTS_MAX) || !is_short {
            return refused;
        }
        let slots = || all().filter_map(Section::slot).filter(|slot| slot.kind == of);
        let pair = (0..u16::MAX).find(|pair| slots().all(|slot| slot.pair != *pair)).unwrap_or(u16::MAX);
        Purpose::Slot(self.new_slot_section(key, of, pair, drafts))
    }

    /// What is spoken in its room.
    fn codecs(&self, connection: &Connection) -> &[RoomCodec] {
        let room = self.sessions.get(connection.session).and_then(|session| self.rooms.get(session.room));
        room.map_or(&[], |room| &room.codecs)
    }

    fn description_limits(&self) -> Limits {
        Limits { media: self.config.transport_sections_max, ..Limits::default() }
    }

    fn cname(&self) -> &str {
        std::str::from_utf8(&self.cname).expect("it is of letters")
    }
}
