//! What the caller wants: rooms, sessions, tracks, slots, subscriptions.

use std::time::Instant;

use plenary_rtp::Ssrc;
use plenary_rtp::payload::Codec;
use plenary_stream::{Schedule, ScheduleConfig};
use rand_chacha::rand_core::Rng;

use super::{Room, Sfu, Subscription, agent_of};
use crate::error::Error;
use crate::extensions::Extensions;
use crate::ids::{RoomId, SessionId, SessionKey, SubscriptionId, TrackId, TrackKey};
use crate::negotiation::{Negotiation, RoomConfig, Section};
use crate::session::{Place, Session};
use crate::slot::{Format, Slot, SlotConfig};
use crate::track::{Kind, Layer, Track};

/// Encodings of one track at most: those of a simulcast.
pub const LAYERS_MAX: usize = 4;

/// What a session publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Sound or pictures.
    pub kind: Kind,
    /// The MID of its section, which packets of unknown SSRCs may say; empty if there is none.
    pub mid: String,
    /// The codec that was agreed on, and its payload type.
    pub codec: Codec,
    /// See above.
    pub payload_type: u8,
    /// The payload type of retransmissions, if they were agreed on.
    pub rtx_payload_type: Option<u8>,
    /// What else was agreed on: once its packets come so, the track goes over to it.
    pub others: Vec<Format>,
    /// Whether what is missing may be asked for (`a=rtcp-fb:… nack`).
    pub nack: bool,
    /// The payload is encrypted between the ends. It is then forwarded by headers, extensions and the dependency
    /// descriptor alone.
    pub opaque: bool,
    /// What it is played together with: sound and pictures of one session with the same name here, and not the empty
    /// one. Up to [`STREAM_MAX`](Self::STREAM_MAX) bytes.
    pub stream: String,
    /// Its encodings, from 1 to [`LAYERS_MAX`].
    pub layers: Vec<LayerConfig>,
}

impl Publication {
    /// Bytes of [`stream`](Self::stream) at most.
    pub const STREAM_MAX: usize = 64;
}

/// What is published, to tell others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// Who publishes it.
    pub session: SessionId,
    /// Sound or pictures.
    pub kind: Kind,
    /// In what. It may change: see [`Publication::others`].
    pub codec: Codec,
    /// See [`Publication::opaque`].
    pub opaque: bool,
    /// See [`Publication::stream`].
    pub stream: String,
    /// The RIDs of its layers, by number: their order says nothing of quality.
    pub rids: Vec<Option<String>>,
}

/// One encoding of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerConfig {
    /// Its RID, if it has one.
    pub rid: Option<String>,
    /// Its SSRC, if it was signalled; else its packets say what they are by MID and RID.
    pub ssrc: Option<Ssrc>,
    /// The SSRC of its retransmissions, likewise.
    pub rtx_ssrc: Option<Ssrc>,
}

impl Sfu {
    /// Makes a room.
    ///
    /// # Errors
    ///
    /// [`Error::Codecs`], or [`Error::Limit`] if there are [`rooms_max`](crate::Config::rooms_max).
    pub fn create_room(&mut self, config: RoomConfig) -> Result<RoomId, Error> {
        config.check()?;
        if self.rooms.len() >= self.config.rooms_max {
            return Err(Error::Limit("rooms_max"));
        }
        let room = Room { codecs: config.codecs, sessions: Vec::new(), tracks: Vec::new() };
        Ok(RoomId(self.rooms.insert(room)))
    }

    /// Ends a room: all sessions in it leave.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`].
    pub fn remove_room(&mut self, room: RoomId, now: Instant) -> Result<(), Error> {
        let sessions = self.rooms.get(room.0).ok_or(Error::NoRoom)?.sessions.clone();
        for session in sessions {
            self.leave(SessionId(session), now)?;
        }
        self.rooms.remove(room.0);
        Ok(())
    }

    /// Adds a session to a room.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`], or [`Error::Limit`] of `sessions_max` or `room_sessions_max`.
    pub fn join(&mut self, room: RoomId, now: Instant) -> Result<SessionId, Error> {
        let members = self.rooms.get(room.0).ok_or(Error::NoRoom)?.sessions.len();
        if self.sessions.len() >= self.config.sessions_max {
            return Err(Error::Limit("sessions_max"));
        }
        if members >= self.config.room_sessions_max {
            return Err(Error::Limit("room_sessions_max"));
        }
        let transport = self.new_transport(now).expect("the configuration was checked when the engine was made");
        let schedule = ScheduleConfig { entropy: self.chance.next_u64(), ..ScheduleConfig::default() };
        let schedule = Schedule::new(schedule, now).expect("the default schedule is within its ranges");
        let ssrc = Ssrc(self.chance.next_u32());
        let negotiation = Negotiation::new(self.chance.next_u64() >> 1);
        let key = self.sessions.insert(Session::new(room.0, transport, negotiation, schedule, ssrc));
        if let Some(room) = self.rooms.get_mut(room.0) {
            room.sessions.push(key);
        }
        self.route(key);
        self.settle(key, now);
        Ok(SessionId(key))
    }

    /// Removes a session, with what it publishes and receives. Its peer is said goodbye to if the caller closed its transport
    /// and drained it before.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn leave(&mut self, session: SessionId, now: Instant) -> Result<(), Error> {
        let it = self.sessions.get(session.0).ok_or(Error::NoSession)?;
        let (tracks, subscriptions, room) = (it.tracks.clone(), it.subscriptions.clone(), it.room);
        for track in tracks {
            self.remove_track(track, now)?;
        }
        for subscription in subscriptions {
            self.unsubscribe(SubscriptionId(subscription), now)?;
        }
        if let Some(room) = self.rooms.get_mut(room) {
            room.sessions.retain(|known| *known != session.0);
        }
        self.mux.remove(agent_of(session.0));
        self.sessions.remove(session.0);
        self.timers.set(session.0, None);
        Ok(())
    }

    /// Says which header extension elements have which ids in this session: those that it sends, and those that it takes.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn set_extensions(&mut self, session: SessionId, sends: Extensions, takes: Extensions) -> Result<(), Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        (it.extensions, it.sent_extensions) = (sends, takes);
        Ok(())
    }

    /// Adds a track to what a session publishes.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], [`Error::Layers`], [`Error::OutOfRange`], [`Error::InUse`], or [`Error::Limit`] of
    /// `session_tracks_max`.
    pub fn publish(&mut self, session: SessionId, publication: Publication, now: Instant) -> Result<TrackId, Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        check_publication(&publication, it)?;
        if it.tracks.len() >= self.config.session_tracks_max {
            return Err(Error::Limit("session_tracks_max"));
        }
        let Publication { kind, codec, payload_type, rtx_payload_type, others, nack, opaque, stream, .. } = publication;
        let mut layers: Vec<_> = publication.layers.iter().map(|layer| Layer::new(kind, layer.rid.clone())).collect();
        for (layer, config) in layers.iter_mut().zip(&publication.layers) {
            if let Some(ssrc) = config.ssrc {
                layer.bind(ssrc, nack, now);
            }
        }
        let csrc = Ssrc(self.chance.next_u32());
        let (session_key, subscriptions) = (session.0, Vec::new());
        let track = Track {
            session: session_key,
            kind,
            codec,
            payload_type,
            rtx_payload_type,
            others,
            changed_at: None,
            nack,
            opaque,
            stream,
            layers,
            subscriptions,
            csrc,
        };
        let key = self.tracks.insert(track);
        it.tracks.push(key);
        for (index, config) in (0..).zip(&publication.layers) {
            for (ssrc, repairs) in [(config.ssrc, false), (config.rtx_ssrc, true)] {
                if let Some(ssrc) = ssrc {
                    it.incoming.bind(ssrc, Place { track: key, layer: index, repairs });
                }
            }
        }
        if !publication.mid.is_empty() {
            it.incoming.add_section(publication.mid, key);
        }
        if let Some(room) = self.rooms.get_mut(it.room) {
            room.tracks.push(key);
        }
        Ok(TrackId(key))
    }

    /// Takes a track back. Who receives it has an empty slot. If it came of a description, the next offer ends its section.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrack`].
    pub fn unpublish(&mut self, track: TrackId, now: Instant) -> Result<(), Error> {
        let session = self.tracks.get(track.0).ok_or(Error::NoTrack)?.session;
        let sections = self.sessions.get(session).into_iter().flat_map(|it| &it.negotiation.sections);
        let is_its = |section: &&Section| {
            section.publishing().and_then(|it| it.published.as_ref()).is_some_and(|(known, _)| *known == track.0)
        };
        match sections.into_iter().find(is_its).map(|section| section.mid.as_str().to_owned()) {
            Some(mid) => self.stop_publishing(SessionId(session), &mid, now),
            None => self.remove_track(track.0, now),
        }
    }

    pub(super) fn remove_track(&mut self, track: TrackKey, now: Instant) -> Result<(), Error> {
        let subscriptions = self.tracks.get(track).ok_or(Error::NoTrack)?.subscriptions.clone();
        for subscription in subscriptions {
            self.unsubscribe(SubscriptionId(subscription), now)?;
        }
        let Some(it) = self.tracks.remove(track) else { return Err(Error::NoTrack) };
        if let Some(session) = self.sessions.get_mut(it.session) {
            session.tracks.retain(|known| *known != track);
            session.incoming.remove(track);
            if let Some(room) = self.rooms.get_mut(session.room) {
                room.tracks.retain(|known| *known != track);
            }
        }
        Ok(())
    }

    /// The tracks that can be received in a room.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`].
    pub fn tracks(&self, room: RoomId) -> Result<impl Iterator<Item = TrackId>, Error> {
        Ok(self.rooms.get(room.0).ok_or(Error::NoRoom)?.tracks.iter().copied().map(TrackId))
    }

    /// What a track is.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrack`].
    pub fn track(&self, track: TrackId) -> Result<TrackInfo, Error> {
        let it = self.tracks.get(track.0).ok_or(Error::NoTrack)?;
        Ok(TrackInfo {
            session: SessionId(it.session),
            kind: it.kind,
            codec: it.codec,
            opaque: it.opaque,
            stream: it.stream.clone(),
            rids: it.layers.iter().map(|layer| layer.rid.clone()).collect(),
        })
    }

    /// Adds a slot to those that a session receives in. Sound is to be added first: lower slots are sent first.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], [`Error::OutOfRange`], [`Error::InUse`], or [`Error::Limit`] of `session_slots_max`.
    pub fn add_slot(&mut self, session: SessionId, config: SlotConfig, now: Instant) -> Result<(), Error> {
        self.open_slot(session.0, config, now)?;
        self.fill_slots(session.0, now);
        Ok(())
    }

    /// Lets a session receive a track, in the lowest layer at first: the first, if nothing has come of it yet. It waits if there is no slot free: the event comes
    /// with the slot.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], [`Error::NoTrack`], [`Error::OtherRoom`], [`Error::Subscribed`], [`Error::NoCommonCodec`],
    /// or [`Error::Limit`] of `session_subscriptions_max`.
    pub fn subscribe(&mut self, session: SessionId, track: TrackId, now: Instant) -> Result<SubscriptionId, Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        let published = self.tracks.get_mut(track.0).ok_or(Error::NoTrack)?;
        let room = self.rooms.get(it.room).ok_or(Error::NoRoom)?;
        if !room.tracks.contains(&track.0) {
            return Err(Error::OtherRoom);
        }
        if it.subscriptions.iter().any(|known| self.subscriptions.get(*known).is_some_and(|it| it.track == track.0)) {
            return Err(Error::Subscribed);
        }
        if it.subscriptions.len() >= self.config.session_subscriptions_max {
            return Err(Error::Limit("session_subscriptions_max"));
        }
        if it.lacks(published.kind, published.codec) {
            return Err(Error::NoCommonCodec);
        }
        let lowest = published.ranked_layers(now).first().copied().unwrap_or(0);
        let subscription = Subscription { session: session.0, track: track.0, slot: None, layer: Some(lowest) };
        let key = self.subscriptions.insert(subscription);
        published.subscriptions.push(key);
        it.subscriptions.push(key);
        it.waiting.push_back(key);
        self.fill_slots(session.0, now);
        Ok(SubscriptionId(key))
    }

    /// Ends a subscription. Its slot goes to the next that waits for one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSubscription`].
    pub fn unsubscribe(&mut self, subscription: SubscriptionId, now: Instant) -> Result<(), Error> {
        let it = self.subscriptions.remove(subscription.0).ok_or(Error::NoSubscription)?;
        if let Some(track) = self.tracks.get_mut(it.track) {
            track.subscriptions.retain(|known| *known != subscription.0);
        }
        if let Some(session) = self.sessions.get_mut(it.session) {
            session.subscriptions.retain(|known| *known != subscription.0);
            session.waiting.retain(|known| *known != subscription.0);
        }
        if let Some(slot) = it.slot {
            self.vacate(it.session, slot);
        }
        self.fill_slots(it.session, now);
        Ok(())
    }

    /// Chooses the layer of a subscription by its number among the track's, or `None` to pause it. What is sent goes on
    /// until the other layer has a key frame, which is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::NoSubscription`], [`Error::NoLayer`].
    pub fn select_layer(&mut self, subscription: SubscriptionId, layer: Option<u8>, now: Instant) -> Result<(), Error> {
        let it = self.subscriptions.get_mut(subscription.0).ok_or(Error::NoSubscription)?;
        let layers = self.tracks.get(it.track).map_or(0, |track| track.layers.len());
        if layer.is_some_and(|layer| usize::from(layer) >= layers) {
            return Err(Error::NoLayer);
        }
        it.layer = layer;
        let Subscription { session, slot: Some(slot), .. } = *it else { return Ok(()) };
        self.read(session, slot, layer, now);
        if layer != self.sessions.get(session).and_then(|it| it.slots[usize::from(slot)].current()) {
            self.request_key_frame_for(session, slot, now);
        }
        if layer.is_none() {
            self.tell_slot(session, slot, None);
        }
        Ok(())
    }

    pub(super) fn stop_reading(&mut self, key: SessionKey, slot: u16, layer: u8) {
        let Some(track) = self.source_of(key, slot).and_then(|track| self.tracks.get_mut(track)) else { return };
        if let Some(layer) = track.layers.get_mut(usize::from(layer)) {
            layer.readers.retain(|reader| (reader.session, reader.slot) != (key, slot));
        }
    }

    /// Asks the publisher for a key frame of what the slot is to show.
    pub(super) fn request_key_frame_for(&mut self, key: SessionKey, slot: u16, now: Instant) {
        let slot = self.sessions.get(key).and_then(|session| session.slots.get(usize::from(slot)));
        let Some(source) = slot.and_then(Slot::source) else { return };
        let Some(wanted) = source.wanted else { return };
        let Some(track) = self.tracks.get_mut(source.track) else { return };
        let publisher = track.session;
        if let Some(layer) = track.layers.get_mut(usize::from(wanted)) {
            layer.request_key_frame();
        }
        if let Some(session) = self.sessions.get_mut(publisher) {
            session.note_feedback(&self.tracks, now);
        }
        self.queue(publisher);
        self.settle_timer(publisher, now);
    }

    fn source_of(&self, key: SessionKey, slot: u16) -> Option<TrackKey> {
        let slot = self.sessions.get(key)?.slots.get(usize::from(slot))?;
        slot.source().map(|source| source.track)
    }

    /// Asks the session at the next occasion what it has to send.
    pub(super) fn queue(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.is_stirred = true;
        if !session.is_queued {
            session.is_queued = true;
            self.ready.push_back(key);
        }
    }
}

fn check_publication(publication: &Publication, session: &Session) -> Result<(), Error> {
    if publication.layers.is_empty() || publication.layers.len() > LAYERS_MAX {
        return Err(Error::Layers);
    }
    if publication.stream.len() > Publication::STREAM_MAX {
        return Err(Error::OutOfRange);
    }
    let own = [Some(publication.payload_type), publication.rtx_payload_type];
    let others = publication.others.iter().flat_map(|other| [Some(other.payload_type), other.rtx_payload_type]);
    if own.into_iter().chain(others).flatten().any(|number| number > 127) {
        return Err(Error::OutOfRange);
    }
    let mut ssrcs: Vec<_> =
        publication.layers.iter().flat_map(|layer| [layer.ssrc, layer.rtx_ssrc]).flatten().collect();
    let count = ssrcs.len();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    let is_known = ssrcs.iter().any(|ssrc| session.incoming.place(*ssrc).is_some());
    let mid_is_known = session.incoming.track_of(Some(&publication.mid)).is_some();
    if ssrcs.len() < count || is_known || mid_is_known {
        return Err(Error::InUse);
    }
    Ok(())
}

pub(super) fn check_slot(config: &SlotConfig, session: &Session) -> Result<(), Error> {
    let is_mid =
        config.mid.is_empty() || plenary_rtp::extension::Mid::new(&config.mid).is_ok() && config.mid.len() <= 16;
    let types = config.formats.iter().flat_map(|format| [Some(format.payload_type), format.rtx_payload_type]);
    if !is_mid || types.flatten().any(|number| number > 127) {
        return Err(Error::OutOfRange);
    }
    let ssrcs = |config: &SlotConfig| [Some(config.ssrc), config.rtx_ssrc];
    let own = ssrcs(config);
    let taken = session.slots.iter().any(|slot| {
        let same_mid = !config.mid.is_empty() && slot.config.mid == config.mid;
        same_mid || ssrcs(&slot.config).iter().flatten().any(|ssrc| own.contains(&Some(*ssrc)))
    });
    if taken || own[0] == own[1] { Err(Error::InUse) } else { Ok(()) }
}
