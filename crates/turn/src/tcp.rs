//! Relays of TCP connections (RFC 6062). The caller carries the bytes; here is who may be joined with whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, Class, ErrorCode, Method, TransactionId, Writer};
use plenary_wire::FlowId;

use crate::allocation::Key;
use crate::answer::{Done, Refusal, Reply, Request, Signer};
use crate::authenticate::{Session, Whose};
use crate::event::{Event, RequestId};
use crate::handled::Handled;
use crate::server::{Flow, Server, Timer};
use crate::tuple::canonical;
use crate::{ConnectError, DropReason};

/// RFC 6062 §5.2 to §5.4: for a peer to answer, and for the client to bind.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections of allocations with peers.
#[derive(Default)]
pub(crate) struct Connections {
    by_id: BTreeMap<u32, Connection>,
    connects: BTreeMap<RequestId, u32>,
}

struct Connection {
    key: Key,
    peer: SocketAddr,
    stage: Stage,
    deadline: Instant,
}

enum Stage {
    /// The caller connects, for this request.
    Connecting(RequestId, Reply, Signer),
    /// The peer is there, and the client is to say which connection it wants for it.
    Waiting(FlowId),
    /// Bytes go between the client's and the peer's.
    Joined(FlowId, FlowId),
}

impl Server {
    /// RFC 6062 §5.2. `None` is answered later.
    pub(crate) fn connect(
        &mut self,
        request: &Request<'_>,
        key: Key,
        signer: Signer,
        now: Instant,
    ) -> Result<Option<Done>, Refusal> {
        let peer = request.message.get_xor_address(Attribute::XOR_PEER_ADDRESS)?.ok_or(ErrorCode::BAD_REQUEST)?;
        if !self.allocations[key].is_tcp || peer.port() == 0 {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        self.check_peer(key, peer.ip())?;
        if self.peers.is_own(peer.ip()) && !self.listens_here(key, peer) {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let reply = request.reply();
        for id in &self.allocations[key].connections {
            let other = &self.tcp.by_id[id];
            if let Stage::Connecting(_, waiting, _) = &other.stage
                && waiting.transaction == reply.transaction
            {
                return Ok(None); // a retransmission
            }
            if other.peer == peer {
                return Err(ErrorCode::CONNECTION_ALREADY_EXISTS.into());
            }
        }
        if self.allocations[key].connections.len() >= usize::from(self.config.connections_max) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        let relayed = self.allocations[key].relayed(peer.ip()).copied().ok_or(ErrorCode::BAD_REQUEST)?;
        let connect = self.next_request();
        let id = self.add_connection(key, peer, Stage::Connecting(connect, reply, signer), now);
        self.tcp.connects.insert(connect, id);
        self.events.push_back(Event::Connect { request: connect, flow: relayed.flow, local: relayed.local, peer });
        Ok(None)
    }

    /// Whether a socket of this host is one that clients may connect to: a service, or the relay of another of them.
    fn listens_here(&self, key: Key, peer: SocketAddr) -> bool {
        let is_another = |other: Key| other != key && self.allocations[other].is_tcp;
        self.peers.is_service(peer) || self.allocations.at_relayed(canonical(peer)).is_some_and(is_another)
    }

    fn add_connection(&mut self, key: Key, peer: SocketAddr, stage: Stage, now: Instant) -> u32 {
        // Nobody guesses it, though who has it must show a password too.
        let mut id = u32::from_be_bytes(self.entropy.bytes());
        while self.tcp.by_id.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        let deadline = now + PATIENCE;
        self.tcp.by_id.insert(id, Connection { key, peer, stage, deadline });
        self.allocations[key].connections.push(id);
        self.timers.add(deadline, Timer::Connection(id));
        id
    }

    /// The answer to [`Event::Connect`]: the flow of the connection, from which nothing is read until [`Event::Join`]. One
    /// that comes too late is handed back to be closed.
    pub fn handle_connected(
        &mut self,
        request: RequestId,
        answer: Result<FlowId, ConnectError>,
        now: Instant,
    ) -> Handled<'static> {
        let is_new = answer.is_ok_and(|flow| !self.flows.contains_key(&flow));
        let Some(id) = self.tcp.connects.remove(&request) else {
            if let Ok(flow) = answer
                && is_new
            {
                self.events.push_back(Event::Close { flow });
            }
            return Handled::Consumed;
        };
        let connection = self.tcp.by_id.get_mut(&id).expect("a connection is there as long as its request");
        let Stage::Connecting(_, reply, signer) = connection.stage else { return Handled::Consumed };
        let done = match answer {
            Ok(flow) if is_new => {
                self.timers.remove(connection.deadline, Timer::Connection(id));
                connection.deadline = now + PATIENCE;
                connection.stage = Stage::Waiting(flow);
                self.timers.add(connection.deadline, Timer::Connection(id));
                self.flows.insert(flow, Flow::Peer(id));
                self.succeed(&reply, &signer, |writer| {
                    writer.attribute(Attribute::CONNECTION_ID, &[&id.to_be_bytes()]);
                })
            }
            Ok(_) | Err(_) => {
                self.end_connection(id);
                self.refuse(&reply, &signer, ErrorCode::CONNECTION_TIMEOUT.into())
            }
        };
        self.handled(done.map(|()| Handled::Consumed))
    }

    /// RFC 6062 §5.3: a peer has connected to the listening socket of an allocation. Nothing is read from it until
    /// [`Event::Join`].
    pub fn handle_peer_accepted(
        &mut self,
        relay: FlowId,
        flow: FlowId,
        peer: SocketAddr,
        now: Instant,
    ) -> Handled<'static> {
        let done = self.peer_accepted(relay, flow, canonical(peer), now);
        if done.is_err() && !self.flows.contains_key(&flow) {
            self.events.push_back(Event::Close { flow });
        }
        self.handled(done.map(|()| Handled::Consumed))
    }

    fn peer_accepted(&mut self, relay: FlowId, flow: FlowId, peer: SocketAddr, now: Instant) -> Result<(), DropReason> {
        self.outbox.check()?;
        let Some(&Flow::Relay(key, _)) = self.flows.get(&relay) else { return Err(DropReason::UnknownFlow) };
        let allocation = &self.allocations[key];
        if !allocation.is_tcp || self.flows.contains_key(&flow) {
            return Err(DropReason::UnknownFlow);
        }
        if !allocation.permissions.allow(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        if allocation.connections.len() >= usize::from(self.config.connections_max) {
            return Err(DropReason::ConnectionsLimit);
        }
        let (to, transaction) = (allocation.tuple, TransactionId(self.entropy.transaction()));
        let id = self.add_connection(key, peer, Stage::Waiting(flow), now);
        self.flows.insert(flow, Flow::Peer(id));
        self.outbox.write(to, |out| {
            let mut writer = Writer::new(Class::Indication, Method::CONNECTION_ATTEMPT, transaction, out);
            writer.attribute(Attribute::CONNECTION_ID, &[&id.to_be_bytes()]);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        })
    }

    /// RFC 6062 §5.4: a connection of a client becomes that for a peer's.
    pub(crate) fn connection_bind(&mut self, request: &Request<'_>, session: &Session) -> Result<(), Refusal> {
        let bad = Refusal::from(ErrorCode::BAD_REQUEST);
        let id = request.message.get_u32(Attribute::CONNECTION_ID)?.ok_or(bad)?;
        let client = request.from.flow;
        let is_control = self.allocations.of_client(&request.from).is_some();
        let connection = self.tcp.by_id.get_mut(&id).ok_or(bad)?;
        let Stage::Waiting(peer) = connection.stage else { return Err(bad) };
        if !request.is_stream() || is_control {
            return Err(bad);
        }
        let owner = &self.allocations[connection.key].owner;
        if !matches!(&session.user, Whose::Own(user) if user.username == owner.username) {
            return Err(ErrorCode::WRONG_CREDENTIALS.into());
        }
        connection.stage = Stage::Joined(client, peer);
        self.timers.remove(connection.deadline, Timer::Connection(id));
        self.take_stream(client);
        self.flows.insert(client, Flow::Joined(id));
        self.events.push_back(Event::Join { client, peer });
        Ok(())
    }

    /// Ends a connection, whatever it has come to. Its sockets are closed.
    pub(crate) fn end_connection(&mut self, id: u32) {
        let Some(connection) = self.tcp.by_id.remove(&id) else { return };
        if let Some(key) = self.allocations.get(connection.key).map(|_| connection.key) {
            self.allocations[key].connections.retain(|it| *it != id);
        }
        let flows = match connection.stage {
            Stage::Connecting(request, ..) => {
                if self.tcp.connects.remove(&request).is_some() {
                    self.events.push_back(Event::Abandon { request });
                }
                [None, None]
            }
            Stage::Waiting(peer) => [Some(peer), None],
            Stage::Joined(client, peer) => [Some(client), Some(peer)],
        };
        self.timers.remove(connection.deadline, Timer::Connection(id));
        for flow in flows.into_iter().flatten() {
            self.flows.remove(&flow);
            self.outbox.forget(flow);
            self.events.push_back(Event::Close { flow });
        }
    }

    /// A peer did not answer, or the client does not want its connection.
    pub(crate) fn connection_is_due(&mut self, id: u32) {
        let Some(connection) = self.tcp.by_id.get(&id) else { return };
        let answer = match connection.stage {
            Stage::Connecting(_, reply, signer) => Some((reply, signer)),
            _ => None,
        };
        self.end_connection(id);
        if let Some((reply, signer)) = answer {
            // Without room for it the client hears nothing, and gives up by itself.
            self.refuse(&reply, &signer, ErrorCode::CONNECTION_TIMEOUT.into()).ok();
        }
    }

    /// One of two joined connections is closed, and so is the other.
    pub(crate) fn connection_closed(&mut self, id: u32, flow: FlowId) {
        // Its own flow is closed already.
        self.flows.remove(&flow);
        let before = self.events.len();
        self.end_connection(id);
        let is_own = |event: &Event| matches!(event, Event::Close { flow: closed } if *closed == flow);
        if let Some(at) = self.events.iter().skip(before).position(is_own) {
            self.events.remove(before + at);
        }
    }

    /// All connections of an allocation that is no more.
    pub(crate) fn end_connections(&mut self, connections: &[u32]) {
        for id in connections {
            self.end_connection(*id);
        }
    }
}
