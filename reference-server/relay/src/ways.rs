//! The sockets of a thread, and how what is relayed leaves by them.

use std::{io, ptr};

use arrayvec::ArrayVec;
use plenary_turn::Relay;
use plenary_wire::{FlowId, Transmit};

use crate::associations::Associations;
use crate::connection::{Connection, Role};
use crate::dtls::Outcome;
use crate::flows::{Flow, Flows};
use crate::message::Message;
use crate::own::Own;
use crate::poller::{Interest, Poller};
use crate::send::{Sender, Sent};
use crate::tls::Scratch;
use crate::udp::Kind;

/// What is relayed at once: more of it is seldom of one flow.
pub(crate) const BATCH_MAX: usize = 256;

/// What is to be relayed, of one batch.
pub(crate) type Batch<'d> = ArrayVec<Relay<'d>, BATCH_MAX>;

/// What all clients together have not taken, at one thread.
const UNREAD_ALL_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) flows: Flows,
    pub(crate) poller: Poller,
    own: Own,
    pub(crate) sender: Sender,
    pub(crate) associations: Associations,
    pub(crate) outcome: Outcome,
    /// Bytes that connections hold.
    unread: usize,
    pub(crate) scratch: Scratch,
    pub(crate) tally: Tally,
}

/// What became of all that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: Sent,
    /// Messages that clients had no room for.
    pub(crate) unread: u64,
    /// Datagrams to an address of this host where nobody is.
    pub(crate) nowhere: u64,
}

impl Ways {
    pub(crate) fn new(poller: Poller, own: Own) -> Self {
        Self {
            flows: Flows::default(),
            poller,
            own,
            sender: Sender::default(),
            associations: Associations::default(),
            outcome: Outcome::default(),
            unread: 0,
            scratch: Scratch::default(),
            tally: Tally::default(),
        }
    }

    /// Sends all of a batch: together what leaves by the same socket, in the order in which it came.
    pub(crate) fn relay(&mut self, batch: &mut Batch<'_>) {
        self.relay_all(batch);
        batch.clear();
    }

    fn relay_all(&mut self, relays: &[Relay<'_>]) {
        // Filled where they lie: an array that is collected is moved, with all the room that it has.
        let mut order = ArrayVec::<&Relay<'_>, BATCH_MAX>::new();
        let mut messages = ArrayVec::<Message<'_>, BATCH_MAX>::new();
        order.extend(relays);
        order.sort_unstable_by_key(|relay| (relay.flow, ptr::from_ref(*relay)));
        for of_one in order.chunk_by(|one, other| one.flow == other.flow) {
            let flow = of_one[0].flow;
            let (own, nowhere) = (&self.own, &mut self.tally.nowhere);
            let is_to_peers = self.flows.udp(flow).is_some_and(|udp| udp.kind == Kind::Relay);
            messages.clear();
            messages.extend(of_one.iter().filter_map(|relay| {
                let way = if is_to_peers { own.way_to(relay.to) } else { Some(relay.to) };
                *nowhere += u64::from(way.is_none());
                way.map(|to| Message::of_relay(relay, to))
            }));
            self.send(flow, &messages);
        }
    }

    /// Sends answers, likewise.
    pub(crate) fn answer(&mut self, answers: &mut Vec<Transmit>, out: &mut Vec<u8>) {
        answers.sort_by_key(|answer| answer.flow);
        for of_one in answers.chunk_by(|one, other| one.flow == other.flow) {
            for answers in of_one.chunks(BATCH_MAX) {
                let messages: ArrayVec<Message<'_>, BATCH_MAX> =
                    answers.iter().map(|answer| Message::of_transmit(answer, out)).collect();
                self.send(of_one[0].flow, &messages);
            }
        }
        answers.clear();
        out.clear();
    }

    fn send(&mut self, flow: FlowId, messages: &[Message<'_>]) {
        match self.flows.get_mut(flow) {
            Some(Flow::Datagrams(udp)) => self.tally.sent.add(self.sender.send(udp, messages)),
            Some(Flow::Connection(connection)) => {
                let before = connection.unread();
                let room = (UNREAD_ALL_MAX + before).saturating_sub(self.unread);
                let lost = connection.send(messages, room, &mut self.scratch);
                self.tally.unread += lost;
                self.tally.sent.datagrams += messages.len() as u64 - lost;
                self.unread = self.unread - before + connection.unread();
                self.watch(flow);
            }
            Some(Flow::Association(_)) => self.seal(flow, messages),
            // It was closed meanwhile.
            _ => {}
        }
    }

    /// Reads what a connection has, as [`Connection::read`] does; `None` if it was closed.
    pub(crate) fn read(&mut self, flow: FlowId, buffer: &mut [u8], most: usize) -> Option<io::Result<usize>> {
        self.change(flow, |connection, scratch| connection.read(buffer, most, scratch))
    }

    /// Has a connection carry these bytes, which must not be lost.
    pub(crate) fn carry(&mut self, flow: FlowId, bytes: &[u8]) {
        self.change(flow, |connection, scratch| connection.write(bytes, scratch));
    }

    /// Ends a connection for writing, behind what it holds.
    pub(crate) fn end(&mut self, flow: FlowId) {
        self.change(flow, |connection, scratch| connection.end(scratch));
    }

    /// Writes what a connection holds.
    pub(crate) fn flush(&mut self, flow: FlowId) {
        self.change(flow, |connection, _| connection.flush());
    }

    fn change<R>(&mut self, flow: FlowId, change: impl FnOnce(&mut Connection, &mut Scratch) -> R) -> Option<R> {
        let connection = self.flows.connection(flow)?;
        let before = connection.unread();
        let changed = change(connection, &mut self.scratch);
        self.unread = self.unread - before + connection.unread();
        self.watch(flow);
        Some(changed)
    }

    /// Watches a connection for what it waits for, and the one that it is joined with.
    pub(crate) fn watch(&mut self, flow: FlowId) {
        let Some(connection) = self.flows.connection(flow) else { return };
        let other = if let Role::Joined(other) = connection.role { Some(other) } else { None };
        let is_full = connection.is_full();
        let other_is_full = match other {
            Some(other) => self.flows.connection(other).is_some_and(|other| other.is_full()),
            None => false,
        };
        self.watch_one(flow, other_is_full);
        if let Some(other) = other {
            self.watch_one(other, is_full);
        }
    }

    fn watch_one(&mut self, flow: FlowId, other_is_full: bool) {
        let Some(connection) = self.flows.connection(flow) else { return };
        if let Some(interest) = connection.change_interest(other_is_full) {
            let socket = &*connection;
            let watched = self.poller.modify(socket, flow, interest);
            watched.expect("a socket that is watched can be watched for something else");
        }
    }

    /// Closes a socket, and hands it back if it is none of a client.
    pub(crate) fn close(&mut self, flow: FlowId) -> Option<Flow> {
        match self.flows.remove(flow) {
            Some(Flow::Connection(mut connection)) => {
                self.unread -= connection.unread();
                connection.close(&mut self.scratch);
                None
            }
            Some(Flow::Association(client)) => {
                self.part(*client, flow);
                None
            }
            closed => closed,
        }
    }

    /// Adds a socket; `None` if there is no room for it.
    pub(crate) fn add(&mut self, flow: Flow) -> Option<FlowId> {
        let id = self.flows.insert(flow)?;
        let watched = match self.flows.get(id)? {
            Flow::Datagrams(udp) => self.poller.add(udp, id, Interest::READS),
            Flow::Clients(listener, _) | Flow::Peers(listener) => self.poller.add(listener, id, Interest::READS),
            Flow::Connection(connection) => self.poller.add(&**connection, id, connection.interest()),
            Flow::Association(_) => Ok(()),
        };
        if watched.is_err() {
            self.flows.remove(id);
            return None;
        }
        Some(id)
    }

    pub(crate) const fn own(&self) -> &Own {
        &self.own
    }
}
