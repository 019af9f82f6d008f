//! Connections of clients, and of peers (RFC 6062).

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use plenary_turn::{Carries, ConnectError, FiveTuple, Handled, Streamed};
use plenary_wire::FlowId;

use crate::connection::{Connection, Role};
use crate::flows::Flow;
use crate::poller::{Interest, Ready};
use crate::tls::{RECEIVED_MAX, Tls};
use crate::ways::Batch;
use crate::worker::Worker;

/// Connections that are accepted at once; the others have their turn in the next.
const ACCEPTS: usize = 32;

/// How long it waits if the system has no room for another connection.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What is read from a client at once. They may be 4,096 datagrams without a byte, and others have their turn behind them.
const READ_BYTES: usize = 16 << 10;

/// The longest message of a client, but for a byte, and what is read behind it, with what waited for its end in TLS.
pub(crate) const BUFFER_BYTES: usize = 65_555 + RECEIVED_MAX + READ_BYTES;

/// What is taken at once from one of two that are joined.
pub(crate) const CARRIED_BYTES: usize = 32 << 10;

impl Worker {
    /// Takes clients that connect.
    pub(crate) fn accept(&mut self, listener: FlowId, now: Instant) {
        for _ in 0..ACCEPTS {
            let Some(Flow::Clients(socket, identity)) = self.ways.flows.get(listener) else { return };
            let (accepted, identity) = (socket.accept(), identity.clone());
            let Some((stream, remote)) = self.accepted(accepted, now) else { return };
            let tls = identity.map(|identity| Tls::new(&identity));
            let Some((flow, local)) = self.connected(stream, Role::Client, tls) else { continue };
            let tuple = FiveTuple { flow, local, remote };
            if self.server.handle_accepted(tuple, Carries::Stream, now).is_err() {
                self.events.accept_errors += 1;
                self.ways.close(flow);
            }
        }
    }

    /// Takes peers that connect to an allocation.
    pub(crate) fn accept_peers(&mut self, listener: FlowId, now: Instant) {
        for _ in 0..ACCEPTS {
            let Some(Flow::Peers(socket)) = self.ways.flows.get(listener) else { return };
            let Some((stream, peer)) = self.accepted(socket.accept(), now) else { return };
            let Some((flow, _)) = self.connected(stream, Role::Peer, None) else { continue };
            let peer = self.ways.own().told(peer);
            let _ = self.server.handle_peer_accepted(listener, flow, peer, now);
            self.drain(now);
        }
    }

    fn accepted(
        &mut self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        now: Instant,
    ) -> Option<(TcpStream, SocketAddr)> {
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Of one that has gone already: others may wait.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => self.events.accept_errors += 1,
            Err(_) => {
                self.events.accept_errors += 1;
                self.accept_at = Some(now + RETRY_AFTER);
                self.watch_listeners(Interest::NONE);
            }
        }
        None
    }

    /// Looks at those again who want to connect, if it is time.
    pub(crate) fn accept_again(&mut self, now: Instant) {
        if self.accept_at.is_some_and(|at| now >= at) {
            self.accept_at = None;
            self.watch_listeners(Interest::READS);
        }
    }

    fn watch_listeners(&self, interest: Interest) {
        let watch = |flow: FlowId, listener: &TcpListener| {
            let watched = self.ways.poller.modify(listener, flow, interest);
            watched.expect("a socket that is watched can be watched for something else");
        };
        self.ways.flows.listeners().for_each(|(flow, listener)| watch(flow, listener));
    }

    fn connected(&mut self, stream: TcpStream, role: Role, tls: Option<Tls>) -> Option<(FlowId, SocketAddr)> {
        let local = stream.local_addr();
        let connection = Connection::new(stream, role, tls);
        let connection = connection.and_then(|connection| local.map(|local| (connection, local)));
        let added = connection.ok().and_then(|(connection, local)| {
            self.ways.add(Flow::Connection(Box::new(connection))).map(|flow| (flow, local))
        });
        self.events.accept_errors += u64::from(added.is_none());
        added
    }

    /// Something can be read or written, or it has ended.
    pub(crate) fn connection_is_ready(&mut self, ready: Ready, now: Instant) {
        let flow = ready.flow;
        let Some(connection) = self.ways.flows.connection(flow) else { return };
        match connection.role {
            Role::Opening(request) => {
                let answer = if connection.is_open() { Ok(flow) } else { Err(ConnectError) };
                connection.role = Role::Peer;
                self.openings.remove(&request);
                if answer.is_err() {
                    self.ways.close(flow);
                } else {
                    self.ways.watch(flow);
                }
                let _ = self.server.handle_connected(request, answer, now);
                self.drain(now);
            }
            // Nothing else is watched for.
            Role::Peer => self.ended(flow, now),
            Role::Client => {
                if ready.writes {
                    self.ways.flush(flow);
                }
                if ready.reads {
                    self.read(flow, now);
                }
            }
            // It was reset. One that was ended, and has ended, is closed too, but may hold bytes yet.
            Role::Joined(_) if ready.failed || ready.is_closed && !connection.is_last() => self.ended(flow, now),
            Role::Joined(other) => {
                if ready.writes {
                    self.ways.flush(flow);
                }
                if ready.reads {
                    self.carry(flow, other, now);
                }
                self.end_if_over(flow, other, now);
            }
        }
    }

    /// Takes in what a client has sent.
    fn read(&mut self, flow: FlowId, now: Instant) {
        let Some(connection) = self.ways.flows.connection(flow) else { return };
        let mut buffer = std::mem::take(&mut self.stream_buffer);
        let kept = connection.received.len();
        buffer[..kept].copy_from_slice(&connection.received);
        match self.ways.read(flow, &mut buffer[kept..], READ_BYTES) {
            Some(Ok(count)) if count > 0 => self.take_stream(flow, &buffer[..kept + count], now),
            Some(Err(error)) if is_passing(&error) => {}
            Some(read) => self.ended_by(&read, flow, now),
            None => {}
        }
        self.stream_buffer = buffer;
        self.take_goodbye(flow, now);
    }

    /// Takes in the messages that these bytes begin with, and keeps the rest.
    fn take_stream(&mut self, flow: FlowId, bytes: &[u8], now: Instant) {
        if let Some(connection) = self.ways.flows.connection(flow) {
            connection.received = Vec::new();
        }
        let mut batch = Batch::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Streamed { used, handled } = self.server.handle_stream(flow, rest, now);
            rest = &rest[used..];
            if let Handled::Relay(relay) = handled {
                batch.push(relay);
                if batch.is_full() {
                    self.ways.relay(&mut batch);
                }
                continue;
            }
            // A request may end the stream, or join it with another.
            self.ways.relay(&mut batch);
            self.drain(now);
            let role = self.ways.flows.connection(flow).map(|connection| connection.role);
            match role {
                Some(Role::Client) if used > 0 => {}
                Some(Role::Joined(other)) => {
                    self.ways.carry(other, rest);
                    return;
                }
                _ => break,
            }
        }
        self.ways.relay(&mut batch);
        if let Some(connection) = self.ways.flows.connection(flow) {
            connection.received = rest.to_vec();
        }
    }

    /// From now on all that one of them sends goes to the other.
    pub(crate) fn join(&mut self, client: FlowId, peer: FlowId, now: Instant) {
        for (one, other) in [(client, peer), (peer, client)] {
            let Some(connection) = self.ways.flows.connection(one) else {
                // It has ended meanwhile.
                self.server.handle_closed(one);
                return self.drain(now);
            };
            connection.role = Role::Joined(other);
        }
        self.ways.watch(client);
    }

    /// Takes what one has sent to the other, or its end.
    fn carry(&mut self, from: FlowId, to: FlowId, now: Instant) {
        if !self.ways.flows.connection(from).is_some_and(|it| it.interest().reads) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.stream_buffer);
        match self.ways.read(from, &mut buffer, CARRIED_BYTES) {
            Some(Ok(0)) => self.end_half(from, to),
            Some(Ok(count)) => self.ways.carry(to, &buffer[..count]),
            Some(Err(error)) if is_passing(&error) => {}
            Some(read) => self.ended_by(&read, from, now),
            None => {}
        }
        self.stream_buffer = buffer;
        self.take_goodbye(from, now);
    }

    /// One has sent all: the other is told so behind that.
    fn end_half(&mut self, from: FlowId, to: FlowId) {
        let Some(connection) = self.ways.flows.connection(from) else { return };
        connection.is_ended = true;
        self.ways.end(to);
    }

    /// TLS has an end of its own, which may come before that of the stream, and without it.
    fn take_goodbye(&mut self, flow: FlowId, now: Instant) {
        let connection = self.ways.flows.connection(flow).filter(|it| it.has_said_goodbye() && !it.is_ended);
        match connection.map(|connection| connection.role) {
            Some(Role::Joined(other)) => self.end_half(flow, other),
            Some(_) => self.ended(flow, now),
            None => {}
        }
    }

    /// Closes both of two that are joined, once each has sent all and taken all.
    fn end_if_over(&mut self, one: FlowId, other: FlowId, now: Instant) {
        let is_over = |flow| self.ways.flows.connection(flow).is_some_and(|connection| connection.is_over());
        if [one, other].into_iter().all(is_over) {
            self.ended(one, now);
        }
    }

    /// Ends a connection that can't be read any more.
    fn ended_by(&mut self, read: &io::Result<usize>, flow: FlowId, now: Instant) {
        let is_invalid = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData);
        self.events.tls_errors += u64::from(is_invalid);
        self.ended(flow, now);
    }

    pub(crate) fn ended(&mut self, flow: FlowId, now: Instant) {
        self.server.handle_closed(flow);
        self.ways.close(flow);
        self.drain(now);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
