//! The topologies of RFC 8867, as nodes and sites.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::{
    Cbr, Condition, Congestion, Input, LinkConfig, LinkId, LinkTrace, Network, NodeId, Outgoing, Probability,
    RateSchedule, SiteConfig, SiteId, Tcp, Traffic,
};
use plenary_wire::{Bitrate, DataSize, Ecn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn bottleneck(kbps: u64, delay: Duration) -> LinkConfig {
    LinkConfig { rate: Bitrate::from_kbps(kbps).into(), ..LinkConfig::delay(delay) }
}

/// A host with an access delay of its own, each way. A little jitter keeps flows of TCP from falling into step with the
/// queue, so that the same one always finds it full.
fn host(network: &mut Network, site: SiteId, address: [u8; 4], delay: Duration) -> NodeId {
    let node = network.add_node();
    let up = LinkConfig { jitter: Duration::from_micros(500), ..LinkConfig::delay(delay) };
    network.attach(node, site, &[IpAddr::from(address)], [up, LinkConfig::delay(delay)]);
    node
}

/// How long a datagram takes from one node to the other in an idle network.
fn one_way(network: &mut Network, [from, to]: [NodeId; 2], now: Duration) -> Duration {
    let address = |network: &Network, node| network.addresses(node).next().expect("it has an address");
    let [here, there] = [from, to].map(|node| {
        let address = SocketAddr::new(address(network, node), 0);
        let flow = network.bind(node, address);
        (flow, network.local_address(node, flow).expect("it was bound"))
    });
    let outgoing = Outgoing { flow: here.0, local: here.1, remote: there.1, ecn: Ecn::NotEct, bytes: &[0; 2] };
    network.send(from, outgoing, now);
    loop {
        let at = network.poll_timeout().expect("it is on its way");
        if let Some(delivery) = network.poll(at) {
            assert!(matches!(delivery.input, Input::Datagram { .. }) && delivery.node == to);
            return at - now;
        }
    }
}

fn used(network: &Network, link: LinkId) -> u64 {
    network.link_counters(link).delivered_size.as_bytes()
}

/// §5.5: five flows over one bottleneck, with one-way delays of 10 to 150 ms.
#[test]
fn flows_of_different_delay_share_one_bottleneck() {
    let mut network = Network::new(3);
    let site = SiteConfig { up: bottleneck(4_000, ms(0)), ..SiteConfig::default() };
    let left = network.add_site(SiteId::INTERNET, site);
    let mut pairs = vec![];
    for (index, delay) in (1u8..).zip([10, 25, 50, 100, 150]) {
        let from = host(&mut network, left, [10, 0, 0, index], ms(0));
        let to = host(&mut network, SiteId::INTERNET, [192, 0, 2, index], ms(delay));
        let path = one_way(&mut network, [from, to], ms(1_000) * u32::from(index));
        assert!(path > ms(delay) && path < ms(delay + 2), "{path:?}");
        pairs.push([from, to]);
    }
    let flows: Vec<_> = (0..)
        .zip(&pairs)
        .map(|(index, pair)| {
            let flow = Traffic::LongTcp(Tcp::new(Congestion::NewReno));
            network.add_traffic(*pair, flow, s(10 + 10 * index)..s(309))
        })
        .collect();
    assert_eq!(network.poll(s(320)), None);
    let bytes: Vec<_> = flows.iter().map(|flow| network.traffic_counters(*flow).received.as_bytes()).collect();
    let (up, _) = network.site_links(left);
    assert!(used(&network, up) > 299 * 500_000 * 97 / 100, "{}", used(&network, up));
    assert!(bytes.iter().all(|bytes| *bytes > 10_000_000) && bytes[0] > 2 * bytes[4], "{bytes:?}");
}

/// §6.3: A to B to C to D. The first flow crosses all, the second A–B, the third C–D.
#[test]
fn a_flow_crosses_two_bottlenecks_in_series() {
    let mut network = Network::new(3);
    // Reference 2 Mb/s: A–B 1.0, B–C 4.0, C–D 0.75 times that.
    let a = SiteConfig { up: bottleneck(2_000, ms(20)), ..SiteConfig::default() };
    let a = network.add_site(SiteId::INTERNET, a);
    let c = SiteConfig { down: bottleneck(8_000, ms(60)), ..SiteConfig::default() };
    let c = network.add_site(SiteId::INTERNET, c);
    let d = network.add_site(c, SiteConfig { down: bottleneck(1_500, ms(20)), ..SiteConfig::default() });
    let pairs = [
        [(a, [10, 0, 1, 1], 0), (d, [10, 0, 4, 1], 0)],
        [(a, [10, 0, 1, 2], 0), (SiteId::INTERNET, [10, 0, 2, 2], 20)],
        [(c, [10, 0, 3, 3], 20), (d, [10, 0, 4, 3], 0)],
    ];
    let pairs = pairs.map(|pair| pair.map(|(site, address, delay)| host(&mut network, site, address, ms(delay))));
    for (second, (pair, delay)) in (1..).zip(pairs.iter().zip([100, 40, 40])) {
        let path = one_way(&mut network, *pair, s(second));
        assert!(path >= ms(delay) && path < ms(delay + 2), "{path:?}");
    }
    let rates = [500, 1_200, 700].map(Bitrate::from_kbps);
    let mut flows = vec![];
    for (pair, rate) in pairs.iter().zip(rates) {
        flows.push(network.add_traffic(*pair, Traffic::Cbr(Cbr::new(rate)), s(200)..s(300)));
    }
    assert_eq!(network.poll(s(400)), None);
    // None is more than its links carry: each passes whole. The links see what crosses them, and nothing else.
    let counters = flows.iter().map(|flow| *network.traffic_counters(*flow));
    assert!(counters.clone().all(|counters| counters.received == DataSize::from_bytes(counters.sent * 1_472)));
    let bytes: Vec<_> = counters.map(|counters| counters.sent * 1_500).collect();
    let links = [network.site_links(a).0, network.site_links(c).1, network.site_links(d).1];
    let expected = [bytes[0] + bytes[1], bytes[0], bytes[0] + bytes[2]].map(|bytes| bytes + 60);
    // The two datagrams of 30 bytes before, of which one crossed C.
    assert_eq!(links.map(|link| used(&network, link)), [expected[0], expected[1] - 30, expected[2]]);
}

/// §5.1 by both ways: 1 Mb/s that becomes 2.5, by the link and by what others take of 4 Mb/s.
#[test]
fn capacity_changes_by_the_link_or_by_background_traffic() {
    let free = RateSchedule::steps(&[(s(0), Bitrate::from_mbps(1)), (s(40), Bitrate::from_kbps(2_500))]);
    let received = |background: bool| {
        let mut network = Network::new(3);
        let rate = if background { Bitrate::from_mbps(4).into() } else { free.clone() };
        let up = LinkConfig { rate, ..LinkConfig::delay(ms(50)) };
        let site = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
        let mut pair = |index| {
            let from = host(&mut network, site, [10, 0, 0, index], ms(0));
            [from, host(&mut network, SiteId::INTERNET, [192, 0, 2, index], ms(0))]
        };
        let pairs = [pair(1), pair(2)];
        let cbr = Traffic::Cbr(Cbr { packet: DataSize::from_bytes(600), ..Cbr::new(Bitrate::from_kbps(960)) });
        let flow = network.add_traffic(pairs[0], cbr, s(0)..s(80));
        if background {
            network.add_traffic(pairs[1], Traffic::Cbr(Cbr::leaving(&free, Bitrate::from_mbps(4))), s(0)..s(80));
        }
        assert_eq!(network.poll(s(90)), None);
        assert_eq!(network.counters().drops.total(), 0);
        network.traffic_counters(flow).received
    };
    // 200 packets each second, the last of which would leave as the time ends.
    assert_eq!(
        (received(false), received(true)),
        (DataSize::from_bytes(15_999 * 572), DataSize::from_bytes(15_999 * 572))
    );
}

/// What a trace says of a link is what a network's packets meet, and its log tells it.
#[test]
fn a_link_follows_a_trace_and_logs_it() {
    let text = "time_s,rate_kbps,delay_ms,loss\n0,1200,10,0\n1,600,30,0\n2,600,30,1\n";
    let trace = LinkTrace::from_csv(text).expect("it is a trace");
    assert_eq!(
        trace.steps()[0].condition,
        Condition { delay: Some(ms(10)), jitter: None, loss: Some(Probability::ZERO) }
    );
    let mut network = Network::new(3);
    let up = trace.link(LinkConfig::default());
    let site = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
    let from = network.add_host(site, &[IpAddr::from([10, 0, 0, 1])]);
    let to = network.add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, 1])]);
    let (up, _) = network.site_links(site);
    network.log_link(up, 5);
    network.add_traffic([from, to], Traffic::Cbr(Cbr::new(Bitrate::from_kbps(24))), ms(0)..ms(3_100));
    assert_eq!(network.poll(s(10)), None);
    // 1500 bytes each 500 ms: 10 ms at 1.2 Mb/s, 20 ms at 600 kb/s. The last is beyond the log's room.
    let log = network.take_link_log(up);
    let lines: Vec<_> = log.records.iter().map(ToString::to_string).collect();
    let flow = "1500,udp,10.0.0.1:49152,192.0.2.1:49152,not-ect";
    let expected = [
        format!("0.520000000,0.500000000,0.000000000,{flow},"),
        format!("1.050000000,1.000000000,0.000000000,{flow},"),
        format!("1.550000000,1.500000000,0.000000000,{flow},"),
        format!("2.020000000,2.000000000,0.000000000,{flow},lost"),
        format!("2.520000000,2.500000000,0.000000000,{flow},lost"),
    ];
    assert_eq!((lines, log.missed), (expected.to_vec(), 1));
}
