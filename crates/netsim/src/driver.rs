//! Drives machines over a network in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use crate::network::{Delivery, Input, Network, NodeId, Outgoing};
use crate::{Machine, Random};

/// How many transmits one machine may give at one instant. One that gives more never stops: the simulation panics.
pub const TRANSMITS_PER_INSTANT_MAX: u32 = 10_000;

/// How often one machine may be woken by its own timeout at one instant. One that wants it more often names an instant
/// that has passed, and does not come to rest: the simulation panics.
pub const WAKES_PER_INSTANT_MAX: u32 = 1_000;

/// How many events one machine may have at one instant. One that has more never stops: the simulation panics.
pub const EVENTS_PER_INSTANT_MAX: u32 = 10_000;

/// The end of time, after a hundred years: what is due later never happens.
pub const TIME_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// An event of a machine, with when and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence<E> {
    /// When, since the start.
    pub at: Duration,
    /// Whose.
    pub node: NodeId,
    /// What.
    pub event: E,
}

/// A network, the machines on its nodes, and virtual time.
///
/// At each instant that something happens, all arrivals are handed over in order, then the machines whose timeout has
/// come are woken in the order of their nodes, then all that were touched give one transmit each in turn until none
/// has more. The same seed and the same calls give the same run, to the byte: [`Network::trace_hash`].
///
/// If it is dropped by a panic, as when an assertion of a test fails, it prints its seed.
#[derive(Debug)]
pub struct Simulation<M: Machine> {
    network: Network,
    machines: BTreeMap<NodeId, Slot<M>>,
    base: Instant,
    now: Duration,
    limit: Limit,
    timers: BTreeSet<(Duration, NodeId)>,
    touched: BTreeSet<NodeId>,
    occurrences: VecDeque<Occurrence<M::Event>>,
    entropy: Random,
    unsent: u64,
    out: Vec<u8>,
}

#[derive(Debug)]
struct Slot<M> {
    machine: M,
    timer: Option<Duration>,
    /// At the instant `at`: transmits given, wakes by its own timeout, and events.
    at: Duration,
    transmits: u32,
    wakes: u32,
    events: u32,
}

/// The label of the stream of chance that machines' entropy comes from: no link or NAT has it.
const ENTROPY_LABEL: u64 = 1 << 63;

impl<M: Machine> Simulation<M> {
    /// An empty network of this seed, at time zero.
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::new(seed),
            machines: BTreeMap::new(),
            base: crate::base(),
            now: Duration::ZERO,
            limit: Limit::GSO,
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            occurrences: VecDeque::new(),
            entropy: Random::new(seed, ENTROPY_LABEL),
            unsent: 0,
            out: Vec::new(),
        }
    }

    /// The present instant, for machines.
    pub fn now(&self) -> Instant {
        self.base + self.now
    }

    /// The time since the start, for all else.
    pub const fn elapsed(&self) -> Duration {
        self.now
    }

    /// The network, to look at.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The network, to build and to change.
    pub const fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Entropy for a machine's configuration, drawn from the seed: other bytes with each call.
    pub fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Bounds each call of `poll_transmit` from now on; [`Limit::GSO`] until then.
    pub const fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// Transmits that were dropped for want of room in a stream, or of the stream.
    pub const fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Puts a machine on a node, in place of one that may be there.
    pub fn place(&mut self, node: NodeId, machine: M) {
        let slot = Slot { machine, timer: None, at: self.now, transmits: 0, wakes: 0, events: 0 };
        if let Some(at) = self.machines.insert(node, slot).and_then(|old| old.timer) {
            self.timers.remove(&(at, node));
        }
        self.touched.insert(node);
    }

    /// A machine, to look at.
    ///
    /// # Panics
    ///
    /// If there is none on the node.
    pub fn machine(&self, node: NodeId) -> &M {
        &self.machines.get(&node).expect("a machine was placed on the node").machine
    }

    /// A machine, to give it a command. It is drained when the simulation goes on.
    ///
    /// # Panics
    ///
    /// If there is none on the node.
    pub fn machine_mut(&mut self, node: NodeId) -> &mut M {
        self.touched.insert(node);
        &mut self.machines.get_mut(&node).expect("a machine was placed on the node").machine
    }

    /// Opens a UDP socket: [`Network::bind`].
    pub fn bind(&mut self, node: NodeId, address: SocketAddr) -> FlowId {
        self.network.bind(node, address)
    }

    /// Listens for streams: [`Network::listen`].
    pub fn listen(&mut self, node: NodeId, address: SocketAddr) -> FlowId {
        self.network.listen(node, address)
    }

    /// Opens a stream now: [`Network::connect`].
    pub fn connect(&mut self, node: NodeId, local: SocketAddr, remote: SocketAddr) -> FlowId {
        self.network.connect(node, local, remote, self.now)
    }

    /// Goes on until a machine has an event, and returns it; or until `until` (since the start), and returns `None`.
    /// Between two events, the test may give commands: this is the place for signalling.
    ///
    /// An `until` beyond [`TIME_MAX`], such as [`Duration::MAX`], is when all is quiet: time then stands at the last
    /// thing that happened.
    pub fn next_event(&mut self, until: Duration) -> Option<Occurrence<M::Event>> {
        loop {
            self.settle();
            if let Some(occurrence) = self.occurrences.pop_front() {
                return Some(occurrence);
            }
            let timer = self.timers.first().map(|(at, _)| *at);
            let next = self.network.poll_timeout().into_iter().chain(timer).min();
            let Some(next) = next.filter(|at| *at <= until.min(TIME_MAX)) else {
                if until <= TIME_MAX {
                    self.now = self.now.max(until);
                }
                return None;
            };
            self.now = self.now.max(next);
            while let Some(delivery) = self.network.poll(self.now) {
                self.deliver(delivery);
            }
            self.wake();
        }
    }

    /// Goes on until `until` (since the start), and returns all events of it.
    pub fn run_until(&mut self, until: Duration) -> Vec<Occurrence<M::Event>> {
        std::iter::from_fn(|| self.next_event(until)).collect()
    }

    /// Goes on for a time, and returns all events of it.
    pub fn run_for(&mut self, time: Duration) -> Vec<Occurrence<M::Event>> {
        self.run_until(self.now.saturating_add(time))
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { node, flow, local, remote, input } = delivery;
        let now = self.now();
        let mut spent = Vec::new();
        if let Some(Slot { machine, .. }) = self.machines.get_mut(&node) {
            match input {
                Input::Datagram { ecn, mut bytes } => {
                    machine.handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, now);
                    spent = bytes;
                }
                Input::Stream(mut bytes) => {
                    machine.handle_stream(flow, &mut bytes, now);
                    spent = bytes;
                }
                Input::Connected => machine.handle_connected(flow, local, remote, now),
                Input::Accepted => machine.handle_accepted(flow, local, remote, now),
                Input::Closed(reason) => machine.handle_closed(flow, reason, now),
            }
        }
        self.network.recycle(spent);
        self.touched.insert(node);
    }

    /// Wakes the machines whose timeout has come, each once.
    fn wake(&mut self) {
        let now = self.now();
        while let Some(&(at, node)) = self.timers.first().filter(|(at, _)| *at <= self.now) {
            self.timers.remove(&(at, node));
            let slot = self.machines.get_mut(&node).expect("timers are those of machines");
            slot.timer = None;
            slot.begin(self.now);
            slot.wakes += 1;
            assert!(
                slot.wakes <= WAKES_PER_INSTANT_MAX,
                "seed {:#x}: the machine on node {} does not come to rest: at {:?} its timeout is {at:?}",
                self.network.seed(),
                node.index(),
                self.now,
            );
            slot.machine.handle_timeout(now);
            self.touched.insert(node);
        }
    }

    /// Takes from all that were touched what they have: one transmit each in turn, then events and timeouts.
    fn settle(&mut self) {
        let mut turn = std::mem::take(&mut self.touched);
        turn.retain(|node| self.machines.contains_key(node));
        let all = turn.clone();
        while !turn.is_empty() {
            turn.retain(|node| self.transmit(*node));
        }
        for node in all {
            let Some(slot) = self.machines.get_mut(&node) else { continue };
            slot.begin(self.now);
            while let Some(event) = slot.machine.poll_event() {
                slot.events += 1;
                assert!(
                    slot.events <= EVENTS_PER_INSTANT_MAX,
                    "seed {:#x}: the machine on node {} never stops telling at {:?}",
                    self.network.seed(),
                    node.index(),
                    self.now,
                );
                self.occurrences.push_back(Occurrence { at: self.now, node, event });
            }
            let due = slot.machine.poll_timeout().map(|at| at.saturating_duration_since(self.base));
            if slot.timer != due {
                if let Some(old) = slot.timer {
                    self.timers.remove(&(old, node));
                }
                self.timers.extend(due.map(|at| (at, node)));
                slot.timer = due;
            }
        }
    }

    /// Sends one transmit of a machine; `false` if it has none.
    fn transmit(&mut self, node: NodeId) -> bool {
        let now = self.now();
        let Some(slot) = self.machines.get_mut(&node) else { return false };
        self.out.clear();
        let Some(transmit) = slot.machine.poll_transmit(now, self.limit, &mut self.out) else { return false };
        slot.begin(self.now);
        slot.transmits += 1;
        assert!(
            slot.transmits <= TRANSMITS_PER_INSTANT_MAX,
            "seed {:#x}: the machine on node {} never stops transmitting at {:?}",
            self.network.seed(),
            node.index(),
            self.now,
        );
        if !self.send(node, &transmit) {
            self.unsent += 1;
            let slot = self.machines.get_mut(&node).expect("the machine has just transmitted");
            slot.machine.handle_unsent(&transmit, now);
        }
        true
    }

    fn send(&mut self, node: NodeId, transmit: &Transmit) -> bool {
        let Transmit { flow, local, remote, ecn, .. } = *transmit;
        let bytes = transmit.bytes(&self.out);
        if self.network.is_stream(node, flow) {
            let fits = bytes.len() <= self.network.stream_room(node, flow);
            return fits && self.network.write(node, flow, bytes, self.now) == bytes.len();
        }
        for bytes in transmit.datagrams(&self.out) {
            self.network.send(node, Outgoing { flow, local, remote, ecn, bytes }, self.now);
        }
        self.network.is_open(node, flow)
    }
}

impl<M> Slot<M> {
    /// Counts anew if the instant is another.
    fn begin(&mut self, now: Duration) {
        if self.at != now {
            (self.at, self.transmits, self.wakes, self.events) = (now, 0, 0, 0);
        }
    }
}

impl<M: Machine> Drop for Simulation<M> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("netsim: failed at {:?} of seed {:#x}", self.now, self.network.seed());
        }
    }
}
