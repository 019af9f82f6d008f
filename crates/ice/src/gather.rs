//! Server-reflexive candidates by STUN (RFC 8445 §5.1.1.2), and when all that is local is known.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::candidate::{Local, LocalId, canonical, is_offered, priority};
use crate::check::Purpose;
use crate::stun::Message;
use crate::{CandidateKind, DropReason, Error, Event, Mode, State};
use plenary_stun::Class;
use plenary_wire::FlowId;

/// How long a STUN server is asked.
const GATHER_TIMEOUT: Duration = Duration::from_secs(5);
/// RFC 8445 §5.1.1.4: bindings at NATs are kept alive while candidates wait to be used.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Host candidates and servers to ask.
    queue: VecDeque<(LocalId, u8)>,
    /// Questions that were answered: asked again to keep the binding.
    answered: Vec<(LocalId, u8)>,
    refresh_at: Option<Instant>,
    /// The caller will add no more candidates.
    hosts_complete: bool,
    /// The end was told.
    told: bool,
    /// Whose turn it is where checks and gathering compete.
    turn: bool,
}

impl Gathering {
    pub(crate) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Where both wait, every second start is a check's.
    pub(crate) fn yields_to_checks(&mut self) -> bool {
        self.turn = !self.turn;
        self.turn || self.queue.is_empty()
    }

    pub(crate) fn stop(&mut self) {
        *self = Self { hosts_complete: self.hosts_complete, told: self.told, ..Self::default() };
    }

    pub(crate) const fn announce_again(&mut self) {
        self.told = false;
    }

    /// Keeps only what asks from candidates that still are.
    pub(crate) fn forget(&mut self, locals: &[Local]) {
        let known = |id: LocalId| locals.iter().any(|local| local.id == id);
        self.queue.retain(|&(id, _)| known(id));
        self.answered.retain(|&(id, _)| known(id));
    }
}

impl Agent {
    /// Queues a question to each server of the candidate's family.
    pub(crate) fn gather_from(&mut self, local: &Local) {
        if !local.is_udp() || local.kind != CandidateKind::Host || self.config.policy != crate::Policy::All {
            return;
        }
        let ip = local.base.ip();
        // RFC 8445 §5.1.1.2: what no server could reach is not asked from.
        if ip.is_loopback() {
            return;
        }
        for (index, server) in self.config.stun_servers.iter().enumerate() {
            if server.is_ipv4() == ip.is_ipv4() {
                self.gathering.queue.push_back((local.id, index as u8));
            }
        }
    }

    pub(crate) fn gather_next(&mut self, now: Instant) -> bool {
        while let Some((id, server)) = self.gathering.queue.pop_front() {
            let (Some(local), Some(&server)) = (self.local(id), self.config.stun_servers.get(usize::from(server)))
            else {
                continue;
            };
            let path = (local.flow, local.base, server);
            self.begin(self.current.number, Purpose::Gather { local: id }, path, now + GATHER_TIMEOUT, now);
            return true;
        }
        false
    }

    /// The caller will add no more local candidates: with the last answer of a STUN server, gathering is complete.
    pub fn end_local_candidates(&mut self, now: Instant) {
        self.gathering.hosts_complete = true;
        self.run(now);
    }

    pub(crate) fn gathering_progress(&mut self, now: Instant) {
        let gathering = &mut self.gathering;
        if gathering.refresh_at.is_some_and(|at| at <= now) {
            gathering.refresh_at = None;
            if matches!(self.state, State::New | State::Checking | State::Connected) {
                gathering.queue.extend(gathering.answered.drain(..));
            }
        }
        let busy = !self.gathering.queue.is_empty() || self.transactions.iter().any(|it| it.is_gathering());
        if self.gathering.hosts_complete && !busy && !self.gathering.told {
            self.gathering.told = true;
            self.push_event(Event::GatheringComplete);
        }
    }

    pub(crate) fn gather_due_at(&self) -> Option<Instant> {
        if matches!(self.state, State::New | State::Checking | State::Connected) {
            self.gathering.refresh_at
        } else {
            None
        }
    }

    pub(crate) fn handle_gathered(
        &mut self,
        index: usize,
        local: LocalId,
        response: &Message<'_>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<(), DropReason> {
        let server = self.transactions[index].remote;
        if remote != server {
            return Err(DropReason::UnknownTransaction);
        }
        if response.class() == Class::Success && (response.mapped.is_none() || !response.unknown.is_empty()) {
            return Err(DropReason::BadResponse);
        }
        self.transactions.remove(index);
        let number = self.config.stun_servers.iter().position(|&it| it == server);
        if let (Some(mapped), Some(number)) = (response.mapped, number) {
            self.gathering.answered.push((local, number as u8));
            self.gathering.refresh_at.get_or_insert(now + KEEP_ALIVE);
            if let Some(host) = self.local(local).cloned() {
                // A limit may be reached: then it is not used.
                self.offer_reflexive(host, mapped, server).ok();
            }
        }
        Ok(())
    }

    /// Adds the address at which a server sees the socket of a host candidate, where not the agent has asked for it: a TURN
    /// server tells it with an allocation (RFC 8445 §5.1.1.2).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFlow`] without a host candidate of UDP at `base` on this flow; [`Error::Duplicate`] if the address is
    /// that one's own, or known already; else as of [`add_local_candidate`](Self::add_local_candidate).
    pub fn add_mapped_address(
        &mut self,
        flow: FlowId,
        base: SocketAddr,
        mapped: SocketAddr,
        server: SocketAddr,
    ) -> Result<(), Error> {
        if self.state == State::Closed {
            return Err(Error::Closed);
        }
        if self.config.mode == Mode::Lite {
            return Err(Error::LiteHostsOnly);
        }
        let base = canonical(base);
        let is_it = |it: &&Local| it.is_udp() && it.kind == CandidateKind::Host && (it.flow, it.base) == (flow, base);
        let host = self.locals.iter().find(is_it).cloned().ok_or(Error::UnknownFlow)?;
        self.offer_reflexive(host, canonical(mapped), server)
    }

    /// RFC 8445 §5.1.3: one that equals its base, or that is there already, is redundant.
    fn offer_reflexive(&mut self, host: Local, mapped: SocketAddr, server: SocketAddr) -> Result<(), Error> {
        if !is_offered(mapped) {
            return Err(Error::Address);
        }
        if self.locals.iter().any(|it| it.is_udp() && it.address == mapped && it.base == host.base) {
            return Err(Error::Duplicate);
        }
        if self.locals.len() >= usize::from(self.config.local_candidates_max) {
            return Err(Error::LocalCandidates);
        }
        let kind = CandidateKind::ServerReflexive;
        let id = self.next_local_id();
        let preference = self.next_preference(kind, host.transport, host.base);
        self.locals.push(Local {
            id,
            kind,
            address: mapped,
            preference,
            priority: priority(kind, host.transport, preference),
            server: Some(server.ip()),
            ..host
        });
        self.announce(self.locals.len() - 1);
        Ok(())
    }
}
