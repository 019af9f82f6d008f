//! TURN allocations as flows: ICE, DTLS and media go by one as by a socket, and are wrapped on their way out.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use plenary_ice::LocalCandidate;
use plenary_turn::Head;
use plenary_turn::client::{self, Client, Envelope};
use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use crate::{DropReason, Event, Path, RelayError, Transport};

/// What an envelope takes at most: what comes before, and padding.
const OVERHEAD_MAX: usize = Head::MAX + 3;

/// An allocation, or what is to become one.
pub(crate) struct Relay {
    /// What ICE knows it by.
    flow: FlowId,
    client: Box<Client>,
    /// What ICE knows of it.
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Allocating,
    Offered,
    Gone,
}

/// All relays of a transport.
#[derive(Default)]
pub(crate) struct Relays {
    relays: Vec<Relay>,
    /// The caller has no more candidates, but relays may.
    pub(crate) ends_candidates: bool,
}

impl Relays {
    pub(crate) const fn is_empty(&self) -> bool {
        self.relays.is_empty()
    }

    pub(crate) fn is_allocating(&self) -> bool {
        self.relays.iter().any(|relay| relay.stage == Stage::Allocating)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.relays.iter().filter_map(|relay| relay.client.poll_timeout()).min()
    }

    pub(crate) fn dropped(&self, reason: client::DropReason) -> u64 {
        self.relays.iter().map(|relay| relay.client.dropped(reason)).sum()
    }

    /// Whose a datagram is. The answers to ICE, which may ask the same server for its address, are not.
    fn of_datagram(&self, datagram: &Datagram<'_>) -> Option<usize> {
        if matches!(*datagram.bytes, [0x01, 0x01 | 0x11, ..]) {
            return None;
        }
        self.relays.iter().position(|relay| relay.client.expects(datagram.flow, datagram.remote))
    }

    fn of_flow(&mut self, flow: FlowId) -> Option<&mut Relay> {
        self.relays.iter_mut().find(|relay| relay.flow == flow)
    }
}

/// Where to send a packet, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The socket, where to, and whether it is framed.
    pub path: Path,
    /// What goes around the packet; `None` where there is no relay.
    pub envelope: Option<Envelope>,
}

impl Transport {
    /// Asks a TURN server for an allocation, which becomes a flow: its address a candidate, when it is there, and what
    /// comes and goes by it is unwrapped and wrapped. `flow` is a new one, by which the transport speaks of it; that of
    /// `config` is the socket or stream to the server.
    ///
    /// Call it before [`end_local_candidates`](Self::end_local_candidates), which then waits for the relay.
    /// [`Event::Relay`] tells what becomes of it.
    ///
    /// # Errors
    ///
    /// [`RelayError`]; nothing was changed.
    pub fn add_relay(&mut self, flow: FlowId, config: client::Config, now: Instant) -> Result<(), RelayError> {
        if self.closed.is_some() {
            return Err(RelayError::Closed);
        }
        if flow == config.flow || self.relays.of_flow(flow).is_some() {
            return Err(RelayError::Flow);
        }
        if self.relays.relays.len() >= usize::from(self.config.relays_max) {
            return Err(RelayError::Limit);
        }
        let client = Box::new(Client::new(config, now)?);
        self.relays.relays.push(Relay { flow, client, stage: Stage::Allocating });
        Ok(())
    }

    /// The client of a relay, to ask.
    pub fn relay(&self, flow: FlowId) -> Option<&Client> {
        self.relays.relays.iter().find(|relay| relay.flow == flow).map(|relay| &*relay.client)
    }

    /// Moves a relay to another socket or address of ours: [`Client::migrate`].
    ///
    /// # Errors
    ///
    /// [`RelayError::Flow`] if it is no relay; [`RelayError::Move`].
    pub fn migrate_relay(&mut self, relay: FlowId, to: (FlowId, SocketAddr), now: Instant) -> Result<(), RelayError> {
        let relay = self.relays.of_flow(relay).ok_or(RelayError::Flow)?;
        Ok(relay.client.migrate(to.0, to.1, now)?)
    }

    /// Says how a packet of `len` bytes is to be sent on a path that [`protect_rtp`](Self::protect_rtp) and its like have
    /// answered. On a relay it goes to the server, with up to [`Head::MAX`] bytes before it: leave room for them. A run of
    /// datagrams is for [`wrap_run`](Self::wrap_run).
    ///
    /// # Errors
    ///
    /// The relay is gone, or the server refuses the peer: the packet is lost.
    pub fn wrap(&mut self, path: Path, len: usize, now: Instant) -> Result<Wrapped, client::Error> {
        let Some(relay) = self.relays.of_flow(path.flow) else { return Ok(Wrapped { path, envelope: None }) };
        let envelope = Some(relay.client.wrap(path.remote, len, now)?);
        let (flow, local) = relay.client.path();
        let path = Path { flow, local, remote: relay.client.server(), framed: false };
        Ok(Wrapped { path, envelope })
    }

    /// Wraps a run of equal datagrams for a path that [`protect_rtp`](Self::protect_rtp) and its like have answered, of
    /// which the last may be shorter: what `out` has from `run.range.start` on. On a relay what is answered is a run to
    /// the server, else it is `run`: see [`Client::wrap_run`].
    ///
    /// # Errors
    ///
    /// As of [`wrap`](Self::wrap); the run is as it was.
    pub fn wrap_run(&mut self, run: Transmit, now: Instant, out: &mut Vec<u8>) -> Result<Transmit, client::Error> {
        match self.relays.of_flow(run.flow) {
            Some(relay) => relay.client.wrap_run(run, now, out),
            None => Ok(run),
        }
    }

    /// Takes the envelope off what comes by a relay: the datagram as it came to the relayed address. `None` if there is
    /// nothing in it for the transport.
    pub(crate) fn unwrap<'d>(
        &mut self,
        datagram: Datagram<'d>,
        now: Instant,
    ) -> Result<Option<Datagram<'d>>, DropReason> {
        let Some(index) = self.relays.of_datagram(&datagram) else { return Ok(Some(datagram)) };
        let relay = &mut self.relays.relays[index];
        let ecn = datagram.ecn;
        let (peer, bytes) = match relay.client.handle_datagram(datagram, now) {
            client::Handled::Data { peer, bytes } => (peer, bytes),
            client::Handled::Dropped(reason) => return Err(DropReason::Relay(reason)),
            client::Handled::Consumed | client::Handled::Icmp { .. } => {
                self.settle_relays(now);
                return Ok(None);
            }
        };
        let Some(told) = relay.client.allocated() else { return Ok(None) };
        let local = if peer.is_ipv4() { told.ipv4 } else { told.ipv6 };
        Ok(local.map(|local| Datagram { flow: relay.flow, local, remote: peer, ecn, bytes }))
    }

    /// Tells ICE of relays that are there now, and of those that are no more.
    pub(crate) fn settle_relays(&mut self, now: Instant) {
        for relay in &mut self.relays.relays {
            if relay.client.is_ended() && relay.stage != Stage::Gone {
                // It may never have been there.
                self.agent.remove_flow(relay.flow, now).ok();
                relay.stage = Stage::Gone;
            }
            if let (Stage::Allocating, Some(told)) = (relay.stage, relay.client.allocated()) {
                // RFC 8445 §5.1.1.2: the answer tells of two candidates. Of a socket that is no host candidate, as a stream's,
                // nothing but the relay is one. Where a limit of ICE's is reached, they are not used.
                let ((flow, base), server) = (relay.client.path(), relay.client.server());
                self.agent.add_mapped_address(flow, base, told.mapped, server).ok();
                for address in told.ipv4.into_iter().chain(told.ipv6) {
                    self.agent.add_local_candidate(LocalCandidate::relayed(relay.flow, address), now).ok();
                }
                relay.stage = Stage::Offered;
            }
        }
        if self.relays.ends_candidates && !self.relays.is_allocating() {
            self.relays.ends_candidates = false;
            self.agent.end_local_candidates(now);
        }
    }

    pub(crate) fn relays_timeout(&mut self, now: Instant) {
        self.relays.relays.iter_mut().for_each(|relay| relay.client.handle_timeout(now));
        self.settle_relays(now);
    }

    /// The peer may send from there. Addresses that no relay can reach, or has room for, are left to the other flows.
    pub(crate) fn admit(&mut self, ip: IpAddr, now: Instant) {
        for relay in &mut self.relays.relays {
            relay.client.admit(ip, now).ok();
        }
    }

    /// The server's stream has ended.
    pub(crate) fn close_relay_stream(&mut self, flow: FlowId, now: Instant) -> bool {
        let mut of_stream = self.relays.relays.iter_mut().filter(|relay| relay.client.path().0 == flow).peekable();
        let is_its = of_stream.peek().is_some();
        of_stream.for_each(|relay| relay.client.handle_closed(flow));
        self.settle_relays(now);
        is_its
    }

    /// What the clients have to say to their servers. Once all is said to the peer, that is farewell.
    pub(crate) fn transmit_relays(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let is_over = self.closed.is_some() && self.association.is_none();
        self.relays.relays.iter_mut().find_map(|relay| {
            if is_over {
                relay.client.close(now);
            }
            relay.client.poll_transmit(now, limit, out)
        })
    }

    /// What remains of a limit for who does not know of envelopes.
    pub(crate) const fn within(&self, limit: Limit) -> Limit {
        if self.relays.is_empty() {
            return limit;
        }
        Limit { bytes: limit.bytes.saturating_sub(OVERHEAD_MAX), segments: 1 }
    }

    pub(crate) fn poll_relay_event(&mut self) -> Option<Event> {
        let told = self.relays.relays.iter_mut().find_map(|relay| {
            let event = relay.client.poll_event()?;
            Some(Event::Relay(relay.flow, event))
        });
        if told.is_none() && !self.relays.is_empty() {
            self.relays.relays.retain(|relay| relay.stage != Stage::Gone);
        }
        told
    }
}
