//! Packets through sites and NATs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::{
    Dependence, DropReason, Hairpin, Input, LinkConfig, Loss, NatConfig, Network, NodeId, Outgoing, Probability,
    Protocol, QueueLimit, Rebind, SiteConfig, SiteId,
};
use plenary_wire::{Bitrate, Ecn, FlowId};
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// A network in which every node has one socket, and every datagram that arrives is noted with its source.
struct Lab {
    network: Network,
    now: Duration,
}

#[derive(Clone, Copy)]
struct Host {
    node: NodeId,
    flow: FlowId,
    address: SocketAddr,
}

impl Lab {
    fn new() -> Self {
        Self { network: Network::new(7), now: ms(0) }
    }

    fn site(&mut self, parent: SiteId, nat: NatConfig) -> SiteId {
        self.network.add_site(parent, SiteConfig::nat(nat))
    }

    fn host(&mut self, site: SiteId, address: &str) -> Host {
        let address = at(address);
        let node = self.network.add_host(site, &[address.ip()]);
        Host { node, flow: self.network.bind(node, address), address }
    }

    /// Sends a datagram and says where it arrived, and from where as seen there.
    fn send(&mut self, from: Host, to: SocketAddr) -> Result<(NodeId, SocketAddr), DropReason> {
        let before = *self.network.counters();
        let outgoing =
            Outgoing { flow: from.flow, local: from.address, remote: to, ecn: Ecn::Ect0, bytes: b"where am I?" };
        self.network.send(from.node, outgoing, self.now);
        let mut arrived = None;
        while let Some(next) = self.network.poll_timeout() {
            self.now = self.now.max(next);
            while let Some(delivery) = self.network.poll(self.now) {
                assert_eq!(delivery.input, Input::Datagram { ecn: Ecn::Ect0, bytes: b"where am I?".to_vec() });
                arrived = Some((delivery.node, delivery.remote));
            }
        }
        arrived.ok_or_else(|| {
            let reasons = [
                DropReason::NoRoute,
                DropReason::NoSocket,
                DropReason::BadSource,
                DropReason::NoMapping,
                DropReason::Filtered,
                DropReason::Hairpin,
                DropReason::Blocked,
                DropReason::Mtu,
            ];
            let after = *self.network.counters();
            *reasons.iter().find(|reason| after.drops[**reason] > before.drops[**reason]).expect("it was counted")
        })
    }
}

#[test]
fn open_hosts_reach_each_other_by_both_families() {
    let mut lab = Lab::new();
    for (a, b) in [("192.0.2.1:1", "192.0.2.2:2"), ("[2001:db8::1]:1", "[2001:db8::2]:2")] {
        let (a, b) = (lab.host(SiteId::INTERNET, a), lab.host(SiteId::INTERNET, b));
        assert_eq!(lab.send(a, b.address), Ok((b.node, a.address)));
        // To itself, without any link.
        assert_eq!(lab.send(a, a.address), Ok((a.node, a.address)));
        let mut elsewhere = b.address;
        elsewhere.set_port(9);
        assert_eq!(lab.send(a, elsewhere), Err(DropReason::NoSocket));
    }
    let a = lab.host(SiteId::INTERNET, "192.0.2.3:1");
    assert_eq!(lab.send(a, at("192.0.2.99:1")), Err(DropReason::NoRoute));
    assert_eq!(lab.send(Host { flow: FlowId(9), ..a }, at("192.0.2.1:1")), Err(DropReason::BadSource));
}

#[test]
fn a_nat_hides_and_answers_come_back() {
    let mut lab = Lab::new();
    let home = lab.site(SiteId::INTERNET, NatConfig::port_restricted(ip("203.0.113.1")));
    let inside = lab.host(home, "10.0.0.2:5000");
    let server = lab.host(SiteId::INTERNET, "192.0.2.1:3478");
    let other = lab.host(SiteId::INTERNET, "192.0.2.2:3478");

    assert_eq!(lab.send(server, inside.address), Err(DropReason::NoRoute));
    assert_eq!(lab.send(server, at("203.0.113.1:5000")), Err(DropReason::NoMapping));
    assert_eq!(lab.send(inside, server.address), Ok((server.node, at("203.0.113.1:5000"))));
    assert_eq!(lab.send(server, at("203.0.113.1:5000")), Ok((inside.node, server.address)));
    assert_eq!(lab.send(other, at("203.0.113.1:5000")), Err(DropReason::Filtered));

    lab.network.rebind(home, Rebind::Move, lab.now);
    assert_eq!(lab.send(server, at("203.0.113.1:5000")), Err(DropReason::NoMapping));
    let (_, moved) = lab.send(inside, server.address).expect("it goes out");
    assert_ne!(moved, at("203.0.113.1:5000"));
    assert_eq!(lab.send(server, moved), Ok((inside.node, server.address)));
}

/// Hairpinning by brute force: all nine kinds of NAT, and off, with the external and with the internal source.
#[test]
fn two_behind_one_nat_meet_by_hairpin_if_its_filter_allows() {
    use Dependence::{Address, AddressAndPort, EndpointIndependent};
    let all = [EndpointIndependent, Address, AddressAndPort];
    let kinds = all.into_iter().flat_map(|mapping| all.map(|filtering| (mapping, filtering)));
    for (mapping, filtering) in kinds {
        for hairpin in [Hairpin::Off, Hairpin::External, Hairpin::Internal] {
            let context = format!("{mapping:?} {filtering:?} {hairpin:?}");
            let external = ip("203.0.113.1");
            let mut lab = Lab::new();
            let nat = NatConfig { hairpin, ..NatConfig::new(&[external], mapping, filtering) };
            let home = lab.site(SiteId::INTERNET, nat);
            let (a, b) = (lab.host(home, "10.0.0.2:5000"), lab.host(home, "10.0.0.3:6000"));
            let server = lab.host(SiteId::INTERNET, "192.0.2.1:3478");
            // Directly, the NAT sees nothing of it.
            assert_eq!(lab.send(a, b.address), Ok((b.node, a.address)));
            let (_, mapped_a) = lab.send(a, server.address).expect("it goes out");
            let (_, mapped_b) = lab.send(b, server.address).expect("it goes out");
            assert_eq!((mapped_a, mapped_b), (at("203.0.113.1:5000"), at("203.0.113.1:6000")));

            let sends = [lab.send(a, mapped_b), lab.send(b, mapped_a), lab.send(a, mapped_b)];
            let open = filtering == EndpointIndependent;
            // A filter holds for those inside too, by their external endpoints: both have to send, and by the same
            // mapping by which they spoke with the server.
            let expected = if hairpin == Hairpin::Off {
                [false; 3]
            } else {
                [open, open || mapping == EndpointIndependent, open || mapping == EndpointIndependent]
            };
            assert_eq!(sends.map(|sent| sent.is_ok()), expected, "{context}");
            let reason = if hairpin == Hairpin::Off { DropReason::Hairpin } else { DropReason::Filtered };
            for (sent, (from, mapped)) in sends.into_iter().zip([(a, mapped_a), (b, mapped_b), (a, mapped_a)]) {
                match sent {
                    Err(because) => assert_eq!(because, reason, "{context}"),
                    Ok((_, seen)) if hairpin == Hairpin::Internal => assert_eq!(seen, from.address, "{context}"),
                    Ok((_, seen)) if mapping == EndpointIndependent => assert_eq!(seen, mapped, "{context}"),
                    Ok((_, seen)) => assert!(seen.ip() == external && seen != mapped, "{context}: {seen}"),
                }
            }
        }
    }
}

/// RFC 6146: a host that has IPv6 alone speaks with IPv4 ones by addresses in the prefix, and is seen by them as one.
#[test]
fn a_nat64_translates_both_ways() {
    let mut lab = Lab::new();
    let nat = NatConfig::port_restricted(ip("203.0.113.1")).nat64("64:ff9b::".parse().expect("a prefix"));
    let home = lab.site(SiteId::INTERNET, nat);
    let a = lab.host(home, "[2001:db8::2]:5000");
    let b = lab.host(home, "[2001:db8::3]:5000");
    let (server, stranger) =
        (lab.host(SiteId::INTERNET, "192.0.2.1:3478"), lab.host(SiteId::INTERNET, "192.0.2.2:3478"));
    let mapped = at("203.0.113.1:5000");
    assert_eq!(lab.send(server, mapped), Err(DropReason::NoMapping));
    assert_eq!(lab.send(a, at("[64:ff9b::192.0.2.1]:3478")), Ok((server.node, mapped)));
    assert_eq!(lab.send(server, mapped), Ok((a.node, at("[64:ff9b::c000:201]:3478"))));
    assert_eq!(lab.send(stranger, mapped), Err(DropReason::Filtered));
    // Each host has a port of its own.
    assert_eq!(lab.send(b, at("[64:ff9b::192.0.2.1]:3478")), Ok((server.node, at("203.0.113.1:5001"))));
    // Its other IPv6 is filtered, not translated, and by a mapping of its own.
    let far = lab.host(SiteId::INTERNET, "[2001:db8:1::1]:7");
    assert_eq!(lab.send(far, a.address), Err(DropReason::NoMapping));
    assert_eq!(lab.send(a, far.address), Ok((far.node, a.address)));
    assert_eq!(lab.send(far, a.address), Ok((a.node, far.address)));
    assert_eq!(lab.send(server, mapped), Ok((a.node, at("[64:ff9b::c000:201]:3478"))));
    // Another prefix is no one's, and a host with IPv6 can't name an IPv4 address otherwise.
    assert_eq!(lab.send(a, at("[64:ff9c::192.0.2.1]:3478")), Err(DropReason::NoRoute));
    assert_eq!(lab.send(a, server.address), Err(DropReason::BadSource));
}

/// RFC 6146 §3.5.4 asks for it.
#[test]
fn a_nat64_hairpins() {
    for hairpin in [Hairpin::Off, Hairpin::External, Hairpin::Internal] {
        let mut lab = Lab::new();
        let nat = NatConfig::full_cone(ip("203.0.113.1")).nat64("64:ff9b::".parse().expect("a prefix"));
        let home = lab.site(SiteId::INTERNET, NatConfig { hairpin, ..nat });
        let (a, b) = (lab.host(home, "[2001:db8::2]:5000"), lab.host(home, "[2001:db8::3]:6000"));
        let old = lab.host(home, "10.0.0.2:7000");
        let server = lab.host(SiteId::INTERNET, "192.0.2.1:3478");
        let mapped = [(a, "[64:ff9b::c000:201]:3478"), (b, "[64:ff9b::c000:201]:3478"), (old, "192.0.2.1:3478")]
            .map(|(host, to)| lab.send(host, at(to)).expect("it goes out").1);
        assert_eq!(mapped, ["203.0.113.1:5000", "203.0.113.1:6000", "203.0.113.1:7000"].map(at));
        let expected = |host: Host, source| match hairpin {
            Hairpin::Off => Err(DropReason::Hairpin),
            _ => Ok((host.node, source)),
        };
        let source = if hairpin == Hairpin::Internal { a.address } else { at("[64:ff9b::203.0.113.1]:5000") };
        assert_eq!(lab.send(a, at("[64:ff9b::203.0.113.1]:6000")), expected(b, source), "{hairpin:?}");
        // From one family to the other there is but the external name.
        assert_eq!(lab.send(a, at("[64:ff9b::203.0.113.1]:7000")), expected(old, mapped[0]), "{hairpin:?}");
        assert_eq!(lab.send(old, mapped[0]), expected(a, at("[64:ff9b::203.0.113.1]:7000")), "{hairpin:?}");
        assert_eq!(lab.send(server, mapped[1]), Ok((b.node, at("[64:ff9b::192.0.2.1]:3478"))), "{hairpin:?}");
    }
}

/// A home NAT behind a carrier's.
#[test]
fn nats_nest() {
    let mut lab = Lab::new();
    let carrier = lab.site(SiteId::INTERNET, NatConfig::full_cone(ip("198.51.100.1")));
    let home = lab.site(carrier, NatConfig::full_cone(ip("100.64.0.2")));
    let neighbour = lab.site(carrier, NatConfig::full_cone(ip("100.64.0.3")));
    let a = lab.host(home, "192.168.1.2:5000");
    // The same private address in another home is another host.
    let b = lab.host(neighbour, "192.168.1.2:5000");
    let server = lab.host(SiteId::INTERNET, "192.0.2.1:3478");

    let (_, mapped_a) = lab.send(a, server.address).expect("it goes out");
    let (_, mapped_b) = lab.send(b, server.address).expect("it goes out");
    assert_eq!((mapped_a, mapped_b), (at("198.51.100.1:5000"), at("198.51.100.1:5001")));
    assert_eq!(lab.send(server, mapped_a), Ok((a.node, server.address)));
    assert_eq!(lab.send(server, mapped_b), Ok((b.node, server.address)));
    // From home to home by the carrier's hairpin, and by the carrier's inside.
    assert_eq!(lab.send(a, mapped_b), Ok((b.node, mapped_a)));
    assert_eq!(lab.send(a, at("100.64.0.3:5000")), Ok((b.node, at("100.64.0.2:5000"))));
    // What the outer NAT forgets, the inner one alone can't keep.
    lab.network.rebind(carrier, Rebind::Forget, lab.now);
    assert_eq!(lab.send(server, mapped_a), Err(DropReason::NoMapping));
    assert_eq!(lab.network.nat_mut(home).mappings(), 1);
}

#[test]
fn the_other_family_passes_a_nat_as_a_firewall() {
    let mut lab = Lab::new();
    let home = lab.site(SiteId::INTERNET, NatConfig::port_restricted(ip("203.0.113.1")));
    let inside = lab.host(home, "[2001:db8:1::2]:5000");
    let server = lab.host(SiteId::INTERNET, "[2001:db8:2::1]:3478");
    assert_eq!(lab.send(server, inside.address), Err(DropReason::NoMapping));
    assert_eq!(lab.send(inside, server.address), Ok((server.node, inside.address)));
    assert_eq!(lab.send(server, inside.address), Ok((inside.node, server.address)));
}

/// A machine that pairs an IPv4 address with an IPv6 one hears nothing, as from a kernel.
#[test]
fn no_packet_goes_from_one_family_to_the_other() {
    let mut lab = Lab::new();
    let home = lab.site(SiteId::INTERNET, NatConfig::full_cone(ip("203.0.113.1")));
    let server = lab.host(SiteId::INTERNET, "[2001:db8::1]:3478");
    for site in [home, SiteId::INTERNET] {
        let from = lab.host(site, if site == home { "10.0.0.2:5000" } else { "192.0.2.1:5000" });
        assert_eq!(lab.send(from, server.address), Err(DropReason::BadSource));
        assert_eq!(lab.send(server, from.address), Err(DropReason::BadSource));
    }
    let outbound = lab.network.nat_mut(home).outbound(Protocol::Udp, at("10.0.0.2:1"), server.address, ms(0));
    assert_eq!(outbound, Err(DropReason::BadSource));
}

/// More than a link keeps for who asks late: none may stay behind in the network.
#[test]
fn packets_lost_at_one_instant_are_all_accounted_for() {
    let mut lab = Lab::new();
    let (a, b) = (lab.host(SiteId::INTERNET, "192.0.2.1:1"), lab.host(SiteId::INTERNET, "192.0.2.2:1"));
    let (up, _) = lab.network.node_links(a.node);
    lab.network.update_link(up, ms(0), |link| (link.rate, link.loss) = (Bitrate::ZERO.into(), Loss::percent(100)));
    for _ in 0..5_000 {
        let outgoing = Outgoing { flow: a.flow, local: a.address, remote: b.address, ecn: Ecn::NotEct, bytes: b"x" };
        lab.network.send(a.node, outgoing, ms(1));
    }
    lab.network.update_link(up, ms(2), |link| link.rate = Bitrate::MAX.into());
    assert_eq!(lab.network.poll(ms(2)), None);
    assert_eq!((lab.network.in_flight(), lab.network.counters().drops[DropReason::Lost]), (0, 5_000));
}

#[test]
fn udp_may_be_blocked() {
    let mut lab = Lab::new();
    let nat = NatConfig::port_restricted(ip("203.0.113.1")).udp_blocked(&[443]);
    let office = lab.site(SiteId::INTERNET, nat);
    let (a, b) = (lab.host(office, "10.0.0.2:5000"), lab.host(office, "10.0.0.3:5000"));
    let server = lab.host(SiteId::INTERNET, "192.0.2.1:443");
    assert_eq!(lab.send(a, server.address), Err(DropReason::Blocked));
    assert_eq!(lab.send(a, b.address), Ok((b.node, a.address)));
}

#[test]
fn a_node_with_two_interfaces_leaves_by_its_source_address() {
    let mut lab = Lab::new();
    let server = lab.host(SiteId::INTERNET, "192.0.2.1:3478");
    let home = lab.site(SiteId::INTERNET, NatConfig::full_cone(ip("203.0.113.1")));
    let mobile = lab.site(SiteId::INTERNET, NatConfig::symmetric(ip("198.51.100.1")));
    let node = lab.network.add_node();
    lab.network.attach(node, home, &[ip("10.0.0.2")], [LinkConfig::delay(ms(10)), LinkConfig::delay(ms(10))]);
    lab.network.attach(node, mobile, &[ip("10.0.0.2").to_owned()], [LinkConfig::default(), LinkConfig::default()]);
    // One address in two sites would be ambiguous for the node: the first has it.
    let flow = lab.network.bind(node, at("0.0.0.0:5000"));
    let (_, seen) = lab.send(Host { node, flow, address: at("10.0.0.2:5000") }, server.address).expect("it goes out");
    assert_eq!(seen, at("203.0.113.1:5000"));

    lab.network.attach(node, mobile, &[ip("10.0.0.7")], [LinkConfig::default(), LinkConfig::default()]);
    let (_, seen) = lab.send(Host { node, flow, address: at("10.0.0.7:5000") }, server.address).expect("it goes out");
    assert_eq!(seen.ip(), ip("198.51.100.1"));
    let foreign = Host { node, flow, address: at("10.0.0.8:5000") };
    assert_eq!(lab.send(foreign, server.address), Err(DropReason::BadSource));
}

#[test]
#[should_panic(expected = "already in use there")]
fn an_address_is_given_once() {
    let mut lab = Lab::new();
    let plain = lab.network.add_site(SiteId::INTERNET, SiteConfig::default());
    lab.host(SiteId::INTERNET, "192.0.2.1:1");
    lab.host(plain, "192.0.2.1:1");
}

/// Two senders behind one plain site share its bottleneck.
#[test]
fn a_plain_site_is_a_shared_bottleneck() {
    let mut lab = Lab::new();
    let up = LinkConfig { rate: Bitrate::from_mbps(1).into(), queue: QueueLimit::ms(100), ..LinkConfig::default() };
    let left = lab.network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
    let (a, b) = (lab.host(left, "192.0.2.1:1"), lab.host(left, "192.0.2.2:1"));
    let sink = lab.host(SiteId::INTERNET, "192.0.2.3:1");
    // Each sends 1 Mb/s of packets of 1250 bytes: half of all pass.
    let mut count = [0; 2];
    for round in 0..1_000 {
        let now = ms(10) * round;
        // Who comes first changes: else the last one would always find the queue full.
        let order = if round % 2 == 0 { [a, b] } else { [b, a] };
        for host in order {
            let bytes = &[0; 1_222];
            let outgoing =
                Outgoing { flow: host.flow, local: host.address, remote: sink.address, ecn: Ecn::NotEct, bytes };
            lab.network.send(host.node, outgoing, now);
        }
        while let Some(delivery) = lab.network.poll(now) {
            count[usize::from(delivery.remote == b.address)] += 1;
        }
    }
    assert!((980..=1_000).contains(&(count[0] + count[1])), "{count:?} in 10 s");
    assert!(count.iter().all(|count| (400..600).contains(count)), "{count:?}");
    let (up, _) = lab.network.site_links(left);
    assert!(lab.network.link_counters(up).drops[DropReason::QueueFull] > 900);
}

#[test]
fn headers_count_for_the_mtu() {
    let mut lab = Lab::new();
    for (from, to, headers) in [("192.0.2.1:1", "192.0.2.2:2", 28), ("[2001:db8::1]:1", "[2001:db8::2]:2", 48)] {
        let (from, to) = (lab.host(SiteId::INTERNET, from), lab.host(SiteId::INTERNET, to));
        for (length, drops) in [(1_500 - headers, 0), (1_501 - headers, 1)] {
            let before = lab.network.counters().drops[DropReason::Mtu];
            let bytes = &vec![0; length];
            let outgoing =
                Outgoing { flow: from.flow, local: from.address, remote: to.address, ecn: Ecn::NotEct, bytes };
            lab.network.send(from.node, outgoing, lab.now);
            while lab.network.poll(lab.now).is_some() {}
            assert_eq!(lab.network.counters().drops[DropReason::Mtu] - before, drops);
        }
    }
}

#[test]
fn a_packet_through_a_warm_network_allocates_nothing() {
    let mut lab = Lab::new();
    let link = LinkConfig {
        rate: Bitrate::from_mbps(2).into(),
        jitter: ms(5),
        loss: Loss::percent(5),
        ..LinkConfig::delay(ms(50))
    };
    let site = SiteConfig { up: link, gateway: Some(NatConfig::symmetric(ip("203.0.113.1"))), ..SiteConfig::default() };
    let home = lab.network.add_site(SiteId::INTERNET, site);
    let (from, to) = (lab.host(home, "10.0.0.2:5000"), lab.host(SiteId::INTERNET, "192.0.2.1:1"));
    let mut run = |packets| {
        for _ in 0..packets {
            let outgoing = Outgoing {
                flow: from.flow,
                local: from.address,
                remote: to.address,
                ecn: Ecn::NotEct,
                bytes: &[0; 1_172],
            };
            lab.network.send(from.node, outgoing, lab.now);
            lab.now += ms(6);
            while let Some(delivery) = lab.network.poll(lab.now) {
                let Input::Datagram { bytes, .. } = delivery.input else { panic!("no streams here") };
                lab.network.recycle(bytes);
            }
        }
    };
    run(2_000);
    assert_eq!(allocation_counter::measure(|| run(2_000)).count_total, 0);
}

proptest! {
    /// Through two NATs and links with all that they can do, every packet is accounted for at every instant.
    #[test]
    fn packets_are_conserved(
        seed: u64,
        sends in prop::collection::vec((0..30u64, 0..3usize, 0..5usize, 0..1_700usize), 1..150),
        loss in 0..50u32,
    ) {
        let mut network = Network::new(seed);
        let rough = LinkConfig {
            rate: Bitrate::from_kbps(500).into(),
            delay: ms(20),
            jitter: ms(5),
            loss: Loss::percent(loss),
            duplicate: Probability::from_percent(20),
            ..LinkConfig::default()
        };
        let site = |nat| SiteConfig { up: rough.clone(), down: rough.clone(), gateway: Some(nat) };
        let left = network.add_site(SiteId::INTERNET, site(NatConfig::port_restricted(ip("203.0.113.1"))));
        let right = network.add_site(SiteId::INTERNET, site(NatConfig::full_cone(ip("203.0.113.2"))));
        let addresses = [at("10.0.0.2:1024"), at("10.0.0.2:1024"), at("192.0.2.1:1024")];
        let nodes: Vec<_> = [left, right, SiteId::INTERNET]
            .into_iter()
            .zip(addresses)
            .map(|(site, address)| {
                let node = network.add_host(site, &[address.ip()]);
                (node, network.bind(node, address), address)
            })
            .collect();
        let targets = [at("203.0.113.1:1024"), at("203.0.113.2:1024"), at("192.0.2.1:1024"), at("192.0.2.9:1"), at("10.0.0.2:7")];
        let mut now = ms(0);
        for &(wait, from, to, length) in &sends {
            now += ms(wait);
            let (node, flow, local) = nodes[from];
            let bytes = &vec![1; length];
            network.send(node, Outgoing { flow, local, remote: targets[to], ecn: Ecn::NotEct, bytes }, now);
            while let Some(delivery) = network.poll(now) {
                prop_assert!(nodes.iter().any(|(node, ..)| *node == delivery.node));
            }
            let counters = network.counters();
            let accounted = counters.delivered + counters.drops.total() + network.in_flight() as u64;
            prop_assert_eq!(counters.sent + counters.duplicated, accounted);
        }
        while network.poll(now + Duration::from_secs(60)).is_some() {}
        prop_assert_eq!(network.in_flight(), 0);
        prop_assert_eq!(network.poll_timeout(), None);
    }
}
