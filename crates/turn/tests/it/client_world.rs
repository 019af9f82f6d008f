//! The client and the server of this crate, over networks that lose, and behind NATs that forget.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_netsim::{LinkConfig, Loss, Machine, NatConfig, NodeId, Rebind, Simulation, SiteConfig, SiteId};
use plenary_stun::{Algorithm, Attribute, ErrorCode, Message};
use plenary_turn::client::{Client, Deframer, Event, Failure, Handled, Transport};
use plenary_turn::{Bound, Carries, Config, FiveTuple, Server};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use crate::lab::{PEER, RELAY, SERVER, at, config};

const HOME: &str = "10.0.0.2:4000";

/// One of those who take part.
#[expect(clippy::large_enum_variant, reason = "there are three of them")]
enum Station {
    Client {
        client: Client,
        heard: Vec<(SocketAddr, Vec<u8>)>,
        waits: Waits,
    },
    Server {
        server: Server,
        waits: Waits,
    },
    /// Sends everything back.
    Echo {
        waits: Waits,
    },
}

#[derive(Debug)]
enum Told {
    Client(Event),
    Server(plenary_turn::Event),
}

/// Datagrams that were made, to be sent: by which socket, whence, where to.
type Waits = VecDeque<(FlowId, SocketAddr, SocketAddr, Vec<u8>)>;

impl Station {
    const fn waits(&mut self) -> &mut Waits {
        match self {
            Self::Client { waits, .. } | Self::Server { waits, .. } | Self::Echo { waits } => waits,
        }
    }
}

impl Machine for Station {
    type Event = Told;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        match self {
            Self::Client { client, heard, .. } => match client.handle_datagram(datagram, now) {
                Handled::Data { peer, bytes } => heard.push((peer, bytes.to_vec())),
                Handled::Consumed => {}
                other => panic!("{other:?}"),
            },
            Self::Server { server, waits } => {
                if let plenary_turn::Handled::Relay(relay) = server.handle_datagram(datagram, now) {
                    let mut bytes = Vec::new();
                    relay.write(&mut bytes);
                    waits.push_back((relay.flow, relay.local, relay.to, bytes));
                }
            }
            Self::Echo { waits } => {
                waits.push_back((datagram.flow, datagram.local, datagram.remote, datagram.bytes.to_vec()));
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Client { client, .. } => client.handle_timeout(now),
            Self::Server { server, .. } => server.handle_timeout(now),
            Self::Echo { .. } => {}
        }
    }

    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((flow, local, remote, bytes)) = self.waits().pop_front() {
            let start = out.len();
            out.extend(&bytes);
            let range = start..out.len();
            return Some(Transmit { flow, local, remote, segment: range.len(), range, ecn: Ecn::NotEct });
        }
        match self {
            Self::Client { client, .. } => client.poll_transmit(now, limit, out),
            Self::Server { server, .. } => server.poll_transmit(now, limit, out),
            Self::Echo { .. } => None,
        }
    }

    fn poll_event(&mut self) -> Option<Told> {
        match self {
            Self::Client { client, .. } => client.poll_event().map(Told::Client),
            Self::Server { server, .. } => server.poll_event().map(Told::Server),
            Self::Echo { .. } => None,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Client { client, .. } => client.poll_timeout(),
            Self::Server { server, .. } => server.poll_timeout(),
            Self::Echo { .. } => None,
        }
    }
}

struct World {
    sim: Simulation<Station>,
    home: SiteId,
    client: NodeId,
    server: NodeId,
    next_port: u16,
    told: Vec<Event>,
    sent: u32,
}

impl World {
    /// A client behind a NAT, 20 ms and this loss away from the rest in each direction.
    fn new(
        seed: u64,
        loss: f64,
        change: impl FnOnce(&mut Config),
        change_client: impl FnOnce(&mut plenary_turn::client::Config),
    ) -> Self {
        let mut sim = Simulation::new(seed);
        let now = sim.now();
        let link = LinkConfig { loss: Loss::percent(loss as u32), ..LinkConfig::delay(Duration::from_millis(20)) };
        let nat = NatConfig::port_restricted("203.0.113.1".parse().unwrap());
        let home = sim
            .network_mut()
            .add_site(SiteId::INTERNET, SiteConfig { up: link.clone(), down: link, gateway: Some(nat) });
        let client = sim.network_mut().add_host(home, &[at(HOME).ip()]);
        let server = sim.network_mut().add_host(SiteId::INTERNET, &[RELAY.parse().unwrap()]);
        let echo = sim.network_mut().add_host(SiteId::INTERNET, &[at(PEER).ip()]);
        let mut server_config = Config { entropy: sim.entropy(), ..config() };
        change(&mut server_config);
        let mut machine = Server::new(server_config, now).unwrap();
        machine.listen(sim.bind(server, at(SERVER)), at(SERVER)).unwrap();
        sim.place(server, Station::Server { server: machine, waits: Waits::new() });
        sim.bind(echo, at(PEER));
        sim.place(echo, Station::Echo { waits: Waits::new() });
        let mut client_config = plenary_turn::client::Config {
            entropy: sim.entropy(),
            server: at(SERVER),
            flow: sim.bind(client, at(HOME)),
            local: at(HOME),
            username: "user".into(),
            password: "secret".into(),
            ..Default::default()
        };
        change_client(&mut client_config);
        let machine = Client::new(client_config, now).unwrap();
        sim.place(client, Station::Client { client: machine, heard: Vec::new(), waits: Waits::new() });
        Self { sim, home, client, server, next_port: 50_000, told: Vec::new(), sent: 0 }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while let Some(told) = self.sim.next_event(end) {
            match told.event {
                Told::Client(event) => self.told.push(event),
                Told::Server(plenary_turn::Event::Bind { request, .. }) => {
                    self.next_port += 1;
                    let relayed = SocketAddr::new(RELAY.parse().unwrap(), self.next_port);
                    let flow = self.sim.bind(self.server, relayed);
                    let now = self.sim.now();
                    let bound = Bound { flow, local: relayed, relayed, next: None };
                    let _ = self.server().handle_bound(request, Ok(bound), now);
                }
                Told::Server(_) => {}
            }
        }
    }

    fn server(&mut self) -> &mut Server {
        match self.sim.machine_mut(self.server) {
            Station::Server { server, .. } => server,
            _ => unreachable!("it was placed there"),
        }
    }

    fn client(&mut self) -> (&mut Client, &mut Vec<(SocketAddr, Vec<u8>)>, &mut Waits) {
        match self.sim.machine_mut(self.client) {
            Station::Client { client, heard, waits } => (client, heard, waits),
            _ => unreachable!("it was placed there"),
        }
    }

    /// Sends the peer a datagram, if there is an allocation.
    fn send(&mut self) {
        let now = self.sim.now();
        self.sent += 1;
        let data = self.sent.to_be_bytes();
        let (client, _, waits) = self.client();
        let mut out = Vec::new();
        if let Ok(transmit) = client.send(at(PEER), &data, now, &mut out) {
            waits.push_back((transmit.flow, transmit.local, transmit.remote, out));
        }
    }

    fn heard(&mut self) -> usize {
        let (_, heard, _) = self.client();
        assert!(heard.iter().all(|(peer, _)| *peer == at(PEER)));
        std::mem::take(heard).len()
    }

    fn is_allocated(&mut self) -> bool {
        self.client().0.allocated().is_some()
    }

    fn close(&mut self) {
        let now = self.sim.now();
        self.client().0.close(now);
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn data_goes_there_and_back_and_all_is_released() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0.0, |_| (), |_| ());
        // Allocate, its challenge, and again: two round trips of 40 ms.
        world.run_for(Duration::from_millis(81));
        assert!(matches!(world.told[..], [Event::Allocated(_)]), "seed {seed}");
        assert_eq!(world.client().0.allocated().unwrap().mapped.to_string(), "203.0.113.1:4000");
        let now = world.sim.now();
        world.client().0.permit(at(PEER).ip(), now).unwrap();
        world.run_for(Duration::from_millis(50));
        for _ in 0..100 {
            world.send();
            world.run_for(Duration::from_millis(20));
        }
        world.run_for(seconds(1));
        assert_eq!(world.heard(), 100, "seed {seed}");
        assert_eq!(world.server().allocations(), 1);
        world.close();
        world.run_for(Duration::from_millis(50));
        assert_eq!(world.told.pop(), Some(Event::Closed), "seed {seed}");
        assert_eq!(world.server().allocations(), 0);
    }
}

#[test]
fn a_fifth_lost_each_way_changes_nothing_but_the_time() {
    for seed in 0..40 {
        let mut world = World::new(seed, 20.0, |_| (), |_| ());
        while !world.is_allocated() {
            world.run_for(Duration::from_millis(100));
            assert!(world.sim.elapsed() < seconds(39), "seed {seed}");
        }
        for _ in 0..200 {
            world.send();
            world.run_for(Duration::from_millis(20));
        }
        world.run_for(seconds(1));
        let heard = world.heard();
        assert!(heard > 80, "seed {seed}: {heard} of 200, where 128 are expected");
        world.close();
        world.run_for(seconds(6));
        assert_eq!(world.told.pop(), Some(Event::Closed), "seed {seed}");
    }
}

#[test]
fn hours_go_by_with_new_nonces_and_keys() {
    for (seed, loss) in [(1, 0.0), (2, 20.0), (3, 20.0), (4, 20.0)] {
        let mut world = World::new(seed, loss, |config| config.nonce_lifetime = seconds(300), |_| ());
        world.run_for(seconds(39));
        let mut sent = 0;
        for minute in 0..360u32 {
            if minute % 60 == 30 {
                // The fleet has a new key for nonces, and the old one no more.
                world.server().set_nonce_keys(&[[minute as u8; 32]]).unwrap();
            }
            // Now and then for longer than a permission lasts, nothing is sent.
            for _ in 0..6 {
                if minute % 20 < 12 {
                    world.send();
                    sent += 1;
                }
                world.run_for(seconds(10));
            }
            assert!(world.is_allocated(), "seed {seed}, minute {minute}");
        }
        assert_eq!(world.told.len(), 1, "seed {seed}: {:?}", world.told);
        let heard = world.heard();
        // Without loss, what goes before the permission is there again is dropped: the first of each span.
        let least = if loss > 0.0 { sent / 2 } else { sent - 18 };
        assert!(heard >= least, "seed {seed}: {heard} of {sent}");
        assert!(world.server().refused(438) > 10);
        assert_eq!(world.server().allocations(), 1);
    }
}

#[test]
fn what_the_server_gives_is_kept() {
    // A server that gives a minute, and one that gives an hour.
    for (least, most, wished) in [(60, 60, 600), (60, 3600, 3600), (600, 600, 60)] {
        let lifetimes = |config: &mut Config| (config.lifetime, config.lifetime_max) = (seconds(least), seconds(most));
        let mut world = World::new(least + most, 0.0, lifetimes, |config| config.lifetime = seconds(wished));
        for _ in 0..8 {
            world.run_for(seconds(900));
            assert!(world.is_allocated(), "{least} {most} {wished}");
        }
        assert_eq!(world.client().0.allocated().unwrap().lifetime, seconds(wished.clamp(least, most)));
    }
}

#[test]
fn a_nat_that_forgets_is_noticed() {
    // Without a ticket (RFC 8016) the server takes the client for another one.
    let mut world = World::new(7, 0.0, |_| (), |_| ());
    world.run_for(seconds(10));
    let now = world.sim.elapsed();
    let home = world.home;
    world.sim.network_mut().rebind(home, Rebind::Move, now);
    world.run_for(seconds(600));
    let failed = Event::Failed(Failure::Refused(ErrorCode::ALLOCATION_MISMATCH));
    assert_eq!(world.told.pop(), Some(failed));
}

#[test]
fn with_a_ticket_it_goes_on_behind_another_mapping() {
    for (seed, loss) in [(10, 0.0), (11, 20.0), (12, 20.0)] {
        let mut world = World::new(seed, loss, |config| config.mobility = true, |config| config.mobility = true);
        world.run_for(seconds(39));
        let relayed = world.client().0.allocated().unwrap().ipv4;
        for number in 0..5 {
            let (home, at, now) = (world.home, world.sim.elapsed(), world.sim.now());
            world.sim.network_mut().rebind(home, Rebind::Move, at);
            let (client, ..) = world.client();
            let (flow, local) = client.path();
            client.migrate(flow, local, now).unwrap();
            world.run_for(seconds(39));
            assert_eq!(world.told.pop(), Some(Event::Migrated), "seed {seed}, move {number}");
            world.heard();
            for _ in 0..20 {
                world.send();
                world.run_for(seconds(1));
            }
            let heard = world.heard();
            // The permission is the allocation's, and was there before the first move but once.
            assert!(heard >= if loss > 0.0 { 6 } else { 19 }, "seed {seed}, move {number}: {heard} of 20");
        }
        assert_eq!(world.client().0.allocated().unwrap().ipv4, relayed);
        assert_eq!(world.server().allocations(), 1);
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let mut world = World::new(8, 0.0, |_| (), |config| config.password = "guess".into());
    world.run_for(seconds(1));
    assert_eq!(world.told, [Event::Failed(Failure::Refused(ErrorCode::UNAUTHENTICATED))]);
    assert_eq!(world.server().allocations(), 0);
}

#[test]
fn a_peer_that_the_server_forbids_is_told() {
    let mut world = World::new(9, 0.0, |_| (), |_| ());
    world.run_for(seconds(1));
    let now = world.sim.now();
    for peer in ["127.0.0.1", "9.9.9.9", "10.0.0.1"] {
        world.client().0.permit(peer.parse().unwrap(), now).unwrap();
    }
    world.run_for(seconds(1));
    world.told.remove(0);
    let refused = |ip: &str| Event::PermissionRefused(ip.parse().unwrap(), ErrorCode::FORBIDDEN);
    assert_eq!(world.told, [refused("10.0.0.1"), refused("127.0.0.1")]);
    world.send();
    world.run_for(seconds(1));
    assert_eq!(world.heard(), 1, "the one that is allowed is");
}

/// The request by which a client with these credentials makes an allocation.
fn allocate_by(lab: &mut crate::lab::Lab, username: &str, password: &str) -> Vec<u8> {
    let config = plenary_turn::client::Config {
        server: at(SERVER),
        local: at("192.0.2.1:4000"),
        username: username.into(),
        password: password.into(),
        ..Default::default()
    };
    let mut client = Client::new(config, lab.now).unwrap();
    let mut requests = Vec::new();
    let mut out = Vec::new();
    while client.poll_transmit(lab.now, Limit::DATAGRAM, &mut out).is_some() {
        lab.send(at("192.0.2.1:4000"), &out);
        requests.push(std::mem::take(&mut out));
        let mut answer = lab.answer(at("192.0.2.1:4000")).bytes;
        let (flow, local, remote) = (FlowId(0), at("192.0.2.1:4000"), at(SERVER));
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut answer };
        assert_eq!(client.handle_datagram(datagram, lab.now), Handled::Consumed);
    }
    assert!(client.allocated().is_some());
    requests.remove(1)
}

#[test]
fn the_two_agree_on_the_best_that_both_know() {
    let mut lab = crate::lab::Lab::with(|config| config.secrets.clear());
    let request = allocate_by(&mut lab, "user", "secret");
    let request = Message::parse(&request).unwrap();
    assert!(request.has_integrity(Algorithm::Sha256) && !request.has_integrity(Algorithm::Sha1));
    assert_eq!(request.get(Attribute::PASSWORD_ALGORITHM), Some(&[0, 2, 0, 0][..]));
    assert!(request.get(Attribute::USERHASH).is_some() && request.get(Attribute::USERNAME).is_none());
}

// The trap: a server that was told secrets offered to hide names, and then knew nobody who did.
#[test]
fn a_name_that_holds_until_a_time_is_not_hidden() {
    let mut lab = crate::lab::Lab::new();
    let unix_time = Duration::from_secs(crate::lab::UNIX_TIME + 60);
    let issued = plenary_turn::TimeLimited::new(b"old", unix_time, "alice");
    let request = allocate_by(&mut lab, &issued.username, &issued.password);
    let request = Message::parse(&request).unwrap();
    assert!(request.has_integrity(Algorithm::Sha256));
    assert_eq!(request.get(Attribute::USERNAME), Some(issued.username.as_bytes()));
}

/// What the server has for its client, as bytes of the stream.
fn drain(server: &mut Server, sockets: &mut u16, now: Instant, stream: &mut Vec<u8>) {
    while let Some(event) = server.poll_event() {
        if let plenary_turn::Event::Bind { request, .. } = event {
            *sockets += 1;
            let local = SocketAddr::new(RELAY.parse().unwrap(), 50_000 + *sockets);
            let bound = Bound { flow: FlowId(100), local, relayed: local, next: None };
            let _ = server.handle_bound(request, Ok(bound), now);
        }
    }
    while server.poll_transmit(now, Limit::DATAGRAM, stream).is_some() {}
}

#[test]
fn over_a_stream_the_two_understand_each_other_a_byte_at_a_time() {
    let (lab, address) = (crate::lab::Lab::new(), at("192.0.2.1:4000"));
    let (mut server, now, flow) = (lab.server, lab.now, FlowId(9));
    let tuple = FiveTuple { flow, local: at(SERVER), remote: address };
    server.handle_accepted(tuple, Carries::Stream, now).unwrap();
    let config = plenary_turn::client::Config {
        server: at(SERVER),
        local: address,
        flow,
        transport: Transport::Stream,
        channel_after: 0,
        username: "user".into(),
        password: "secret".into(),
        ..Default::default()
    };
    let mut client = Client::new(config, now).unwrap();
    let (mut deframer, mut sockets) = (Deframer::new(2000), 0);
    let (mut relayed, mut heard) = (Vec::new(), Vec::new());
    for round in 0..20u8 {
        let (mut there, mut back, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        while client.poll_transmit(now, Limit::DATAGRAM, &mut there).is_some() {}
        // Of 1 to 20 bytes, so that all paddings come.
        client.send(at(PEER), &vec![round; usize::from(round)], now, &mut there).ok();
        for byte in there {
            pending.push(byte);
            let streamed = server.handle_stream(flow, &pending, now);
            if let plenary_turn::Handled::Relay(relay) = streamed.handled {
                relayed.push(relay.bytes.to_vec());
            }
            let used = streamed.used;
            pending.drain(..used);
        }
        assert_eq!(pending, [0; 0], "round {round}");
        drain(&mut server, &mut sockets, now, &mut back);
        if let Some(told) = client.allocated() {
            // The peer sends it back.
            let mut bytes = vec![round; usize::from(round)];
            let (local, bytes) = (told.ipv4.unwrap(), &mut bytes[..]);
            let datagram = Datagram { flow: FlowId(100), local, remote: at(PEER), ecn: Ecn::NotEct, bytes };
            if let plenary_turn::Handled::Relay(relay) = server.handle_datagram(datagram, now) {
                relay.write(&mut back);
            }
        }
        for byte in back {
            if let Some(bytes) = deframer.take(&mut &[byte][..]).unwrap() {
                let datagram = Datagram { flow, local: address, remote: at(SERVER), ecn: Ecn::NotEct, bytes };
                match client.handle_datagram(datagram, now) {
                    Handled::Data { peer, bytes } => heard.push((peer, bytes.to_vec())),
                    other => assert_eq!(other, Handled::Consumed),
                }
            }
        }
    }
    let all: Vec<_> = (4..20).map(|round| vec![round; usize::from(round)]).collect();
    assert!(relayed.ends_with(&all), "{relayed:?}");
    assert!(heard.iter().all(|(peer, _)| *peer == at(PEER)));
    let heard: Vec<_> = heard.into_iter().map(|(_, bytes)| bytes).collect();
    assert!(heard.ends_with(&all), "{heard:?}");
}
