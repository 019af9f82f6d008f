//! A peer's host: its sockets, streams and relay, and in it an agent, or a prober.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Agent, Event, Request};
use plenary_netsim::{Closed, Machine};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use super::cell::Turn;
use super::prober::Prober;
use super::server::Server;
use super::wire::{
    ALLOCATE, ALLOCATED, DATA, Frames, HEAD, HELLO, MEDIA, Piece, SEND, address_of, framed, with_address,
};

/// The flows of what goes through the relay: IPv4, and IPv6.
const RELAYED: [FlowId; 2] = [FlowId(1_000_000), FlowId(1_000_001)];

/// The one for addresses of this family.
pub(crate) fn relayed_flow(address: SocketAddr) -> FlowId {
    RELAYED[usize::from(address.is_ipv6())]
}

pub(crate) fn is_relayed(flow: FlowId) -> bool {
    RELAYED.contains(&flow)
}

/// A name for the active TCP candidate of this family.
pub(crate) fn active_flow(address: SocketAddr) -> FlowId {
    FlowId(1_000_002 + u32::from(address.is_ipv6()))
}

pub(crate) enum Brain {
    Agent(Box<Agent>),
    Prober(Prober),
}

#[derive(Debug)]
pub(crate) enum Told {
    Ice(Event),
    /// The relay has given an address.
    Allocated(SocketAddr),
}

/// The way to a relay.
pub(crate) struct Relay {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
    turn: Turn,
    /// An address of each family that an address is wanted of.
    wanted: Vec<SocketAddr>,
    /// Those that were given.
    pub(crate) relayed: Vec<SocketAddr>,
    ask_at: Option<Instant>,
    /// What is asked for can be: TLS is through.
    is_ready: bool,
    frames: Frames,
}

impl Relay {
    /// `way`: the flow, its local address, and the server's.
    pub(crate) fn new(
        way: (FlowId, SocketAddr, SocketAddr),
        turn: Turn,
        wanted: Vec<SocketAddr>,
        now: Instant,
    ) -> Self {
        let (flow, local, server) = way;
        let ask_at = (turn == Turn::Udp).then_some(now);
        let is_ready = turn != Turn::Tls;
        Self { flow, local, server, turn, wanted, relayed: Vec::new(), ask_at, is_ready, frames: Frames::default() }
    }

    const fn is_stream(&self) -> bool {
        !matches!(self.turn, Turn::Udp)
    }

    /// What is to be asked now.
    fn ask(&mut self, now: Instant) -> Vec<Piece> {
        if self.ask_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.ask_at = (!self.is_stream()).then(|| now + Duration::from_millis(400));
        if !self.is_ready {
            return vec![self.piece(&with_address(HELLO, self.server, &[]))];
        }
        let missing = |like: &&SocketAddr| !self.relayed.iter().any(|given| given.is_ipv4() == like.is_ipv4());
        let asks = self.wanted.iter().filter(missing).map(|like| self.piece(&with_address(ALLOCATE, *like, &[])));
        asks.collect()
    }

    fn piece(&self, bytes: &[u8]) -> Piece {
        let bytes = if self.is_stream() { framed(bytes) } else { bytes.to_vec() };
        Piece { flow: self.flow, local: self.local, remote: self.server, bytes }
    }
}

pub(crate) struct Station {
    pub(crate) brain: Brain,
    pub(crate) relay: Option<Relay>,
    /// ICE-TCP streams; with the agent's request until they are open.
    pub(crate) streams: BTreeMap<FlowId, (Option<Request>, Frames)>,
    pub(crate) stream_addresses: BTreeMap<FlowId, (SocketAddr, SocketAddr)>,
    /// When something was last sent from this flow to that address.
    pub(crate) sent: BTreeMap<(FlowId, SocketAddr), Instant>,
    /// Media that came in: on which flow, from where, its number, and whether the agent held the path to be proven.
    pub(crate) media: Vec<(FlowId, SocketAddr, u32, bool)>,
    out: VecDeque<Piece>,
    events: VecDeque<Told>,
}

impl Station {
    pub(crate) fn new(brain: Brain, relay: Option<Relay>) -> Self {
        Self {
            brain,
            relay,
            streams: BTreeMap::new(),
            stream_addresses: BTreeMap::new(),
            sent: BTreeMap::new(),
            media: Vec::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn agent(&self) -> &Agent {
        let Brain::Agent(agent) = &self.brain else { panic!("there is no agent here") };
        agent
    }

    pub(crate) fn agent_mut(&mut self) -> &mut Agent {
        let Brain::Agent(agent) = &mut self.brain else { panic!("there is no agent here") };
        agent
    }

    pub(crate) fn prober_mut(&mut self) -> &mut Prober {
        let Brain::Prober(prober) = &mut self.brain else { panic!("there is no prober here") };
        prober
    }

    /// Sends media on the pair in use, if there is one.
    pub(crate) fn send_media(&mut self, number: u32) -> bool {
        let Some(pair) = self.agent().selected() else { return false };
        let mut bytes = vec![MEDIA];
        bytes.extend(number.to_be_bytes());
        if self.streams.contains_key(&pair.flow) {
            bytes = framed(&bytes);
        }
        let piece = Piece { flow: pair.flow, local: pair.local, remote: pair.remote, bytes };
        let piece = self.outward(piece);
        self.out.push_back(piece);
        true
    }

    /// What comes from a flow of the brain's, as it leaves the host.
    fn outward(&self, piece: Piece) -> Piece {
        if !is_relayed(piece.flow) {
            return piece;
        }
        let relay = self.relay.as_ref().expect("only who has a relay has its flow");
        relay.piece(&with_address(SEND, piece.remote, &piece.bytes))
    }

    fn inward(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, bytes: &mut [u8], now: Instant) {
        if bytes.first() == Some(&MEDIA) {
            let number = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
            let proven = self.agent().is_proven(flow, remote);
            return self.media.push((flow, remote, number, proven));
        }
        match &mut self.brain {
            Brain::Agent(agent) => {
                let _ = agent.handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes }, now);
            }
            Brain::Prober(prober) => {
                let framed = self.streams.contains_key(&flow);
                prober.handle(flow, local, remote, bytes, framed);
            }
        }
    }

    fn take_from_relay(&mut self, bytes: &mut [u8], now: Instant) {
        let address = address_of(bytes);
        let relay = self.relay.as_mut().expect("it was heard");
        let given = relay.relayed.iter().copied().find(|given| given.is_ipv4() == address.is_ipv4());
        match (bytes[0], given) {
            (HELLO, _) => (relay.is_ready, relay.ask_at) = (true, Some(now)),
            (ALLOCATED, None) => {
                relay.relayed.push(address);
                if relay.relayed.len() == relay.wanted.len() {
                    relay.ask_at = None;
                }
                self.events.push_back(Told::Allocated(address));
            }
            (DATA, Some(relayed)) => self.inward(relayed_flow(address), relayed, address, &mut bytes[HEAD..], now),
            _ => {}
        }
    }

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        let Datagram { flow, local, remote, bytes, .. } = datagram;
        if self.relay.as_ref().is_some_and(|relay| relay.flow == flow && !relay.is_stream()) {
            return self.take_from_relay(bytes, now);
        }
        self.inward(flow, local, remote, bytes, now);
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &[u8], now: Instant) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.flow == flow) {
            for mut frame in relay.frames.take(bytes) {
                self.take_from_relay(&mut frame, now);
            }
            return;
        }
        let Some((_, frames)) = self.streams.get_mut(&flow) else { return };
        for mut frame in frames.take(bytes) {
            let (local, remote) = self.stream_addresses[&flow];
            self.inward(flow, local, remote, &mut frame, now);
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let piece = match self.out.pop_front() {
            Some(piece) => piece,
            None => self.next_piece(now)?,
        };
        let start = out.len();
        out.extend_from_slice(&piece.bytes);
        let Piece { flow, local, remote, .. } = piece;
        Some(Transmit { flow, local, remote, range: start..out.len(), segment: out.len() - start, ecn: Ecn::NotEct })
    }

    fn next_piece(&mut self, now: Instant) -> Option<Piece> {
        if let Some(relay) = &mut self.relay {
            self.out.extend(relay.ask(now));
            if let Some(piece) = self.out.pop_front() {
                return Some(piece);
            }
        }
        let piece = match &mut self.brain {
            Brain::Prober(prober) => prober.out.pop_front()?,
            Brain::Agent(agent) => {
                let mut bytes = Vec::new();
                let transmit = agent.poll_transmit(now, Limit::DATAGRAM, &mut bytes)?;
                Piece { flow: transmit.flow, local: transmit.local, remote: transmit.remote, bytes }
            }
        };
        self.sent.insert((piece.flow, piece.remote), now);
        Some(self.outward(piece))
    }
}

/// What stands on a node.
pub(crate) enum Host {
    Station(Box<Station>),
    Server(Server),
}

impl Host {
    pub(crate) fn station(&self) -> &Station {
        let Self::Station(station) = self else { panic!("peers are stations") };
        station
    }

    pub(crate) fn station_mut(&mut self) -> &mut Station {
        let Self::Station(station) = self else { panic!("peers are stations") };
        station
    }
}

impl Machine for Host {
    type Event = Told;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        match self {
            Self::Station(station) => station.handle_datagram(datagram, now),
            Self::Server(server) => server.handle_datagram(datagram.flow, datagram.remote, datagram.bytes),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Station(station) = self
            && let Brain::Agent(agent) = &mut station.brain
        {
            agent.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, now: Instant, _limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        match self {
            Self::Station(station) => station.transmit(now, out),
            Self::Server(server) => {
                let Piece { flow, local, remote, bytes } = server.out.pop_front()?;
                let start = out.len();
                out.extend_from_slice(&bytes);
                let segment = bytes.len();
                Some(Transmit { flow, local, remote, range: start..out.len(), segment, ecn: Ecn::NotEct })
            }
        }
    }

    fn poll_event(&mut self) -> Option<Told> {
        let Self::Station(station) = self else { return None };
        if let Brain::Agent(agent) = &mut station.brain
            && let Some(event) = agent.poll_event()
        {
            return Some(Told::Ice(event));
        }
        station.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let Self::Station(station) = self else { return None };
        let agent = match &station.brain {
            Brain::Agent(agent) => agent.poll_timeout(),
            Brain::Prober(_) => None,
        };
        let relay = station.relay.as_ref().and_then(|relay| relay.ask_at);
        [agent, relay].into_iter().flatten().min()
    }

    fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let Self::Station(station) = self else { return };
        if let Some(relay) = station.relay.as_mut().filter(|relay| relay.flow == flow) {
            relay.ask_at = Some(now);
            return;
        }
        station.stream_addresses.insert(flow, (local, remote));
        let request = station.streams.entry(flow).or_default().0.take();
        match (&mut station.brain, request) {
            // If it is not wanted any more, it stays unused.
            (Brain::Agent(agent), Some(request)) => drop(agent.handle_connected(request, Some((flow, local)), now)),
            (Brain::Prober(prober), _) => prober.handle_connected(flow, local, remote),
            (Brain::Agent(_), None) => {}
        }
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let Self::Station(station) = self else { return };
        station.stream_addresses.insert(flow, (local, remote));
        station.streams.insert(flow, (None, Frames::default()));
        if let Brain::Agent(agent) = &mut station.brain {
            agent.handle_accepted(flow, local, now).expect("it came to the passive candidate");
        }
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], now: Instant) {
        match self {
            Self::Station(station) => station.handle_stream(flow, bytes, now),
            Self::Server(server) => server.handle_stream(flow, bytes),
        }
    }

    fn handle_closed(&mut self, flow: FlowId, _reason: Closed, now: Instant) {
        let Self::Station(station) = self else { return };
        let Some((request, _)) = station.streams.remove(&flow) else { return };
        if let Brain::Agent(agent) = &mut station.brain {
            match request {
                Some(request) => drop(agent.handle_connected(request, None, now)),
                None => drop(agent.handle_closed(flow, now)),
            }
        }
    }
}
