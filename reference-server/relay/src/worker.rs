//! The loop of a thread: sleep, take in what has come, relay, answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use plenary_turn::{Admission, Handled, Icmp, RequestId, Server};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta};

use crate::associations::Host;
use crate::buffers::Buffers;
use crate::counters::{Counters, Events};
use crate::dtls::Outcome;
use crate::flows::Flow;
use crate::icmp;
use crate::load::{self, Load};
use crate::pause::{self, Taken};
use crate::poller::{READY_MAX, Ready};
use crate::ports::Ports;
use crate::udp::{Kind, Udp};
use crate::ways::{Batch, Ways};

/// Messages that are taken from one relay before the next has its turn; each may be of several datagrams.
const RELAY_MESSAGES: usize = 8;

/// Datagrams after which answers are sent: the server holds 1,000 ([`plenary_turn::Config::answers_max`]), and who asks for more
/// at once must not cost others theirs.
const DRAIN_AFTER: usize = 500;

/// What a thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    Admission(Admission),
    Secrets(Vec<Vec<u8>>),
    NonceKeys(Vec<[u8; 32]>),
    Stop,
}

/// One thread, with a server and sockets of its own.
pub(crate) struct Worker {
    pub(crate) server: Server,
    pub(crate) ways: Ways,
    /// Ports for relays, and the address that they are bound at and told by, of each family.
    pub(crate) places: Vec<Place>,
    /// Where datagrams come in; `None` while they are looked at.
    pub(crate) buffers: Option<Buffers>,
    /// What is read from connections.
    pub(crate) stream_buffer: Vec<u8>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: Events,
    pub(crate) load: Load,
    pub(crate) allocations_max: u64,
    /// What new allocations are to be told, unless the thread is too busy.
    pub(crate) admission: Admission,
    pub(crate) answers: Vec<Transmit>,
    pub(crate) out: Vec<u8>,
    /// Connections that are being opened to peers.
    pub(crate) openings: BTreeMap<RequestId, FlowId>,
    /// What clients by DTLS are welcomed with, if any are.
    pub(crate) host: Option<Host>,
    pub(crate) outcome: Outcome,
    /// When connections are accepted again, after the system had no room for one.
    pub(crate) accept_at: Option<Instant>,
    pub(crate) is_stopped: bool,
}

/// Where relays of a family are bound.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: crate::RelayAddress,
    pub(crate) ports: Ports,
}

impl Worker {
    pub(crate) fn run(mut self) {
        let mut ready = ArrayVec::new();
        let mut taken = Taken::default();
        pause::prepare();
        while !self.is_stopped {
            let now = Instant::now();
            if self.load.look(now, load::thread_time) {
                self.look_at_load();
            }
            taken.pause();
            let until = [self.server.poll_timeout(), self.accept_at, self.ways.associations.next_due()]
                .into_iter()
                .flatten()
                .min();
            // Once a second the load is looked at.
            let timeout = until.map_or(Duration::from_secs(1), |until| until.saturating_duration_since(now));
            let waited = self.ways.poller.wait(Some(timeout.min(Duration::from_secs(1))), &mut ready);
            waited.expect("epoll takes what it was given");
            taken = self.turn(&ready, Instant::now());
        }
    }

    /// Does what is due, and takes in what has come to these sockets: a part of it, and the rest in the next turn.
    fn turn(&mut self, ready: &ArrayVec<Ready, READY_MAX>, now: Instant) -> Taken {
        self.act();
        self.server.handle_timeout(now);
        self.accept_again(now);
        self.help_on(now);
        let mut datagrams = ArrayVec::<FlowId, READY_MAX>::new();
        for one in ready {
            match self.ways.flows.get(one.flow) {
                Some(Flow::Datagrams(udp)) => {
                    if one.failed && udp.kind == Kind::Relay {
                        icmp::read(udp, one.flow, |icmp| {
                            let icmp = Icmp { peer: self.ways.own().told(icmp.peer), ..icmp };
                            let _ = self.server.handle_icmp(icmp, now);
                        });
                        self.drain(now);
                    }
                    datagrams.push(one.flow);
                }
                Some(Flow::Clients(..)) => self.accept(one.flow, now),
                Some(Flow::Peers(_)) => self.accept_peers(one.flow, now),
                Some(Flow::Connection(_)) => self.connection_is_ready(*one, now),
                Some(Flow::Association(_)) | None => {}
            }
        }
        let taken = self.receive(&datagrams, now);
        self.drain(now);
        self.counters.note(&self.server, &self.ways.tally, &self.events);
        taken
    }

    /// Takes in a batch of each of these, and relays.
    fn receive(&mut self, flows: &[FlowId], now: Instant) -> Taken {
        let (mut rest, mut undrained, mut taken) = (flows.iter(), 0, Taken::default());
        let Some(mut buffers) = self.buffers.take() else { return taken };
        while !rest.as_slice().is_empty() {
            let (mut free, metas) = buffers.parts();
            let mut batch = Batch::new();
            while !free.is_empty()
                && let Some(flow) = rest.next()
            {
                let Some(udp) = self.ways.flows.udp(*flow) else { continue };
                let most = if udp.kind == Kind::Relay { RELAY_MESSAGES } else { BATCH_SIZE };
                let received = udp.receive(free.iter_mut().take(most), metas);
                let count = received.unwrap_or_else(|_| {
                    // Of some datagram that was sent: it passes.
                    self.events.receive_errors += 1;
                    0
                });
                if count == most.min(free.len()) {
                    taken.add_full();
                }
                let used;
                (used, free) = free.split_at_mut(count);
                for (buffer, meta) in used.iter_mut().zip(&*metas) {
                    self.take(*flow, &mut buffer[..meta.len], meta, &mut batch, now);
                    taken.add(meta.addr, meta.len, meta.stride);
                    undrained += 1 + meta.len / meta.stride.max(1);
                    if undrained >= DRAIN_AFTER {
                        self.drain(now);
                        undrained = 0;
                    }
                }
            }
            self.ways.relay(&mut batch);
        }
        self.buffers = Some(buffers);
        taken
    }

    /// Takes in one message, which may be of several datagrams.
    fn take<'d>(&mut self, flow: FlowId, bytes: &'d mut [u8], meta: &RecvMeta, batch: &mut Batch<'d>, now: Instant) {
        // Nobody can be answered there.
        if meta.addr.port() == 0 {
            self.events.receive_errors += 1;
            return;
        }
        let Some(&Udp { local, kind, .. }) = self.ways.flows.udp(flow) else { return };
        let remote = if kind == Kind::Relay { self.ways.own().told(meta.addr) } else { meta.addr };
        let ecn = meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
        // An empty datagram is one, too.
        let stride = meta.stride.max(1);
        let mut rest = bytes;
        loop {
            let datagram;
            (datagram, rest) = rest.split_at_mut(stride.min(rest.len()));
            let datagram = Datagram { flow, local, remote, ecn, bytes: datagram };
            if kind == Kind::SealedListener {
                self.take_sealed(datagram, now);
            } else if let Handled::Relay(relay) = self.server.handle_datagram(datagram, now) {
                if batch.is_full() {
                    self.ways.relay(batch);
                }
                batch.push(relay);
            }
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Sends answers, and does what the server asks for, until there is no more.
    pub(crate) fn drain(&mut self, now: Instant) {
        loop {
            while let Some(answer) = self.server.poll_transmit(now, Limit::DATAGRAM, &mut self.out) {
                self.answers.push(answer);
            }
            // Bytes that are joined go behind the answer to who joins them.
            self.ways.answer(&mut self.answers, &mut self.out);
            let Some(event) = self.server.poll_event() else { break };
            self.handle_event(event, now);
        }
    }

    fn act(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Admission(admission)) => {
                    self.admission = admission;
                    self.look_at_load();
                }
                Ok(Command::Secrets(secrets)) => {
                    let set = self.server.set_secrets(secrets);
                    set.expect("their number was looked at");
                }
                Ok(Command::NonceKeys(keys)) => {
                    let set = self.server.set_nonce_keys(&keys);
                    set.expect("their number was looked at");
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.is_stopped = true;
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
    }

    fn look_at_load(&mut self) {
        let used = self.places.iter().map(|place| place.ports.used_permille()).max().unwrap_or(0);
        let allocations = self.server.allocations() as u64 * 1000 / self.allocations_max.max(1);
        self.events.saturation = self.load.saturation(&[used, allocations]);
        let admits = self.load.admits(self.events.saturation);
        let admission = if admits { self.admission } else { Admission::Closed };
        // Who can't be taken is better sent elsewhere.
        let admission = if let Admission::Elsewhere(_) = self.admission { self.admission } else { admission };
        self.events.admits = admission == Admission::Open;
        self.server.set_admission(admission);
        self.counters.note(&self.server, &self.ways.tally, &self.events);
    }
}

#[cfg(test)]
pub(crate) mod tests;
