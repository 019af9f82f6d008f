//! Which pair is used: nomination (RFC 8445 §8, draft-thatcher-ice-renomination), and the choice before it.

use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::check::Purpose;
use crate::checklist::Generation;
use crate::consent::suspect_at;
use crate::pair::{Pair, PairId, PairState};
use crate::stun::NOMINATION_MAX;
use crate::{Event, Mode, Role};

/// A lite agent follows a nomination of lower priority once its pair has been silent this long.
const QUIET: Duration = Duration::from_millis(500);

impl Agent {
    /// Nominates the best valid pair, when it is time to (controlling).
    pub(crate) fn nominate(&mut self, now: Instant) {
        let Some(id) = self.to_nominate(now) else { return };
        if !self.has_room() {
            return;
        }
        // The newest nomination counts: an answer to an older one would only confuse.
        let number = self.current.number;
        self.transactions
            .retain(|it| !(it.generation == number && matches!(it.purpose, Purpose::Check { nominate: Some(_), .. })));
        self.current.nominations = (self.current.nominations + 1).min(NOMINATION_MAX);
        let value = if self.renominates() { self.current.nominations } else { 0 };
        self.current.nominating = Some(id);
        self.start_check(id, Some(value), now);
    }

    fn renominates(&self) -> bool {
        self.config.renomination && self.current.remote.as_ref().is_some_and(|remote| remote.renomination)
    }

    fn to_nominate(&self, now: Instant) -> Option<PairId> {
        if self.role != Role::Controlling || self.config.mode == Mode::Lite {
            return None;
        }
        let generation = &self.current;
        // A pair that waits for an answer too long is not worth a nomination.
        let hopeful = |pair: &&Pair| {
            let answers = suspect_at(pair).is_none_or(|at| now < at);
            pair.valid && (answers || generation.selected == Some(pair.id))
        };
        let candidates = generation.pairs.iter().filter(hopeful);
        let best = candidates.max_by_key(|pair| (!pair.is_shunned(now), pair.priority))?;
        if best.nomination.is_some() || generation.nominating == Some(best.id) {
            return None;
        }
        let settled = generation.pairs.iter().find(|pair| pair.valid && pair.nomination.is_some());
        let under_way = generation.nominating.and_then(|id| generation.pair(id)).is_some_and(|pair| pair.valid);
        // RFC 8445 §8.1.1: one nomination, once. Beyond it go renomination, which the peer has agreed to; lite peers,
        // which can't tell and send only where they were told to; and a pair that is dead.
        if self.renominates() || self.peer_is_lite() {
            return Some(best.id);
        }
        if settled.is_some() || under_way {
            return None;
        }
        (self.nominate_at(best).is_none_or(|at| at <= now)).then_some(best.id)
    }

    /// With one nomination to give, better pairs get a while.
    fn nominate_at(&self, best: &Pair) -> Option<Instant> {
        let better = self.current.pairs.iter().any(|pair| pair.is_pending() && pair.priority > best.priority);
        let first = self.current.first_valid_at?;
        better.then(|| first + self.config.nomination_wait)
    }

    pub(crate) fn nominate_due_at(&self) -> Option<Instant> {
        let generation = &self.current;
        let open = self.role == Role::Controlling && self.config.mode == Mode::Full && generation.nominating.is_none();
        if !open || generation.pairs.iter().any(|pair| pair.nomination.is_some()) {
            return None;
        }
        let best = generation.pairs.iter().filter(|pair| pair.valid).max_by_key(|pair| pair.priority)?;
        self.nominate_at(best)
    }

    /// USE-CANDIDATE came to a lite agent (RFC 8445 §8.2).
    pub(crate) fn nominated_by_peer(&mut self, id: PairId, nomination: u32, now: Instant) {
        let selected =
            self.current.selected_pair().map(|pair| (pair.id, pair.nomination, pair.priority, pair.alive_at()));
        let Some(pair) = self.current.pair_mut(id) else { return };
        pair.state = PairState::Succeeded;
        pair.failure = None;
        pair.valid = true;
        let follows = match selected {
            None => true,
            Some((chosen, _, _, _)) if chosen == id => true,
            Some((_, Some(chosen), _, _)) if nomination != chosen => nomination > chosen,
            // Aggressive peers nominate all pairs, of which the best counts (RFC 5245 §8.1.1.2), unless they have left it.
            Some((_, _, priority, alive_at)) => {
                let quiet = alive_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET);
                pair.priority > priority || quiet
            }
        };
        if follows {
            pair.nomination = Some(nomination);
            self.select(id);
        }
    }

    /// Uses the best pair that there is: nominated before valid before shunned.
    pub(crate) fn choose(&mut self, now: Instant) {
        if self.previous.as_ref().is_some_and(|previous| !previous.has_valid()) {
            self.end_previous();
        }
        if self.current.selected_pair().is_some_and(|pair| !pair.valid) {
            self.current.selected = None;
            self.current.patient_since = Some(now);
        }
        if self.config.mode == Mode::Lite {
            if self.peer_is_lite() {
                self.choose_between_lites(now);
            } else {
                self.fall_back();
            }
            return;
        }
        let Some(best) = best(&self.current, now) else { return };
        if self.current.selected != Some(best) {
            self.select(best);
            let liveness = self.config.liveness;
            if let (Some(liveness), Some(pair)) = (liveness, self.current.pair_mut(best)) {
                pair.next_check_at = pair.next_check_at.map(|at| at.min(now + liveness));
            }
        }
    }

    /// A lite agent whose pair has ended goes on with the one of those that the peer nominated that it was heard on last.
    fn fall_back(&mut self) {
        if self.current.selected.is_some() {
            return;
        }
        let valid = self.current.pairs.iter().filter(|pair| pair.valid);
        if let Some(id) = valid.max_by_key(|pair| pair.alive_at()).map(|pair| pair.id) {
            self.select(id);
        }
    }

    /// RFC 8445 §8.2: neither side checks; the best pair of each family is taken as it is.
    fn choose_between_lites(&mut self, now: Instant) {
        if self.current.selected.is_some() {
            return;
        }
        let open = self.current.pairs.iter_mut().filter(|pair| pair.failure.is_none());
        let Some(pair) = open.max_by_key(|pair| pair.priority) else { return };
        pair.state = PairState::Succeeded;
        pair.valid = true;
        pair.nomination = Some(0);
        pair.heard_at.get_or_insert(now);
        let id = pair.id;
        self.select(id);
    }

    fn select(&mut self, id: PairId) {
        if self.current.selected == Some(id) {
            return;
        }
        self.current.selected = Some(id);
        // RFC 8445 §9: the pair of before goes on until now.
        if self.previous.is_some() {
            self.end_previous();
        }
        if let Some(selected) = self.selected() {
            self.push_event(Event::Selected(selected));
        }
    }
}

fn best(generation: &Generation, now: Instant) -> Option<PairId> {
    let valid = generation.pairs.iter().filter(|pair| pair.valid);
    valid.max_by_key(|pair| (!pair.is_shunned(now), pair.nomination, pair.priority)).map(|pair| pair.id)
}
