//! Virtual against real time. Each run is a minute of a 1.5 Mb/s flow of packets of 1200 bytes: at 2000 times real
//! time it takes 30 ms.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_netsim::{
    Aqm, CoDel, Congestion, DualPi2, Link, LinkConfig, Loss, Machine, Network, NodeId, Outgoing, Packet, Simulation,
    SiteConfig, SiteId, Tcp, Traffic,
};
use plenary_wire::{Bitrate, DataSize, Datagram, Ecn, FlowId, Limit, Transmit};

fn main() {
    divan::main();
}

const MINUTE: Duration = Duration::from_secs(60);
/// 1200 bytes at 1.5 Mb/s.
const INTERVAL: Duration = Duration::from_micros(6_400);
const PAYLOAD: [u8; 1_172] = [7; 1_172];

/// The capacity and delay of RFC 8867, with jitter and loss.
fn link_config() -> LinkConfig {
    LinkConfig {
        rate: Bitrate::from_mbps(2).into(),
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(5),
        loss: Loss::percent(1),
        ..LinkConfig::default()
    }
}

/// The link alone, with each kind of queue.
#[divan::bench(args = ["drop tail", "codel", "dualpi2"])]
fn link_minute(queue: &str) -> u64 {
    let aqm = match queue {
        "drop tail" => Aqm::DropTail,
        "codel" => Aqm::CoDel(CoDel::default()),
        _ => Aqm::DualPi2(DualPi2::default()),
    };
    let mut link = Link::new(LinkConfig { aqm, ..link_config() }, 1, 0);
    let packet = Packet { size: DataSize::from_bytes(1_200), ecn: Ecn::NotEct, payload: 0u32 };
    let mut now = Duration::ZERO;
    while now < MINUTE {
        link.send(packet, now).expect("the link has room");
        now += INTERVAL;
        while link.poll_arrival(now).is_some() {}
        while link.poll_dropped().is_some() {}
    }
    link.counters().delivered
}

fn hosts(network: &mut Network) -> [(NodeId, FlowId, SocketAddr); 2] {
    [1, 2].map(|host| {
        let (node, address) = (network.add_node(), SocketAddr::from(([192, 0, 2, host], 5_000)));
        network.attach(
            node,
            SiteId::INTERNET,
            &[IpAddr::from([192, 0, 2, host])],
            [link_config(), LinkConfig::default()],
        );
        (node, network.bind(node, address), address)
    })
}

/// A network: one link, one node at either end, and payload that is copied and hashed.
#[divan::bench]
fn network_minute() -> u64 {
    let mut network = Network::new(1);
    let [(node, flow, local), (_, _, remote)] = hosts(&mut network);
    let mut now = Duration::ZERO;
    while now < MINUTE {
        network.send(node, Outgoing { flow, local, remote, ecn: Ecn::NotEct, bytes: &PAYLOAD }, now);
        now += INTERVAL;
        while let Some(delivery) = network.poll(now) {
            if let plenary_netsim::Input::Datagram { bytes, .. } = delivery.input {
                network.recycle(bytes);
            }
        }
    }
    network.counters().delivered
}

struct Sender {
    flow: FlowId,
    local: SocketAddr,
    remote: SocketAddr,
    /// `None` only listens.
    due: Option<Instant>,
}

impl Machine for Sender {
    type Event = ();

    fn handle_datagram(&mut self, _: Datagram<'_>, _: Instant) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, now: Instant, _: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let due = self.due.filter(|due| *due <= now)?;
        self.due = Some(due + INTERVAL);
        let start = out.len();
        out.extend_from_slice(&PAYLOAD);
        let (flow, local, remote) = (self.flow, self.local, self.remote);
        Some(Transmit { flow, local, remote, range: start..out.len(), segment: PAYLOAD.len(), ecn: Ecn::NotEct })
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }
}

/// Two driven machines on that network.
#[divan::bench]
fn simulation_minute() -> u64 {
    let mut sim = Simulation::new(1);
    let start = sim.now();
    let [a, b] = hosts(sim.network_mut());
    for (from, to, due) in [(a, b, Some(start)), (b, a, None)] {
        sim.place(from.0, Sender { flow: from.1, local: from.2, remote: to.2, due });
    }
    sim.run_until(MINUTE);
    sim.network().counters().delivered
}

/// A minute of a long TCP flow that fills a link of 20 Mb/s and its queue.
#[divan::bench(args = ["new reno", "cubic"])]
fn tcp_minute(congestion: &str) -> u64 {
    let congestion = if congestion == "cubic" { Congestion::Cubic } else { Congestion::NewReno };
    let mut network = Network::new(1);
    let up = LinkConfig { rate: Bitrate::from_mbps(20).into(), ..LinkConfig::delay(Duration::from_millis(50)) };
    let site = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
    let from = network.add_host(site, &[IpAddr::from([10, 0, 0, 2])]);
    let to = network.add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, 1])]);
    let flow = network.add_traffic([from, to], Traffic::LongTcp(Tcp::new(congestion)), Duration::ZERO..MINUTE);
    assert_eq!(network.poll(MINUTE), None);
    network.traffic_counters(flow).received.as_bytes()
}
