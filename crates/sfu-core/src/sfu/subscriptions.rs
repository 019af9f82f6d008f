//! Who receives what.

use std::time::Instant;

use super::{Sfu, Subscription};
use crate::ids::{SessionId, SubscriptionId, TrackId, TrackKey, TransportKey};
use crate::slot::Slot;
use crate::track::Reader;
use crate::{Error, Event};

impl Sfu {
    /// Lets a session receive a track, in the lowest layer at first: the first, if nothing has come of it yet. It goes into
    /// a free slot of one of the session's transports: of one that is connected if it can, beside what belongs with it, of
    /// the oldest. If there is none it waits, and the event comes with the slot.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], [`Error::NoTrack`], [`Error::OtherRoom`], [`Error::Subscribed`], [`Error::NoCommonCodec`],
    /// or [`Error::Limit`] of `session_subscriptions_max`.
    pub fn subscribe(&mut self, session: SessionId, track: TrackId, now: Instant) -> Result<SubscriptionId, Error> {
        let it = self.sessions.get(session.0).ok_or(Error::NoSession)?;
        let published = self.tracks.get(track.0).ok_or(Error::NoTrack)?;
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
        if self.lacks(session.0, published.kind, published.codec) {
            return Err(Error::NoCommonCodec);
        }
        let lowest = published.ranked_layers(now).first().copied().unwrap_or(0);
        let subscription = Subscription { session: session.0, track: track.0, slot: None, layer: Some(lowest) };
        let key = self.subscriptions.insert(subscription);
        if let Some(track) = self.tracks.get_mut(track.0) {
            track.subscriptions.push(key);
        }
        if let Some(it) = self.sessions.get_mut(session.0) {
            it.subscriptions.push(key);
            it.waiting.push_back(key);
        }
        // There is no slot for those that wait already.
        if self.fill_slot(session.0, key, now) {
            self.pair_up(session.0, now);
        }
        Ok(SubscriptionId(key))
    }

    /// Ends a subscription. Its slot goes to the next that waits for one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSubscription`].
    pub fn unsubscribe(&mut self, subscription: SubscriptionId, now: Instant) -> Result<(), Error> {
        let it = self.subscriptions.remove(subscription.0).ok_or(Error::NoSubscription)?;
        self.events.retain(|event| *event != Event::NoCommonCodec(subscription));
        if let Some(track) = self.tracks.get_mut(it.track) {
            track.subscriptions.retain(|known| *known != subscription.0);
        }
        if let Some(session) = self.sessions.get_mut(it.session) {
            session.subscriptions.retain(|known| *known != subscription.0);
            session.waiting.retain(|known| *known != subscription.0);
        }
        if let Some(Reader { transport, slot }) = it.slot {
            self.vacate(transport, slot);
            self.fill_slots(it.session, now);
        }
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
        let Some(Reader { transport, slot }) = it.slot else { return Ok(()) };
        self.read(transport, slot, layer, now);
        if layer != self.connections.get(transport).and_then(|it| it.slots[usize::from(slot)].current()) {
            self.request_key_frame_for(transport, slot, now);
        }
        if layer.is_none() {
            self.tell_slot(transport, slot, None);
        }
        Ok(())
    }

    pub(super) fn stop_reading(&mut self, key: TransportKey, slot: u16, layer: u8) {
        let Some(track) = self.source_of(key, slot).and_then(|track| self.tracks.get_mut(track)) else { return };
        if let Some(layer) = track.layers.get_mut(usize::from(layer)) {
            layer.readers.retain(|reader| *reader != Reader { transport: key, slot });
        }
    }

    /// Asks the publisher for a key frame of what the slot is to show.
    pub(super) fn request_key_frame_for(&mut self, key: TransportKey, slot: u16, now: Instant) {
        let slot = self.connections.get(key).and_then(|connection| connection.slots.get(usize::from(slot)));
        let Some(source) = slot.and_then(Slot::source) else { return };
        let Some(wanted) = source.wanted else { return };
        let Some(track) = self.tracks.get_mut(source.track) else { return };
        let publisher = track.transport;
        if let Some(layer) = track.layers.get_mut(usize::from(wanted)) {
            layer.request_key_frame();
        }
        if let Some(connection) = self.connections.get_mut(publisher) {
            connection.note_feedback(&self.tracks, now);
        }
        self.queue(publisher);
        self.settle_timer(publisher, now);
    }

    fn source_of(&self, key: TransportKey, slot: u16) -> Option<TrackKey> {
        let slot = self.connections.get(key)?.slots.get(usize::from(slot))?;
        slot.source().map(|source| source.track)
    }

    /// Asks the transport at the next occasion what it has to send.
    pub(super) fn queue(&mut self, key: TransportKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.is_stirred = true;
        if !connection.is_queued {
            connection.is_queued = true;
            self.ready.push_back(key);
        }
    }
}
