//! What the caller brings: local candidates, the peer's parameters and candidates, and answers to events.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::agent::Agent;
use crate::candidate::{Local, LocalId, canonical, is_offered, is_sendable, priority};
use crate::checklist::{Unresolved, hash};
use crate::pair::{Remote, RemoteId};
use crate::{
    Address, Candidate, CandidateKind, Error, Event, LocalCandidate, Mode, Parameters, Request, Role, State, Taken,
    TcpType, Transport,
};

/// What a peer's parameters meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// They are the first of this generation.
    First,
    /// The credentials are known. After a restart of our own, those from before it change nothing.
    Same,
    /// The peer has restarted, and so has this agent: it has new credentials itself, for the answer.
    Restarted,
}

impl Agent {
    /// Adds a socket or a relayed address. The line for the peer comes as [`Event::Candidate`].
    ///
    /// # Errors
    ///
    /// [`Error`] says what is wrong with it, or which limit is reached.
    pub fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant) -> Result<(), Error> {
        let local = self.local_from(candidate)?;
        self.locals.reserve_exact(1);
        self.locals.push(local.clone());
        self.announce(self.locals.len() - 1);
        self.gather_from(&local);
        if self.uses(&local) {
            let (role, pairs_max) = (self.role, usize::from(self.config.pairs_max));
            let remotes: Vec<_> = self.current.remotes.iter().map(|remote| remote.id).collect();
            for remote in remotes {
                self.pair_up(&local, remote, role, pairs_max);
            }
        }
        self.run(now);
        Ok(())
    }

    fn local_from(&mut self, candidate: LocalCandidate) -> Result<Local, Error> {
        let LocalCandidate { flow, transport, kind, address, base, preference, network } = candidate;
        if self.state == State::Closed {
            return Err(Error::Closed);
        }
        if self.config.mode == Mode::Lite && kind != CandidateKind::Host {
            return Err(Error::LiteHostsOnly);
        }
        if self.locals.len() >= usize::from(self.config.local_candidates_max) {
            return Err(Error::LocalCandidates);
        }
        let mut address = canonical(address);
        if matches!(transport, Transport::Tcp(TcpType::Active)) {
            address.set_port(9); // RFC 6544 §4.5: discard
        }
        let base = canonical(base.unwrap_or(address));
        if !is_offered(address) || !is_offered(base) {
            return Err(Error::Address);
        }
        if self.locals.iter().any(|it| (it.transport, it.address, it.base) == (transport, address, base)) {
            return Err(Error::Duplicate);
        }
        let preference = preference.unwrap_or_else(|| self.next_preference(kind, transport, base));
        let priority = priority(kind, transport, preference);
        let id = self.next_local_id();
        Ok(Local { id, flow, transport, kind, address, base, preference, priority, network, server: None })
    }

    /// RFC 8421 §4: the families take turns, IPv6 first. Each address has its own preference, for its candidates of
    /// different types; of one type, each candidate has its own (RFC 8445 §5.1.2.1). Relayed addresses take turns among
    /// themselves, or the sockets that there are would decide on the better of two relays.
    pub(crate) fn next_preference(&self, kind: CandidateKind, transport: Transport, base: SocketAddr) -> u16 {
        let is_relayed = |kind| kind == CandidateKind::Relayed;
        let known = self.locals.iter().filter(|it| it.base.ip() == base.ip());
        let top = (false, u16::MAX - u16::from(base.is_ipv4()));
        let (_, first) = known.map(|it| (it.base == base, it.preference)).max().unwrap_or(top);
        let free = |preference: &u16| {
            let taken = |it: &Local| {
                let other = it.base.ip() != base.ip() || (it.kind, it.transport) == (kind, transport);
                it.preference == *preference && other && is_relayed(it.kind) == is_relayed(kind)
            };
            !self.locals.iter().any(taken)
        };
        (0..=first).rev().step_by(2).chain((0..=u16::MAX).rev()).find(free).unwrap_or_default()
    }

    /// Never one of before: pairs of a candidate that is gone are still explained.
    pub(crate) const fn next_local_id(&mut self) -> LocalId {
        self.locals_made = self.locals_made.wrapping_add(1);
        LocalId(self.locals_made)
    }

    /// Tells the caller of a local candidate, if the peer may know it.
    pub(crate) fn announce(&mut self, index: usize) {
        let local = &self.locals[index];
        if self.uses(local) {
            let candidate = local.to_candidate(self.current.local.ufrag(), self.current.number);
            self.push_event(Event::Candidate(candidate));
        }
    }

    /// The candidates for the peer, as they are now.
    pub fn local_candidates(&self) -> Vec<Candidate> {
        let known = self.locals.iter().filter(|local| self.uses(local));
        known.map(|local| local.to_candidate(self.current.local.ufrag(), self.current.number)).collect()
    }

    /// Takes the peer's credentials and options. New credentials after those known mean that the peer restarts: this
    /// agent then restarts too, unless it already has.
    pub fn set_remote_parameters(&mut self, parameters: Parameters, now: Instant) -> Change {
        let before = self.current.remote_before;
        let change = match &self.current.remote {
            // RFC 8445 §9: the answer to a restart has new credentials; these are an echo from before it.
            None if before == Some(hash(parameters.credentials.ufrag())) => return Change::Same,
            None => Change::First,
            Some(known) if known.credentials == parameters.credentials => Change::Same,
            Some(_) => Change::Restarted,
        };
        if change == Change::Restarted {
            self.restart(now);
        }
        // RFC 8445 §6.1.1: a full agent beside a lite one controls.
        match (self.config.mode, parameters.lite) {
            (Mode::Full, true) => self.set_role(Role::Controlling),
            (Mode::Lite, true) => self.set_role(self.config.role),
            (Mode::Lite, false) => self.set_role(Role::Controlled),
            (Mode::Full, false) => {}
        }
        let ufrag = parameters.credentials.ufrag();
        let mut early = std::mem::take(&mut self.current.early);
        early.retain(|(_, it)| **it != *ufrag);
        self.current.remove_remotes(|remote| early.iter().any(|(id, _)| *id == remote.id));
        self.current.unresolved.retain(|it| it.candidate.ufrag().is_none_or(|it| it == ufrag));
        self.current.remote = Some(parameters);
        self.current.patient_since.get_or_insert(now);
        self.run(now);
        change
    }

    /// Sets the role, where signalling has settled it anew. It is repaired by the checks if both sides take the same.
    pub fn set_role_to(&mut self, role: Role, now: Instant) {
        if self.config.mode == Mode::Full && !self.peer_is_lite() {
            self.set_role(role);
            self.run(now);
        }
    }

    /// Takes a candidate that the peer signalled, before or after its parameters.
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) -> Taken {
        if matches!(self.state, State::Closed | State::Failed(_)) {
            return Taken::Ended;
        }
        let current = self.current.remote.as_ref().map(|remote| remote.credentials.ufrag());
        if let (Some(current), Some(ufrag)) = (current, candidate.ufrag())
            && current != ufrag
        {
            return Taken::OtherGeneration;
        }
        // RFC 8838 §14: what comes after the end is ignored.
        if self.current.remote_complete {
            return Taken::Ended;
        }
        if candidate.component != 1 || matches!(candidate.transport, Transport::Tcp(TcpType::SimultaneousOpen)) {
            return Taken::Unsupported;
        }
        let taken = match candidate.address.clone() {
            Address::Ip(address) => self.take_remote(&candidate, canonical(address)),
            Address::Name(name, port) => self.ask_for(candidate, name, port),
        };
        if matches!(taken, Taken::Added) {
            self.note_progress(now);
        }
        self.run(now);
        taken
    }

    /// The peer has no more candidates in this generation (RFC 8838 §14): those that still come are refused, and patience
    /// need not begin again.
    pub fn end_remote_candidates(&mut self, now: Instant) {
        self.current.remote_complete = true;
        self.run(now);
    }

    fn note_progress(&mut self, now: Instant) {
        if !self.current.remote_complete && self.current.patient_since.is_some() {
            self.current.patient_since = Some(now);
        }
    }

    fn ask_for(&mut self, candidate: Candidate, name: String, port: u16) -> Taken {
        let is_local = name.len() > 6 && name[name.len() - 6..].eq_ignore_ascii_case(".local");
        if !is_local || port == 0 {
            return Taken::BadAddress;
        }
        if self.config.mode == Mode::Lite && !self.peer_is_lite() {
            return Taken::Unneeded;
        }
        if self.current.unresolved.iter().any(|it| it.candidate == candidate) {
            return Taken::Known;
        }
        if self.current.unresolved.len() >= usize::from(self.config.resolutions_max) {
            return Taken::TooMany;
        }
        let request = self.current.next_id();
        self.current.unresolved.push(Unresolved { request, candidate });
        let request = Request(u64::from(self.current.number) << 32 | u64::from(request));
        self.push_event(Event::Resolve { request, name });
        Taken::Resolving
    }

    /// Answers [`Event::Resolve`]; `None` if the name could not be resolved.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRequest`] if its candidate is gone, for example by a restart: nothing is to be done.
    pub fn handle_resolved(&mut self, request: Request, ip: Option<IpAddr>, now: Instant) -> Result<(), Error> {
        let (number, id) = ((request.0 >> 32) as u32, request.0 as u32);
        let index = self.current.unresolved.iter().position(|it| number == self.current.number && it.request == id);
        let unresolved = self.current.unresolved.remove(index.ok_or(Error::UnknownRequest)?);
        if let Some(ip) = ip {
            let address = canonical(SocketAddr::new(ip, unresolved.candidate.address.port()));
            if self.take_remote(&unresolved.candidate, address) == Taken::Added {
                self.note_progress(now);
            }
            self.run(now);
        }
        Ok(())
    }

    fn take_remote(&mut self, candidate: &Candidate, address: SocketAddr) -> Taken {
        let transport = candidate.transport;
        if !is_sendable(address) {
            return Taken::BadAddress;
        }
        let foundation = hash(&candidate.foundation);
        let known = |it: &&mut Remote| {
            let both_tcp = matches!((it.transport, transport), (Transport::Tcp(_), Transport::Tcp(_)));
            it.address == address && (it.transport == transport || both_tcp)
        };
        let signalled = self.current.remotes.len() - self.current.peer_reflexive_count();
        let full = signalled >= usize::from(self.config.remote_candidates_max);
        if let Some(known) = self.current.remotes.iter_mut().find(known) {
            // RFC 8445 §7.3.1.3: what was peer-reflexive is known better now.
            if known.kind == CandidateKind::PeerReflexive && candidate.kind != CandidateKind::PeerReflexive {
                if full {
                    return Taken::TooMany; // else its place among the peer-reflexive ones would be free for another
                }
                (known.kind, known.priority, known.foundation) = (candidate.kind, candidate.priority, foundation);
                self.current.reprioritize(&self.locals, self.role);
            }
            return Taken::Known;
        }
        if full {
            return Taken::TooMany;
        }
        let id = RemoteId(self.current.next_id());
        let (kind, priority) = (candidate.kind, candidate.priority);
        if let (None, Some(ufrag)) = (&self.current.remote, candidate.ufrag()) {
            self.current.early.push((id, ufrag.into()));
        }
        self.current.add_remote(Remote { id, address, transport, kind, priority, foundation });
        let (role, pairs_max) = (self.role, usize::from(self.config.pairs_max));
        for index in 0..self.locals.len() {
            let local = self.locals[index].clone();
            if self.uses(&local) {
                self.pair_up(&local, id, role, pairs_max);
            }
        }
        Taken::Added
    }

    /// A lite agent pairs only with another lite one (RFC 8445 §6.2); else its pairs come with the peer's checks.
    fn pair_up(&mut self, local: &Local, remote: RemoteId, role: Role, pairs_max: usize) {
        if self.config.mode == Mode::Full || self.peer_is_lite() {
            self.current.add_pair(local, remote, role, pairs_max);
        }
    }
}
