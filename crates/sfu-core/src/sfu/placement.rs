//! Which subscription is in which slot.

use std::time::Instant;

use plenary_rtp::RtpTime;
use plenary_rtp::payload::Codec;
use rand_chacha::rand_core::Rng;

use super::Sfu;
use crate::connection::{Connection, Fit, SLOTS_MAX};
use crate::error::Error;
use crate::ids::{SessionKey, SubscriptionKey, TrackKey, TransportKey};
use crate::slot::{Beginnings, Format, Slot, SlotConfig, Source};
use crate::track::{Kind, Reader};
use crate::{Event, SessionId, SlotChange, SlotContent, SubscriptionId, TrackId, TransportId};

impl Sfu {
    /// Adds a slot to those of a transport. Sound is to be added first: lower slots are sent first.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], [`Error::OutOfRange`], [`Error::InUse`], or [`Error::Limit`] of `transport_slots_max`.
    pub fn add_slot(&mut self, transport: TransportId, config: SlotConfig, now: Instant) -> Result<(), Error> {
        self.open_slot(transport.0, config, now)?;
        let session = self.connections.get(transport.0).map(|it| it.session);
        session.into_iter().for_each(|session| self.fill_slots(session, now));
        Ok(())
    }

    /// Adds a slot, in the place of one that was closed if there is one.
    pub(super) fn open_slot(&mut self, key: TransportKey, config: SlotConfig, now: Instant) -> Result<u16, Error> {
        let it = self.connections.get_mut(key).ok_or(Error::NoTransport)?;
        let closed = it.slots.iter().position(Slot::is_closed);
        let max = self.config.transport_slots_max.min(SLOTS_MAX);
        if closed.is_none() && it.slots.len() >= max {
            return Err(Error::Limit("transport_slots_max"));
        }
        it.check_slot(&config)?;
        let begin = Beginnings {
            sequence_number: self.chance.next_u32() as u16,
            rtx_sequence_number: self.chance.next_u32() as u16,
            timestamp: self.chance.next_u32(),
            picture_id: self.chance.next_u32() as u16,
        };
        let slot = Slot::new(config, &begin, self.config.padding_max, now);
        let index = closed.unwrap_or(it.slots.len());
        if closed.is_some() {
            it.slots[index] = slot;
        } else {
            it.slots.push(slot);
        }
        Ok(index as u16)
    }

    /// Ends a slot. What was in it waits for another.
    pub(super) fn close_slot(&mut self, key: TransportKey, index: u16) {
        self.set_formats(key, index, Vec::new());
        let slot = self.connections.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(index)));
        if let Some(slot) = slot {
            slot.close();
        }
    }

    /// What the subscriber takes in a slot from now on. What was in it, and is not sent so any more, waits for another.
    pub(super) fn set_formats(&mut self, key: TransportKey, index: u16, formats: Vec<Format>) {
        let slot = self.connections.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(index)));
        let Some(slot) = slot else { return };
        slot.config.formats = formats;
        let Some(format) = slot.source().map(|source| source.format) else { return };
        if slot.format(format.codec) == Some(format) {
            return;
        }
        self.evict(key, index);
    }

    /// What is in the slots of a transport waits for others: it is over.
    pub(super) fn empty_slots(&mut self, key: TransportKey, now: Instant) {
        let Some(it) = self.connections.get(key) else { return };
        let (session, count) = (it.session, it.slots.len() as u16);
        // Of which the first is put back last, and so waits in front.
        (0..count).rev().for_each(|index| self.evict(key, index));
        self.fill_slots(session, now);
        self.tell_of_codecs(session);
    }

    /// What is in a slot waits for another, before all that wait already.
    fn evict(&mut self, key: TransportKey, index: u16) {
        let Some(subscription) = self.vacate(key, index) else { return };
        let session = self.subscriptions.get(subscription).and_then(|it| self.sessions.get_mut(it.session));
        session.into_iter().for_each(|it| it.waiting.push_front(subscription));
    }

    /// Takes out what is in a slot.
    pub(super) fn vacate(&mut self, key: TransportKey, index: u16) -> Option<SubscriptionKey> {
        let connection = self.connections.get_mut(key)?;
        let source = connection.slots.get_mut(usize::from(index))?.detach()?;
        if let Some(track) = self.tracks.get_mut(source.track) {
            for layer in &mut track.layers {
                layer.readers.retain(|reader| *reader != Reader { transport: key, slot: index });
            }
        }
        if let Some(it) = self.subscriptions.get_mut(source.subscription) {
            it.slot = None;
        }
        self.tell_slot(key, index, None);
        Some(source.subscription)
    }

    fn occupy(&mut self, key: TransportKey, index: u16, subscription: SubscriptionKey, now: Instant) -> Option<()> {
        let it = self.subscriptions.get_mut(subscription)?;
        let (track_key, layer, session) = (it.track, it.layer, it.session);
        let track = self.tracks.get(track_key)?;
        let connection = self.connections.get_mut(key)?;
        let slot = connection.slots.get_mut(usize::from(index))?;
        let format = slot.format(track.codec)?;
        slot.attach(Source::new(subscription, track_key, format, track.csrc));
        it.slot = Some(Reader { transport: key, slot: index });
        if let Some(session) = self.sessions.get_mut(session) {
            session.waiting.retain(|known| *known != subscription);
        }
        self.tell_slot(key, index, None);
        self.read(key, index, layer, now);
        Some(())
    }

    /// A track is in another codec from now on: who receives it does so in a slot that takes that, or is told.
    pub(super) fn begin_anew(&mut self, track: TrackKey, now: Instant) {
        let subscriptions = self.tracks.get(track).map(|track| track.subscriptions.clone()).unwrap_or_default();
        for subscription in subscriptions {
            let Some(it) = self.subscriptions.get(subscription) else { continue };
            let (session, slot) = (it.session, it.slot);
            if let Some(Reader { transport, slot }) = slot {
                self.evict(transport, slot);
            }
            self.fill_slots(session, now);
            self.tell_of_codecs(session);
        }
    }

    /// Puts subscriptions that wait into slots that are free, as long as there are some.
    pub(super) fn fill_slots(&mut self, session: SessionKey, now: Instant) {
        // Hundreds may wait, and each would be held against each slot.
        let mut free = [Kind::Audio, Kind::Video].map(|kind| {
            let count = |(_, it): (_, &Connection)| it.slots.iter().filter(|slot| slot.is_free(kind)).count();
            (kind, self.open(session).map(count).sum::<usize>())
        });
        let waiting = self.sessions.get(session).filter(|_| free.iter().any(|(_, count)| *count > 0));
        for subscription in waiting.map(|it| it.waiting.clone()).unwrap_or_default() {
            let track = self.subscriptions.get(subscription).and_then(|it| self.tracks.get(it.track));
            let free = free.iter_mut().find(|(kind, _)| track.is_some_and(|track| track.kind == *kind));
            let Some((_, count)) = free.filter(|(_, count)| *count > 0) else { continue };
            *count -= usize::from(self.fill_slot(session, subscription, now));
        }
        self.pair_up(session, now);
    }

    /// Puts one that waits into a slot, if there is one for it.
    pub(super) fn fill_slot(&mut self, session: SessionKey, subscription: SubscriptionKey, now: Instant) -> bool {
        let best = self.best_slot(session, subscription);
        best.is_some_and(|(key, index)| self.occupy(key, index, subscription, now).is_some())
    }

    /// The session's transports that are not over, the oldest first.
    fn open(&self, session: SessionKey) -> impl Iterator<Item = (TransportKey, &Connection)> {
        let transports = self.sessions.get(session).into_iter().flat_map(|it| &it.transports);
        let connections = transports.filter_map(|key| Some((*key, self.connections.get(*key)?)));
        connections.filter(|(_, it)| !it.is_over)
    }

    /// A free slot for what a session subscribes to: where media flows, if it can be; in step with what belongs to it, if
    /// that can be; on the oldest transport.
    fn best_slot(&self, session: SessionKey, subscription: SubscriptionKey) -> Option<(TransportKey, u16)> {
        let track = self.tracks.get(self.subscriptions.get(subscription)?.track)?;
        let best = self.open(session).filter_map(|(key, it)| {
            let (fit, index) = it.best_slot(track, &self.tracks)?;
            Some(((!it.is_connected(), fit != Fit::Synced), (key, index)))
        });
        best.min_by_key(|(rank, _)| *rank).map(|(_, slot)| slot)
    }

    /// Whether no slot of the session for this kind takes the codec, though there are some.
    pub(super) fn lacks(&self, session: SessionKey, kind: Kind, codec: Codec) -> bool {
        let mut takes = self.open(session).filter_map(|(_, it)| it.takes(kind, codec)).peekable();
        takes.peek().is_some() && !takes.any(|takes| takes)
    }

    /// Moves sound to the slot beside its picture. A listener does not hear it; a picture would have to begin anew.
    pub(super) fn pair_up(&mut self, session: SessionKey, now: Instant) {
        // Each move makes a pair and breaks none.
        while let Some((from, to)) = self.mispaired(session) {
            let (moved, other) = (self.vacate(from.transport, from.slot), self.vacate(to.transport, to.slot));
            let there = moved.and_then(|moved| self.occupy(to.transport, to.slot, moved, now));
            let back = other.and_then(|other| self.occupy(from.transport, from.slot, other, now));
            if there.is_none() || other.is_some() && back.is_none() {
                return;
            }
        }
    }

    /// Where sound is, and where it should be instead: beside its picture.
    fn mispaired(&self, session: SessionKey) -> Option<(Reader, Reader)> {
        let tracks = &self.tracks;
        let apart = self.open(session).flat_map(|(transport, it)| {
            it.sound_apart(tracks).map(move |(slot, sound)| (Reader { transport, slot }, sound))
        });
        let mut moves = apart.filter_map(|(from, sound)| {
            let to = self.open(session).find_map(|(transport, it)| {
                it.beside_picture_of(sound, tracks).map(|slot| Reader { transport, slot })
            })?;
            Some((from, to))
        });
        moves.find(|(from, to)| self.may_move(*from, *to))
    }

    /// Whether one slot's content may go to another, and what is there to the first: both are taken there, and nothing goes
    /// to where no media flows.
    fn may_move(&self, from: Reader, to: Reader) -> bool {
        let at = |reader: Reader| Some((self.connections.get(reader.transport)?, reader.slot));
        let (Some(old), Some(new)) = (at(from), at(to)) else { return false };
        let in_slot = |(it, slot): (&Connection, u16)| it.track_in(slot, &self.tracks).map(|track| track.codec);
        let may_go = |codec, from: (&Connection, u16), to: (&Connection, u16)| {
            to.0.format(to.1, codec).is_some() && (to.0.is_connected() || !from.0.is_connected())
        };
        in_slot(old).is_some_and(|codec| may_go(codec, old, new))
            && in_slot(new).is_none_or(|codec| may_go(codec, new, old))
    }

    /// Lets a slot read this layer of what is in it.
    pub(super) fn read(&mut self, key: TransportKey, slot: u16, layer: Option<u8>, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(it) = connection.slots.get_mut(usize::from(slot)) else { return };
        it.want(layer);
        let current = it.current();
        let Some(track) = it.source().map(|source| source.track) else { return };
        connection.mark(slot);
        let reader = Reader { transport: key, slot };
        let layers = self.tracks.get_mut(track).map(|track| track.layers.iter_mut());
        for (index, it) in (0..).zip(layers.into_iter().flatten()) {
            it.readers.retain(|known| *known != reader);
            if Some(index) == layer || Some(index) == current {
                it.readers.push(reader);
            }
        }
        self.queue(key);
        self.settle_timer(key, now);
    }

    /// Tells what a slot shows, with what is sent now; and what the one beside it shows, if they are in step or no more.
    pub(super) fn tell_slot(&mut self, key: TransportKey, slot: u16, sent: Option<(u8, RtpTime)>) {
        self.tell(key, slot, sent);
        let Some(connection) = self.connections.get(key) else { return };
        let Some(beside) = connection.beside(slot) else { return };
        let told = connection.slots.get(usize::from(beside)).and_then(|slot| slot.told);
        if let Some(told) = told {
            self.tell(key, beside, told.layer.zip(told.timestamp));
        }
    }

    fn tell(&mut self, key: TransportKey, slot: u16, sent: Option<(u8, RtpTime)>) {
        let Some(connection) = self.connections.get(key) else { return };
        let Some(it) = connection.slots.get(usize::from(slot)) else { return };
        let content = it.source().and_then(|source| {
            let track = self.tracks.get(source.track)?;
            Some(SlotContent {
                subscription: SubscriptionId(source.subscription),
                track: TrackId(source.track),
                source: SessionId(track.session),
                layer: sent.map(|(layer, _)| layer),
                timestamp: sent.map(|(_, timestamp)| timestamp),
                csrc: track.csrc,
                synced: connection.is_synced(slot, &self.tracks),
            })
        });
        let it = self.connections.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(slot)));
        let Some(it) = it.filter(|it| it.told != content) else { return };
        it.told = content;
        if !std::mem::replace(&mut it.has_change, true) {
            self.changes.push_back((key, slot));
        }
    }

    /// What a slot shows by now, of the next that has changed since it was told.
    pub(super) fn poll_change(&mut self) -> Option<Event> {
        loop {
            let (key, slot) = self.changes.pop_front()?;
            let it = self.connections.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(slot)));
            // Who has left is told nothing.
            let Some(it) = it else { continue };
            it.has_change = false;
            let (mid, content) = (it.config.mid.clone(), it.told);
            return Some(Event::Slot(SlotChange { transport: TransportId(key), mid, content }));
        }
    }
}
