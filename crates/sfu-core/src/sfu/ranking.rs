//! Which layers a track has, the lowest first.

use std::time::Instant;

use super::Sfu;
use crate::{Error, TrackId};

impl Sfu {
    /// The layers of a track that are sent at present, the lowest first: numbers for
    /// [`select_layer`](Self::select_layer). One of which nothing came for a second is not among them.
    ///
    /// They are ranked by the sizes that dependency descriptors, else layers allocations, else key frames tell; where
    /// those are alike or unknown, by the rates of the allocations, else by what came in the last second. RIDs and their
    /// order say nothing. It changes as packets come in and as time passes.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrack`].
    pub fn ranked_layers(&self, track: TrackId, now: Instant) -> Result<Vec<u8>, Error> {
        self.tracks.get(track.0).map(|track| track.ranked_layers(now)).ok_or(Error::NoTrack)
    }
}
