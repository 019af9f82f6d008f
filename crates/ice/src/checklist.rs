//! One generation of an agent's life (RFC 8445 §9): credentials, remote candidates, and the checklist of pairs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_wire::FlowId;

use crate::candidate::{Local, LocalId, can_pair};
use crate::pair::{Pair, PairId, PairState, Remote, RemoteId, pair_priority};
use crate::{Candidate, CandidateKind, Credentials, Failure, Parameters, Role, TcpType, Transport};

/// How many checks start before one between relays does. At the least pacing that is after 15 ms; and with one address of
/// each family and a NAT, the direct pairs that are likely to work have begun.
const EARLY: usize = 3;

/// A nomination that the peer does not repeat for as long, while it does another's, is over. Longer than browsers wait
/// between two checks of the pair that they use (2.5 s).
const NOMINATION_LASTS: Duration = Duration::from_secs(3);

/// A signalled candidate whose name is being resolved.
#[derive(Clone, Debug)]
pub(crate) struct Unresolved {
    pub(crate) request: u32,
    pub(crate) candidate: Candidate,
}

/// A path on which consent was lost, how, and when it was given last.
#[derive(Debug)]
struct Lost {
    flow: FlowId,
    local: SocketAddr,
    remote: SocketAddr,
    failure: Failure,
    confirmed_at: Option<Instant>,
}

impl Lost {
    fn is_at(&self, flow: Option<FlowId>, local: SocketAddr, remote: SocketAddr) -> bool {
        Some(self.flow) == flow && self.local == local && self.remote == remote
    }
}

#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    pub(crate) local: Credentials,
    pub(crate) remote: Option<Parameters>,
    pub(crate) remotes: Vec<Remote>,
    /// What the lines of candidates said whose they are, while the peer's credentials are not known.
    pub(crate) early: Vec<(RemoteId, Box<str>)>,
    pub(crate) unresolved: Vec<Unresolved>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) triggered: VecDeque<PairId>,
    pub(crate) selected: Option<PairId>,
    /// The pair that we asked the peer to use, while its answer is on the way.
    pub(crate) nominating: Option<PairId>,
    pub(crate) nominations: u32,
    pub(crate) first_valid_at: Option<Instant>,
    /// When checks could begin, or the last candidate came after that: patience counts from here.
    pub(crate) patient_since: Option<Instant>,
    pub(crate) remote_complete: bool,
    /// The peer's ufrag before the restart, hashed.
    pub(crate) remote_before: Option<u32>,
    /// Candidates left out because `pairs_max` was reached.
    pub(crate) pairs_left_out: u32,
    /// Where consent was lost, of pairs that had to go: the path is not taken again (RFC 7675 §5.1). About
    /// as many as `pairs_max`, then such pairs stay.
    lost: Box<[Lost]>,
    next_id: u32,
}

impl Generation {
    pub(crate) fn new(number: u32, local: Credentials) -> Self {
        Self {
            number,
            local,
            remote: None,
            remotes: Vec::new(),
            early: Vec::new(),
            unresolved: Vec::new(),
            pairs: Vec::new(),
            triggered: VecDeque::new(),
            selected: None,
            nominating: None,
            nominations: 0,
            first_valid_at: None,
            patient_since: None,
            remote_complete: false,
            remote_before: None,
            pairs_left_out: 0,
            lost: Box::default(),
            next_id: 0,
        }
    }

    pub(crate) fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    pub(crate) fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub(crate) fn selected_pair(&self) -> Option<&Pair> {
        self.selected.and_then(|id| self.pair(id))
    }

    pub(crate) fn remote_of(&self, pair: &Pair) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.id == pair.remote)
    }

    /// The pair of a datagram. Of several local addresses on a flow, the one that it came to.
    pub(crate) fn pair_at(&mut self, flow: FlowId, local: LocalId, remote: SocketAddr) -> Option<&mut Pair> {
        self.pairs
            .iter_mut()
            .find(|pair| pair.flow == Some(flow) && pair.remote_address == remote && pair.local == local)
    }

    pub(crate) const fn next_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    pub(crate) fn has_valid(&self) -> bool {
        self.pairs.iter().any(|pair| pair.valid)
    }

    pub(crate) fn peer_reflexive_count(&self) -> usize {
        self.remotes.iter().filter(|remote| remote.kind == CandidateKind::PeerReflexive).count()
    }

    /// The controlling peer has nominated a pair that works. Without renomination, of several the best counts (RFC 8445
    /// §8.1.1); but those that were left, and those that it names no more while it repeats this one, it has given up.
    pub(crate) fn nominated(&mut self, id: PairId, nomination: u32, now: Instant) {
        let Some(pair) = self.pair_mut(id) else { return };
        if pair.nomination.is_some_and(|known| known > nomination) {
            return;
        }
        let again = pair.nomination == Some(nomination);
        (pair.nomination, pair.nominated_at) = (Some(nomination), Some(now));
        let given_up = |it: &&mut Pair| {
            let old = it.nominated_at.is_none_or(|at| now.saturating_duration_since(at) >= NOMINATION_LASTS);
            it.id != id && it.nomination <= Some(nomination) && (it.is_shunned(now) || (again && old))
        };
        self.pairs.iter_mut().filter(given_up).for_each(|pair| pair.nomination = None);
    }

    pub(crate) fn trigger(&mut self, id: PairId) {
        if !self.triggered.contains(&id) {
            self.triggered.push_back(id);
        }
    }

    /// Adds a remote candidate without pairing it. It is stored without room to spare: they are few, and agents may be
    /// many.
    pub(crate) fn add_remote(&mut self, remote: Remote) -> RemoteId {
        let id = remote.id;
        self.remotes.reserve_exact(1);
        self.remotes.push(remote);
        id
    }

    /// Makes the pair if it makes sense and is not there yet (RFC 8445 §6.1.2.2, §6.1.2.4).
    pub(crate) fn add_pair(&mut self, local: &Local, remote: RemoteId, role: Role, pairs_max: usize) -> Option<PairId> {
        let remote = self.remotes.iter().find(|it| it.id == remote)?;
        let (address, kind) = (remote.address, remote.transport);
        let fits = match (local.transport, kind) {
            (Transport::Udp, Transport::Udp) => true,
            // RFC 6544 §6.2: the active side connects; pairs of the passive side come with the stream.
            (Transport::Tcp(TcpType::Active), Transport::Tcp(TcpType::Passive)) => true,
            _ => false,
        };
        if !fits || !local.is_base() || !can_pair(local.base, address) {
            return None;
        }
        let flow = local.is_udp().then_some(local.flow);
        let pair = self.new_pair(local, remote.id, flow, local.base, role)?;
        let known =
            |it: &Pair| it.local == local.id && it.remote_address == address && it.flow.is_none() == flow.is_none();
        if self.pairs.iter().any(known) {
            return None;
        }
        self.insert(pair, pairs_max)
    }

    pub(crate) fn new_pair(
        &mut self,
        local: &Local,
        remote: RemoteId,
        flow: Option<FlowId>,
        base: SocketAddr,
        role: Role,
    ) -> Option<Pair> {
        let id = PairId(self.next_id());
        let remote = self.remotes.iter().find(|it| it.id == remote)?;
        let lost = self.lost.iter().find(|it| it.is_at(flow, base, remote.address));
        Some(Pair {
            id,
            local: local.id,
            remote: remote.id,
            flow,
            local_address: base,
            remote_address: remote.address,
            priority: pair_priority(role, local.priority, remote.priority),
            foundation: local.foundation_hash().wrapping_mul(31) ^ u64::from(remote.foundation),
            relays: relays(local, remote),
            state: if lost.is_some() { PairState::Failed } else { PairState::Frozen },
            failure: lost.map(|lost| lost.failure),
            valid: false,
            mapped: None,
            nomination: None,
            nominated_at: None,
            nominate_on_success: None,
            started_at: None,
            heard_at: None,
            confirmed_at: lost.and_then(|lost| lost.confirmed_at),
            next_check_at: None,
            unanswered_since: None,
            suspected: false,
            shunned_until: None,
            rtt: None,
            checks_sent: 0,
            responses: 0,
            requests: 0,
        })
    }

    /// Keeps to the limit: where the table is full, the worst pair goes, or this one (RFC 8445 §6.1.2.5).
    pub(crate) fn insert(&mut self, pair: Pair, pairs_max: usize) -> Option<PairId> {
        if self.pairs.len() >= pairs_max {
            self.pairs_left_out = self.pairs_left_out.saturating_add(1);
            let worst = self.worst(&pair, pairs_max)?;
            self.remove_pairs(&[worst]);
        }
        let id = pair.id;
        let others = |it: &Lost| !it.is_at(pair.flow, pair.local_address, pair.remote_address);
        self.lost = std::mem::take(&mut self.lost).into_iter().filter(others).collect();
        if self.pairs.is_empty() {
            self.pairs.reserve_exact(1);
        }
        self.pairs.push(pair);
        self.thaw();
        Some(id)
    }

    /// The pair that makes room for another: one that has failed, or else one of lower priority that has not begun. But
    /// one pair between relays has its place, as it works where nothing else does.
    fn worst(&self, other: &Pair, pairs_max: usize) -> Option<PairId> {
        let relayed = self.pairs.iter().filter(|it| it.relays > 0 && it.state != PairState::Failed);
        let relayed = relayed.max_by_key(|it| (it.relays, it.priority));
        let more_relayed = other.relays > relayed.map_or(0, |it| it.relays);
        let goes = |it: &&Pair| {
            let lower = it.priority < other.priority && relayed.is_none_or(|relayed| relayed.id != it.id);
            let failed = it.state == PairState::Failed && !it.valid && self.may_go(it, pairs_max);
            failed || (it.is_waiting() && !it.valid && (lower || more_relayed))
        };
        let worst = self.pairs.iter().filter(goes).min_by_key(|it| (it.state != PairState::Failed, it.priority));
        worst.map(|it| it.id)
    }

    /// RFC 8445 §6.1.2.6 and §6.1.4.2: the best of each foundation of which none is under way becomes Waiting.
    pub(crate) fn thaw(&mut self) {
        for index in 0..self.pairs.len() {
            let Pair { state, foundation, priority, .. } = self.pairs[index];
            if state != PairState::Frozen {
                continue;
            }
            let blocked = self.pairs.iter().any(|it| {
                it.foundation == foundation
                    && match it.state {
                        PairState::Waiting | PairState::InProgress => true,
                        PairState::Frozen => it.priority > priority,
                        PairState::Succeeded | PairState::Failed => false,
                    }
            });
            if !blocked {
                self.pairs[index].state = PairState::Waiting;
            }
        }
    }

    /// RFC 8445 §7.2.5.3.3: what shares the foundation of a success is likely to succeed.
    pub(crate) fn thaw_foundation(&mut self, foundation: u64) {
        for pair in &mut self.pairs {
            if pair.foundation == foundation && pair.state == PairState::Frozen {
                pair.state = PairState::Waiting;
            }
        }
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.pairs.iter().any(Pair::is_waiting)
    }

    /// The next pair to check: RFC 8445 §6.1.4.2, but that frozen pairs only come last. With one component, to wait for
    /// the answer of another pair would save a few packets and cost all the time that a dead one takes to fail.
    pub(crate) fn next_waiting(&self) -> Option<PairId> {
        let order = |pair: &&Pair| (pair.state == PairState::Waiting, pair.priority);
        let next = || self.pairs.iter().filter(|pair| pair.is_waiting()).max_by_key(order).map(|pair| pair.id);
        self.early_relayed().or_else(next)
    }

    /// After the first few checks one goes between two relays, or else by one: what works where nothing else does would
    /// have to wait for all the rest, and that may be long.
    fn early_relayed(&self) -> Option<PairId> {
        let started = self.pairs.iter().filter(|pair| pair.started_at.is_some());
        if started.clone().count() < EARLY {
            return None;
        }
        let tried = started.map(|pair| pair.relays).max().unwrap_or_default();
        let waiting = self.pairs.iter().filter(|pair| pair.is_waiting());
        let best = waiting.max_by_key(|pair| (pair.relays, pair.priority))?;
        (best.relays > tried).then_some(best.id)
    }

    /// After a change of role or of a candidate's priority.
    pub(crate) fn reprioritize(&mut self, locals: &[Local], role: Role) {
        for pair in &mut self.pairs {
            let local = locals.iter().find(|local| local.id == pair.local);
            let remote = self.remotes.iter().find(|remote| remote.id == pair.remote);
            if let (Some(local), Some(remote)) = (local, remote) {
                pair.priority = pair_priority(role, local.priority, remote.priority);
                pair.relays = relays(local, remote);
            }
        }
    }

    /// Forgets candidates for which `gone` is true, with their pairs.
    pub(crate) fn remove_remotes(&mut self, gone: impl Fn(&Remote) -> bool) {
        let mut pairs = Vec::new();
        self.remotes.retain(|remote| {
            let stays = !gone(remote);
            if !stays {
                pairs.extend(self.pairs.iter().filter(|pair| pair.remote == remote.id).map(|pair| pair.id));
            }
            stays
        });
        self.remove_pairs(&pairs);
    }

    /// Whether a pair can be forgotten: what it tells of lost consent can't, while there is no place for it.
    pub(crate) fn may_go(&self, pair: &Pair, pairs_max: usize) -> bool {
        !pair.has_lost_consent() || self.lost.len() < pairs_max
    }

    fn remove_pairs(&mut self, gone: &[PairId]) {
        let lost = |pair: &Pair| {
            let lost = gone.contains(&pair.id) && pair.has_lost_consent();
            lost.then_some(Lost {
                flow: pair.flow?,
                local: pair.local_address,
                remote: pair.remote_address,
                failure: pair.failure?,
                confirmed_at: pair.confirmed_at,
            })
        };
        let before = std::mem::take(&mut self.lost);
        self.lost = before.into_iter().chain(self.pairs.iter().filter_map(lost)).collect();
        self.pairs.retain(|pair| !gone.contains(&pair.id));
        self.triggered.retain(|id| !gone.contains(id));
        self.selected = self.selected.filter(|id| !gone.contains(id));
        self.nominating = self.nominating.filter(|id| !gone.contains(id));
    }

    /// What stays of it when a newer one begins: the pair in use.
    pub(crate) fn shrink(&mut self) {
        self.pairs.retain(|pair| Some(pair.id) == self.selected);
        self.remotes.retain(|remote| self.pairs.iter().any(|pair| pair.remote == remote.id));
        self.unresolved.clear();
        self.triggered.clear();
        self.nominating = None;
    }
}

fn relays(local: &Local, remote: &Remote) -> u8 {
    [local.kind, remote.kind].into_iter().map(|kind| u8::from(kind == CandidateKind::Relayed)).sum()
}

/// FNV-1a: foundations need to differ, not to be secret.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
