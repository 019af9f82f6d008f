//! The transports of sessions: how they come and go, what their signalling says, and what they tell.

use std::time::Instant;

use plenary_ice::{Candidate, LocalCandidate, Taken};
use plenary_rtp::Ssrc;
use plenary_stream::{Schedule, ScheduleConfig};
use plenary_transport::{Parameters, Transport};
use plenary_wire::{Limit, Transmit};
use rand_chacha::rand_core::Rng;

use super::{Sfu, agent_of};
use crate::connection::Connection;
use crate::ids::{SessionId, TransportId, TransportKey};
use crate::negotiation::Negotiation;
use crate::{ConfigError, Error, Event, Extensions};

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

    /// Gives a session one transport more. It has credentials, slots, sections and offers of its own, and its peer may be
    /// reached over another path than that of the others.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`], or [`Error::Limit`] of `session_transports_max` or `transports_max`.
    pub fn add_transport(&mut self, session: SessionId, now: Instant) -> Result<TransportId, Error> {
        let count = self.sessions.get(session.0).ok_or(Error::NoSession)?.transports.len();
        if count >= self.config.session_transports_max {
            return Err(Error::Limit("session_transports_max"));
        }
        if self.connections.len() + self.parting.len() >= self.config.transports_max {
            return Err(Error::Limit("transports_max"));
        }
        let transport = self.new_transport(now).expect("the configuration was checked when the engine was made");
        let schedule = ScheduleConfig { entropy: self.chance.next_u64(), ..ScheduleConfig::default() };
        let schedule = Schedule::new(schedule, now).expect("the default schedule is within its ranges");
        let ssrc = Ssrc(self.chance.next_u32());
        let negotiation = Negotiation::new(self.chance.next_u64() >> 1);
        let key = self.connections.insert(Connection::new(session.0, transport, negotiation, schedule, ssrc));
        if let Some(it) = self.sessions.get_mut(session.0) {
            it.transports.push(key);
        }
        self.route(key);
        self.settle(key, now);
        Ok(TransportId(key))
    }

    /// Removes a transport. What its session received over it goes on in free slots of the session's other transports, from
    /// a key frame on, or waits for one; what is published over it ends. Its peer is said goodbye to: the next
    /// [`poll_transmit`](Self::poll_transmit) has it.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn remove_transport(&mut self, transport: TransportId, now: Instant) -> Result<(), Error> {
        let removed = transport.0;
        let it = self.connections.get(removed).ok_or(Error::NoTransport)?;
        let (session, tracks) = (it.session, it.tracks.clone());
        for track in tracks {
            self.remove_track(track, now)?;
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.transports.retain(|known| *known != transport.0);
        }
        self.empty_slots(transport.0, now);
        self.mux.remove(agent_of(transport.0));
        self.timers.set(transport.0, None);
        self.events.retain(|event| event.transport() != Some(transport));
        if let Some(Connection { mut transport, is_queued, is_telling, .. }) = self.connections.remove(removed) {
            // Else they would grow by each that comes and goes unpolled.
            if is_queued {
                self.ready.retain(|known| *known != removed);
            }
            if is_telling {
                self.telling.retain(|known| *known != removed);
            }
            transport.close(now);
            // It has kept its path as long as there is something to send.
            if transport.path().is_some() {
                self.parting.push_back(transport);
            }
        }
        Ok(())
    }

    /// Writes what those that were removed have to say.
    pub(super) fn transmit_goodbye(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        while let Some(transport) = self.parting.front_mut() {
            let transmit = transport.poll_transmit(now, limit, out);
            if transport.path().is_none() {
                self.parting.pop_front();
            } else if transmit.is_none() {
                // It does not fit the limit.
                break;
            }
            if transmit.is_some() {
                return transmit;
            }
        }
        None
    }

    /// The transports of a session, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn transports(&self, session: SessionId) -> Result<impl Iterator<Item = TransportId>, Error> {
        Ok(self.sessions.get(session.0).ok_or(Error::NoSession)?.transports.iter().copied().map(TransportId))
    }

    /// Whose it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn session_of(&self, transport: TransportId) -> Result<SessionId, Error> {
        self.connections.get(transport.0).map(|it| SessionId(it.session)).ok_or(Error::NoTransport)
    }

    /// What the transport's peer is to be told: credentials, fingerprint, DTLS role. Candidates come as events, and are
    /// [`local_candidates`](Self::local_candidates).
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn local_parameters(&self, transport: TransportId) -> Result<Parameters, Error> {
        self.connections.get(transport.0).map(|it| it.transport.local_parameters()).ok_or(Error::NoTransport)
    }

    /// The addresses that the transport can be reached at.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn local_candidates(&self, transport: TransportId) -> Result<Vec<Candidate>, Error> {
        self.connections.get(transport.0).map(|it| it.transport.ice().local_candidates()).ok_or(Error::NoTransport)
    }

    /// The transport itself, to ask.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn transport(&self, transport: TransportId) -> Result<&Transport, Error> {
        self.connections.get(transport.0).map(|it| &it.transport).ok_or(Error::NoTransport)
    }

    /// Takes the description of the transport's peer: [`Transport::set_remote`].
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`], or what the transport has against it.
    pub fn set_remote(&mut self, transport: TransportId, parameters: Parameters, now: Instant) -> Result<(), Error> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        it.transport.set_remote(parameters, now)?;
        // It may have restarted ICE.
        self.route(transport.0);
        self.settle(transport.0, now);
        Ok(())
    }

    /// Takes a candidate of the transport's peer: [`Transport::add_remote_candidate`].
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn add_remote_candidate(
        &mut self,
        transport: TransportId,
        candidate: Candidate,
        now: Instant,
    ) -> Result<Taken, Error> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        let taken = it.transport.add_remote_candidate(candidate, now);
        self.settle(transport.0, now);
        Ok(taken)
    }

    /// Says which header extension elements have which ids on this transport: those that its peer sends, and those that it
    /// takes.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn set_extensions(
        &mut self,
        transport: TransportId,
        sends: Extensions,
        takes: Extensions,
    ) -> Result<(), Error> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        (it.extensions, it.sent_extensions) = (sends, takes);
        Ok(())
    }

    /// Restarts ICE of a transport: its [`local_parameters`](Self::local_parameters) are new, and for its peer, whom an offer
    /// tells them if there were offers before. While one is in flight it is done once that is answered. Media goes on over
    /// the path that there is.
    ///
    /// # Errors
    ///
    /// [`Error::NoTransport`].
    pub fn restart_ice(&mut self, transport: TransportId, now: Instant) -> Result<(), Error> {
        let it = self.connections.get_mut(transport.0).ok_or(Error::NoTransport)?;
        it.negotiation.restart_next = it.negotiation.in_flight.is_some();
        if it.negotiation.restart_next {
            return Ok(());
        }
        it.negotiation.restarted = !it.negotiation.sections.is_empty();
        it.transport.restart(now);
        self.route(transport.0);
        self.want_offer(transport.0);
        self.settle(transport.0, now);
        Ok(())
    }

    /// Routes requests with the transport's ufrag to it.
    pub(super) fn route(&mut self, key: TransportKey) {
        let Some(connection) = self.connections.get(key) else { return };
        let credentials = connection.transport.local_parameters().ice.credentials;
        // 48 random bits, which no two of them share; if they did, one could not connect, and would restart.
        let _ = self.mux.insert(credentials.ufrag(), agent_of(key));
    }

    /// The transport may have something to tell. It keeps that, each state once, until it is asked: a queue of
    /// copies would grow with what happens.
    pub(super) fn note_telling(&mut self, key: TransportKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.is_telling, true)
        {
            self.telling.push_back(key);
        }
    }

    /// Once a transport is over, others are to do what it did.
    pub(super) fn note_closed(&mut self, key: TransportKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.transport.closed().is_some() && !std::mem::replace(&mut connection.is_over, true) {
            self.empty_slots(key, now);
        }
    }

    /// What the next of the transports has to tell.
    pub(super) fn poll_transport(&mut self) -> Option<Event> {
        while let Some(&key) = self.telling.front() {
            let id = TransportId(key);
            let connection = self.connections.get_mut(key);
            match connection.and_then(|connection| connection.transport.poll_event()) {
                Some(plenary_transport::Event::Connected(_)) => return Some(Event::Connected(id)),
                Some(plenary_transport::Event::Closed(reason)) => return Some(Event::Closed(id, reason)),
                Some(plenary_transport::Event::Ice(event)) => return Some(Event::Ice(id, event)),
                // Media follows it without being told.
                Some(_) => {}
                None => {
                    self.telling.pop_front();
                    if let Some(connection) = self.connections.get_mut(key) {
                        connection.is_telling = false;
                    }
                }
            }
        }
        None
    }
}
