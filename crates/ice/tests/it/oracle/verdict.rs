//! What a cell can do, found out by probing its network; and which of the paths ICE should choose.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use plenary_wire::FlowId;

use super::cell::Cell;
use super::prober::Prober;
use super::station::{Brain, RELAYED};
use super::world::{STUN_SERVER, World};
use crate::lab::{address, ms};

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
pub(crate) type Path = (Base, Remote);

/// The addresses by which a peer is known to the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) host: Option<SocketAddr>,
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) listener: Option<SocketAddr>,
}

impl Known {
    /// The path of who sends from a flow to one of these addresses.
    pub(crate) fn path(&self, flow: FlowId, udp: FlowId, to: SocketAddr) -> Path {
        if flow != udp && flow != RELAYED {
            let listener = self.listener == Some(to);
            return (Base::Stream, if listener { Remote::Listener } else { Remote::Accepted });
        }
        let base = if flow == RELAYED { Base::Relay } else { Base::Udp };
        let remote = match Some(to) {
            it if it == self.host => Remote::Host,
            it if it == self.mapped => Remote::Mapped,
            it if it == self.relayed => Remote::Relay,
            _ => Remote::Heard,
        };
        (base, remote)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The paths that work, in the eyes of each peer.
    pub(crate) works: [BTreeSet<Path>; 2],
    /// Who gets an address at a relay.
    pub(crate) relayed: [bool; 2],
    /// What the controlling one should choose.
    pub(crate) best: Option<Path>,
}

/// Probes the network of a cell.
pub(crate) fn judge(cell: Cell) -> Verdict {
    let brain = |peer: usize| Brain::Prober(Prober::new(peer as u8, cell.is_lite(peer)));
    let mut world = World::new(cell, 1, ms(4), |peer, _| brain(peer));
    for peer in [0, 1] {
        let (flow, local) = world.udp[peer];
        let prober = world.station_mut(peer).prober_mut();
        prober.add_base(flow, local);
        prober.ask_address(address(STUN_SERVER));
    }
    world.sim.run_for(ms(500));
    let known = [0, 1].map(|peer| addresses(&mut world, peer));
    for peer in [0, 1] {
        let theirs = &known[1 - peer];
        if let Some(relayed) = known[peer].relayed {
            world.station_mut(peer).prober_mut().add_base(RELAYED, relayed);
        }
        for remote in [theirs.host, theirs.mapped, theirs.relayed].into_iter().flatten() {
            world.station_mut(peer).prober_mut().add_remote(remote);
        }
        if cell.tcp && !cell.is_open(peer) && !cell.is_lite(peer) {
            theirs.listener.map(|listener| world.connect(peer, listener));
        }
    }
    for _ in 0..6 {
        for peer in [0, 1] {
            world.station_mut(peer).prober_mut().round();
        }
        world.sim.run_for(Duration::from_millis(50));
    }
    let works = [0, 1].map(|peer| {
        let (udp, theirs) = (world.udp[peer].0, &known[1 - peer]);
        let found = world.station_mut(peer).prober_mut().found.clone();
        found.into_iter().map(|(flow, to)| theirs.path(flow, udp, to)).collect::<BTreeSet<_>>()
    });
    let best = works[cell.controlling()].iter().copied().max_by_key(|path| priority(*path));
    Verdict { works, relayed: [0, 1].map(|peer| known[peer].relayed.is_some()), best }
}

fn addresses(world: &mut World, peer: usize) -> Known {
    let cell = world.cell;
    let (host, listener) = (world.udp[peer].1, world.listeners[peer]);
    let station = world.station_mut(peer);
    let relayed = station.relay.as_ref().and_then(|relay| relay.relayed);
    let mapped = station.prober_mut().mapped.filter(|&mapped| mapped != host && !cell.is_lite(peer));
    let host = (!cell.hides_hosts()).then_some(host);
    Known { host, mapped, relayed, listener: listener.map(|it| it.1) }
}

/// RFC 8445 §6.1.2.3, in the eyes of the controlling one. The local preferences are those that the trials set: 65535
/// for sockets, 65000 for relays; for streams RFC 6544 §4.2, with a type preference that is 37 less.
fn priority((base, remote): Path) -> u64 {
    let candidate = |kind: u64, preference: u64| (kind << 24) | (preference << 8) | 255;
    let stream = |kind: u64, direction: u64| candidate(kind - 37, (direction << 13) | 8191);
    let ours = match (base, remote) {
        (Base::Udp, _) => candidate(126, 65_535),
        (Base::Relay, _) => candidate(0, 65_000),
        (Base::Stream, Remote::Accepted) => stream(126, 4),
        (Base::Stream, _) => stream(126, 6),
    };
    let theirs = match remote {
        Remote::Host => candidate(126, 65_535),
        Remote::Mapped => candidate(100, 65_535),
        Remote::Heard => candidate(110, 65_535),
        Remote::Relay => candidate(0, 65_000),
        Remote::Listener => stream(126, 4),
        Remote::Accepted => stream(110, 4),
    };
    (ours.min(theirs) << 32) + 2 * ours.max(theirs) + u64::from(ours > theirs)
}
