//! Two agents and a network between them, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Agent, Config, Event, LocalCandidate, Mode, Role, Selected, State};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

use crate::oracle::matrix::stun_answer::stun_answer;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) at: Instant,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// A socket, or a relayed address, of one of the agents.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) agent: usize,
    pub(crate) flow: FlowId,
    pub(crate) address: SocketAddr,
    /// What others see, and send to: another address for a NAT that maps one to one.
    pub(crate) public: SocketAddr,
    /// A NAT that lets in only those that were sent to.
    pub(crate) filters: bool,
    pub(crate) sent_to: Vec<SocketAddr>,
}

type Cut = Box<dyn Fn(&Packet) -> bool>;

pub(crate) struct Lab {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) agents: [Agent; 2],
    pub(crate) sockets: Vec<Socket>,
    pub(crate) delay: Duration,
    /// Of 1000.
    pub(crate) loss: u64,
    pub(crate) reorder: bool,
    pub(crate) duplicate: bool,
    /// What is lost besides.
    pub(crate) cut: Option<Cut>,
    pub(crate) stun_servers: Vec<SocketAddr>,
    pub(crate) events: Vec<(Duration, usize, Event)>,
    pub(crate) packets_sent: usize,
    pub(crate) dropped: usize,
    /// Media that arrived from where the peer had proven to be.
    pub(crate) media: usize,
    wire: Vec<Packet>,
    random: u64,
}

pub(crate) fn config(seed: u8, role: Role) -> Config {
    Config { entropy: [seed; 32], role, ..Config::default() }
}

impl Lab {
    pub(crate) fn new(a: Config, b: Config) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let now = Instant::now();
        let seed = u64::from(a.entropy[0]) << 8 | u64::from(b.entropy[0]);
        Self {
            now,
            start: now,
            agents: [Agent::new(a, now).unwrap(), Agent::new(b, now).unwrap()],
            sockets: Vec::new(),
            delay: ms(50),
            loss: 0,
            reorder: false,
            duplicate: false,
            cut: None,
            stun_servers: Vec::new(),
            events: Vec::new(),
            packets_sent: 0,
            dropped: 0,
            media: 0,
            wire: Vec::new(),
            random: seed * 2 + 1,
        }
    }

    /// Two full agents with a host each, who have told each other all, at the same instant.
    pub(crate) fn full() -> Self {
        let mut lab = Self::new(config(1, Role::Controlling), config(2, Role::Controlled));
        lab.host(A, 1, "192.0.2.1:1000");
        lab.host(B, 2, "192.0.2.2:2000");
        lab.signal();
        lab
    }

    pub(crate) fn lite() -> Self {
        let mut lab = Self::new(config(1, Role::Controlling), lite_config(2));
        lab.host(A, 1, "192.0.2.1:1000");
        lab.host(B, 2, "192.0.2.2:2000");
        lab.signal();
        lab
    }

    pub(crate) fn socket(&mut self, agent: usize, flow: u32, local: &str, public: &str) {
        let (address, public) = (address(local), address(public));
        let filters = address != public;
        self.sockets.push(Socket { agent, flow: FlowId(flow), address, public, filters, sent_to: Vec::new() });
    }

    pub(crate) fn host(&mut self, agent: usize, flow: u32, at: &str) {
        self.socket(agent, flow, at, at);
        self.agents[agent].add_local_candidate(LocalCandidate::host(FlowId(flow), address(at)), self.now).unwrap();
    }

    pub(crate) fn natted(&mut self, agent: usize, flow: u32, local: &str, public: &str) {
        self.socket(agent, flow, local, public);
        self.agents[agent].add_local_candidate(LocalCandidate::host(FlowId(flow), address(local)), self.now).unwrap();
    }

    pub(crate) fn relay(&mut self, agent: usize, flow: u32, at: &str) {
        self.socket(agent, flow, at, at);
        self.agents[agent].add_local_candidate(LocalCandidate::relayed(FlowId(flow), address(at)), self.now).unwrap();
    }

    /// Tells each side the other's parameters and candidates, at once.
    pub(crate) fn signal(&mut self) {
        self.parameters();
        for agent in [A, B] {
            self.candidates(agent);
        }
    }

    pub(crate) fn parameters(&mut self) {
        for agent in [A, B] {
            let parameters = self.agents[1 - agent].local_parameters();
            self.agents[agent].set_remote_parameters(parameters, self.now);
        }
    }

    /// Tells the other side what `agent` has.
    pub(crate) fn candidates(&mut self, agent: usize) {
        for candidate in self.agents[agent].local_candidates() {
            self.agents[1 - agent].add_remote_candidate(candidate, self.now);
        }
    }

    /// Lets `span` go by.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.run_until(end, |_| false);
    }

    /// Until `done`, at most `span`; answers whether it was.
    pub(crate) fn until(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        self.run_until(end, done)
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        let mut idle = 0;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timers = self.agents.iter().filter_map(Agent::poll_timeout);
            let next = timers.chain(self.wire.iter().map(|packet| packet.at)).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return false;
            };
            idle = if next <= self.now { idle + 1 } else { 0 };
            assert!(idle < 1000, "time stands still: {:?}", self.agents.each_ref().map(Agent::poll_timeout));
            self.now = self.now.max(next);
            self.deliver();
            for agent in &mut self.agents {
                if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    agent.handle_timeout(self.now);
                }
            }
        }
    }

    fn drain(&mut self) {
        for index in [A, B] {
            let mut out = Vec::new();
            while let Some(transmit) = self.agents[index].poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
                let bytes = transmit.bytes(&out).to_vec();
                self.send(index, transmit.flow, transmit.remote, bytes);
            }
            while let Some(event) = self.agents[index].poll_event() {
                self.events.push((self.now - self.start, index, event));
            }
        }
    }

    /// Puts a datagram on the wire.
    pub(crate) fn send(&mut self, agent: usize, flow: FlowId, to: SocketAddr, bytes: Vec<u8>) {
        self.packets_sent += 1;
        let socket = self.sockets.iter_mut().find(|socket| socket.agent == agent && socket.flow == flow);
        let socket = socket.expect("agents send on sockets that they have");
        if socket.filters && !socket.sent_to.contains(&to) {
            socket.sent_to.push(to);
        }
        let from = socket.public;
        let (draw, order) = (self.draw(1000), self.draw(20));
        let late = if self.reorder { ms(order) } else { Duration::ZERO };
        let packet = Packet { at: self.now + self.delay + late, from, to, bytes };
        let cut = self.cut.as_ref().is_some_and(|cut| cut(&packet));
        if draw < self.loss || cut {
            return;
        }
        if self.duplicate && order < 5 {
            self.wire.push(packet.clone());
        }
        self.wire.push(packet);
    }

    fn deliver(&mut self) {
        self.wire.sort_by_key(|packet| packet.at);
        while self.wire.first().is_some_and(|packet| packet.at <= self.now) {
            let packet = self.wire.remove(0);
            self.arrive(packet);
        }
    }

    pub(crate) fn arrive(&mut self, mut packet: Packet) {
        if self.stun_servers.contains(&packet.to) {
            let answer = stun_answer(packet.from, &packet.bytes);
            self.wire.push(Packet { at: self.now + self.delay, from: packet.to, to: packet.from, bytes: answer });
            return;
        }
        let Some(socket) = self.sockets.iter().find(|socket| socket.public == packet.to) else { return };
        if socket.filters && !socket.sent_to.contains(&packet.from) {
            return;
        }
        let (flow, local, remote) = (socket.flow, socket.address, packet.from);
        if packet.bytes[0] == 0x80 {
            self.media += usize::from(self.agents[socket.agent].is_proven(flow, remote));
            return;
        }
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut packet.bytes };
        if let Handled::Dropped(_) = self.agents[socket.agent].handle_datagram(datagram, self.now) {
            self.dropped += 1;
        }
    }

    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub(crate) fn selected(&self, agent: usize) -> Option<(SocketAddr, SocketAddr)> {
        self.agents[agent].selected().map(|Selected { local, remote, .. }| (local, remote))
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.agents.iter().all(|agent| agent.selected().is_some())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.agents.iter().all(|agent| agent.state() == State::Completed)
    }

    /// When the agent first had a pair to send on.
    pub(crate) fn usable_after(&self, agent: usize) -> Option<Duration> {
        let is_first = |(at, who, event): &(Duration, usize, Event)| {
            (*who == agent && matches!(event, Event::Selected(_))).then_some(*at)
        };
        self.events.iter().find_map(is_first)
    }

    pub(crate) fn states(&self, agent: usize) -> Vec<State> {
        let state = |(_, who, event): &(Duration, usize, Event)| match event {
            Event::State(state) if *who == agent => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }
}

pub(crate) fn lite_config(seed: u8) -> Config {
    Config { mode: Mode::Lite, ..config(seed, Role::Controlled) }
}
