//! Peers that reach each other by TURN, with the server of `plenary-turn`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_ice::{Candidate, CandidateKind, LocalCandidate, Policy};
use plenary_netsim::{Closed, LinkConfig, Loss, Machine, NatConfig, NodeId, Simulation, SiteConfig, SiteId};
use plenary_stun::ErrorCode;
use plenary_transport::{Config, Event, Path, RelayError, Transport};
use plenary_turn::client::{self, Deframer, Failure};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use crate::lab::{A, B, Peer, config, data_config, ms, rtp};
use crate::oracle::matrix::server::Sockets;
use crate::oracle::matrix::station::Told as ServerTold;
use crate::oracle::server::Served;

pub(crate) const SERVER: &str = "8.8.4.4:3478";
/// Where the server takes streams.
pub(crate) const STREAMS: &str = "8.8.4.4:443";
pub(crate) const RELAY: FlowId = FlowId(1000);

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) enum Station {
    /// A peer, and what cuts the streams to its server.
    Peer(Box<Peer>, BTreeMap<FlowId, Deframer>),
    Server(Box<Served>),
}

#[derive(Debug)]
pub(crate) enum Told {
    Peer(Event),
    Server(ServerTold),
}

impl Machine for Station {
    type Event = Told;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        match self {
            Self::Peer(peer, _) => peer.handle_datagram(datagram, now),
            Self::Server(server) => server.handle_datagram(datagram, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Peer(peer, _) => peer.handle_timeout(now),
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        match self {
            Self::Peer(peer, _) => peer.poll_transmit(now, limit, out),
            Self::Server(server) => server.poll_transmit(now, limit, out),
        }
    }

    fn poll_event(&mut self) -> Option<Told> {
        match self {
            Self::Peer(peer, _) => peer.poll_event().map(Told::Peer),
            Self::Server(server) => server.poll_event().map(Told::Server),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Peer(peer, _) => peer.poll_timeout(),
            Self::Server(server) => server.poll_timeout(),
        }
    }

    fn handle_connected(&mut self, flow: FlowId, _local: SocketAddr, _remote: SocketAddr, _now: Instant) {
        if let Self::Peer(_, streams) = self {
            streams.insert(flow, Deframer::new(2000));
        }
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if let Self::Server(server) = self {
            server.handle_accepted(flow, local, remote, now);
        }
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], now: Instant) {
        match self {
            Self::Peer(peer, streams) => {
                let deframer = streams.get_mut(&flow).expect("it is connected");
                let local = peer.local;
                // In pieces that end anywhere.
                for mut piece in bytes.chunks(7) {
                    while let Some(bytes) = deframer.take(&mut piece).expect("the server speaks TURN") {
                        let remote = at(STREAMS);
                        peer.handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes }, now);
                    }
                }
            }
            Self::Server(server) => server.handle_stream(flow, bytes, now),
        }
    }

    fn handle_closed(&mut self, flow: FlowId, reason: Closed, now: Instant) {
        match self {
            // Of a stream that nothing goes by any more the transport knows nothing.
            Self::Peer(peer, _) => drop(peer.transport.handle_closed(flow, now)),
            Self::Server(server) => server.handle_closed(flow, reason, now),
        }
    }
}

pub(crate) struct World {
    pub(crate) sim: Simulation<Station>,
    pub(crate) peers: [NodeId; 2],
    server: NodeId,
    pub(crate) sites: [SiteId; 2],
    events: Vec<(Duration, usize, Event)>,
}

impl World {
    /// Two peers, each behind a NAT that nothing but a relay crosses, and a server; loss in per cent each way.
    pub(crate) fn new(seed: u64, loss: u32, configs: [Config; 2]) -> Self {
        Self::behind(Some(NatConfig::symmetric), seed, loss, configs)
    }

    fn behind(nat: Option<fn(IpAddr) -> NatConfig>, seed: u64, loss: u32, configs: [Config; 2]) -> Self {
        let mut sim = Simulation::new(seed);
        let now = sim.now();
        let node = sim.network_mut().add_host(SiteId::INTERNET, &[at(SERVER).ip()]);
        let udp = vec![(sim.bind(node, at(SERVER)), at(SERVER))];
        let ports = [50_001, 50_002].map(|port| SocketAddr::new(at(SERVER).ip(), port));
        let ports = ports.map(|port| (sim.bind(node, port), port)).to_vec();
        sim.listen(node, at(STREAMS));
        let served = Served::new(Sockets { udp, ports }, sim.entropy(), now);
        sim.place(node, Station::Server(Box::new(served)));
        let external = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap());
        let sites = external.map(|external| {
            let link = LinkConfig { loss: Loss::percent(loss), ..LinkConfig::delay(ms(10)) };
            let gateway = nat.map(|nat| nat(external));
            let site = SiteConfig { up: link.clone(), down: link, gateway };
            sim.network_mut().add_site(SiteId::INTERNET, site)
        });
        let mut homes = sites.into_iter().zip(external);
        let peers = configs.map(|mut config| {
            let (site, external) = homes.next().unwrap();
            let local = if nat.is_some() { at("10.0.0.2:4000") } else { SocketAddr::new(external, 4000) };
            let node = sim.network_mut().add_host(site, &[local.ip()]);
            let flow = sim.bind(node, local);
            config.ice.entropy = sim.entropy();
            let mut transport = Transport::new(config, now).unwrap();
            transport.add_local_candidate(LocalCandidate::host(flow, local), now).unwrap();
            let peer = Peer::new(transport, flow, local);
            sim.place(node, Station::Peer(Box::new(peer), BTreeMap::new()));
            node
        });
        Self { sim, peers, server: node, sites, events: Vec::new() }
    }

    /// Both with a relay, told of each other.
    pub(crate) fn relayed(seed: u64, loss: u32, change: fn(&mut Config)) -> Self {
        Self::relayed_by(seed, loss, change, |_, _| ())
    }

    /// With other ways to their relays: `way` is given the world and who it is for.
    pub(crate) fn relayed_by(
        seed: u64,
        loss: u32,
        change: fn(&mut Config),
        way: fn(&mut client::Config, (&mut Self, usize)),
    ) -> Self {
        let configs = [A, B].map(|of| {
            let mut config = data_config(of);
            change(&mut config);
            config
        });
        let mut world = Self::new(seed, loss, configs);
        world.meet(way);
        world
    }

    fn meet(&mut self, way: fn(&mut client::Config, (&mut Self, usize))) {
        for of in [A, B] {
            self.add_relay_by(of, "secret", way);
            let now = self.sim.now();
            self.peer(of).transport.end_local_candidates(now);
        }
        let now = self.sim.now();
        for (from, to) in [(A, B), (B, A)] {
            let parameters = self.peer(from).transport.local_parameters();
            self.peer(to).transport.set_remote(parameters, now).unwrap();
        }
    }

    /// The candidates of a kind: address and base.
    fn candidates(&mut self, of: usize, kind: CandidateKind) -> Vec<(SocketAddr, Option<SocketAddr>)> {
        let all = self.peer(of).transport.ice().local_candidates();
        let of_kind = all.into_iter().filter(|it| it.kind == kind);
        of_kind.map(|it| (it.address.ip().unwrap(), it.related.and_then(|it| it.ip()))).collect()
    }

    fn add_relay(&mut self, of: usize, password: &str) {
        self.add_relay_by(of, password, |_, _| ());
    }

    fn add_relay_by(&mut self, of: usize, password: &str, way: fn(&mut client::Config, (&mut Self, usize))) {
        let entropy = self.sim.entropy();
        let mut config = client_config(self.peer(of), entropy, password);
        way(&mut config, (self, of));
        let now = self.sim.now();
        self.peer(of).transport.add_relay(RELAY, config, now).unwrap();
    }

    pub(crate) fn peer(&mut self, of: usize) -> &mut Peer {
        match self.sim.machine_mut(self.peers[of]) {
            Station::Peer(peer, _) => peer,
            Station::Server(_) => unreachable!("a peer was placed there"),
        }
    }

    pub(crate) fn server(&mut self) -> &mut Served {
        match self.sim.machine_mut(self.server) {
            Station::Server(server) => server,
            Station::Peer(..) => unreachable!("the server was placed there"),
        }
    }

    /// Opens a stream to the server.
    pub(crate) fn connect(&mut self, of: usize) -> FlowId {
        let (node, local) = (self.peers[of], SocketAddr::new(self.peer(of).local.ip(), 0));
        let flow = self.sim.connect(node, local, at(STREAMS));
        self.run(100);
        flow
    }

    /// Candidates are told as they come.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.sim.elapsed() + ms(milliseconds);
        while let Some(told) = self.sim.next_event(end) {
            let now = self.sim.now();
            match told.event {
                Told::Peer(event) => {
                    let of = self.peers.iter().position(|node| *node == told.node).unwrap();
                    if let Event::Ice(plenary_ice::Event::Candidate(candidate)) = &event {
                        self.peer(1 - of).transport.add_remote_candidate(candidate.clone(), now);
                    }
                    self.events.push((told.at, of, event));
                }
                Told::Server(ServerTold::Ice(plenary_ice::Event::CloseStream(flow))) => {
                    self.sim.network_mut().close(told.node, flow, told.at);
                }
                Told::Server(other) => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn when(&self, of: usize, is_it: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.events.iter().find(|(_, whose, event)| *whose == of && is_it(event)).map(|(at, ..)| *at)
    }

    /// Sends a packet on the path there is, wrapped in place.
    pub(crate) fn send_rtp(&mut self, from: usize, sequence: u16) {
        let packet = rtp(sequence);
        self.send(from, packet);
    }

    pub(crate) fn send(&mut self, from: usize, mut packet: Vec<u8>) {
        let now = self.sim.now();
        let peer = self.peer(from);
        let overhead = peer.transport.profile().unwrap().rtp_overhead();
        packet.resize(packet.len() + overhead, 0);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let path = peer.transport.protect_rtp(&mut packet, Some(sequence.into())).unwrap();
        assert_eq!(path.flow, RELAY);
        let wrapped = peer.transport.wrap(path, packet.len(), now).unwrap();
        let envelope = wrapped.envelope.unwrap();
        assert_eq!(wrapped.path.remote.ip(), at(SERVER).ip());
        let mut bytes = [envelope.head.as_bytes(), &packet].concat();
        bytes.resize(bytes.len() + usize::from(envelope.padding), 0);
        peer.push(wrapped.path, bytes);
    }
}

pub(crate) fn client_config(peer: &Peer, entropy: [u8; 32], password: &str) -> client::Config {
    client::Config {
        entropy,
        server: at(SERVER),
        flow: peer.flow,
        local: peer.local,
        username: "user".into(),
        password: password.into(),
        ..client::Config::default()
    }
}

pub(crate) fn relayed_only(config: &mut Config) {
    config.ice.policy = Policy::RelayedOnly;
}

pub(crate) const fn is_connected(event: &Event) -> bool {
    matches!(event, Event::Connected(_))
}

#[test]
fn peers_behind_symmetric_nats_meet_by_relays() {
    let mut world = World::relayed(1, 0, relayed_only);
    world.run(1000);
    for of in [A, B] {
        let allocated = world.when(of, |it| matches!(it, Event::Relay(RELAY, client::Event::Allocated(_)))).unwrap();
        // Two round trips of 20 ms.
        assert_eq!(allocated, ms(40));
        let connected = world.when(of, is_connected).unwrap();
        // The peer is another 40 ms away.
        let found = world.when(of, |it| matches!(it, Event::PathChanged(path) if path.flow == RELAY)).unwrap();
        assert!(found <= ms(if of == A { 90 } else { 110 }), "{found:?}");
        // DTLS 1.2.
        assert!(connected <= ms(320), "{connected:?}");
        assert_eq!(world.peer(of).transport.path().unwrap().flow, RELAY);
    }
    for sequence in 0..50 {
        world.send_rtp(A, sequence);
        world.send_rtp(B, sequence);
        world.run(20);
    }
    world.run(100);
    for of in [A, B] {
        let sent: Vec<_> = (0..50).map(rtp).collect();
        assert_eq!(world.peer(of).rtp, sent);
    }
}

#[test]
fn a_run_of_media_goes_by_a_relay_as_a_run() {
    let mut world = World::relayed(7, 0, relayed_only);
    world.run(1000);
    let now = world.sim.now();
    let peer = world.peer(A);
    let overhead = peer.transport.profile().unwrap().rtp_overhead();
    let (mut out, mut paths, mut len) = (Vec::new(), Vec::new(), 0);
    for sequence in 0..10 {
        let mut packet = rtp(sequence);
        packet.resize(packet.len() + overhead, 0);
        len = packet.len();
        paths.push(peer.transport.protect_rtp(&mut packet, Some(sequence.into())).unwrap());
        out.extend(packet);
    }
    let Path { flow, local, remote, .. } = paths[0];
    let run = Transmit { flow, local, remote, range: 0..out.len(), segment: len, ecn: Ecn::NotEct };
    let mut direct = run.clone();
    direct.flow = FlowId(77);
    assert_eq!(peer.transport.wrap_run(direct.clone(), now, &mut out), Ok(direct), "no relay");
    let wrapped = peer.transport.wrap_run(run, now, &mut out).unwrap();
    assert_eq!((wrapped.flow, wrapped.remote, wrapped.range.len()), (peer.flow, at(SERVER), 10 * wrapped.segment));
    for datagram in wrapped.datagrams(&out) {
        let path = Path { flow: wrapped.flow, local: wrapped.local, remote: wrapped.remote, framed: false };
        peer.push(path, datagram.to_vec());
    }
    world.run(100);
    assert_eq!(world.peer(B).rtp, (0..10).map(rtp).collect::<Vec<_>>());
}

// Each lets the other's address in at its relay, as it is told what the server saw.
#[test]
fn one_relay_is_enough_behind_symmetric_nats() {
    let mut world = World::relayed(2, 0, |_| ());
    world.run(1000);
    let paths = [A, B].map(|of| world.peer(of).transport.path().unwrap());
    let relays = paths.iter().filter(|path| path.flow == RELAY).count();
    assert_eq!(relays, 1, "{paths:?}");
    for of in [A, B] {
        let connected = world.when(of, is_connected).unwrap();
        assert!(connected <= ms(320), "{connected:?}");
        if paths[of].flow != RELAY {
            let relayed = world.candidates(1 - of, CandidateKind::Relayed);
            assert_eq!(paths[of].remote, relayed[0].0);
        }
    }
}

#[test]
fn the_address_that_the_server_of_a_relay_sees_is_a_candidate() {
    for asks in [false, true] {
        // Asked by ICE as well, it answers the same, and sooner.
        let configs = [A, B].map(|of| {
            let mut config = data_config(of);
            config.ice.stun_servers = if asks { vec![at(SERVER)] } else { Vec::new() };
            config
        });
        let mut world = World::behind(Some(NatConfig::port_restricted), 20, 0, configs);
        world.meet(|_, _| ());
        world.run(1000);
        for (of, external) in [(A, "203.0.113.1"), (B, "203.0.113.2")] {
            let mapped = world.peer(of).transport.relay(RELAY).unwrap().allocated().unwrap().mapped;
            assert_eq!(mapped.ip(), external.parse::<IpAddr>().unwrap());
            let (host, found) = (world.peer(of).local, world.candidates(of, CandidateKind::ServerReflexive));
            assert_eq!(found, [(mapped, Some(host))], "the base is the socket by which the client goes");
            // Both NATs let it through, and no relay is needed.
            let (path, flow) = (world.peer(of).transport.path().unwrap(), world.peer(of).flow);
            assert_eq!(path.flow, flow);
            let theirs = world.candidates(1 - of, CandidateKind::ServerReflexive);
            assert_eq!([path.remote], [theirs[0].0]);
            assert!(world.when(of, is_connected).is_some());
        }
    }
}

#[test]
fn an_address_that_is_the_hosts_own_or_of_a_socket_apart_is_no_candidate() {
    // Without a NAT.
    let mut world = World::behind(None, 21, 0, [config(A), config(B)]);
    world.add_relay(A, "secret");
    world.run(1000);
    assert_eq!(world.candidates(A, CandidateKind::Relayed).len(), 1);
    assert_eq!(world.candidates(A, CandidateKind::Host), [(at("203.0.113.1:4000"), None)]);
    assert_eq!(world.candidates(A, CandidateKind::ServerReflexive), []);
    // By a socket that is the client's alone.
    let mut world = World::new(22, 0, [config(A), config(B)]);
    let (node, entropy) = (world.peers[A], world.sim.entropy());
    let local = at("10.0.0.2:4001");
    let flow = world.sim.bind(node, local);
    let now = world.sim.now();
    let wanted = client::Config { flow, local, ..client_config(world.peer(A), entropy, "secret") };
    world.peer(A).transport.add_relay(RELAY, wanted, now).unwrap();
    world.run(1000);
    assert_eq!(world.candidates(A, CandidateKind::Relayed).len(), 1);
    assert_eq!(world.candidates(A, CandidateKind::ServerReflexive), []);
    // Who is to learn nothing of the host does not learn this.
    let mut world = World::relayed(23, 0, relayed_only);
    world.run(1000);
    assert_eq!(world.candidates(A, CandidateKind::Relayed).len(), 1);
    assert_eq!(world.candidates(A, CandidateKind::ServerReflexive), []);
}

#[test]
fn an_allocation_is_released_behind_the_goodbye() {
    let mut world = World::relayed(3, 0, relayed_only);
    world.run(1000);
    assert_eq!(world.server().allocations(), 2);
    let now = world.sim.now();
    world.peer(A).transport.close(now);
    world.run(100);
    assert!(world.when(B, |it| matches!(it, Event::Closed(plenary_transport::CloseReason::Peer))).is_some());
    assert_eq!(world.when(A, |it| matches!(it, Event::Relay(RELAY, client::Event::Closed))), Some(ms(1020)));
    assert!(world.when(B, |it| matches!(it, Event::Relay(RELAY, client::Event::Closed))).is_some());
    assert_eq!(world.server().allocations(), 0);
    assert_eq!((world.peer(A).poll_timeout(), world.peer(B).poll_timeout()), (None, None));
    assert!(world.peer(A).transport.relay(RELAY).is_none());
}

#[test]
fn loss_on_both_ends_does_not_keep_them_apart() {
    // A datagram has two links to cross: a fifth is lost each way.
    for seed in 10..20 {
        let mut world = World::relayed(seed, 10, relayed_only);
        world.run(20_000);
        for of in [A, B] {
            assert!(world.when(of, is_connected).is_some(), "seed {seed}");
        }
    }
}

#[test]
fn an_hour_goes_by() {
    let mut world = World::relayed(4, 0, relayed_only);
    world.run(1000);
    for minute in 0..60 {
        world.run(60_000);
        world.send_rtp(A, minute);
        world.run(100);
        assert_eq!(world.peer(B).rtp.len(), usize::from(minute) + 1, "minute {minute}");
    }
    assert_eq!(world.server().allocations(), 2);
    let dropped = world.peer(A).dropped.clone();
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[test]
fn candidates_end_with_the_last_relay_whatever_becomes_of_it() {
    for (password, relays) in [("secret", 1), ("guess", 0)] {
        let mut world = World::new(5, 0, [config(A), config(B)]);
        world.add_relay(A, password);
        let now = world.sim.now();
        world.peer(A).transport.end_local_candidates(now);
        world.run(30);
        let is_complete = |event: &Event| matches!(event, Event::Ice(plenary_ice::Event::GatheringComplete));
        assert_eq!(world.when(A, is_complete), None);
        world.run(1000);
        assert_eq!(world.when(A, is_complete), Some(ms(40)));
        assert_eq!(world.candidates(A, CandidateKind::Relayed).len(), relays);
        assert_eq!(world.candidates(A, CandidateKind::ServerReflexive).len(), relays);
        let failed = client::Event::Failed(Failure::Refused(ErrorCode::UNAUTHENTICATED));
        let is_failed = |event: &Event| *event == Event::Relay(RELAY, failed.clone());
        assert_eq!(world.when(A, is_failed).is_some(), relays == 0);
        assert_eq!(world.peer(A).transport.relay(RELAY).is_some(), relays == 1);
    }
}

// The oracle found a path by it that nobody had asked for.
#[test]
fn what_a_relay_can_not_reach_is_not_let_in() {
    let mut world = World::new(7, 0, [config(A), config(B)]);
    world.add_relay(A, "secret");
    world.run(100);
    let now = world.sim.now();
    let lines = [
        "candidate:1 1 udp 2130706431 9.9.9.1 5000 typ host",
        "candidate:2 1 tcp 1518280447 9.9.9.2 9 typ host tcptype active",
        "candidate:3 1 tcp 1518280447 9.9.9.3 443 typ host tcptype passive",
        "candidate:4 2 udp 2130706430 9.9.9.4 5000 typ host",
        "candidate:5 1 udp 2130706431 0.0.0.0 5000 typ host",
    ];
    for line in lines {
        world.peer(A).transport.add_remote_candidate(Candidate::parse(line).unwrap(), now);
    }
    world.run(100);
    assert_eq!(world.server().permitted, [at("9.9.9.1:1").ip()]);
}

#[test]
fn relays_have_a_limit_and_flows_of_their_own() {
    let mut world = World::new(6, 0, [Config { relays_max: 2, ..config(A) }, config(B)]);
    let now = world.sim.now();
    let peer = world.peer(A);
    let wanted = client_config(peer, [1; 32], "secret");
    let transport = &mut peer.transport;
    assert_eq!(transport.add_relay(wanted.flow, wanted.clone(), now), Err(RelayError::Flow));
    let bad = client::Config { password: String::new(), ..wanted.clone() };
    assert_eq!(transport.add_relay(RELAY, bad, now), Err(RelayError::Config(client::ConfigError::Credentials)));
    transport.add_relay(RELAY, wanted.clone(), now).unwrap();
    assert_eq!(transport.add_relay(RELAY, wanted.clone(), now), Err(RelayError::Flow));
    transport.add_relay(FlowId(1001), wanted.clone(), now).unwrap();
    assert_eq!(transport.add_relay(FlowId(1002), wanted.clone(), now), Err(RelayError::Limit));
    let elsewhere = (FlowId(7), at("10.0.0.2:4001"));
    assert_eq!(transport.migrate_relay(FlowId(1002), elsewhere, now), Err(RelayError::Flow));
    assert_eq!(transport.migrate_relay(RELAY, elsewhere, now), Err(RelayError::Move(client::Error::NoAllocation)));
    transport.close(now);
    assert_eq!(transport.add_relay(FlowId(1003), wanted, now), Err(RelayError::Closed));
}
