use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use plenary_wire::{Bitrate, DataSize, Ecn, FlowId};

use super::packet::{self, Body, Packet};
use super::{Network, NodeId, Wake};
use crate::link::Work;
use crate::stream::{StreamConfig, StreamCounters};
use crate::{Cbr, OnOff, Protocol, Random, ShortTcp, Traffic, TrafficCounters};

/// The label of the first source's stream of chance: no link, NAT or machine has one of these.
const TRAFFIC_LABEL: u64 = 1 << 62;

/// How many packets a TCP source may send at one instant. One that sends more is on a path without delay and without
/// limit, and never stops: the network panics.
pub const TRAFFIC_PER_INSTANT_MAX: u64 = 100_000;

/// What a flow that never ends has to send.
const ENDLESS: u64 = u64::MAX >> 1;

/// A source of cross traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficId(u32);

#[derive(Debug)]
pub(super) struct Source {
    traffic: Traffic,
    nodes: [NodeId; 2],
    /// Where it sends from and to. A TCP flow has a port of its own.
    addresses: [SocketAddr; 2],
    /// The socket that it sends from (UDP), the listener that it sends to (TCP).
    socket: FlowId,
    /// Of TCP, the flow that there is.
    flow: Option<FlowId>,
    end: Duration,
    /// Whether it sends at present, and until when.
    on: bool,
    until: Duration,
    /// When the next packet leaves.
    next: Option<Duration>,
    random: Random,
    counters: TrafficCounters,
    /// At the instant of the last one: packets of TCP sent.
    last: (Duration, u64),
}

impl Network {
    /// Adds traffic from one node to another during a time, which must not have begun yet. It needs no machine and no
    /// socket: both nodes get sockets for it, at their first addresses of one family, and nothing of it is delivered to
    /// anyone. NATs and firewalls apply to it.
    ///
    /// A TCP flow that goes on at the end is closed; a file that is on its way is finished. A flow that is given up,
    /// after about a minute without an answer, is not opened again, but for the next file.
    ///
    /// # Panics
    ///
    /// If the nodes have no addresses of one family, a rate has no limit, a mean time of [`OnOff`] is zero, or the
    /// smallest file is empty or larger than the largest. Later, if a TCP flow sends more than
    /// [`TRAFFIC_PER_INSTANT_MAX`] packets at one instant.
    pub fn add_traffic(&mut self, nodes: [NodeId; 2], traffic: Traffic, time: Range<Duration>) -> TrafficId {
        assert_valid(&traffic);
        let id = TrafficId(self.sources.len() as u32);
        let addresses = self.first_addresses(nodes).map(|address| SocketAddr::new(address, 0));
        let random = Random::new(self.seed, TRAFFIC_LABEL + u64::from(id.0));
        let (socket, addresses) = match traffic {
            Traffic::Cbr(_) | Traffic::OnOff(_) => {
                let [from, to] = [0, 1].map(|end| self.bind(nodes[end], addresses[end]));
                let bound = |node, flow| self.local_address(node, flow).expect("it was bound");
                (from, [bound(nodes[0], from), bound(nodes[1], to)])
            }
            Traffic::LongTcp(_) | Traffic::ShortTcp(_) => {
                let listener = self.listen(nodes[1], addresses[1]);
                self.traffic_listeners.insert((nodes[1], listener), id);
                (listener, [addresses[0], self.local_address(nodes[1], listener).expect("it was bound")])
            }
        };
        self.sources.push(Source {
            traffic,
            nodes,
            addresses,
            socket,
            flow: None,
            end: time.end,
            on: false,
            until: time.start,
            next: None,
            random,
            counters: TrafficCounters::default(),
            last: (Duration::ZERO, 0),
        });
        self.wake(time.start, Wake::Begin(id));
        id
    }

    /// What a source did so far.
    pub fn traffic_counters(&self, source: TrafficId) -> &TrafficCounters {
        &self.sources[source.0 as usize].counters
    }

    /// Where a source sends from and to, as it sees them. The port of a TCP source is that of its listener alone.
    pub fn traffic_addresses(&self, source: TrafficId) -> [SocketAddr; 2] {
        self.sources[source.0 as usize].addresses
    }

    fn first_addresses(&self, [from, to]: [NodeId; 2]) -> [IpAddr; 2] {
        let of = |node, ipv4| self.addresses(node).find(|address: &IpAddr| address.is_ipv4() == ipv4);
        let both = [true, false].into_iter().find_map(|ipv4| Some([of(from, ipv4)?, of(to, ipv4)?]));
        both.expect("the nodes have addresses of one family")
    }

    /// The time of a source has come.
    pub(super) fn begin_traffic(&mut self, id: TrafficId, now: Duration) {
        let source = &mut self.sources[id.0 as usize];
        match source.traffic {
            Traffic::Cbr(_) => {
                (source.on, source.until) = (true, source.end);
                source.counters.begun += 1;
            }
            // Turned over at once.
            Traffic::OnOff(OnOff { starts_on, .. }) => source.on = !starts_on,
            Traffic::ShortTcp(ShortTcp { starts_on: false, idle, .. }) => {
                let wait = source.random.exponential(idle);
                return self.wake(now.saturating_add(wait), Wake::Traffic(id));
            }
            Traffic::LongTcp(_) => {
                let end = source.end;
                self.wake(end, Wake::End(id));
            }
            Traffic::ShortTcp(_) => {}
        }
        self.run_traffic(id, now);
    }

    /// A source does what is due.
    pub(super) fn run_traffic(&mut self, id: TrafficId, now: Duration) {
        let source = &mut self.sources[id.0 as usize];
        if now >= source.end {
            return;
        }
        let packet = match &source.traffic {
            Traffic::Cbr(Cbr { packet, ecn, .. }) | Traffic::OnOff(OnOff { packet, ecn, .. }) => (*packet, *ecn),
            Traffic::LongTcp(tcp) => {
                let stream = tcp.stream();
                return self.open_flow(id, stream, ENDLESS, now);
            }
            Traffic::ShortTcp(short) => {
                let ([least, most], stream) = (short.file.map(DataSize::as_bytes), short.tcp.stream());
                let length = least + u64::from(source.random.below((most - least) as u32 + 1));
                return self.open_flow(id, stream, length, now);
            }
        };
        source.turn_over(now);
        if source.next.take_if(|next| *next <= now).is_some() {
            self.send_filler(id, packet, now);
        }
        if let Some(at) = self.sources[id.0 as usize].next_wake(now) {
            self.wake(at, Wake::Traffic(id));
        }
    }

    fn send_filler(&mut self, id: TrafficId, (size, ecn): (DataSize, Ecn), now: Duration) {
        let source = &mut self.sources[id.0 as usize];
        source.counters.sent += 1;
        let ([source_address, destination], node) = (source.addresses, source.nodes[0]);
        let bound = self.sockets.is_udp(node, source.socket);
        let length = size.saturating_sub(packet::headers(destination.ip(), Protocol::Udp));
        let body = Body::Filler { source: id, length };
        self.originate(node, Packet { source: source_address, destination, ecn, body }, bound, now);
    }

    fn open_flow(&mut self, id: TrafficId, stream: StreamConfig, length: u64, now: Duration) {
        let source = &mut self.sources[id.0 as usize];
        source.counters.begun += 1;
        let ([local, remote], node) = (source.addresses, source.nodes[0]);
        let flow = self.connect_filler(node, (local, remote), (stream, id), length, now);
        self.sources[id.0 as usize].flow = Some(flow);
    }

    /// The time of a source is over.
    pub(super) fn end_traffic(&mut self, id: TrafficId, now: Duration) {
        let source = &self.sources[id.0 as usize];
        if let Some(flow) = source.flow {
            self.cut_filler(source.nodes[0], flow, now);
        }
    }

    /// A listener is that of a source: how its streams are.
    pub(super) fn traffic_of_listener(&self, node: NodeId, listener: FlowId) -> Option<(StreamConfig, TrafficId)> {
        let id = *self.traffic_listeners.get(&(node, listener))?;
        match &self.sources[id.0 as usize].traffic {
            Traffic::LongTcp(tcp) | Traffic::ShortTcp(ShortTcp { tcp, .. }) => Some((tcp.stream(), id)),
            Traffic::Cbr(_) | Traffic::OnOff(_) => None,
        }
    }

    pub(super) fn count_received(&mut self, id: TrafficId, size: DataSize) {
        let received = &mut self.sources[id.0 as usize].counters.received;
        *received = received.saturating_add(size);
    }

    /// What a stream of a source did since that was last asked.
    pub(super) fn count_stream(&mut self, id: TrafficId, since: StreamCounters, now: Duration) {
        let Source { counters, last, .. } = &mut self.sources[id.0 as usize];
        *last = (now, since.sent + if last.0 == now { last.1 } else { 0 });
        let seed = self.seed;
        assert!(
            last.1 <= TRAFFIC_PER_INSTANT_MAX,
            "seed {seed:#x}: TCP without delay and limit never stops at {now:?}"
        );
        counters.sent += since.sent;
        counters.resent += since.resent;
        counters.timeouts += since.timeouts;
    }

    /// The stream that a source opened is no more.
    pub(super) fn flow_ended(&mut self, id: TrafficId, complete: bool, now: Duration) {
        let source = &mut self.sources[id.0 as usize];
        source.flow = None;
        source.counters.completed += u64::from(complete);
        if let Traffic::ShortTcp(ShortTcp { idle, .. }) = source.traffic {
            let wait = source.random.exponential(idle);
            self.wake(now.saturating_add(wait), Wake::Traffic(id));
        }
    }
}

impl Source {
    /// Ends a time that it was on or off, if it is over, and begins the other.
    fn turn_over(&mut self, now: Duration) {
        let Traffic::OnOff(OnOff { on, off, .. }) = self.traffic else { return };
        while self.until <= now {
            self.counters.completed += u64::from(self.on && self.counters.begun > 0);
            self.on = !self.on;
            self.counters.begun += u64::from(self.on);
            let mean = if self.on { on } else { off };
            self.until = self.until.saturating_add(self.random.exponential(mean));
            self.next = None;
            if self.until == Duration::MAX {
                return;
            }
        }
    }

    /// When the next packet leaves, or the present time ends before that.
    fn next_wake(&mut self, now: Duration) -> Option<Duration> {
        if self.on && self.next.is_none() {
            self.next = match &self.traffic {
                Traffic::Cbr(Cbr { rate, packet, .. }) => rate.finish(now, Work::of(*packet)),
                Traffic::OnOff(OnOff { rate, packet, .. }) => {
                    let interval = rate.time_for(*packet);
                    interval.map(|interval| now.saturating_add(interval.max(Duration::from_nanos(1))))
                }
                Traffic::LongTcp(_) | Traffic::ShortTcp(_) => None,
            };
        }
        let turn = matches!(self.traffic, Traffic::OnOff(_)).then_some(self.until);
        self.next.into_iter().chain(turn).min().filter(|at| *at < self.end)
    }
}

fn assert_valid(traffic: &Traffic) {
    match traffic {
        Traffic::Cbr(cbr) => {
            assert!(cbr.rate.is_limited() && cbr.packet > DataSize::ZERO, "a rate that has no limit never stops");
        }
        Traffic::OnOff(on_off) => {
            let limited = on_off.rate < Bitrate::MAX && on_off.packet > DataSize::ZERO;
            assert!(limited, "a rate that has no limit never stops");
            assert!(!on_off.on.is_zero() && !on_off.off.is_zero(), "it is on and off for some time");
        }
        Traffic::LongTcp(_) => {}
        Traffic::ShortTcp(ShortTcp { file: [least, most], .. }) => {
            assert!(*least > DataSize::ZERO && least <= most, "files are of some size");
            assert!(most.as_bytes() < u64::from(u32::MAX), "a short flow is less than 4 GB");
        }
    }
}
