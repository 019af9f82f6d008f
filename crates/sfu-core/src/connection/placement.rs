//! Which of the slots is best for a track, and which belong together.

use plenary_rtp::payload::Codec;
use slotmap::SlotMap;

use super::Connection;
use crate::error::Error;
use crate::ids::TrackKey;
use crate::slot::{Format, Slot, SlotConfig};
use crate::track::{Kind, Track};

type Tracks = SlotMap<TrackKey, Track>;

/// How well a free slot fits: the lower the better, then the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// What belongs with the track is beside it.
    Synced,
    /// It may still come there.
    Alone,
    /// Something else is beside it.
    Apart,
}

impl Connection {
    /// Whether a slot for this kind takes the codec; `None` if there are no slots for it.
    pub(crate) fn takes(&self, kind: Kind, codec: Codec) -> Option<bool> {
        let slots = self.slots.iter().filter(|slot| slot.config.kind == kind && !slot.config.formats.is_empty());
        let mut slots = slots.peekable();
        slots.peek()?;
        Some(slots.any(|slot| slot.format(codec).is_some()))
    }

    /// The slot of the other kind that shares its stream.
    pub(crate) fn beside(&self, slot: u16) -> Option<u16> {
        let own = &self.slots.get(usize::from(slot))?.config;
        let pair = own.pair?;
        let is_beside = |other: &Slot| other.config.pair == Some(pair) && other.config.kind != own.kind;
        self.slots.iter().position(is_beside).map(|index| index as u16)
    }

    pub(crate) fn track_in<'t>(&self, slot: u16, tracks: &'t Tracks) -> Option<&'t Track> {
        tracks.get(self.slots.get(usize::from(slot))?.source()?.track)
    }

    /// Whether what is in the slot has beside it what belongs with it.
    pub(crate) fn is_synced(&self, slot: u16, tracks: &Tracks) -> bool {
        let other = self.beside(slot).and_then(|beside| self.track_in(beside, tracks));
        self.track_in(slot, tracks).zip(other).is_some_and(|(track, other)| other.belongs_with(track))
    }

    /// A free slot for the track: beside what belongs with it, else where that may still come, else any.
    pub(crate) fn best_slot(&self, track: &Track, tracks: &Tracks) -> Option<(Fit, u16)> {
        let free =
            (0..).zip(&self.slots).filter(|(_, slot)| slot.is_free(track.kind) && slot.format(track.codec).is_some());
        let fit = |index| match self.beside(index).and_then(|beside| self.track_in(beside, tracks)) {
            Some(other) if other.belongs_with(track) => Fit::Synced,
            None => Fit::Alone,
            Some(_) => Fit::Apart,
        };
        free.map(|(index, _)| (fit(index), index)).min()
    }

    /// Sound that is not beside its picture, though it could be.
    pub(crate) fn sound_apart<'t>(&self, tracks: &'t Tracks) -> impl Iterator<Item = (u16, &'t Track)> {
        let paired =
            (0..).zip(&self.slots).filter(|(_, slot)| slot.config.kind == Kind::Audio && slot.config.pair.is_some());
        let sound = paired.filter_map(|(index, _)| Some((index, self.track_in(index, tracks)?)));
        sound.filter(|(index, _)| !self.is_synced(*index, tracks))
    }

    /// The slot beside a picture that belongs with this sound, if there is one and its own sound is not there.
    pub(crate) fn beside_picture_of(&self, sound: &Track, tracks: &Tracks) -> Option<u16> {
        let is_its = |at: &u16| self.track_in(*at, tracks).is_some_and(|other| other.belongs_with(sound));
        let mut beside = (0..self.slots.len() as u16).filter(is_its).filter_map(|picture| self.beside(picture));
        beside.find(|beside| !self.is_synced(*beside, tracks))
    }

    /// How a codec is sent in a slot, if it is.
    pub(crate) fn format(&self, slot: u16, codec: Codec) -> Option<Format> {
        self.slots.get(usize::from(slot))?.format(codec)
    }

    /// Whether there may be such a slot beside those that there are.
    pub(crate) fn check_slot(&self, config: &SlotConfig) -> Result<(), Error> {
        let is_mid =
            config.mid.is_empty() || plenary_rtp::extension::Mid::new(&config.mid).is_ok() && config.mid.len() <= 16;
        let types = config.formats.iter().flat_map(|format| [Some(format.payload_type), format.rtx_payload_type]);
        if !is_mid || types.flatten().any(|number| number > 127) {
            return Err(Error::OutOfRange);
        }
        let ssrcs = |config: &SlotConfig| [Some(config.ssrc), config.rtx_ssrc];
        let own = ssrcs(config);
        let taken = self.slots.iter().any(|slot| {
            let same_mid = !config.mid.is_empty() && slot.config.mid == config.mid;
            same_mid || ssrcs(&slot.config).iter().flatten().any(|ssrc| own.contains(&Some(*ssrc)))
        });
        if taken || own[0] == own[1] { Err(Error::InUse) } else { Ok(()) }
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
