//! Answers to our requests (RFC 8445 §7.2.5).

use std::net::SocketAddr;
use std::time::Instant;

use plenary_stun::Class;
use plenary_wire::FlowId;

use crate::agent::Agent;
use crate::check::{Purpose, Transaction};
use crate::pair::{PairId, PairState};
use crate::stun::Message;
use crate::{DropReason, Failed, Failure};

impl Agent {
    pub(crate) fn handle_response(
        &mut self,
        response: &Message<'_>,
        flow: FlowId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<(), DropReason> {
        let ours = |it: &Transaction| it.id == response.transaction() && it.flow == flow && it.sends > 0;
        let index = self.transactions.iter().position(ours).ok_or(DropReason::UnknownTransaction)?;
        let transaction = &self.transactions[index];
        let (pair, nominate) = match transaction.purpose {
            Purpose::Gather { local } => return self.handle_gathered(index, local, response, remote, now),
            Purpose::Connect { .. } => return Err(DropReason::UnknownTransaction),
            Purpose::Check { pair, nominate } => (pair, nominate),
            Purpose::Keep { pair } => (pair, None),
        };
        let generation = self.generation(transaction.generation).ok_or(DropReason::UnknownTransaction)?;
        let remote_parameters = generation.remote.as_ref().ok_or(DropReason::UnknownTransaction)?;
        // RFC 8489 §9.1.4: what is not signed is as if it had not come; the check goes on.
        if !response.is_signed_with(remote_parameters.credentials.password().as_bytes()) {
            return Err(DropReason::Integrity);
        }
        if !response.unknown.is_empty() || (response.class() == Class::Success && response.mapped.is_none()) {
            return Err(DropReason::BadResponse);
        }
        let keep = matches!(transaction.purpose, Purpose::Keep { .. });
        let transaction = self.transactions.remove(index);
        // RFC 8445 §7.2.5.2.1: the way back must be the way there.
        let same_local = local.ip().is_unspecified() || local == transaction.local || transaction.reliable;
        if remote != transaction.remote || !same_local {
            self.check_failed(&transaction, pair, Failure::AsymmetricPath);
            return Ok(());
        }
        match response.error_code {
            None if response.class() == Class::Success => {
                self.check_succeeded(&transaction, pair, nominate, response, now)
            }
            Some(487) => self.repair_role(&transaction, pair),
            Some(403) => self.consent_revoked(&transaction, pair),
            code if !keep => self.check_failed(&transaction, pair, Failure::Error(code.unwrap_or_default())),
            _ => {}
        }
        Ok(())
    }

    /// RFC 8445 §7.2.5.3.
    fn check_succeeded(
        &mut self,
        transaction: &Transaction,
        id: PairId,
        nominate: Option<u32>,
        response: &Message<'_>,
        now: Instant,
    ) {
        let number = transaction.generation;
        let consent = self.consent_interval();
        let Some(generation) = self.generation_mut(number) else { return };
        let Some(pair) = generation.pair_mut(id) else { return };
        let keep = matches!(transaction.purpose, Purpose::Keep { .. });
        if pair.has_lost_consent() || (keep && !pair.valid) {
            return; // too late
        }
        pair.responses = pair.responses.saturating_add(1);
        pair.confirmed_at = Some(now);
        pair.unanswered_since = None;
        pair.suspected = false;
        // Of a request that was sent twice, nobody knows which copy was answered: from the first is the upper bound.
        let taken = now.saturating_duration_since(transaction.started_at);
        if transaction.sends == 1 || pair.rtt.is_none_or(|rtt| taken < rtt) {
            pair.rtt = Some(taken);
        }
        pair.mapped = response.mapped;
        let fresh = !pair.valid;
        pair.state = PairState::Succeeded;
        pair.failure = None;
        pair.valid = true;
        if fresh {
            pair.next_check_at = Some(now + consent);
        }
        let by_peer = pair.nominate_on_success.take();
        pair.nomination = pair.nomination.max(nominate);
        let foundation = pair.foundation;
        generation.first_valid_at.get_or_insert(now);
        generation.triggered.retain(|&it| it != id);
        if let Some(by_peer) = by_peer {
            generation.nominated(id, by_peer, now);
        }
        if nominate.is_some() {
            if generation.nominating == Some(id) {
                generation.nominating = None;
            }
            // One pair is nominated at a time: the newest of ours.
            for other in generation.pairs.iter_mut().filter(|other| other.id != id) {
                other.nomination = None;
            }
        }
        generation.thaw_foundation(foundation);
        self.forget_checks(number, id);
    }

    /// RFC 8445 §7.2.5.1: the role to take is the opposite of what the refused request said. If it was taken already,
    /// the answer is stale and only the check is repeated.
    fn repair_role(&mut self, transaction: &Transaction, id: PairId) {
        if transaction.role == self.role && !self.peer_is_lite() {
            self.switch_role();
            self.tie_breaker = self.entropy.number();
        }
        if transaction.generation != self.current.number {
            return;
        }
        // A nomination is a check of its own, and is made anew.
        self.current.nominating = self.current.nominating.filter(|&nominating| nominating != id);
        if let Some(pair) = self.current.pair_mut(id)
            && pair.state != PairState::Succeeded
        {
            pair.state = PairState::Waiting;
        }
        self.current.trigger(id);
    }

    /// RFC 7675 §5.2: sending on the pair stops at once.
    fn consent_revoked(&mut self, transaction: &Transaction, id: PairId) {
        let Some(generation) = self.generation_mut(transaction.generation) else { return };
        let was_selected = generation.selected == Some(id);
        if let Some(pair) = generation.pair_mut(id) {
            pair.fail(Failure::ConsentRevoked);
        }
        if was_selected {
            generation.selected = None;
        }
        let none_left = was_selected && !generation.has_valid();
        self.stop_checks(transaction.generation, id);
        if none_left {
            self.end_generation(transaction.generation, Failed::ConsentRevoked);
        }
    }
}
