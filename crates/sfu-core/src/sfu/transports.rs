//! The transports of sessions: what their signalling says, and what they tell.

use std::time::Instant;

use plenary_ice::{Candidate, LocalCandidate, Taken};
use plenary_transport::{Parameters, Transport};
use rand_chacha::rand_core::Rng;

use super::{Sfu, agent_of};
use crate::ids::{SessionId, SessionKey};
use crate::{ConfigError, Error, Event};

impl Sfu {
    /// Makes a transport with all sockets of the engine, and entropy of its own.
    pub(super) fn new_transport(&mut self, now: Instant) -> Result<Transport, ConfigError> {
        let mut config = self.config.transport.clone();
        self.chance.fill_bytes(&mut config.ice.entropy);
        let mut transport = Transport::new(config, now)?;
        for (flow, address) in &self.config.flows {
            let candidate = LocalCandidate::host(*flow, *address);
            transport.add_local_candidate(candidate, now).map_err(ConfigError::Address)?;
        }
        transport.end_local_candidates(now);
        Ok(transport)
    }

    /// What the session's peer is to be told: credentials, fingerprint, DTLS role. Candidates come as events, and are
    /// [`local_candidates`](Self::local_candidates).
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn local_parameters(&self, session: SessionId) -> Result<Parameters, Error> {
        self.sessions.get(session.0).map(|it| it.transport.local_parameters()).ok_or(Error::NoSession)
    }

    /// The addresses that the session can be reached at.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn local_candidates(&self, session: SessionId) -> Result<Vec<Candidate>, Error> {
        self.sessions.get(session.0).map(|it| it.transport.ice().local_candidates()).ok_or(Error::NoSession)
    }

    /// The session's transport, to ask.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn transport(&self, session: SessionId) -> Result<&Transport, Error> {
        self.sessions.get(session.0).map(|it| &it.transport).ok_or(Error::NoSession)
    }

    /// Takes the description of the session's peer: [`Transport::set_remote`].
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], or what the transport has against it.
    pub fn set_remote(&mut self, session: SessionId, parameters: Parameters, now: Instant) -> Result<(), Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        it.transport.set_remote(parameters, now)?;
        // It may have restarted ICE.
        self.route(session.0);
        self.settle(session.0, now);
        Ok(())
    }

    /// Takes a candidate of the session's peer: [`Transport::add_remote_candidate`].
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn add_remote_candidate(
        &mut self,
        session: SessionId,
        candidate: Candidate,
        now: Instant,
    ) -> Result<Taken, Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        let taken = it.transport.add_remote_candidate(candidate, now);
        self.settle(session.0, now);
        Ok(taken)
    }

    /// Restarts ICE of a session: its [`local_parameters`](Self::local_parameters) are new, and for its peer, whom an offer
    /// tells them if there were offers before. While one is in flight it is done once that is answered. Media goes on over
    /// the path that there is.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn restart_ice(&mut self, session: SessionId, now: Instant) -> Result<(), Error> {
        let it = self.sessions.get_mut(session.0).ok_or(Error::NoSession)?;
        it.negotiation.restart_next = it.negotiation.in_flight.is_some();
        if it.negotiation.restart_next {
            return Ok(());
        }
        it.negotiation.restarted = !it.negotiation.sections.is_empty();
        it.transport.restart(now);
        self.route(session.0);
        self.want_offer(session.0);
        self.settle(session.0, now);
        Ok(())
    }

    /// Routes requests with the session's ufrag to it.
    pub(super) fn route(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let credentials = session.transport.local_parameters().ice.credentials;
        // 48 random bits, which no two of them share; if they did, one could not connect, and would restart.
        let _ = self.mux.insert(credentials.ufrag(), agent_of(key));
    }

    /// The session's transport may have something to tell. It keeps that, each state once, until it is asked: a queue of
    /// copies would grow with what happens.
    pub(super) fn note_telling(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && !std::mem::replace(&mut session.is_telling, true)
        {
            self.telling.push_back(key);
        }
    }

    /// What the next of the transports has to tell.
    pub(super) fn poll_transport(&mut self) -> Option<Event> {
        while let Some(&key) = self.telling.front() {
            let id = SessionId(key);
            let session = self.sessions.get_mut(key);
            match session.and_then(|session| session.transport.poll_event()) {
                Some(plenary_transport::Event::Connected(_)) => return Some(Event::Connected(id)),
                Some(plenary_transport::Event::Closed(reason)) => return Some(Event::Closed(id, reason)),
                Some(plenary_transport::Event::Ice(event)) => return Some(Event::Ice(id, event)),
                // Media follows it without being told.
                Some(_) => {}
                None => {
                    self.telling.pop_front();
                    if let Some(session) = self.sessions.get_mut(key) {
                        session.is_telling = false;
                    }
                }
            }
        }
        None
    }
}
