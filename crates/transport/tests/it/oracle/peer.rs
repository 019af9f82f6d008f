//! A transport, and what it needs on the network of the matrix.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_ice::{Address, Agent, Candidate, LocalCandidate, Parameters, Request};
use plenary_transport::{Config, DropReason, Event, Handled, Path, Setup, Transport};
use plenary_turn::client::{self, Deframer, Failure, Families};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use super::matrix::cast::{Media, Seat, Sent, Subject, Way};
use super::matrix::cell::Turn;
use super::matrix::station::{Told, relayed_flow};
use super::matrix::trial;
use super::matrix::wire::{Piece, framed, media, number_of};
use super::server::HANDSHAKE;
use super::tap::Tap;
use crate::lab::certificate;

pub(crate) struct Peer {
    transport: Transport,
    relay: Option<Relay>,
    /// The addresses of the other's candidates, but those for TCP.
    told: BTreeSet<IpAddr>,
    /// Where the other was heard: it may be by an address that it does not know of, before there is a relay.
    heard: BTreeSet<IpAddr>,
    events: VecDeque<Told>,
    out: VecDeque<Piece>,
    faults: Vec<String>,
}

/// The way to a relay, and what is seen on it.
struct Relay {
    way: Way,
    entropy: [u8; 32],
    /// What TLS comes to is over.
    is_through: bool,
    deframer: Deframer,
    tap: Tap,
    is_allocated: bool,
}

impl Relay {
    fn is_way(&self, flow: FlowId, remote: SocketAddr) -> bool {
        (flow, remote) == (self.way.flow, self.way.server)
    }

    /// The flow by which the transport speaks of it.
    fn flow(&self) -> FlowId {
        relayed_flow(self.way.wanted[0])
    }

    fn families(&self) -> Families {
        if self.way.wanted.len() == 2 { Families::Both } else { Families::V4 }
    }
}

impl Peer {
    /// The entropy of the transport, and that of its relay.
    pub(crate) fn new(seat: Seat, entropy: [[u8; 32]; 2], now: Instant) -> Self {
        let [of_transport, of_relay] = entropy;
        let config = Config {
            ice: trial::config(&seat, of_transport),
            // Both wait for the other's hello: what DTLS does varies from run to run, and is tested elsewhere.
            setup: Setup::Passive,
            handshake_timeout: Duration::from_secs(600),
            ..Config::new(certificate(seat.peer), of_transport)
        };
        let transport = Transport::new(config, now).expect("the configuration is in range");
        let relay = seat.way.map(|way| Relay {
            way,
            entropy: of_relay,
            is_through: false,
            deframer: Deframer::new(2000),
            tap: Tap::default(),
            is_allocated: false,
        });
        let (told, heard) = (BTreeSet::new(), BTreeSet::new());
        let (events, out, faults) = (VecDeque::new(), VecDeque::new(), Vec::new());
        let mut peer = Self { transport, relay, told, heard, events, out, faults };
        if peer.relay.as_ref().is_some_and(|relay| !relay.way.is_stream()) {
            peer.add_relay(now);
        }
        peer
    }

    fn add_relay(&mut self, now: Instant) {
        let relay = self.relay.as_mut().expect("it has a way to one");
        relay.is_through = true;
        let Way { flow, local, server, .. } = relay.way;
        let stream = relay.way.is_stream();
        let config = client::Config {
            entropy: relay.entropy,
            server,
            flow,
            local,
            transport: if stream { client::Transport::Stream } else { client::Transport::Datagrams },
            username: "user".into(),
            password: "secret".into(),
            families: relay.families(),
            ..client::Config::default()
        };
        self.transport.add_relay(relay.flow(), config, now).expect("the configuration is in range");
    }

    /// What came from the server, or from a peer.
    fn take(&mut self, datagram: Datagram<'_>, now: Instant) -> Option<Media> {
        let Datagram { flow, remote, .. } = datagram;
        let mut heard = (flow, remote, number_of(datagram.bytes));
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.is_way(flow, remote))
            && let Some((peer, data)) = relay.tap.hear_server(datagram.bytes)
        {
            heard = (relay.flow(), peer, number_of(data));
        }
        let is_proven = match self.transport.handle_datagram(datagram, now) {
            Handled::Dropped(DropReason::NoKeys) => true,
            Handled::Dropped(DropReason::Unproven) => false,
            // Requests that are sent again are answered again.
            Handled::Dropped(DropReason::Relay(client::DropReason::UnknownTransaction)) => return None,
            Handled::Dropped(DropReason::Relay(reason)) if self.transport.closed().is_none() => {
                self.faults.push(format!("its client has dropped what the server sent: {reason:?}"));
                return None;
            }
            _ => return None,
        };
        let (flow, remote, number) = heard;
        number.map(|number| Media { flow, remote, number, is_proven })
    }

    fn hear(&mut self, event: client::Event) {
        let relay = self.relay.as_mut().expect("it has told of itself");
        match event {
            client::Event::Allocated(told) => {
                relay.is_allocated = true;
                self.events.extend(told.ipv4.into_iter().chain(told.ipv6).map(Told::Allocated));
            }
            client::Event::Failed(Failure::TimedOut) if !relay.is_allocated && !relay.way.is_stream() => {}
            client::Event::Closed | client::Event::Failed(Failure::StreamClosed) => {
                if relay.way.is_stream() {
                    self.events.push_back(Told::Ice(plenary_ice::Event::CloseStream(relay.way.flow)));
                }
            }
            client::Event::PermissionRefused(ip, _) if !is_public(ip) => {}
            other => self.faults.push(format!("of its relay it hears {other:?}")),
        }
    }
}

/// Whether the servers let clients reach an address.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_documentation(),
        IpAddr::V6(ip) => ip.segments()[..2] == [0x2001, 0xdb8],
    }
}

impl Subject for Peer {
    fn ice(&self) -> &Agent {
        self.transport.ice()
    }

    fn set_remote(&mut self, parameters: Parameters, now: Instant) {
        let ours = self.transport.local_parameters();
        let theirs = plenary_transport::Parameters { ice: parameters, setup: Setup::Active, ..ours };
        self.transport.set_remote(theirs, now).expect("the description is sound");
    }

    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        if candidate.transport == plenary_ice::Transport::Udp {
            self.told.extend(candidate.address.ip().map(|address| address.ip()));
        }
        self.transport.add_remote_candidate(candidate, now);
    }

    fn end_remote_candidates(&mut self, now: Instant) {
        self.transport.end_remote_candidates(now);
    }

    fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant) {
        self.transport.add_local_candidate(candidate, now).expect("the candidate is sound");
    }

    fn end_local_candidates(&mut self, now: Instant) {
        self.transport.end_local_candidates(now);
    }

    fn handle_allocated(&mut self, relayed: SocketAddr, _now: Instant) {
        let candidates = self.ice().local_candidates();
        assert!(candidates.iter().any(|it| it.address == Address::Ip(relayed)), "it is a candidate by itself");
    }

    fn handle_connected(&mut self, request: Request, stream: Option<(FlowId, SocketAddr)>, now: Instant) {
        // If it is not wanted any more, it stays unused.
        let _ = self.transport.handle_connected(request, stream, now);
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, now: Instant) {
        self.transport.handle_accepted(flow, local, now).expect("it came to the passive candidate");
    }

    fn handle_closed(&mut self, flow: FlowId, now: Instant) {
        let _ = self.transport.handle_closed(flow, now);
    }

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) -> Option<Media> {
        self.take(datagram, now)
    }

    fn handle_way_open(&mut self, flow: FlowId, now: Instant) -> bool {
        let Some(relay) = self.relay.as_ref().filter(|relay| relay.way.flow == flow) else { return false };
        if relay.way.turn == Turn::Tls {
            let Way { flow, local, server, .. } = relay.way;
            self.out.push_back(Piece { flow, local, remote: server, bytes: HANDSHAKE.to_vec() });
        } else {
            self.add_relay(now);
        }
        true
    }

    fn handle_way(&mut self, flow: FlowId, mut bytes: &[u8], now: Instant) -> Vec<Media> {
        let Some(relay) = self.relay.as_ref().filter(|relay| relay.way.flow == flow) else { return Vec::new() };
        let Way { local, server: remote, .. } = relay.way;
        if !relay.is_through {
            assert_eq!(bytes, HANDSHAKE, "it came as it was sent");
            self.add_relay(now);
            return Vec::new();
        }
        let mut came = Vec::new();
        loop {
            let deframer = &mut self.relay.as_mut().expect("it is there").deframer;
            let Some(message) = deframer.take(&mut bytes).expect("the server speaks TURN") else { return came };
            let mut message = message.to_vec();
            came.extend(self.take(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut message }, now));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Sent> {
        if let Some(piece) = self.out.pop_front() {
            return Some((piece, None));
        }
        let mut bytes = Vec::new();
        let transmit = self.transport.poll_transmit(now, Limit::DATAGRAM, &mut bytes)?;
        let piece = Piece { flow: transmit.flow, local: transmit.local, remote: transmit.remote, bytes };
        let path = match self.relay.as_mut().filter(|relay| relay.is_way(piece.flow, piece.remote)) {
            Some(relay) => relay.tap.hear_client(&piece.bytes).map(|peer| (relay.flow(), peer)),
            None => Some((piece.flow, piece.remote)),
        };
        Some((piece, path))
    }

    fn poll_event(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.events.pop_front() {
                return Some(told);
            }
            match self.transport.poll_event()? {
                Event::Ice(event) => {
                    if let plenary_ice::Event::Heard { remote, .. } = &event {
                        self.heard.insert(remote.ip());
                    }
                    return Some(Told::Ice(event));
                }
                Event::PathChanged(_) => return Some(Told::Selected),
                Event::Relay(_, event) => self.hear(event),
                _ => {}
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.transport.poll_timeout()
    }

    fn media(&mut self, number: u32, now: Instant) -> Option<Piece> {
        let path = Path::from(self.ice().selected()?);
        let media = media(number);
        let wrapped = match self.transport.wrap(path, media.len(), now) {
            Ok(wrapped) => wrapped,
            Err(error) => {
                self.faults.push(format!("media can't be sent: {error}"));
                return None;
            }
        };
        let Path { flow, local, remote, framed: is_framed } = wrapped.path;
        let mut bytes = if is_framed { framed(&media) } else { media };
        if let Some(envelope) = wrapped.envelope {
            bytes.splice(..0, envelope.head.as_bytes().iter().copied());
            bytes.resize(bytes.len() + usize::from(envelope.padding), 0);
            let relay = self.relay.as_mut().expect("it is wrapped for one");
            assert_eq!(relay.tap.hear_client(&bytes), Some(path.remote));
        }
        Some(Piece { flow, local, remote, bytes })
    }

    fn close(&mut self, now: Instant) {
        self.transport.close(now);
    }

    fn wrong(&self) -> Option<String> {
        if !self.faults.is_empty() {
            return Some(format!("{:?}", self.faults));
        }
        let relay = self.relay.as_ref()?;
        let Tap { asked, strays, .. } = &relay.tap;
        if !strays.is_empty() {
            return Some(format!("from {strays:?} came what nobody had asked for"));
        }
        let is_reached = |ip: &IpAddr| ip.is_ipv4() || relay.way.wanted.len() == 2;
        let expected: BTreeSet<_> = self.told.iter().copied().filter(is_reached).collect();
        let is_known = |ip: &IpAddr| expected.contains(ip) || self.heard.contains(ip);
        let is_exact = !relay.is_allocated || asked.is_superset(&expected) && asked.iter().all(is_known);
        (!is_exact).then(|| format!("permissions for {asked:?} were asked for, of candidates at {expected:?}"))
    }
}
