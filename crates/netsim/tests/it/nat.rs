//! NATs against RFC 4787, alone and in a network.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::Dependence::{Address, AddressAndPort, EndpointIndependent};
use plenary_netsim::{
    Dependence, DropReason, Hairpin, Nat, NatConfig, Pooling, PortPolicy, Protocol, Rebind, Refresh, TcpRule,
};

const ALL: [Dependence; 3] = [EndpointIndependent, Address, AddressAndPort];
const UDP: Protocol = Protocol::Udp;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

const INSIDE: &str = "10.0.0.2:5000";
/// Two hosts with two ports each.
const REMOTES: [&str; 4] = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.2:2"];

fn nat(change: impl FnOnce(&mut NatConfig)) -> Nat {
    let mut config = NatConfig::full_cone(ip("203.0.113.1"));
    change(&mut config);
    Nat::new(config, 1, 0)
}

/// What RFC 4787 says two remotes have in common for this dependence.
fn same(dependence: Dependence, a: SocketAddr, b: SocketAddr) -> bool {
    match dependence {
        EndpointIndependent => true,
        Address => a.ip() == b.ip(),
        AddressAndPort => a == b,
    }
}

// RFC 4787 §4.1 and §5, by brute force: all nine kinds, all ordered pairs of remotes, all four senders.
#[test]
fn all_nine_kinds_map_and_filter_as_rfc_4787_says() {
    for mapping in ALL {
        for filtering in ALL {
            for first in REMOTES.map(at) {
                for second in REMOTES.map(at) {
                    let mut nat = nat(|config| (config.mapping, config.filtering) = (mapping, filtering));
                    let one = nat.outbound(UDP, at(INSIDE), first, secs(0)).expect("it is mapped");
                    let two = nat.outbound(UDP, at(INSIDE), second, secs(0)).expect("it is mapped");
                    let context = format!("{mapping:?} {filtering:?}: to {first}, then {second}");
                    assert_eq!(one == two, same(mapping, first, second), "{context}");
                    for sender in REMOTES.map(at) {
                        // The filter is that of the mapping that the packet comes to.
                        let sent_to = |mapped| {
                            [(one, first), (two, second)]
                                .into_iter()
                                .any(|(at, remote)| at == mapped && same(filtering, remote, sender))
                        };
                        for mapped in [one, two] {
                            let expected = if sent_to(mapped) { Ok(at(INSIDE)) } else { Err(DropReason::Filtered) };
                            let passed = nat.inbound(UDP, sender, mapped, secs(0));
                            assert_eq!(passed, expected, "{context}, from {sender} to {mapped}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn another_internal_endpoint_is_another_mapping() {
    for mapping in ALL {
        let mut nat = nat(|config| config.mapping = mapping);
        let all: Vec<_> = ["10.0.0.2:5000", "10.0.0.2:5001", "10.0.0.3:5000"]
            .map(|inside| nat.outbound(UDP, at(inside), at(REMOTES[0]), secs(0)).expect("it is mapped"))
            .to_vec();
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2], "{mapping:?}: {all:?}");
    }
}

fn ports(policy: PortPolicy, inside: &[&str]) -> Vec<u16> {
    let mut nat = nat(|config| config.ports = policy);
    let external = |inside: &&str| nat.outbound(UDP, at(inside), at(REMOTES[0]), secs(0)).expect("it is mapped");
    inside.iter().map(external).map(|external| external.port()).collect()
}

#[test]
fn ports_are_chosen_by_policy() {
    let inside = ["10.0.0.2:5000", "10.0.0.3:5000", "10.0.0.4:5003", "10.0.0.5:80"];
    let preserved = ports(PortPolicy::Preserve, &inside);
    assert_eq!(preserved[..3], [5000, 5001, 5003]);
    assert!(preserved[3] >= 1024, "80 is not in the range: any is taken");
    assert_eq!(ports(PortPolicy::Sequential, &inside), [1024, 1025, 1026, 1027]);
    let parity: Vec<_> = ports(PortPolicy::Parity, &inside).iter().map(|port| port % 2).collect();
    assert_eq!(parity, [0, 0, 1, 0]);
    let random = ports(PortPolicy::Random, &inside);
    assert!(random.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1), "{random:?}");
}

#[test]
fn no_port_is_overloaded_and_all_are_used() {
    for policy in [PortPolicy::Preserve, PortPolicy::Sequential, PortPolicy::Random, PortPolicy::Parity] {
        let mut nat = nat(|config| (config.ports, config.port_range) = (policy, 2_000..=2_009));
        let mut used = vec![];
        // As many even as odd internal ports, for parity.
        for inside in 5_000..5_010 {
            let inside = SocketAddr::new(ip("10.0.0.2"), inside);
            used.push(nat.outbound(UDP, inside, at(REMOTES[0]), secs(0)).expect("a port is free").port());
        }
        used.sort_unstable();
        assert_eq!(used, (2_000..2_010).collect::<Vec<_>>(), "{policy:?}");
        let more = nat.outbound(UDP, at("10.0.0.3:7000"), at(REMOTES[0]), secs(0));
        assert_eq!(more, Err(DropReason::NatFull), "{policy:?}");
        // When the others have expired, there is room again.
        assert!(nat.outbound(UDP, at("10.0.0.3:7000"), at(REMOTES[0]), secs(120)).is_ok());
    }
}

#[test]
fn paired_pooling_keeps_an_address_and_arbitrary_does_not() {
    let external = [ip("203.0.113.1"), ip("203.0.113.2")];
    let addresses = |pooling| {
        let mut nat = nat(|config| {
            config.external = external.to_vec();
            config.pooling = pooling;
        });
        let map = |host: u8, port| {
            let inside = SocketAddr::new(IpAddr::from([10, 0, 0, host]), port);
            nat.outbound(UDP, inside, at(REMOTES[0]), secs(0)).expect("it is mapped").ip()
        };
        let mut map = map;
        [2, 3].map(|host| (0..20).map(|port| map(host, 5_000 + port)).collect::<Vec<_>>())
    };
    let paired = addresses(Pooling::Paired);
    assert_eq!(paired, external.map(|address| vec![address; 20]));
    let arbitrary = addresses(Pooling::Arbitrary);
    assert!(arbitrary.iter().all(|host| external.iter().all(|address| host.contains(address))));
}

#[test]
fn a_mapping_lives_as_long_as_it_is_refreshed() {
    for (refresh, survives) in [(Refresh::Outbound, false), (Refresh::Both, true)] {
        let mut nat = nat(|config| {
            config.filtering = AddressAndPort;
            config.lifetime = secs(30);
            config.refresh = refresh;
            config.ports = PortPolicy::Sequential;
        });
        let remote = at(REMOTES[0]);
        let first = nat.outbound(UDP, at(INSIDE), remote, secs(0)).expect("it is mapped");
        assert_eq!(nat.outbound(UDP, at(INSIDE), remote, secs(29)), Ok(first));
        assert_eq!(nat.inbound(UDP, remote, first, secs(58)), Ok(at(INSIDE)));
        let after = if survives { Ok(at(INSIDE)) } else { Err(DropReason::NoMapping) };
        assert_eq!(nat.inbound(UDP, remote, first, secs(59)), after, "{refresh:?}");
        let next = nat.outbound(UDP, at(INSIDE), remote, secs(60)).expect("it is mapped");
        assert_eq!(next == first, survives, "{refresh:?}");
    }
}

#[test]
fn inbound_refreshes_what_it_was_let_in_by() {
    for (filtering, port_counts) in [(Address, true), (AddressAndPort, false)] {
        let mut nat = nat(|config| {
            config.filtering = filtering;
            config.lifetime = secs(30);
            config.refresh = Refresh::Both;
        });
        let external = nat.outbound(UDP, at(INSIDE), at("192.0.2.1:1"), secs(0)).expect("it is mapped");
        // Another port of the same address; then another address, which refreshes nothing.
        for second in [20, 40, 60] {
            assert_eq!(nat.inbound(UDP, at("192.0.2.1:2"), external, secs(second)).is_ok(), port_counts, "{second}");
            assert!(nat.inbound(UDP, at("192.0.2.2:1"), external, secs(second)).is_err());
        }
        assert_eq!(nat.inbound(UDP, at("192.0.2.1:1"), external, secs(89)).is_ok(), port_counts);
    }
}

/// A mapping that never expires is still no forwarded port.
#[test]
fn a_lifetime_without_end_filters_and_is_forgotten() {
    let mut nat = nat(|config| (config.filtering, config.lifetime) = (AddressAndPort, Duration::MAX));
    let external = nat.outbound(UDP, at(INSIDE), at(REMOTES[0]), secs(0)).expect("it is mapped");
    let late = Duration::from_secs(1 << 40);
    assert_eq!(nat.inbound(UDP, at(REMOTES[0]), external, late), Ok(at(INSIDE)));
    assert_eq!(nat.inbound(UDP, at(REMOTES[1]), external, late), Err(DropReason::Filtered));
    nat.rebind(Rebind::Forget, late);
    assert_eq!(nat.mappings(), 0);
}

#[test]
fn a_forwarded_port_takes_the_place_of_mappings_by_traffic() {
    let mut nat = nat(|config| config.filtering = AddressAndPort);
    let (inside, other) = (at(INSIDE), at("10.0.0.3:8000"));
    for from in [inside, other] {
        nat.outbound(UDP, from, at(REMOTES[0]), secs(0)).expect("it is mapped");
    }
    let port = at("203.0.113.1:8000");
    assert_eq!(nat.forward(UDP, port, inside), Ok(()));
    assert_eq!(nat.mappings(), 1);
    assert_eq!(nat.inbound(UDP, at(REMOTES[3]), port, secs(999)), Ok(inside));
    assert_eq!(nat.outbound(UDP, inside, at(REMOTES[3]), secs(999)), Ok(port));
    assert_eq!(nat.forward(UDP, at("203.0.113.1:8001"), inside), Err(DropReason::NatFull));
    assert_eq!(nat.forward(UDP, port, other), Err(DropReason::NatFull));
    nat.rebind(Rebind::Forget, secs(1_000));
    assert_eq!(nat.mappings(), 1);
}

#[test]
#[should_panic(expected = "198.51.100.9:80 can't be forwarded to 10.0.0.2:5000")]
fn a_port_of_another_address_is_not_forwarded() {
    let _ = nat(|_| {}).forward(UDP, at("198.51.100.9:80"), at(INSIDE));
}

#[test]
#[should_panic(expected = "a NAT has a port: 5..=4 is empty")]
fn a_nat_has_a_port() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    nat(|config| config.port_range = 5..=4);
}

#[test]
fn a_permission_expires_though_its_mapping_lives() {
    let mut nat = nat(|config| config.filtering = Address);
    let (old, new) = (at("192.0.2.1:1"), at("192.0.2.2:1"));
    let external = nat.outbound(UDP, at(INSIDE), old, secs(0)).expect("it is mapped");
    nat.outbound(UDP, at(INSIDE), new, secs(100)).expect("it is mapped");
    assert_eq!(nat.inbound(UDP, old, external, secs(119)), Ok(at(INSIDE)));
    assert_eq!(nat.inbound(UDP, old, external, secs(120)), Err(DropReason::Filtered));
    assert_eq!(nat.inbound(UDP, new, external, secs(120)), Ok(at(INSIDE)));
}

#[test]
fn rebinding_forgets_or_moves() {
    let remote = at(REMOTES[0]);
    let mut nat = nat(|config| config.filtering = AddressAndPort);
    let first = nat.outbound(UDP, at(INSIDE), remote, secs(0)).expect("it is mapped");

    nat.rebind(Rebind::Move, secs(1));
    assert_eq!(nat.inbound(UDP, remote, first, secs(1)), Err(DropReason::NoMapping));
    let moved = nat.outbound(UDP, at(INSIDE), remote, secs(1)).expect("it is mapped");
    assert_ne!(moved, first);
    assert_eq!(nat.inbound(UDP, remote, moved, secs(1)), Ok(at(INSIDE)));

    nat.rebind(Rebind::Forget, secs(2));
    assert_eq!(nat.mappings(), 0);
    assert_eq!(nat.inbound(UDP, remote, moved, secs(2)), Err(DropReason::NoMapping));
    // Preserving ports, it comes back to where it was at first.
    assert_eq!(nat.outbound(UDP, at(INSIDE), remote, secs(2)), Ok(first));
}

#[test]
fn the_tables_are_bounded() {
    let mut nat = nat(|config| {
        config.mapping = AddressAndPort;
        config.mappings_max = 3;
    });
    for (index, remote) in REMOTES.map(at).into_iter().enumerate() {
        assert_eq!(nat.outbound(UDP, at(INSIDE), remote, secs(0)).is_ok(), index < 3);
    }
    assert_eq!(nat.mappings(), 3);

    let mut nat = self::nat(|config| (config.filtering, config.destinations_max) = (AddressAndPort, 2));
    for (second, remote) in REMOTES.map(at).into_iter().enumerate() {
        nat.outbound(UDP, at(INSIDE), remote, secs(second as u64)).expect("it is mapped");
    }
    let external = nat.outbound(UDP, at(INSIDE), at(REMOTES[3]), secs(4)).expect("it is mapped");
    let known = REMOTES.map(|remote| nat.inbound(UDP, at(remote), external, secs(5)).is_ok());
    assert_eq!(known, [false, false, true, true]);
}

#[test]
fn a_firewall_keeps_addresses_and_lets_only_answers_in() {
    let mut firewall = Nat::new(NatConfig::firewall(), 1, 0);
    let (inside, remote) = (at("[2001:db8::2]:5000"), at("[2001:db8:1::1]:1"));
    assert_eq!(firewall.inbound(UDP, remote, inside, secs(0)), Err(DropReason::NoMapping));
    assert_eq!(firewall.outbound(UDP, inside, remote, secs(0)), Ok(inside));
    assert_eq!(firewall.inbound(UDP, remote, inside, secs(0)), Ok(inside));
    let other = at("[2001:db8:1::1]:2");
    assert_eq!(firewall.inbound(UDP, other, inside, secs(0)), Err(DropReason::Filtered));
}

#[test]
fn blocked_is_blocked_and_answers_of_accepted_streams_are_not() {
    let config = NatConfig::full_cone(ip("203.0.113.1")).udp_blocked(&[443]);
    let mut nat = Nat::new(config, 1, 0);
    let tcp = Protocol::Tcp;
    assert_eq!(nat.outbound(UDP, at(INSIDE), at("192.0.2.1:443"), secs(0)), Err(DropReason::Blocked));
    assert_eq!(nat.outbound(tcp, at(INSIDE), at("192.0.2.1:80"), secs(0)), Err(DropReason::Blocked));
    assert!(nat.outbound(tcp, at(INSIDE), at("192.0.2.1:443"), secs(0)).is_ok());

    nat.forward(tcp, at("203.0.113.1:443"), at("10.0.0.9:8443")).expect("the port is free");
    let again = nat.forward(tcp, at("203.0.113.1:443"), at("10.0.0.8:8443"));
    assert_eq!(again, Err(DropReason::NatFull));
    let client = at("192.0.2.7:50000");
    assert_eq!(nat.outbound(tcp, at("10.0.0.9:8443"), client, secs(0)), Err(DropReason::Blocked));
    assert_eq!(nat.inbound(tcp, client, at("203.0.113.1:443"), secs(0)), Ok(at("10.0.0.9:8443")));
    assert_eq!(nat.outbound(tcp, at("10.0.0.9:8443"), client, secs(0)), Ok(at("203.0.113.1:443")));

    nat.update(|config| config.tcp = TcpRule::None);
    assert_eq!(nat.outbound(tcp, at("10.0.0.2:6"), at("192.0.2.1:443"), secs(0)), Err(DropReason::Blocked));
}

#[test]
fn tcp_and_udp_have_mappings_of_their_own() {
    let mut nat = nat(|config| config.hairpin = Hairpin::Off);
    let udp = nat.outbound(UDP, at(INSIDE), at(REMOTES[0]), secs(0)).expect("it is mapped");
    assert_eq!(nat.inbound(Protocol::Tcp, at(REMOTES[0]), udp, secs(0)), Err(DropReason::NoMapping));
    assert_eq!(nat.outbound(Protocol::Tcp, at(INSIDE), at(REMOTES[0]), secs(0)), Ok(udp));
    // TCP lives longer: RFC 5382 REQ-5.
    assert_eq!(nat.inbound(UDP, at(REMOTES[0]), udp, secs(7_439)), Err(DropReason::NoMapping));
    assert_eq!(nat.inbound(Protocol::Tcp, at(REMOTES[0]), udp, secs(7_439)), Ok(at(INSIDE)));
}

// RFC 6146 §3.5.2.1: a static mapping of a NAT64.
#[test]
fn a_port_is_forwarded_through_a_nat64() {
    let mut nat = nat(|config| config.nat64 = Some("64:ff9b::".parse().expect("a prefix")));
    let (external, internal) = (at("203.0.113.1:443"), at("[2001:db8::2]:8443"));
    nat.forward(Protocol::Tcp, external, internal).expect("it is free");
    assert_eq!(nat.inbound(Protocol::Tcp, at("192.0.2.1:9"), external, secs(0)), Ok(internal));
    assert_eq!(nat.within(at("192.0.2.1:9"), internal), at("[64:ff9b::192.0.2.1]:9"));
    let beyond = nat.beyond(at("[64:ff9b::192.0.2.1]:9"));
    assert_eq!(beyond, at("192.0.2.1:9"));
    assert_eq!(nat.outbound(Protocol::Tcp, internal, beyond, secs(0)), Ok(external));
    assert_eq!(nat.beyond(at("[64:ff9b:1::192.0.2.1]:9")), at("[64:ff9b:1::192.0.2.1]:9"));
}

#[test]
#[should_panic = "a NAT64 has an external IPv4 address"]
fn a_nat64_needs_an_ipv4_address() {
    Nat::new(NatConfig::firewall().nat64("64:ff9b::".parse().expect("a prefix")), 1, 0);
}
