//! Builds the network of a cell: the same for those who probe it and for those who must find their way by ICE.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::{LinkConfig, LinkId, Loss, NatConfig, NodeId, Simulation, SiteConfig, SiteId};
use plenary_wire::FlowId;

use super::cast::{Cast, Seat, Way};
use super::cell::{Cell, Door, Loop, PREFIX, Place, Stack, Turn, synthesized};
use super::server::Sockets;
use super::station::{Host, Station, is_relayed};

/// Who tells addresses, IPv4 and IPv6 of one host; and who relays.
const STUN: [&str; 2] = ["198.51.100.9:3478", "[2001:db8:51::9]:3478"];
const RELAYS: [[&str; 2]; 2] =
    [["198.51.100.1:3478", "[2001:db8:51::1]:3478"], ["198.51.100.2:3478", "[2001:db8:51::2]:3478"]];
/// The port that firewalls leave open.
const OPEN_PORT: u16 = 443;

pub(crate) type Socket = (FlowId, SocketAddr);

pub(crate) struct World {
    pub(crate) sim: Simulation<Host>,
    pub(crate) cell: Cell,
    pub(crate) peers: [NodeId; 2],
    servers: Vec<NodeId>,
    pub(crate) sites: [SiteId; 2],
    /// The UDP sockets of each: IPv6 first.
    pub(crate) udp: [Vec<Socket>; 2],
    /// The listeners of each that is open, where there is ICE-TCP.
    pub(crate) listeners: [Vec<Socket>; 2],
    links: Vec<LinkId>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The server that tells this peer how a socket is seen.
pub(crate) fn stun_server(cell: Cell, peer: usize, local: SocketAddr) -> SocketAddr {
    let [ipv4, ipv6] = STUN.map(address);
    match (cell.stacks[peer], local.is_ipv4()) {
        (_, true) => ipv4,
        (Stack::Nat64, false) => synthesized(ipv4),
        (_, false) => ipv6,
    }
}

impl World {
    pub(crate) fn new(cast: &dyn Cast, cell: Cell, seed: u64, rtt: Duration) -> Self {
        let mut sim = Simulation::new(seed);
        let (sites, addresses) = build_sites(&mut sim, cell);
        let names = RELAYS.into_iter().chain([STUN]);
        let servers = names.map(|names| add_server(cast, &mut sim, names.map(address))).collect();
        let (mut links, mut listeners, mut udp) = (Vec::new(), [vec![], vec![]], [vec![], vec![]]);
        let peers = [0, 1].map(|peer| {
            let ips = &addresses[peer];
            let node = sim.network_mut().add_node();
            let link = LinkConfig::delay(rtt / 4);
            let (up, down) = sim.network_mut().attach(node, sites[peer], ips, [link.clone(), link]);
            links.extend([up, down]);
            let at = |port| ips.iter().map(move |&ip| SocketAddr::new(ip, port));
            udp[peer] = at(5000).map(|at| (sim.bind(node, at), at)).collect();
            if cell.tcp && cell.is_open(peer) {
                listeners[peer] = at(OPEN_PORT).map(|at| (sim.listen(node, at), at)).collect();
            }
            let way = cell.has_relay(peer).then(|| way(&mut sim, node, ips, (cell, peer)));
            let station = cast.station(Seat { cell, peer, way }, &mut sim);
            sim.place(node, Host::Station(Box::new(station)));
            node
        });
        Self { sim, cell, peers, servers, sites, udp, listeners, links }
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

    /// What the cast's servers still hold.
    pub(crate) fn leftovers(&self) -> Option<String> {
        self.servers.iter().find_map(|node| match self.sim.machine(*node) {
            Host::Server(server) => server.leftovers(),
            Host::Station(_) => None,
        })
    }

    pub(crate) fn peer_of(&self, node: NodeId) -> usize {
        usize::from(node == self.peers[1])
    }

    /// Opens an ICE-TCP stream of a peer.
    pub(crate) fn connect(&mut self, peer: usize, remote: SocketAddr) -> FlowId {
        let local = self.local_for(peer, remote).expect("it has an address of that family");
        self.sim.connect(self.peers[peer], SocketAddr::new(local.ip(), 0), remote)
    }

    /// Whether a flow is one of ICE-TCP.
    pub(crate) fn is_stream(&self, peer: usize, flow: FlowId) -> bool {
        !is_relayed(flow) && !self.udp[peer].iter().any(|socket| socket.0 == flow)
    }

    /// The peer's own address of the family of another.
    pub(crate) fn local_for(&self, peer: usize, remote: SocketAddr) -> Option<SocketAddr> {
        self.udp[peer].iter().map(|socket| socket.1).find(|local| local.is_ipv4() == remote.is_ipv4())
    }
}

fn add_server(cast: &dyn Cast, sim: &mut Simulation<Host>, at: [SocketAddr; 2]) -> NodeId {
    let node = sim.network_mut().add_host(SiteId::INTERNET, &at.map(|at| at.ip()));
    let mut bind = |port: u16| at.map(|at| SocketAddr::new(at.ip(), port)).map(|at| (sim.bind(node, at), at));
    let (udp, ports) = (bind(3478).to_vec(), [bind(50_001), bind(50_002)].concat());
    for at in at {
        sim.listen(node, SocketAddr::new(at.ip(), OPEN_PORT));
    }
    let server = cast.server(Sockets { udp, ports }, sim);
    sim.place(node, Host::Server(server));
    node
}

fn way(sim: &mut Simulation<Host>, node: NodeId, ips: &[IpAddr], (cell, peer): (Cell, usize)) -> Way {
    let [ipv4, ipv6] = RELAYS[if cell.one_server { 0 } else { peer }].map(address);
    let server = match cell.stacks[peer] {
        Stack::V4 | Stack::Dual => ipv4,
        Stack::V6 => ipv6,
        Stack::Nat64 => synthesized(ipv4),
    };
    let ip = *ips.iter().find(|ip| ip.is_ipv4() == server.is_ipv4()).expect("it has an address of that family");
    let wanted = if cell.stacks == [Stack::V4; 2] { vec![ipv4] } else { vec![ipv6, ipv4] };
    let turn = cell.turn;
    if turn == Turn::Udp {
        let local = SocketAddr::new(ip, 5001);
        return Way { flow: sim.bind(node, local), local, server, turn, wanted };
    }
    let (local, server) = (SocketAddr::new(ip, 0), SocketAddr::new(server.ip(), OPEN_PORT));
    Way { flow: sim.connect(node, local, server), local, server, turn, wanted }
}

/// What a door is before peers with this stack.
fn nat(door: Door, stack: Stack, external: &str, hairpin: Loop) -> NatConfig {
    let external: IpAddr = external.parse().expect("an address");
    let config = match door {
        Door::Open if stack != Stack::Nat64 => panic!("an open door is no NAT"),
        Door::Open | Door::FullCone => NatConfig::full_cone(external),
        Door::Restricted => NatConfig::address_restricted(external),
        Door::PortRestricted => NatConfig::port_restricted(external),
        Door::Symmetric => NatConfig::symmetric(external),
        Door::Blocked => NatConfig::full_cone(external).udp_blocked(&[OPEN_PORT]),
    };
    let config = NatConfig { hairpin: hairpin.into(), ..config };
    match stack {
        Stack::V4 | Stack::Dual => config,
        Stack::V6 => NatConfig { external: vec![], ..config },
        Stack::Nat64 => config.nat64(PREFIX),
    }
}

/// The sites of the two peers, and the addresses of their hosts.
fn build_sites(sim: &mut Simulation<Host>, cell: Cell) -> ([SiteId; 2], [Vec<IpAddr>; 2]) {
    let (sites, ipv4) = build_place(sim, cell);
    let addresses = [0, 1].map(|peer| {
        let stack = cell.stacks[peer];
        let ipv6 = stack.has_ipv6().then_some(["2001:db8:1::2", "2001:db8:2::2"][peer]);
        let ipv4 = stack.has_ipv4().then_some(ipv4[peer]);
        ipv6.into_iter().chain(ipv4).map(|ip| ip.parse().expect("an address")).collect()
    });
    (sites, addresses)
}

/// The sites, and the IPv4 addresses for those that have some.
fn build_place(sim: &mut Simulation<Host>, cell: Cell) -> ([SiteId; 2], [&'static str; 2]) {
    let add = |sim: &mut Simulation<Host>, around, nat| sim.network_mut().add_site(around, SiteConfig::nat(nat));
    let (v4, homes) = (Stack::V4, ["192.168.1.2", "192.168.1.3"]);
    match cell.place {
        Place::Apart(doors) => {
            let mut found = ([SiteId::INTERNET; 2], ["192.0.2.1", "192.0.2.2"]);
            for peer in [0, 1] {
                let stack = cell.stacks[peer];
                if doors[peer] != Door::Open || stack == Stack::Nat64 {
                    let external = ["203.0.113.1", "203.0.113.2"][peer];
                    found.0[peer] = add(sim, SiteId::INTERNET, nat(doors[peer], stack, external, Loop::External));
                    // Both may have the same address at home, and then take each other's for their own.
                    let same = doors == [doors[0]; 2];
                    found.1[peer] = if same { homes[0] } else { homes[peer] };
                }
            }
            found
        }
        Place::Together { door, hairpin, .. } => {
            let site = add(sim, SiteId::INTERNET, nat(door, cell.stacks[0], "203.0.113.1", hairpin));
            ([site; 2], homes)
        }
        Place::Carrier { doors, carrier, hairpin } => {
            let outer = add(sim, SiteId::INTERNET, nat(carrier, v4, "203.0.113.1", hairpin));
            let externals = ["100.64.0.1", "100.64.0.2"];
            let sites = [0, 1].map(|peer| add(sim, outer, nat(doors[peer], v4, externals[peer], Loop::Off)));
            (sites, homes)
        }
        Place::Double { home, carrier, other } => {
            let outer = add(sim, SiteId::INTERNET, nat(carrier, v4, "203.0.113.1", Loop::External));
            let a = add(sim, outer, nat(home, v4, "100.64.0.1", Loop::Off));
            if other == Door::Open {
                return ([a, SiteId::INTERNET], [homes[0], "192.0.2.2"]);
            }
            let b = add(sim, SiteId::INTERNET, nat(other, v4, "203.0.113.2", Loop::Off));
            ([a, b], homes)
        }
    }
}
