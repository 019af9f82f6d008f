//! Builds the network of a cell: the same for those who probe it and for those who must find their way by ICE.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::{LinkConfig, LinkId, Loss, NatConfig, NodeId, Simulation, SiteConfig, SiteId};
use plenary_wire::FlowId;

use super::cell::{Cell, Door, Loop, Place, Turn};
use super::server::Server;
use super::station::{Brain, Host, Relay, Station};
use crate::lab::address;

pub(crate) const STUN_SERVER: &str = "198.51.100.9:3478";
const RELAYS: [&str; 2] = ["198.51.100.1", "198.51.100.2"];
/// The port that firewalls leave open.
const OPEN_PORT: u16 = 443;

pub(crate) struct World {
    pub(crate) sim: Simulation<Host>,
    pub(crate) cell: Cell,
    pub(crate) peers: [NodeId; 2],
    pub(crate) sites: [SiteId; 2],
    /// The UDP socket of each.
    pub(crate) udp: [(FlowId, SocketAddr); 2],
    /// The listener of each that is open, where there is ICE-TCP.
    pub(crate) listeners: [Option<(FlowId, SocketAddr)>; 2],
    links: Vec<LinkId>,
}

impl World {
    /// `brains` makes what sits in each peer.
    pub(crate) fn new(
        cell: Cell,
        seed: u64,
        rtt: Duration,
        mut brain: impl FnMut(usize, &mut Simulation<Host>) -> Brain,
    ) -> Self {
        let mut sim = Simulation::new(seed);
        let (sites, addresses) = build_sites(&mut sim, cell.place);
        for name in RELAYS.into_iter().chain([STUN_SERVER.split_once(':').expect("it has a port").0]) {
            add_server(&mut sim, name.parse().expect("an address"));
        }
        let (mut links, mut listeners) = (Vec::new(), [None; 2]);
        let mut made = Vec::new();
        for peer in [0, 1] {
            let ip = addresses[peer];
            let node = sim.network_mut().add_node();
            let link = LinkConfig::delay(rtt / 4);
            let (up, down) = sim.network_mut().attach(node, sites[peer], &[ip], [link.clone(), link]);
            links.extend([up, down]);
            let local = SocketAddr::new(ip, 5000);
            let flow = sim.bind(node, local);
            if cell.tcp && cell.is_open(peer) {
                let at = SocketAddr::new(ip, OPEN_PORT);
                listeners[peer] = Some((sim.listen(node, at), at));
            }
            let relay = cell.has_relay(peer).then(|| add_relay(&mut sim, node, ip, RELAYS[peer], cell.turn));
            let brain = brain(peer, &mut sim);
            sim.place(node, Host::Station(Box::new(Station::new(brain, relay))));
            made.push((node, (flow, local)));
        }
        let (peers, udp) = ([made[0].0, made[1].0], [made[0].1, made[1].1]);
        Self { sim, cell, peers, sites, udp, listeners, links }
    }

    /// From now on so many of 100 packets of each peer are lost on their way out: every path has one such link.
    pub(crate) fn lose(&mut self, percent: u8) {
        let now = self.sim.elapsed();
        for &up in self.links.iter().step_by(2) {
            let loss = if percent == 0 { Loss::None } else { Loss::percent(percent.into()) };
            self.sim.network_mut().update_link(up, now, |link| link.loss = loss);
        }
    }

    pub(crate) fn station(&self, peer: usize) -> &Station {
        self.sim.machine(self.peers[peer]).station()
    }

    pub(crate) fn station_mut(&mut self, peer: usize) -> &mut Station {
        self.sim.machine_mut(self.peers[peer]).station_mut()
    }

    pub(crate) fn peer_of(&self, node: NodeId) -> usize {
        usize::from(node == self.peers[1])
    }

    /// Opens an ICE-TCP stream of a peer.
    pub(crate) fn connect(&mut self, peer: usize, remote: SocketAddr) -> FlowId {
        let local = SocketAddr::new(self.udp[peer].1.ip(), 0);
        self.sim.connect(self.peers[peer], local, remote)
    }
}

fn add_server(sim: &mut Simulation<Host>, ip: IpAddr) {
    let node = sim.network_mut().add_host(SiteId::INTERNET, &[ip]);
    let at = SocketAddr::new(ip, 3478);
    let udp = (sim.bind(node, at), at);
    sim.listen(node, SocketAddr::new(ip, OPEN_PORT));
    let ports = [50_001, 50_002].map(|port| SocketAddr::new(ip, port));
    let ports = ports.map(|at| (sim.bind(node, at), at)).to_vec();
    sim.place(node, Host::Server(Server::new(udp, ports)));
}

fn add_relay(sim: &mut Simulation<Host>, node: NodeId, ip: IpAddr, server: &str, turn: Turn) -> Relay {
    let server: IpAddr = server.parse().expect("an address");
    let is_stream = turn == Turn::Tcp;
    let port = if is_stream { OPEN_PORT } else { 3478 };
    let server = SocketAddr::new(server, port);
    let (flow, local) = if is_stream {
        let any = SocketAddr::new(ip, 0);
        (sim.connect(node, any, server), any)
    } else {
        let local = SocketAddr::new(ip, 5001);
        (sim.bind(node, local), local)
    };
    Relay::new(flow, local, server, is_stream, sim.now())
}

fn nat(door: Door, external: &str, hairpin: Loop) -> NatConfig {
    let external: IpAddr = external.parse().expect("an address");
    let config = match door {
        Door::Open => panic!("an open door is no NAT"),
        Door::FullCone => NatConfig::full_cone(external),
        Door::Restricted => NatConfig::address_restricted(external),
        Door::PortRestricted => NatConfig::port_restricted(external),
        Door::Symmetric => NatConfig::symmetric(external),
        Door::Blocked => NatConfig::full_cone(external).udp_blocked(&[OPEN_PORT]),
    };
    NatConfig { hairpin: hairpin.into(), ..config }
}

/// The sites of the two peers, and the addresses of their hosts.
fn build_sites(sim: &mut Simulation<Host>, place: Place) -> ([SiteId; 2], [IpAddr; 2]) {
    let ip = |text: &str| address(&format!("{text}:1")).ip();
    let add = |sim: &mut Simulation<Host>, around, nat| sim.network_mut().add_site(around, SiteConfig::nat(nat));
    match place {
        Place::Apart(doors) => {
            let mut found = ([SiteId::INTERNET; 2], [ip("192.0.2.1"), ip("192.0.2.2")]);
            for peer in [0, 1] {
                if doors[peer] != Door::Open {
                    let external = ["203.0.113.1", "203.0.113.2"][peer];
                    found.0[peer] = add(sim, SiteId::INTERNET, nat(doors[peer], external, Loop::External));
                    // Both may have the same address at home, and then take each other's for their own.
                    let same = doors == [doors[0]; 2];
                    found.1[peer] = ip(if same || peer == 0 { "192.168.1.2" } else { "192.168.1.3" });
                }
            }
            found
        }
        Place::Together { door, hairpin, .. } => {
            let site = add(sim, SiteId::INTERNET, nat(door, "203.0.113.1", hairpin));
            ([site; 2], [ip("192.168.1.2"), ip("192.168.1.3")])
        }
        Place::Carrier { doors, carrier, hairpin } => {
            let outer = add(sim, SiteId::INTERNET, nat(carrier, "203.0.113.1", hairpin));
            let sites =
                [0, 1].map(|peer| add(sim, outer, nat(doors[peer], ["100.64.0.1", "100.64.0.2"][peer], Loop::Off)));
            (sites, [ip("192.168.1.2"), ip("192.168.1.3")])
        }
        Place::Double { home, carrier, other } => {
            let outer = add(sim, SiteId::INTERNET, nat(carrier, "203.0.113.1", Loop::External));
            let a = add(sim, outer, nat(home, "100.64.0.1", Loop::Off));
            if other == Door::Open {
                return ([a, SiteId::INTERNET], [ip("192.168.1.2"), ip("192.0.2.2")]);
            }
            let b = add(sim, SiteId::INTERNET, nat(other, "203.0.113.2", Loop::Off));
            ([a, b], [ip("192.168.1.2"), ip("192.168.1.3")])
        }
    }
}
