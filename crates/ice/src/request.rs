//! The peer's checks (RFC 8445 §7.3).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_wire::FlowId;

use crate::agent::Agent;
use crate::candidate::{LocalId, is_sendable};
use crate::check::{Answer, Body, Outgoing};
use crate::checklist::Generation;
use crate::pair::{Pair, PairId, PairState, Remote, RemoteId};
use crate::stun::Message;
use crate::{CandidateKind, DropReason, Event, Mode, Role, State, TcpType, Transport};

/// A pair not heard for this long may make room for a new address of the peer.
const IDLE: Duration = Duration::from_secs(5);

/// Where a request came in.
struct Path {
    flow: FlowId,
    /// What to answer from.
    local: SocketAddr,
    remote: SocketAddr,
}

impl Agent {
    pub(crate) fn handle_request(
        &mut self,
        request: &Message<'_>,
        flow: FlowId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<(), DropReason> {
        // A candidate that the peer was not told is not used either, should it know the address.
        let candidate = self.local_at(flow, local).filter(|it| self.uses(it)).ok_or(DropReason::UnknownFlow)?;
        let id = candidate.id;
        let stream = self.streams.iter().find(|stream| stream.flow == flow);
        let path = Path { flow, local: stream.map_or(candidate.base, |stream| stream.local_address), remote };
        let number = self.authenticate(request, &path, now)?;
        // RFC 7675 §5.2. Who has failed sends nothing more: a peer that was answered would go on alone.
        if matches!(self.state, State::Failed(_)) {
            return self.answer(request, &path, Some(number), Body::Error(403));
        }
        if self.role_conflict(request) {
            return self.answer(request, &path, Some(number), Body::Error(487));
        }
        let pair = self.pair_of(request, &path, number, id, now);
        let pair = match pair {
            Err(DropReason::NoPriority) => {
                self.answer(request, &path, Some(number), Body::Error(400))?;
                return Err(DropReason::NoPriority);
            }
            pair => pair?,
        };
        // Nor does the peer stay alone on a pair that it nominates, and that this side may not use again.
        let lost = self.generation(number).and_then(|it| it.pair(pair)).is_some_and(Pair::has_lost_consent);
        let forbidden = lost && request.use_candidate && self.role == Role::Controlled;
        let body = if forbidden { Body::Error(403) } else { Body::Success };
        self.answer(request, &path, Some(number), body)?;
        self.note_request(request, number, pair, now);
        Ok(())
    }

    /// RFC 8489 §9.1.3: answers the generation whose credentials it carries.
    fn authenticate(&mut self, request: &Message<'_>, path: &Path, now: Instant) -> Result<u32, DropReason> {
        if request.username.is_none() || !request.has_integrity() {
            self.refuse(request, path, 400, now);
            return Err(DropReason::Unauthenticated);
        }
        let ufrag = request.username_first();
        let Some(generation) = self.generations().find(|it| Some(it.local.ufrag().as_bytes()) == ufrag) else {
            self.refuse(request, path, 401, now);
            return Err(DropReason::Username);
        };
        let number = generation.number;
        if !request.is_signed_with(generation.local.password().as_bytes()) {
            self.refuse(request, path, 401, now);
            return Err(DropReason::Integrity);
        }
        if !request.unknown.is_empty() {
            self.answer(request, path, Some(number), Body::Unknown(request.unknown))?;
            return Err(DropReason::UnknownAttribute);
        }
        Ok(number)
    }

    /// An error response to who has not shown the password: as short as can be, and few.
    fn refuse(&mut self, request: &Message<'_>, path: &Path, code: u16, now: Instant) {
        if now.saturating_duration_since(self.errors_since) >= Duration::from_secs(1) {
            self.errors_since = now;
            self.errors_left = self.config.errors_per_second;
        }
        // Without a fingerprint it may be no STUN at all; with one, 36 bytes answer at least 28.
        if request.has_fingerprint() && self.errors_left > 0 {
            self.errors_left -= 1;
            // Full means that others wait who deserve it more.
            self.answer(request, path, None, Body::Error(code)).ok();
        }
    }

    fn answer(
        &mut self,
        request: &Message<'_>,
        path: &Path,
        signed: Option<u32>,
        body: Body,
    ) -> Result<(), DropReason> {
        let waiting = self.outbox.iter().filter(|outgoing| matches!(outgoing, Outgoing::Answer(_))).count();
        if waiting >= usize::from(self.config.answers_max) {
            return Err(DropReason::AnswersLimit);
        }
        let Path { flow, local, remote } = *path;
        let answer = Answer { flow, local, remote, transaction: request.transaction(), signed, body };
        if self.outbox.capacity() == 0 {
            self.outbox.reserve_exact(1); // what a lite agent needs, and agents may be many
        }
        self.outbox.push_back(Outgoing::Answer(answer));
        Ok(())
    }

    /// The pair of the request, made if need be with a peer-reflexive candidate (RFC 8445 §7.3.1.3, §7.3.1.4).
    fn pair_of(
        &mut self,
        request: &Message<'_>,
        path: &Path,
        number: u32,
        local: LocalId,
        now: Instant,
    ) -> Result<PairId, DropReason> {
        let (role, pairs_max) = (self.role, usize::from(self.config.pairs_max));
        let reflexive_max = usize::from(self.config.peer_reflexive_max);
        let is_current = number == self.current.number;
        let candidate = self.local(local).cloned().ok_or(DropReason::UnknownFlow)?;
        let generation = self.generation_mut(number).expect("it was just authenticated");
        if let Some(pair) = generation.pair_at(path.flow, local, path.remote) {
            return Ok(pair.id);
        }
        if !is_current || !is_sendable(path.remote) {
            // An old generation only goes on; it learns nothing new.
            return Err(DropReason::PeerReflexiveLimit);
        }
        let generation = &mut self.current;
        let transport = if candidate.is_udp() { Transport::Udp } else { Transport::Tcp(TcpType::Active) };
        let like = |it: &&Remote| it.address == path.remote && it.transport == transport;
        let known = generation.remotes.iter().find(like).map(|remote| remote.id);
        let remote = match known {
            Some(remote) => remote,
            None => {
                let priority = request.priority.ok_or(DropReason::NoPriority)?;
                if generation.peer_reflexive_count() >= reflexive_max {
                    let gone = forget_idle(generation, pairs_max, now).ok_or(DropReason::PeerReflexiveLimit)?;
                    self.events.retain(|event| !matches!(event, Event::Heard { remote, .. } if *remote == gone));
                }
                let id = RemoteId(generation.next_id());
                generation.add_remote(Remote {
                    id,
                    address: path.remote,
                    transport,
                    kind: CandidateKind::PeerReflexive,
                    priority,
                    foundation: id.0, // RFC 8445 §7.3.1.3: like no other
                })
            }
        };
        let mut pair = generation
            .new_pair(&candidate, remote, Some(path.flow), path.local, role)
            .expect("its remote candidate is there");
        if pair.failure.is_none() {
            pair.state = PairState::Waiting;
        }
        generation.insert(pair, pairs_max).ok_or(DropReason::PeerReflexiveLimit)
    }

    /// What an authenticated request means for its pair (RFC 8445 §7.3.1.4, §7.3.1.5, §7.3.2).
    fn note_request(&mut self, request: &Message<'_>, number: u32, id: PairId, now: Instant) {
        let lite = self.config.mode == Mode::Lite;
        let controlled = self.role == Role::Controlled;
        let nomination = request.use_candidate.then(|| request.nomination.unwrap_or(0));
        let is_current = number == self.current.number;
        let Some(generation) = self.generation_mut(number) else { return };
        let Some(pair) = generation.pair_mut(id) else { return };
        let first = pair.heard_at.is_none();
        pair.heard_at = pair.heard_at.max(Some(now));
        pair.requests = pair.requests.saturating_add(1);
        let (flow, remote, state, over) = (pair.flow, pair.remote_address, pair.state, pair.has_lost_consent());
        if first && let Some(flow) = flow {
            self.push_event(Event::Heard { flow, remote });
        }
        if !is_current || over {
            return;
        }
        if lite {
            if let Some(nomination) = nomination {
                self.nominated_by_peer(id, nomination, now);
            }
            return;
        }
        if controlled && let Some(nomination) = nomination {
            if state == PairState::Succeeded {
                self.current.nominated(id, nomination, now);
            } else if let Some(pair) = self.current.pair_mut(id) {
                pair.nominate_on_success = pair.nominate_on_success.max(Some(nomination));
            }
        }
        match state {
            PairState::Succeeded => {}
            PairState::InProgress => self.hurry(id, now),
            PairState::Waiting | PairState::Frozen | PairState::Failed => {
                if let Some(pair) = self.current.pair_mut(id) {
                    pair.state = PairState::Waiting;
                }
                self.current.trigger(id);
            }
        }
    }
}

/// Forgets the peer-reflexive candidate that was heard longest ago, if none of its pairs is in use; answers its address.
fn forget_idle(generation: &mut Generation, pairs_max: usize, now: Instant) -> Option<SocketAddr> {
    let in_use = |pair: &Pair| {
        let recent = pair.alive_at().is_some_and(|at| now.saturating_duration_since(at) < IDLE);
        recent || generation.selected == Some(pair.id) || !generation.may_go(pair, pairs_max)
    };
    let idle = |remote: &&Remote| {
        let used = generation.pairs.iter().any(|pair| pair.remote == remote.id && in_use(pair));
        remote.kind == CandidateKind::PeerReflexive && !used
    };
    let last_heard = |remote: &&Remote| {
        generation.pairs.iter().filter(|pair| pair.remote == remote.id).filter_map(Pair::alive_at).max()
    };
    let (gone, address) =
        generation.remotes.iter().filter(idle).min_by_key(last_heard).map(|remote| (remote.id, remote.address))?;
    generation.remove_remotes(|remote| remote.id == gone);
    Some(address)
}
