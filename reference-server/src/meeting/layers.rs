//! Which layers of a track are sent, as all are told.

use std::time::{Duration, Instant};

use plenary_sfu_core::Sfu;

use super::Meetings;

/// How often the engine is asked. A layer counts as sent for a second after its last packet, so that oftener helps little.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

impl Meetings {
    /// From here on it is looked how the layers are ranked.
    pub(super) fn watch_layers(&mut self, now: Instant) {
        self.looks_at.get_or_insert(now + LOOK_INTERVAL);
    }

    /// Tells all whose tracks have other layers than before, or in another order.
    pub(super) fn look_at_layers(&mut self, sfu: &Sfu, now: Instant) {
        if self.looks_at.is_none_or(|at| now < at) {
            return;
        }
        self.looks_at = None;
        let mut changed = Vec::new();
        for (client, participant) in &mut self.participants {
            for section in participant.sections.values_mut().filter(|section| section.layers > 1) {
                let Some(track) = section.track else { continue };
                self.looks_at = Some(now + LOOK_INTERVAL);
                let Ok(ranking) = sfu.ranked_layers(track, now) else { continue };
                if ranking != section.ranking {
                    section.ranking = ranking;
                    changed.push(*client);
                }
            }
        }
        changed.dedup();
        changed.into_iter().for_each(|client| self.tell_of(client, now));
    }
}
