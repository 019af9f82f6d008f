//! The network: nodes, sites and links, packets under way, and what arrives.

mod deliver;
mod log;
mod packet;
mod sockets;
mod streams;
mod topology;
mod traffic;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_wire::{Ecn, FlowId};

use crate::link::{Arrival, Dropped, Link, LinkConfig, LinkCounters};
use crate::nat::{Hairpin, Nat, Rebind};
use crate::{Closed, DropReason, Drops, Trace};
pub use log::{LinkLog, LinkRecord};
use packet::{Packet, PacketKey, Packets};
use sockets::Sockets;
pub use streams::STREAMS_MAX;
use streams::Streams;
use topology::{End, Interface, Site};
pub use topology::{LinkId, NodeId, SiteConfig, SiteId};
use traffic::Source;
pub use traffic::{TRAFFIC_PER_INSTANT_MAX, TrafficId};

/// Something that reached a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom.
    pub node: NodeId,
    /// On which of its sockets or streams.
    pub flow: FlowId,
    /// The address there.
    pub local: SocketAddr,
    /// Where it came from, as seen from there.
    pub remote: SocketAddr,
    /// What.
    pub input: Input,
}

/// What reached a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A datagram. Give the bytes back with [`Network::recycle`], and the next one needs no allocation.
    Datagram {
        /// The ECN bits.
        ecn: Ecn,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// A stream that was asked for with [`Network::connect`] is open.
    Connected,
    /// A stream came to a listener; its flow is new.
    Accepted,
    /// The next bytes of a stream.
    Stream(Vec<u8>),
    /// The stream is no more; its flow is free. What was closed or aborted at this end is not told.
    Closed(Closed),
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'b> {
    /// The socket.
    pub flow: FlowId,
    /// The source address. Its port is the socket's; its address too, but for a socket bound to the unspecified one.
    pub local: SocketAddr,
    /// The destination.
    pub remote: SocketAddr,
    /// The ECN bits.
    pub ecn: Ecn,
    /// The payload.
    pub bytes: &'b [u8],
}

/// What a network did so far. `sent + duplicated = delivered + drops.total() + Network::in_flight()`. Packets of
/// streams count as those of datagrams do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Packets that nodes sent.
    pub sent: u64,
    /// Copies that links made.
    pub duplicated: u64,
    /// Packets that reached a socket or stream, or were answered in their name.
    pub delivered: u64,
    /// The others.
    pub drops: Drops,
}

/// A seeded network of nodes, sites and links, in virtual time.
///
/// It is sans-I/O: it does nothing but when it is called, and instants are durations since the start that must not go
/// back. [`Simulation`](crate::Simulation) drives it together with machines; to drive it alone, send, and then call
/// [`poll`](Self::poll) until it answers `None` whenever [`poll_timeout`](Self::poll_timeout) has come.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    sites: Vec<Site>,
    interfaces: Vec<Interface>,
    /// The interfaces and ephemeral ports of each node.
    nodes: Vec<topology::Node>,
    links: Vec<(Link<PacketKey>, End)>,
    /// When each link is woken next, by the earliest entry of `wakes` that counts.
    link_wakes: Vec<Option<Duration>>,
    link_logs: Vec<Option<LinkLog>>,
    wakes: BinaryHeap<Reverse<(Duration, u64, Wake)>>,
    sequence: u64,
    packets: Packets,
    sockets: Sockets,
    streams: Streams,
    sources: Vec<Source>,
    /// The listeners that sources of cross traffic send to.
    traffic_listeners: BTreeMap<(NodeId, FlowId), TrafficId>,
    deliveries: VecDeque<Delivery>,
    counters: NetworkCounters,
    trace: Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Link(LinkId),
    Stream(NodeId, FlowId),
    /// A source of traffic begins, goes on, ends.
    Begin(TrafficId),
    Traffic(TrafficId),
    End(TrafficId),
}

impl Network {
    /// The public internet, which is a site without delay or loss, and nothing else. All chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            sites: vec![Site::internet()],
            interfaces: vec![],
            nodes: vec![],
            links: vec![],
            link_wakes: vec![],
            link_logs: vec![],
            wakes: BinaryHeap::new(),
            sequence: 0,
            packets: Packets::default(),
            sockets: Sockets::default(),
            streams: Streams::default(),
            sources: vec![],
            traffic_listeners: BTreeMap::new(),
            deliveries: VecDeque::new(),
            counters: NetworkCounters::default(),
            trace: Trace::default(),
        }
    }

    /// What all chance comes from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &NetworkCounters {
        &self.counters
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.packets.len()
    }

    /// A hash of all that was sent, dropped and delivered so far, when, and with which content: see [`Trace`].
    pub const fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// How a link is.
    pub fn link(&self, link: LinkId) -> &LinkConfig {
        self.links[link.0 as usize].0.config()
    }

    /// What a link did so far.
    pub fn link_counters(&self, link: LinkId) -> &LinkCounters {
        self.links[link.0 as usize].0.counters()
    }

    /// Changes a link from `now` on.
    pub fn update_link(&mut self, link: LinkId, now: Duration, change: impl FnOnce(&mut LinkConfig)) {
        self.links[link.0 as usize].0.update(now, change);
        self.collect_dropped(link, now);
        self.schedule_link(link);
    }

    /// The NAT or firewall of a site, to look at or to change.
    ///
    /// # Panics
    ///
    /// If the site has none.
    pub fn nat_mut(&mut self, site: SiteId) -> &mut Nat {
        self.sites[site.0 as usize].gateway.as_mut().expect("the site has a NAT or firewall")
    }

    /// Restarts or moves the NAT of a site: its mappings are forgotten, or are at other ports.
    ///
    /// # Panics
    ///
    /// If the site has none.
    pub fn rebind(&mut self, site: SiteId, rebind: Rebind, now: Duration) {
        self.nat_mut(site).rebind(rebind, now);
    }

    /// Sends a datagram. What becomes of it is seen where it arrives, or in the counters.
    pub fn send(&mut self, node: NodeId, outgoing: Outgoing<'_>, now: Duration) {
        let mut bytes = self.packets.buffer();
        bytes.extend_from_slice(outgoing.bytes);
        let source = self.sockets.source(node, outgoing.flow, outgoing.local).unwrap_or(outgoing.local);
        let bound = self.sockets.is_udp(node, outgoing.flow);
        let body = packet::Body::Datagram(bytes);
        let packet = Packet { source, destination: outgoing.remote, ecn: outgoing.ecn, body };
        self.originate(node, packet, bound, now);
    }

    /// The next thing that has reached a node by `now`, in the order of time.
    pub fn poll(&mut self, now: Duration) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.deliveries.pop_front() {
                return Some(delivery);
            }
            let &Reverse((at, _, wake)) = self.wakes.peek()?;
            if at > now {
                return None;
            }
            self.wakes.pop();
            match wake {
                Wake::Link(link) => self.run_link(link, at),
                Wake::Stream(node, flow) => self.run_stream(node, flow, at),
                Wake::Begin(source) => self.begin_traffic(source, at),
                Wake::Traffic(source) => self.run_traffic(source, at),
                Wake::End(source) => self.end_traffic(source, at),
            }
        }
    }

    /// When [`poll`](Self::poll) may next have something. It changes with each call that takes the network mutably.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if !self.deliveries.is_empty() {
            return Some(Duration::ZERO);
        }
        self.wakes.peek().map(|wake| wake.0.0)
    }

    /// Takes a buffer back, for a later packet.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        self.packets.recycle(bytes);
    }

    /// A packet leaves its node.
    fn originate(&mut self, node: NodeId, packet: Packet, bound: bool, now: Duration) {
        self.counters.sent += 1;
        self.trace.word(now.as_nanos() as u64);
        self.trace.word(u64::from(node.0));
        packet.trace(&mut self.trace);
        let (source, destination) = (packet.source.ip(), packet.destination.ip());
        let key = self.packets.insert(packet);
        let bound = bound && source.is_ipv4() == destination.is_ipv4();
        let Some(interface) = self.interface_of(node, source).filter(|_| bound) else {
            return self.discard(key, DropReason::BadSource, now);
        };
        if self.interface_of(node, destination).is_some() {
            return self.arrive(node, key, now);
        }
        let up = self.interfaces[interface].up;
        self.enqueue(up, key, now);
    }

    fn enqueue(&mut self, link: LinkId, key: PacketKey, now: Duration) {
        let (size, ecn) = self.packets.size(key);
        let packet = crate::link::Packet { size, ecn, payload: key };
        if let Err((reason, packet)) = self.links[link.0 as usize].0.send(packet, now) {
            self.log(link, packet.payload, [now, now, Duration::ZERO], (ecn, Some(reason)));
            self.discard(packet.payload, reason, now);
        }
        let to_router = !matches!(self.links[link.0 as usize].1, End::Node(_));
        if to_router && self.links[link.0 as usize].0.poll_timeout() == Some(now) {
            // A perfect link: what several nodes send at one instant must not be gathered by link, but reach what they
            // share in the order in which it was sent. No deeper than sites nest.
            return self.run_link(link, now);
        }
        self.collect_dropped(link, now);
        self.schedule_link(link);
    }

    fn run_link(&mut self, link: LinkId, now: Duration) {
        if self.link_wakes[link.0 as usize] == Some(now) {
            self.link_wakes[link.0 as usize] = None;
        }
        while let Some(Arrival { at, sent, waited, packet, copy }) = self.links[link.0 as usize].0.poll_arrival(now) {
            let mut key = packet.payload;
            if copy {
                self.counters.duplicated += 1;
                key = self.packets.duplicate(key);
            } else {
                self.log(link, key, [at, sent, waited], (packet.ecn, None));
            }
            self.packets.mark(key, packet.ecn);
            match self.links[link.0 as usize].1 {
                End::Node(node) => self.arrive(node, key, now),
                End::Inside(site) => self.forward(site, key, now),
                End::Outside(site) => self.enter(site, key, now),
            }
        }
        self.collect_dropped(link, now);
        self.schedule_link(link);
    }

    fn collect_dropped(&mut self, link: LinkId, now: Duration) {
        while let Some(Dropped { at, sent, waited, reason, packet }) = self.links[link.0 as usize].0.poll_dropped() {
            self.log(link, packet.payload, [at, sent, waited], (packet.ecn, Some(reason)));
            self.discard(packet.payload, reason, now);
        }
    }

    fn schedule_link(&mut self, link: LinkId) {
        let Some(at) = self.links[link.0 as usize].0.poll_timeout() else { return };
        let scheduled = &mut self.link_wakes[link.0 as usize];
        if scheduled.is_none_or(|scheduled| at < scheduled) {
            *scheduled = Some(at);
            self.wake(at, Wake::Link(link));
        }
    }

    fn wake(&mut self, at: Duration, wake: Wake) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.wakes.push(Reverse((at, sequence, wake)));
    }

    /// A router has the packet, from inside its site.
    fn forward(&mut self, at: SiteId, key: PacketKey, now: Duration) {
        let destination = self.packets.get(key).destination;
        if let Some(down) = self.down_link(at, destination.ip()) {
            return self.enqueue(down, key, now);
        }
        let site = &mut self.sites[at.0 as usize];
        let destination = site.gateway.as_ref().map_or(destination, |nat| nat.beyond(destination));
        self.packets.get_mut(key).destination = destination;
        let (Some((up, _)), hairpin) = (site.links, site.owns(destination.ip())) else {
            return self.discard(key, DropReason::NoRoute, now);
        };
        if hairpin {
            return self.hairpin(at, key, now);
        }
        if let Some(nat) = &mut site.gateway {
            let packet = self.packets.get_mut(key);
            match nat.outbound(packet.protocol(), packet.source, destination, now) {
                Ok(source) => packet.source = source,
                Err(reason) => return self.discard(key, reason, now),
            }
        }
        self.enqueue(up, key, now);
    }

    /// A packet from inside wants to come back in by an external address of the site's own.
    fn hairpin(&mut self, at: SiteId, key: PacketKey, now: Duration) {
        let nat = self.sites[at.0 as usize].gateway.as_mut().expect("only a NAT owns addresses");
        let packet = self.packets.get_mut(key);
        let (internal, kind) = (packet.source, nat.config().hairpin);
        if kind == Hairpin::Off {
            return self.discard(key, DropReason::Hairpin, now);
        }
        match nat.outbound(packet.protocol(), internal, packet.destination, now) {
            Ok(external) => packet.source = external,
            Err(reason) => return self.discard(key, reason, now),
        }
        if let Err(reason) = self.admit(at, key, now) {
            return self.discard(key, reason, now);
        }
        let packet = self.packets.get_mut(key);
        // Through a NAT64 the two may be of different families; then there is no internal name for it.
        if kind == Hairpin::Internal && internal.is_ipv4() == packet.destination.is_ipv4() {
            packet.source = internal;
        }
        self.descend(at, key, now);
    }

    /// A router has the packet, from outside its site.
    fn enter(&mut self, at: SiteId, key: PacketKey, now: Duration) {
        match self.admit(at, key, now) {
            Ok(()) => self.descend(at, key, now),
            Err(reason) => self.discard(key, reason, now),
        }
    }

    /// The NAT or firewall of a site, if it has one, lets the packet in and says where to.
    fn admit(&mut self, at: SiteId, key: PacketKey, now: Duration) -> Result<(), DropReason> {
        let packet = self.packets.get_mut(key);
        if let Some(nat) = &mut self.sites[at.0 as usize].gateway {
            packet.destination = nat.inbound(packet.protocol(), packet.source, packet.destination, now)?;
            packet.source = nat.within(packet.source, packet.destination);
        }
        Ok(())
    }

    fn descend(&mut self, at: SiteId, key: PacketKey, now: Duration) {
        match self.down_link(at, self.packets.get(key).destination.ip()) {
            Some(down) => self.enqueue(down, key, now),
            None => self.discard(key, DropReason::NoRoute, now),
        }
    }

    fn discard(&mut self, key: PacketKey, reason: DropReason, now: Duration) {
        self.counters.drops.add(reason);
        self.trace.word(now.as_nanos() as u64);
        self.trace.word(0x100 + reason as u64);
        let packet = self.packets.remove(key);
        self.packets.reuse(packet);
    }

    /// The interface of a node that owns an address.
    fn interface_of(&self, node: NodeId, address: IpAddr) -> Option<usize> {
        let interfaces = &self.nodes[node.0 as usize].interfaces;
        interfaces.iter().copied().find(|&index| self.interfaces[index].addresses.contains(&address))
    }
}
