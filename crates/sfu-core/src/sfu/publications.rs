//! What is published.

use std::time::Instant;

use plenary_rtp::Ssrc;
use plenary_rtp::payload::Codec;
use rand_chacha::rand_core::Rng;

use super::Sfu;
use crate::Event;
use crate::connection::{Connection, Place};
use crate::error::Error;
use crate::ids::{SessionId, SubscriptionId, TrackId, TrackKey, TransportId};
use crate::negotiation::Section;
use crate::slot::Format;
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
    /// The codec that was agreed on.
    pub codec: Codec,
    /// Its payload type, from 0 to 127.
    pub payload_type: u8,
    /// The payload type of retransmissions (RFC 4588), if they were agreed on; from 0 to 127.
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
    /// What it comes in by.
    pub transport: TransportId,
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
    /// Adds a track to what a session publishes. It comes in by this transport, and ends with it.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], [`Error::Layers`], [`Error::OutOfRange`], [`Error::InUse`], or [`Error::Limit`] of
    /// `transport_tracks_max`.
    pub fn publish(
        &mut self,
        transport: TransportId,
        publication: Publication,
        now: Instant,
    ) -> Result<TrackId, Error> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        check_publication(&publication, it)?;
        if it.tracks.len() >= self.config.transport_tracks_max {
            return Err(Error::Limit("transport_tracks_max"));
        }
        let Publication { kind, codec, payload_type, rtx_payload_type, others, nack, opaque, stream, .. } = publication;
        let mut layers: Vec<_> = publication.layers.iter().map(|layer| Layer::new(kind, layer.rid.clone())).collect();
        for (layer, config) in layers.iter_mut().zip(&publication.layers) {
            if let Some(ssrc) = config.ssrc {
                layer.bind(ssrc, nack, now);
            }
        }
        let csrc = Ssrc(self.chance.next_u32());
        let track = Track {
            session: it.session,
            transport: transport.0,
            kind,
            codec,
            payload_type,
            rtx_payload_type,
            others,
            unknown: 0,
            changed_at: None,
            nack,
            opaque,
            stream,
            layers,
            subscriptions: Vec::new(),
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
        let room = self.sessions.get(it.session).map(|session| session.room);
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(room)) {
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
        let transport = self.tracks.get(track.0).ok_or(Error::NoTrack)?.transport;
        let sections = self.connections.get(transport).into_iter().flat_map(|it| &it.negotiation.sections);
        let is_its = |section: &&Section| {
            section.publishing().and_then(|it| it.published.as_ref()).is_some_and(|(known, _)| *known == track.0)
        };
        match sections.into_iter().find(is_its).map(|section| section.mid.as_str().to_owned()) {
            Some(mid) => self.stop_publishing(TransportId(transport), &mid, now),
            None => self.remove_track(track.0, now),
        }
    }

    pub(super) fn remove_track(&mut self, track: TrackKey, now: Instant) -> Result<(), Error> {
        let subscriptions = self.tracks.get(track).ok_or(Error::NoTrack)?.subscriptions.clone();
        for subscription in subscriptions {
            self.unsubscribe(SubscriptionId(subscription), now)?;
        }
        let Some(it) = self.tracks.remove(track) else { return Err(Error::NoTrack) };
        self.events.retain(|event| !matches!(event, Event::UnknownPayloadType { track: of, .. } if of.0 == track));
        if let Some(connection) = self.connections.get_mut(it.transport) {
            connection.tracks.retain(|known| *known != track);
            connection.incoming.remove(track);
        }
        let room = self.sessions.get(it.session).map(|session| session.room);
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(room)) {
            room.tracks.retain(|known| *known != track);
        }
        Ok(())
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
            transport: TransportId(it.transport),
            kind: it.kind,
            codec: it.codec,
            opaque: it.opaque,
            stream: it.stream.clone(),
            rids: it.layers.iter().map(|layer| layer.rid.clone()).collect(),
        })
    }
}

fn check_publication(publication: &Publication, connection: &Connection) -> Result<(), Error> {
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
    let is_known = ssrcs.iter().any(|ssrc| connection.incoming.place(*ssrc).is_some());
    let mid_is_known = connection.incoming.track_of(Some(&publication.mid)).is_some();
    if ssrcs.len() < count || is_known || mid_is_known {
        return Err(Error::InUse);
    }
    Ok(())
}
