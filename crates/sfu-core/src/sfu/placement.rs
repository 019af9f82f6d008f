//! Which subscription is in which slot.

use std::time::Instant;

use plenary_rtp::RtpTime;
use slotmap::SlotMap;

use super::Sfu;
use crate::error::Error;
use crate::ids::{SessionId, SessionKey, SubscriptionKey, TrackKey};
use crate::session::Session;
use crate::slot::{Beginnings, Format, Slot, SlotConfig, Source};
use crate::track::{Kind, Reader, Track};
use crate::{Event, SlotChange, SlotContent, SubscriptionId, TrackId};
use rand_chacha::rand_core::Rng;

impl Sfu {
    /// Adds a slot, in the place of one that was closed if there is one.
    pub(super) fn open_slot(&mut self, key: SessionKey, config: SlotConfig, now: Instant) -> Result<u16, Error> {
        let it = self.sessions.get_mut(key).ok_or(Error::NoSession)?;
        let closed = it.slots.iter().position(Slot::is_closed);
        let max = self.config.session_slots_max.min(crate::session::SLOTS_MAX);
        if closed.is_none() && it.slots.len() >= max {
            return Err(Error::Limit("session_slots_max"));
        }
        super::commands::check_slot(&config, it)?;
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
    pub(super) fn close_slot(&mut self, key: SessionKey, index: u16) {
        self.set_formats(key, index, Vec::new());
        let slot = self.sessions.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(index)));
        if let Some(slot) = slot {
            slot.close();
        }
    }

    /// What the subscriber takes in a slot from now on. What was in it, and is not sent so any more, waits for another.
    pub(super) fn set_formats(&mut self, key: SessionKey, index: u16, formats: Vec<Format>) {
        let slot = self.sessions.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(index)));
        let Some(slot) = slot else { return };
        slot.config.formats = formats;
        let Some(format) = slot.source().map(|source| source.format) else { return };
        if slot.format(format.codec) == Some(format) {
            return;
        }
        if let Some(subscription) = self.vacate(key, index)
            && let Some(it) = self.sessions.get_mut(key)
        {
            it.waiting.push_front(subscription);
        }
    }

    /// Takes out what is in a slot.
    pub(super) fn vacate(&mut self, key: SessionKey, index: u16) -> Option<SubscriptionKey> {
        let session = self.sessions.get_mut(key)?;
        let source = session.slots.get_mut(usize::from(index))?.detach()?;
        if let Some(track) = self.tracks.get_mut(source.track) {
            for layer in &mut track.layers {
                layer.readers.retain(|reader| (reader.session, reader.slot) != (key, index));
            }
        }
        if let Some(it) = self.subscriptions.get_mut(source.subscription) {
            it.slot = None;
        }
        self.tell_slot(key, index, None);
        Some(source.subscription)
    }

    fn occupy(&mut self, key: SessionKey, index: u16, subscription: SubscriptionKey, now: Instant) -> Option<()> {
        let it = self.subscriptions.get_mut(subscription)?;
        let (track_key, layer) = (it.track, it.layer);
        let track = self.tracks.get(track_key)?;
        let session = self.sessions.get_mut(key)?;
        let slot = session.slots.get_mut(usize::from(index))?;
        let format = slot.format(track.codec)?;
        slot.attach(Source::new(subscription, track_key, format, track.csrc));
        it.slot = Some(index);
        session.waiting.retain(|known| *known != subscription);
        self.tell_slot(key, index, None);
        self.read(key, index, layer, now);
        Some(())
    }

    /// A track is in another codec from now on: who receives it does so in a slot that takes that, or is told.
    pub(super) fn begin_anew(&mut self, track: TrackKey, now: Instant) {
        let subscriptions = self.tracks.get(track).map(|track| track.subscriptions.clone()).unwrap_or_default();
        for subscription in subscriptions {
            let Some(it) = self.subscriptions.get(subscription) else { continue };
            let (key, slot) = (it.session, it.slot);
            let vacated = slot.and_then(|slot| self.vacate(key, slot));
            if let (Some(subscription), Some(it)) = (vacated, self.sessions.get_mut(key)) {
                it.waiting.push_front(subscription);
            }
            self.fill_slots(key, now);
            self.tell_of_codecs(key);
        }
    }

    /// Puts subscriptions that wait into slots that are free, as long as there are some.
    pub(super) fn fill_slots(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get(key) else { return };
        for subscription in session.waiting.clone() {
            let Some(session) = self.sessions.get(key) else { return };
            let track = self.subscriptions.get(subscription).and_then(|it| self.tracks.get(it.track));
            let Some(index) = track.and_then(|track| session.best_slot(track, &self.tracks)) else { continue };
            self.occupy(key, index, subscription, now);
        }
        self.pair_up(key, now);
    }

    /// Moves sound to the slot beside its picture. A listener does not hear it; a picture would have to begin anew.
    fn pair_up(&mut self, key: SessionKey, now: Instant) {
        // Each move makes a pair and breaks none.
        while let Some((from, to)) = self.sessions.get(key).and_then(|it| it.mispaired(&self.tracks)) {
            let (moved, other) = (self.vacate(key, from), self.vacate(key, to));
            let there = moved.and_then(|moved| self.occupy(key, to, moved, now));
            let back = other.and_then(|other| self.occupy(key, from, other, now));
            if there.is_none() || other.is_some() && back.is_none() {
                return;
            }
        }
    }

    /// Lets a slot read this layer of what is in it.
    pub(super) fn read(&mut self, key: SessionKey, slot: u16, layer: Option<u8>, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(it) = session.slots.get_mut(usize::from(slot)) else { return };
        it.want(layer);
        let current = it.current();
        let Some(track) = it.source().map(|source| source.track) else { return };
        session.mark(slot);
        let reader = Reader { session: key, slot };
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
    pub(super) fn tell_slot(&mut self, key: SessionKey, slot: u16, sent: Option<(u8, RtpTime)>) {
        self.tell(key, slot, sent);
        let Some(session) = self.sessions.get(key) else { return };
        let Some(beside) = session.beside(slot) else { return };
        let told = session.slots.get(usize::from(beside)).and_then(|slot| slot.told);
        if let Some(told) = told {
            self.tell(key, beside, told.layer.zip(told.timestamp));
        }
    }

    fn tell(&mut self, key: SessionKey, slot: u16, sent: Option<(u8, RtpTime)>) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(it) = session.slots.get(usize::from(slot)) else { return };
        let content = it.source().and_then(|source| {
            let track = self.tracks.get(source.track)?;
            Some(SlotContent {
                subscription: SubscriptionId(source.subscription),
                track: TrackId(source.track),
                source: SessionId(track.session),
                layer: sent.map(|(layer, _)| layer),
                timestamp: sent.map(|(_, timestamp)| timestamp),
                csrc: track.csrc,
                synced: session.is_synced(slot, track, &self.tracks),
            })
        });
        let it = self.sessions.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(slot)));
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
            let it = self.sessions.get_mut(key).and_then(|it| it.slots.get_mut(usize::from(slot)));
            // Who has left is told nothing.
            let Some(it) = it else { continue };
            it.has_change = false;
            let (mid, content) = (it.config.mid.clone(), it.told);
            return Some(Event::Slot(SlotChange { session: SessionId(key), mid, content }));
        }
    }
}

type Tracks = SlotMap<TrackKey, Track>;

impl Session {
    /// Whether no slot for this kind takes the codec, though there are some.
    pub(super) fn lacks(&self, kind: Kind, codec: plenary_rtp::payload::Codec) -> bool {
        let mut slots = self.slots.iter().filter(|slot| slot.config.kind == kind && !slot.config.formats.is_empty());
        let mut slots = slots.by_ref().peekable();
        slots.peek().is_some() && !slots.any(|slot| slot.format(codec).is_some())
    }

    /// The slot of the other kind that shares its stream.
    fn beside(&self, slot: u16) -> Option<u16> {
        let own = &self.slots.get(usize::from(slot))?.config;
        let pair = own.pair?;
        let is_beside = |other: &Slot| other.config.pair == Some(pair) && other.config.kind != own.kind;
        self.slots.iter().position(is_beside).map(|index| index as u16)
    }

    fn track_in<'t>(&self, slot: u16, tracks: &'t Tracks) -> Option<&'t Track> {
        tracks.get(self.slots.get(usize::from(slot))?.source()?.track)
    }

    fn is_synced(&self, slot: u16, track: &Track, tracks: &Tracks) -> bool {
        let other = self.beside(slot).and_then(|beside| self.track_in(beside, tracks));
        other.is_some_and(|other| other.belongs_with(track))
    }

    /// A free slot for the track: beside what belongs with it, else where that may still come, else any.
    fn best_slot(&self, track: &Track, tracks: &Tracks) -> Option<u16> {
        let free = (0..).zip(&self.slots).filter(|(_, slot)| {
            slot.config.kind == track.kind && slot.source().is_none() && slot.format(track.codec).is_some()
        });
        let rank = |index| match self.beside(index).and_then(|beside| self.track_in(beside, tracks)) {
            Some(other) if other.belongs_with(track) => 0,
            None => 1,
            Some(_) => 2,
        };
        free.map(|(index, _)| index).min_by_key(|index| (rank(*index), *index))
    }

    /// An audio slot, and the one that its sound should be in instead: beside its picture, where none that is in step is
    /// driven away.
    fn mispaired(&self, tracks: &Tracks) -> Option<(u16, u16)> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.config.kind == Kind::Audio).find_map(|(from, slot)| {
            let sound = self.track_in(from, tracks)?;
            if slot.config.pair.is_none() || self.is_synced(from, sound, tracks) {
                return None;
            }
            let is_its = |at: &u16| self.track_in(*at, tracks).is_some_and(|other| other.belongs_with(sound));
            let picture = (0..self.slots.len() as u16).find(is_its)?;
            let to = self.beside(picture).filter(|to| *to != from)?;
            let there = self.track_in(to, tracks);
            let takes = |at: u16, track: &Track| self.slots[usize::from(at)].format(track.codec).is_some();
            let is_movable = there.is_none_or(|there| !self.is_synced(to, there, tracks) && takes(from, there));
            (is_movable && takes(to, sound)).then_some((from, to))
        })
    }
}

impl Track {
    /// Whether both are of one source, and to be played together.
    fn belongs_with(&self, other: &Self) -> bool {
        self.kind != other.kind
            && self.session == other.session
            && !self.stream.is_empty()
            && self.stream == other.stream
    }
}
