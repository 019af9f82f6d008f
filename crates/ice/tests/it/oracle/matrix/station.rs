//! A peer's host: its sockets, streams and relay, and in it who must find their way, or a prober.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Event, Request};
use plenary_netsim::{Closed, Machine};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use super::cast::{Media, Serves, Subject, Way};
use super::cell::Turn;
use super::prober::Prober;
use super::wire::{ALLOCATE, ALLOCATED, DATA, Frames, HEAD, HELLO, Piece, SEND, address_of, framed, with_address};

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
    Subject(Box<dyn Subject>),
    Prober(Prober),
}

#[derive(Debug)]
pub(crate) enum Told {
    Ice(Event),
    /// There is a pair, or another one.
    Selected,
    /// The relay has given an address.
    Allocated(SocketAddr),
}

/// A relay of the laboratory's own, in the eyes of its client.
pub(crate) struct Relay {
    way: Way,
    /// Those that were given.
    pub(crate) relayed: Vec<SocketAddr>,
    ask_at: Option<Instant>,
    /// What is asked for can be: TLS is through.
    is_ready: bool,
    frames: Frames,
}

impl Relay {
    pub(crate) fn new(way: Way, now: Instant) -> Self {
        let ask_at = (!way.is_stream()).then_some(now);
        let is_ready = way.turn != Turn::Tls;
        Self { way, relayed: Vec::new(), ask_at, is_ready, frames: Frames::default() }
    }

    /// What is to be asked now.
    fn ask(&mut self, now: Instant) -> Vec<Piece> {
        if self.ask_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.ask_at = (!self.way.is_stream()).then(|| now + Duration::from_millis(400));
        if !self.is_ready {
            return vec![self.piece(&with_address(HELLO, self.way.server, &[]))];
        }
        let missing = |like: &&SocketAddr| !self.relayed.iter().any(|given| given.is_ipv4() == like.is_ipv4());
        let asks = self.way.wanted.iter().filter(missing).map(|like| self.piece(&with_address(ALLOCATE, *like, &[])));
        asks.collect()
    }

    fn piece(&self, bytes: &[u8]) -> Piece {
        let bytes = if self.way.is_stream() { framed(bytes) } else { bytes.to_vec() };
        Piece { flow: self.way.flow, local: self.way.local, remote: self.way.server, bytes }
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
    /// Media that came in.
    pub(crate) media: Vec<Media>,
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

    pub(crate) fn subject(&self) -> &dyn Subject {
        let Brain::Subject(subject) = &self.brain else { panic!("a prober is here") };
        &**subject
    }

    pub(crate) fn subject_mut(&mut self) -> &mut dyn Subject {
        let Brain::Subject(subject) = &mut self.brain else { panic!("a prober is here") };
        &mut **subject
    }

    pub(crate) fn prober_mut(&mut self) -> &mut Prober {
        let Brain::Prober(prober) = &mut self.brain else { panic!("there is no prober here") };
        prober
    }

    /// Sends media on the pair in use, if there is one.
    pub(crate) fn send_media(&mut self, number: u32, now: Instant) -> bool {
        let Some(piece) = self.subject_mut().media(number, now) else { return false };
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
        match &mut self.brain {
            Brain::Subject(subject) => {
                let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes };
                self.media.extend(subject.handle_datagram(datagram, now));
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
                if relay.relayed.len() == relay.way.wanted.len() {
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
        if self.relay.as_ref().is_some_and(|relay| relay.way.flow == flow && !relay.way.is_stream()) {
            return self.take_from_relay(bytes, now);
        }
        self.inward(flow, local, remote, bytes, now);
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &[u8], now: Instant) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.way.flow == flow) {
            for mut frame in relay.frames.take(bytes) {
                self.take_from_relay(&mut frame, now);
            }
            return;
        }
        let Some((_, frames)) = self.streams.get_mut(&flow) else {
            if let Brain::Subject(subject) = &mut self.brain {
                self.media.extend(subject.handle_way(flow, bytes, now));
            }
            return;
        };
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
        Some(piece.write(out))
    }

    fn next_piece(&mut self, now: Instant) -> Option<Piece> {
        if let Some(relay) = &mut self.relay {
            self.out.extend(relay.ask(now));
            if let Some(piece) = self.out.pop_front() {
                return Some(piece);
            }
        }
        let (piece, path) = match &mut self.brain {
            Brain::Prober(prober) => (prober.out.pop_front()?, None),
            Brain::Subject(subject) => subject.poll_transmit(now)?,
        };
        self.sent.extend(path.map(|path| (path, now)));
        Some(self.outward(piece))
    }

    fn poll_event(&mut self) -> Option<Told> {
        if let Brain::Subject(subject) = &mut self.brain
            && let Some(told) = subject.poll_event()
        {
            return Some(told);
        }
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let subject = match &self.brain {
            Brain::Subject(subject) => subject.poll_timeout(),
            Brain::Prober(_) => None,
        };
        let relay = self.relay.as_ref().and_then(|relay| relay.ask_at);
        [subject, relay].into_iter().flatten().min()
    }

    fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.way.flow == flow) {
            relay.ask_at = Some(now);
            return;
        }
        if let Brain::Subject(subject) = &mut self.brain
            && subject.handle_way_open(flow, now)
        {
            return;
        }
        self.stream_addresses.insert(flow, (local, remote));
        let request = self.streams.entry(flow).or_default().0.take();
        match (&mut self.brain, request) {
            // If it is not wanted any more, it stays unused.
            (Brain::Subject(subject), Some(request)) => subject.handle_connected(request, Some((flow, local)), now),
            (Brain::Prober(prober), _) => prober.handle_connected(flow, local, remote),
            (Brain::Subject(_), None) => {}
        }
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        self.stream_addresses.insert(flow, (local, remote));
        self.streams.insert(flow, (None, Frames::default()));
        if let Brain::Subject(subject) = &mut self.brain {
            subject.handle_accepted(flow, local, now);
        }
    }

    fn handle_closed(&mut self, flow: FlowId, now: Instant) {
        let request = self.streams.remove(&flow).and_then(|(request, _)| request);
        if let Brain::Subject(subject) = &mut self.brain {
            match request {
                Some(request) => subject.handle_connected(request, None, now),
                None => subject.handle_closed(flow, now),
            }
        }
    }
}

/// What stands on a node.
pub(crate) enum Host {
    Station(Box<Station>),
    Server(Box<dyn Serves>),
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
            Self::Server(server) => server.handle_datagram(datagram, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Station(station) => {
                if let Brain::Subject(subject) = &mut station.brain {
                    subject.handle_timeout(now);
                }
            }
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        match self {
            Self::Station(station) => station.transmit(now, out),
            Self::Server(server) => server.poll_transmit(now, limit, out),
        }
    }

    fn poll_event(&mut self) -> Option<Told> {
        match self {
            Self::Station(station) => station.poll_event(),
            Self::Server(server) => server.poll_event(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Station(station) => station.poll_timeout(),
            Self::Server(server) => server.poll_timeout(),
        }
    }

    fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if let Self::Station(station) = self {
            station.handle_connected(flow, local, remote, now);
        }
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        match self {
            Self::Station(station) => station.handle_accepted(flow, local, remote, now),
            Self::Server(server) => server.handle_accepted(flow, local, remote, now),
        }
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], now: Instant) {
        match self {
            Self::Station(station) => station.handle_stream(flow, bytes, now),
            Self::Server(server) => server.handle_stream(flow, bytes, now),
        }
    }

    fn handle_closed(&mut self, flow: FlowId, reason: Closed, now: Instant) {
        match self {
            Self::Station(station) => station.handle_closed(flow, now),
            Self::Server(server) => server.handle_closed(flow, reason, now),
        }
    }
}
