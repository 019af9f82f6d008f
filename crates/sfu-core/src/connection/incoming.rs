//! Which of a transport's tracks a packet belongs to.

use std::collections::BTreeMap;

use plenary_rtp::Ssrc;

use crate::ids::TrackKey;

/// SSRCs of a transport at most: what is published over it, with retransmission. One that comes beyond them is not known.
pub(crate) const SSRCS_MAX: usize = 128;

/// What an SSRC carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) track: TrackKey,
    pub(crate) layer: u8,
    /// It repeats packets of the layer (RFC 4588).
    pub(crate) repairs: bool,
}

/// The SSRCs that are known, by signalling or by what packets have said.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    places: BTreeMap<u32, Place>,
    /// The sections that tracks are published in.
    mids: Vec<(String, TrackKey)>,
}

impl Incoming {
    pub(crate) fn place(&self, ssrc: Ssrc) -> Option<Place> {
        self.places.get(&ssrc.0).copied()
    }

    /// `false` if the SSRC carries something already, or there are too many.
    pub(crate) fn bind(&mut self, ssrc: Ssrc, place: Place) -> bool {
        if self.places.len() >= SSRCS_MAX || self.places.contains_key(&ssrc.0) {
            return false;
        }
        self.places.insert(ssrc.0, place);
        true
    }

    pub(crate) fn add_section(&mut self, mid: String, track: TrackKey) {
        self.mids.push((mid, track));
    }

    /// The track of a section; the only one, if the packet does not say.
    pub(crate) fn track_of(&self, mid: Option<&str>) -> Option<TrackKey> {
        let found = mid.and_then(|mid| self.mids.iter().find(|(known, _)| known == mid));
        found.map(|(_, track)| *track)
    }

    pub(crate) fn remove(&mut self, track: TrackKey) {
        self.places.retain(|_, place| place.track != track);
        self.mids.retain(|(_, known)| *known != track);
    }
}
