//! What the caller brings: the peer's description, addresses, and answers to what ICE asked.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use plenary_ice::{Candidate, Change, LocalCandidate, Request, Taken};
use plenary_wire::FlowId;

use crate::transport::Remote;
use crate::{Error, Fingerprint, Parameters, Setup, Transport};

impl Transport {
    /// Takes the peer's description, the first or a new one. New ICE credentials mean that the peer restarts ICE; DTLS
    /// and its keys stay (RFC 8842 §4).
    ///
    /// # Errors
    ///
    /// [`Error::NoFingerprint`], [`Error::Fingerprints`], [`Error::Setup`]: the description can't be used.
    /// [`Error::NewAssociation`]: it asks for another certificate or role than DTLS was begun with. Nothing is changed.
    pub fn set_remote(&mut self, parameters: Parameters, now: Instant) -> Result<Change, Error> {
        if self.closed.is_some() {
            return Err(Error::Closed);
        }
        parameters.check()?;
        let role = match &self.remote {
            // RFC 8842 §5.5: an offer may leave open what is settled.
            Some(known) if parameters.setup == Setup::ActPass => known.role,
            _ => self.config.setup.role(parameters.setup)?,
        };
        if let (Some(known), Some(_)) = (&self.remote, &self.association)
            && known.role != role
        {
            return Err(Error::NewAssociation);
        }
        if let Some(certificate) = &self.certificate
            && !Fingerprint::any_matches(&parameters.fingerprints, certificate)
        {
            return Err(Error::NewAssociation);
        }
        let Parameters { fingerprints, data, .. } = parameters;
        self.remote = Some(Remote { fingerprints, role, data });
        let change = self.agent.set_remote_parameters(parameters.ice, now);
        self.advance(now);
        self.advance_data(now);
        Ok(change)
    }

    /// Restarts ICE (RFC 8445 §9): [`local_parameters`](Self::local_parameters) has new credentials for the peer. The path
    /// in use stays until there is a new one, and DTLS and its keys stay.
    pub fn restart(&mut self, now: Instant) {
        if self.closed.is_none() {
            self.agent.restart(now);
            self.advance(now);
        }
    }

    /// Takes a candidate of the peer: [`Agent::add_remote_candidate`](plenary_ice::Agent::add_remote_candidate).
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) -> Taken {
        // What goes by TCP goes by no relay.
        let address = candidate.address.ip().filter(|_| candidate.transport == plenary_ice::Transport::Udp);
        let taken = self.agent.add_remote_candidate(candidate, now);
        if let (Some(address), Taken::Added | Taken::Known) = (address, taken) {
            self.admit(address.ip(), now);
        }
        self.advance(now);
        taken
    }

    /// The peer has no more: [`Agent::end_remote_candidates`](plenary_ice::Agent::end_remote_candidates).
    pub fn end_remote_candidates(&mut self, now: Instant) {
        self.agent.end_remote_candidates(now);
        self.advance(now);
    }

    /// Adds a socket or a relayed address: [`Agent::add_local_candidate`](plenary_ice::Agent::add_local_candidate).
    ///
    /// # Errors
    ///
    /// What is wrong with it, or which limit is reached.
    pub fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant) -> Result<(), plenary_ice::Error> {
        let added = self.agent.add_local_candidate(candidate, now);
        self.advance(now);
        added
    }

    /// There are no more, but of relays that are awaited:
    /// [`Agent::end_local_candidates`](plenary_ice::Agent::end_local_candidates).
    pub fn end_local_candidates(&mut self, now: Instant) {
        if self.relays.is_allocating() {
            self.relays.ends_candidates = true;
            return;
        }
        self.agent.end_local_candidates(now);
        self.advance(now);
    }

    /// Removes a socket, or a relayed address that is gone: [`Agent::remove_flow`](plenary_ice::Agent::remove_flow).
    ///
    /// # Errors
    ///
    /// If the flow is none of the agent's.
    pub fn remove_flow(&mut self, flow: FlowId, now: Instant) -> Result<(), plenary_ice::Error> {
        let removed = self.agent.remove_flow(flow, now);
        self.advance(now);
        removed
    }

    /// Answers `Event::Ice(Resolve)`: [`Agent::handle_resolved`](plenary_ice::Agent::handle_resolved).
    ///
    /// # Errors
    ///
    /// If it is not asked for any more.
    pub fn handle_resolved(
        &mut self,
        request: Request,
        ip: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), plenary_ice::Error> {
        if let Some(ip) = ip {
            self.admit(ip, now);
        }
        let handled = self.agent.handle_resolved(request, ip, now);
        self.advance(now);
        handled
    }

    /// Answers `Event::Ice(Connect)`: [`Agent::handle_connected`](plenary_ice::Agent::handle_connected).
    ///
    /// # Errors
    ///
    /// The stream is not wanted: the caller closes it.
    pub fn handle_connected(
        &mut self,
        request: Request,
        stream: Option<(FlowId, SocketAddr)>,
        now: Instant,
    ) -> Result<(), plenary_ice::Error> {
        let handled = self.agent.handle_connected(request, stream, now);
        self.advance(now);
        handled
    }

    /// A stream was accepted: [`Agent::handle_accepted`](plenary_ice::Agent::handle_accepted).
    ///
    /// # Errors
    ///
    /// The stream is not wanted: the caller closes it.
    pub fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, now: Instant) -> Result<(), plenary_ice::Error> {
        let handled = self.agent.handle_accepted(flow, local, now);
        self.advance(now);
        handled
    }

    /// A stream has ended, to a TURN server or one of ICE's: [`Agent::handle_closed`](plenary_ice::Agent::handle_closed).
    ///
    /// # Errors
    ///
    /// If the flow is none of them.
    pub fn handle_closed(&mut self, flow: FlowId, now: Instant) -> Result<(), plenary_ice::Error> {
        if self.close_relay_stream(flow, now) {
            self.advance(now);
            return Ok(());
        }
        let handled = self.agent.handle_closed(flow, now);
        self.advance(now);
        handled
    }
}
