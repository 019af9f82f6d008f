//! What a cell can do, found out by probing its network; and which of the paths ICE should choose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use plenary_netsim::Simulation;
use plenary_wire::FlowId;

use super::cast::{Cast, Seat, Serves};
use super::cell::{Cell, Stack, unsynthesized};
use super::prober::Prober;
use super::server::{Server, Sockets};
use super::station::{Brain, Host, Relay, Station, is_relayed, relayed_flow};
use super::world::{World, stun_server};
use crate::lab::ms;

/// From what a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    Udp,
    Relay,
    Stream,
}

/// How it came to know where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remote {
    Host,
    /// As a server saw it.
    Mapped,
    /// As it was heard.
    Heard,
    Relay,
    Listener,
    /// Who has connected to our listener.
    Accepted,
}

/// A path in the eyes of one peer. Addresses differ from run to run, as NATs draw ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) base: Base,
    pub(crate) remote: Remote,
    /// Whether what one sends from is IPv6: ours, and the peer's. Behind a NAT64 it need not be the same.
    pub(crate) ipv6: [bool; 2],
}

/// The addresses by which a peer is known to the other: how it came by each, and whether the base of it is IPv6.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(BTreeMap<SocketAddr, (Remote, bool)>);

impl Known {
    /// Of two of one address, the first counts.
    pub(crate) fn add(&mut self, address: SocketAddr, remote: Remote, base: SocketAddr) {
        self.0.entry(address).or_insert_with(|| (remote, base.is_ipv6()));
    }

    /// The path of a peer that sends from a flow to one of these addresses, as it names it.
    pub(crate) fn path(&self, (cell, peer): (Cell, usize), is_stream: bool, flow: FlowId, to: SocketAddr) -> Path {
        let base = match flow {
            _ if is_stream => Base::Stream,
            _ if is_relayed(flow) => Base::Relay,
            _ => Base::Udp,
        };
        let known = self.0.iter().find(|(address, _)| cell.names(peer, **address).contains(&to));
        let (remote, theirs) = known.map(|(_, known)| *known).unwrap_or_else(|| {
            let outside = if cell.stacks[peer] == Stack::Nat64 { unsynthesized(to) } else { to };
            (Remote::Heard, if cell.stacks[1 - peer] == Stack::Nat64 { true } else { outside.is_ipv6() })
        });
        let remote = if is_stream && remote == Remote::Heard { Remote::Accepted } else { remote };
        Path { base, remote, ipv6: [to.is_ipv6(), theirs] }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The paths that work, in the eyes of each peer.
    pub(crate) works: [BTreeSet<Path>; 2],
    /// How many addresses each gets at its relay.
    pub(crate) relayed: [usize; 2],
    /// What the controlling one should choose.
    pub(crate) best: Option<Path>,
}

/// Those who probe, by servers and relays of the laboratory's own.
struct Probers;

impl Cast for Probers {
    fn server(&self, sockets: Sockets, _sim: &mut Simulation<Host>) -> Box<dyn Serves> {
        Box::new(Server::new(sockets))
    }

    fn station(&self, seat: Seat, sim: &mut Simulation<Host>) -> Station {
        let prober = Prober::new(seat.peer as u8, seat.cell.is_lite(seat.peer));
        Station::new(Brain::Prober(prober), seat.way.map(|way| Relay::new(way, sim.now())))
    }
}

/// Probes the network of a cell.
pub(crate) fn judge(cell: Cell) -> Verdict {
    let mut world = World::new(&Probers, cell, 1, ms(4));
    for peer in [0, 1] {
        for socket in world.udp[peer].clone() {
            let prober = world.station_mut(peer).prober_mut();
            prober.add_base(socket.0, socket.1);
            // What is before a lite agent is opened by nothing: it sends nothing of its own.
            if !cell.is_lite(peer) {
                prober.ask_address(socket, stun_server(cell, peer, socket.1));
            }
        }
    }
    world.sim.run_for(ms(500));
    let known = [0, 1].map(|peer| addresses(&mut world, peer));
    let relayed = [0, 1].map(|peer| world.station(peer).relay.as_ref().map_or(vec![], |relay| relay.relayed.clone()));
    for peer in [0, 1] {
        for &relayed in &relayed[peer] {
            world.station_mut(peer).prober_mut().add_base(relayed_flow(relayed), relayed);
        }
        for (&address, &(remote, _)) in &known[1 - peer].0 {
            for named in cell.names(peer, address) {
                if remote != Remote::Listener {
                    world.station_mut(peer).prober_mut().add_remote(named);
                } else if !cell.is_open(peer) && !cell.is_lite(peer) && world.local_for(peer, named).is_some() {
                    world.connect(peer, named);
                }
            }
        }
    }
    for _ in 0..6 {
        for peer in [0, 1] {
            world.station_mut(peer).prober_mut().round();
        }
        world.sim.run_for(Duration::from_millis(50));
    }
    let works = [0, 1].map(|peer| {
        let found = world.station_mut(peer).prober_mut().found.clone();
        let path = |(flow, to)| known[1 - peer].path((cell, peer), world.is_stream(peer, flow), flow, to);
        found.into_iter().map(path).collect::<BTreeSet<_>>()
    });
    let best = works[cell.controlling()].iter().copied().max_by_key(|path| priority(*path));
    Verdict { works, relayed: relayed.map(|relayed| relayed.len()), best }
}

fn addresses(world: &mut World, peer: usize) -> Known {
    let (cell, udp, listeners) = (world.cell, world.udp[peer].clone(), world.listeners[peer].clone());
    let station = world.station_mut(peer);
    let mut known = Known::default();
    for &(flow, local) in &udp {
        let mapped = station.prober_mut().mapped.get(&flow).copied();
        if !cell.hides_hosts() {
            known.add(local, Remote::Host, local);
        }
        if let Some(mapped) = mapped.filter(|&mapped| mapped != local) {
            known.add(mapped, Remote::Mapped, local);
        }
    }
    for &relayed in station.relay.iter().flat_map(|relay| &relay.relayed) {
        known.add(relayed, Remote::Relay, relayed);
    }
    for (_, local) in listeners {
        known.add(local, Remote::Listener, local);
    }
    known
}

/// RFC 8445 §6.1.2.3, in the eyes of the controlling one. The local preferences are those that the trials set: 65535
/// for sockets, 65000 for relays, 1 less for IPv4; for streams RFC 6544 §4.2, with a type preference that is 37 less.
fn priority(Path { base, remote, ipv6 }: Path) -> u64 {
    let candidate =
        |kind: u64, preference: u64, ipv6: bool| (kind << 24) | ((preference - u64::from(!ipv6)) << 8) | 255;
    let stream = |kind: u64, direction: u64, ipv6: bool| candidate(kind - 37, (direction << 13) | 8191, ipv6);
    let ours = match (base, remote) {
        (Base::Udp, _) => candidate(126, 65_535, ipv6[0]),
        (Base::Relay, _) => candidate(0, 65_000, ipv6[0]),
        (Base::Stream, Remote::Accepted) => stream(126, 4, ipv6[0]),
        (Base::Stream, _) => stream(126, 6, ipv6[0]),
    };
    let theirs = match remote {
        Remote::Host => candidate(126, 65_535, ipv6[1]),
        Remote::Mapped => candidate(100, 65_535, ipv6[1]),
        Remote::Heard => candidate(110, 65_535, ipv6[1]),
        Remote::Relay => candidate(0, 65_000, ipv6[1]),
        Remote::Listener => stream(126, 4, ipv6[1]),
        Remote::Accepted => stream(110, 4, ipv6[1]),
    };
    (ours.min(theirs) << 32) + 2 * ours.max(theirs) + u64::from(ours > theirs)
}
