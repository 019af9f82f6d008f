//! Pairs that work, kept so: consent (RFC 7675), liveness, and what follows when they end.

use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::pair::{Pair, PairId, SHUN};
use crate::{Failed, Failure, Mode, Role, State};

/// RFC 7675 §5.1: consent ends this long after the last answer.
pub(crate) const CONSENT: Duration = Duration::from_secs(30);
/// RFC 7675 §5.1: 5 s, times 0.8 to 1.2.
const CONSENT_LEAST: Duration = Duration::from_secs(4);
const CONSENT_SPREAD_US: u64 = 2_000_000;
/// How often a pair in use is checked once an answer is late, and with it those that could replace it.
const SUSPICION: Duration = Duration::from_millis(100);
/// After this much suspicion the hurry is over.
const SUSPICION_ENDS: Duration = Duration::from_secs(3);
/// A pair in use is left when it has been silent this long after a check, and another answers.
const LEAVE_AFTER: Duration = Duration::from_millis(800);
/// Pairs kept alive beside the one in use.
const SPARES: usize = 3;

impl Agent {
    /// A time until the next consent check, drawn anew for each (RFC 7675 §5.1).
    pub(crate) fn consent_interval(&mut self) -> Duration {
        CONSENT_LEAST + Duration::from_micros(self.entropy.below(CONSENT_SPREAD_US + 1))
    }

    pub(crate) fn tend(&mut self, now: Instant) {
        let previous = self.previous.as_ref().map(|previous| previous.number);
        for number in [Some(self.current.number), previous].into_iter().flatten() {
            if self.config.mode == Mode::Full {
                self.end_consent(number, now, |pair| pair.confirmed_at);
                self.keep(number, now);
                self.suspect(number, now);
                self.leave(number, now);
            } else {
                // A lite agent sends no checks: the peer's, and its media, are what shows that it is there.
                self.end_consent(number, now, Pair::alive_at);
            }
        }
    }

    /// RFC 7675 §5.1: without consent nothing is sent.
    fn end_consent(&mut self, number: u32, now: Instant, alive_at: impl Fn(&Pair) -> Option<Instant>) {
        let Some(generation) = self.generation_mut(number) else { return };
        let over = |pair: &&mut Pair| {
            pair.valid && alive_at(pair).is_none_or(|at| now.saturating_duration_since(at) >= CONSENT)
        };
        let mut ended = Vec::new();
        let mut lost = false;
        for pair in generation.pairs.iter_mut().filter(over) {
            let selected = generation.selected == Some(pair.id);
            // A pair beyond the spares was not asked for consent, and so has not lost it.
            let unused = !selected && pair.unanswered_since.is_none();
            pair.fail(if unused { Failure::Unused } else { Failure::ConsentExpired });
            lost |= selected;
            ended.push(pair.id);
        }
        if lost {
            generation.selected = None;
        }
        let none_left = lost && !generation.has_valid();
        for id in ended {
            self.stop_checks(number, id);
        }
        if none_left {
            self.end_generation(number, Failed::ConsentExpired);
        }
    }

    /// Whatever was to be sent on a pair that has lost consent, is not.
    pub(crate) fn stop_checks(&mut self, number: u32, id: PairId) {
        self.transactions.retain(|it| it.generation != number || it.pair() != Some(id));
        if let Some(generation) = self.generation_mut(number) {
            generation.triggered.retain(|&triggered| triggered != id);
            generation.nominating = generation.nominating.filter(|&nominating| nominating != id);
        }
    }

    /// The last valid pair of a generation is gone.
    pub(crate) fn end_generation(&mut self, number: u32, reason: Failed) {
        if number != self.current.number {
            self.end_previous();
        } else if self.previous.is_none() {
            self.end(State::Failed(reason));
        }
    }

    /// What was before a restart is over.
    pub(crate) fn end_previous(&mut self) {
        self.previous = None;
        self.transactions.retain(|it| it.generation == self.current.number || it.is_gathering());
    }

    /// The pair in use and those that could replace it, best first.
    fn kept(&self, number: u32) -> Vec<PairId> {
        let Some(generation) = self.generation(number) else { return Vec::new() };
        let mut kept: Vec<_> = generation.pairs.iter().filter(|pair| pair.valid).collect();
        // One that is nominated but was left is asked too: when it answers, it is used again.
        let order = |pair: &&Pair| {
            (Some(pair.id) != generation.selected, pair.nomination.is_none(), std::cmp::Reverse(pair.priority))
        };
        kept.sort_by_key(order);
        kept.truncate(1 + SPARES);
        kept.into_iter().map(|pair| pair.id).collect()
    }

    /// Sends the checks that are due.
    fn keep(&mut self, number: u32, now: Instant) {
        let due = |pair: &Pair| pair.valid && pair.next_check_at.is_some_and(|at| at <= now);
        if !self.generation(number).is_some_and(|generation| generation.pairs.iter().any(due)) {
            return;
        }
        let kept = self.kept(number);
        let Some(generation) = self.generation(number) else { return };
        let suspected = generation.selected_pair().filter(|pair| pair.suspected);
        let hurry = suspected
            .and_then(|pair| pair.unanswered_since)
            .is_some_and(|since| now.saturating_duration_since(since) < SUSPICION_ENDS);
        let selected = generation.selected;
        let ids: Vec<_> = generation.pairs.iter().filter(|pair| due(pair)).map(|pair| pair.id).collect();
        for id in ids {
            let mut after = self.consent_interval();
            if hurry && kept.contains(&id) {
                after = SUSPICION;
            } else if selected == Some(id) {
                after = self.config.liveness.map_or(after, |liveness| liveness.min(after));
            }
            if kept.contains(&id) {
                self.start_keep(number, id, now);
            }
            if let Some(pair) = self.generation_mut(number).and_then(|it| it.pair_mut(id)) {
                pair.next_check_at = Some(now + after);
            }
        }
    }

    /// An answer of the pair in use is late: look closer, and see who could replace it.
    fn suspect(&mut self, number: u32, now: Instant) {
        let Some(generation) = self.generation_mut(number) else { return };
        let Some(pair) = generation.selected_pair() else { return };
        if pair.suspected || suspect_at(pair).is_none_or(|at| now < at) {
            return;
        }
        let id = pair.id;
        let kept = self.kept(number);
        for id in kept {
            self.start_keep(number, id, now);
            if let Some(pair) = self.generation_mut(number).and_then(|it| it.pair_mut(id)) {
                pair.next_check_at = Some(now + SUSPICION);
            }
        }
        if let Some(pair) = self.generation_mut(number).and_then(|it| it.pair_mut(id)) {
            pair.suspected = true;
        }
    }

    /// Leaves the pair in use if it stays silent while another answers.
    fn leave(&mut self, number: u32, now: Instant) {
        let controlling = self.role == Role::Controlling;
        let Some(generation) = self.generation_mut(number) else { return };
        let Some(pair) = generation.selected_pair() else { return };
        let (Some(since), true) = (pair.unanswered_since, leave_at(pair).is_some_and(|at| at <= now)) else { return };
        let id = pair.id;
        let answers = |it: &Pair| it.id != id && it.valid && it.confirmed_at.is_some_and(|at| at > since);
        if !generation.pairs.iter().any(answers) {
            return;
        }
        if let Some(pair) = generation.pair_mut(id) {
            pair.shunned_until = Some(now + SHUN);
            // What the peer has nominated stays so: if it did not leave the pair too, this agent comes back.
            if controlling {
                pair.nomination = None;
            }
        }
        if generation.nominating == Some(id) {
            generation.nominating = None;
        }
    }

    pub(crate) fn tend_due_at(&self) -> Option<Instant> {
        let lite = self.config.mode == Mode::Lite;
        let of_pair = |pair: &Pair| {
            let alive_at = if lite { pair.alive_at() } else { pair.confirmed_at };
            [alive_at.map(|at| at + CONSENT), pair.next_check_at].into_iter().flatten().min()
        };
        let pairs = self.generations().flat_map(|it| it.pairs.iter()).filter(|pair| pair.valid).filter_map(of_pair);
        let suspicion = self.generations().filter_map(|it| it.selected_pair()).filter_map(|pair| {
            // Once suspected, the checks that follow at short intervals look at the rest.
            if pair.suspected { None } else { suspect_at(pair) }
        });
        pairs.chain(suspicion).min()
    }

    /// The state follows from the pair in use; without one, patience decides (RFC 8863 §4).
    pub(crate) fn judge(&mut self, now: Instant) {
        if matches!(self.state, State::Closed | State::Failed(_)) {
            return;
        }
        if let Some((generation, pair)) = self.selected_pair() {
            let silent =
                pair.alive_at().is_none_or(|at| now.saturating_duration_since(at) >= self.config.disconnected_after);
            let settled = pair.nomination.is_some() && generation.nominating.is_none();
            self.set_state(match (silent, settled) {
                (true, _) => State::Disconnected,
                (false, true) => State::Completed,
                (false, false) => State::Connected,
            });
            return;
        }
        if self.patience_ends_at().is_some_and(|at| at <= now) && !self.has_pending() {
            let failure = self.current.pairs.iter().rev().find_map(|pair| pair.failure);
            let reason = match failure {
                Some(Failure::ConsentExpired) => Failed::ConsentExpired,
                Some(Failure::ConsentRevoked) => Failed::ConsentRevoked,
                Some(Failure::FlowClosed) => Failed::FlowClosed,
                _ => Failed::NoPair,
            };
            self.end(State::Failed(reason));
        } else {
            self.set_state(if self.current.remote.is_some() { State::Checking } else { State::New });
        }
    }

    /// Whether a check is still to be made or answered.
    fn has_pending(&self) -> bool {
        let checks = self.config.mode == Mode::Full && self.current.remote.is_some();
        checks && self.current.pairs.iter().any(Pair::is_pending)
    }

    /// RFC 8863 §4. Without end-of-candidates (RFC 8838 §13), patience begins again with each candidate.
    pub(crate) fn patience_ends_at(&self) -> Option<Instant> {
        self.current.patient_since.map(|since| since + self.config.patience)
    }

    pub(crate) fn judge_due_at(&self) -> Option<Instant> {
        if matches!(self.state, State::Failed(_)) {
            return None;
        }
        match self.selected_pair() {
            Some((_, pair)) if self.state != State::Disconnected => {
                pair.alive_at().map(|at| at + self.config.disconnected_after)
            }
            Some(_) => None,
            // Pairs under way when patience ends have timers of their own.
            None if self.has_pending() => None,
            None => self.patience_ends_at(),
        }
    }
}

/// When an unanswered check becomes suspicious: after two round trips, within reason.
pub(crate) fn suspect_at(pair: &Pair) -> Option<Instant> {
    let rtt = pair.rtt.unwrap_or_default();
    let grace = (2 * rtt).clamp(Duration::from_millis(100), Duration::from_millis(400)).max(rtt + rtt / 4);
    pair.unanswered_since.map(|since| since + grace)
}

fn leave_at(pair: &Pair) -> Option<Instant> {
    pair.unanswered_since.map(|since| since + LEAVE_AFTER.max(2 * pair.rtt.unwrap_or_default()))
}
