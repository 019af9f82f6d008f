//! A network whose datagrams are no longer than 1,500 bytes, and IPv6: in a namespace of its own, which takes root.

use std::fs;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use plenary_relay::RelayAddress;
use plenary_turn::client::Families;
use plenary_wire::Ecn;

use crate::client::Client;
use crate::data::{assert_arrived, datagram};
use crate::socket::Socket;
use crate::start::{FAR, figure, relay, wait_until};

/// An address to which a route leads, but which no interface has.
const FAR6: &str = "fd00:9::9";

/// Runs a test in a namespace, if that is allowed.
fn in_namespace(test: fn()) {
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("not run: {error}");
            return;
        }
        ip("link set lo mtu 1500 up");
        ip("-6 route add local fd00:9::/64 dev lo");
        fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap();
        test();
    });
    thread.join().unwrap();
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

#[test]
fn what_is_too_long_is_fragmented() {
    in_namespace(|| {
        let relay = relay(|_| ());
        let (mut client, mut peer) = (Client::udp(&relay), Socket::bind(FAR));
        client.bind(peer.address());
        for length in [1472, 1473, 3000, 9000, 60_000] {
            let all = [datagram(length, length)];
            client.send(peer.address(), &all[0]);
            assert_arrived(|| peer.expect(), &all);
            peer.send(client.relayed(), &all[0]);
            assert_arrived(|| client.expect(), &all);
        }
        // Runs that an interface does not cut go one by one.
        ip("link set lo mtu 1280");
        for _ in 0..10 {
            let burst: Vec<_> = (0..20).map(|number| datagram(number, 1300)).collect();
            burst.iter().for_each(|bytes| client.send(peer.address(), bytes));
            assert_arrived(|| peer.expect(), &burst);
        }
        assert_eq!(figure(&relay, "refused_datagrams_total"), 0);
    });
}

#[test]
fn what_may_not_be_fragmented_is_not() {
    in_namespace(|| {
        let relay = relay(|_| ());
        let mut client = Client::by_udp(relay.listeners()[0], |config| config.dont_fragment = true).unwrap();
        let mut peer = Socket::bind(FAR);
        client.permit(peer.ip());
        for (length, refused) in [(1472, 0), (1473, 1), (1472, 1), (9000, 2), (1, 2)] {
            client.send(peer.address(), &datagram(0, length));
            if length <= 1472 {
                assert_eq!(peer.expect().bytes.len(), length);
            }
            wait_until("it is counted", || figure(&relay, "refused_datagrams_total") == refused);
        }
        // Who does not mind is not kept from it by who does.
        let mut other = Client::udp(&relay);
        other.permit(peer.ip());
        other.send(peer.address(), &datagram(0, 9000));
        assert_eq!(peer.expect().bytes.len(), 9000);
    });
}

#[test]
fn ipv6_is_as_ipv4() {
    in_namespace(|| {
        let relay = relay(|config| {
            let ip = "::1".parse().unwrap();
            config.listen = vec!["[::1]:0".parse().unwrap()];
            config.relays.push(RelayAddress { bind: ip, told: ip });
            config.turn.peers.allow.push("fd00::/8".parse().unwrap());
        });
        let mut client = Client::by_udp(relay.listeners()[0], |config| config.families = Families::Both).unwrap();
        for far in [FAR6, FAR] {
            let mut peer = Socket::bind(far);
            client.bind(peer.address());
            let relayed = client.relayed_like(peer.address());
            for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
                client.send_with(peer.address(), b"one", ecn);
                let arrived = peer.expect();
                assert_eq!((arrived.from, arrived.ecn), (relayed, ecn));
                peer.send_run(relayed, &[7; 3000], Some(1000), ecn);
                assert_eq!([0; 3].map(|_| client.expect().ecn), [ecn; 3]);
            }
            client.send(peer.address(), &datagram(0, 9000));
            assert_eq!(peer.expect().bytes.len(), 9000);
            let gone = peer.address();
            drop(peer);
            client.send(gone, b"is anybody there?");
            let (kind, code) = if gone.is_ipv4() { (3, 3) } else { (1, 4) };
            assert_eq!(client.expect_icmp(), (gone, kind, code, [0; 4]));
        }
    });
}
