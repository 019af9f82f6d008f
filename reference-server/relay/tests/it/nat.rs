//! A relay behind a NAT, which peers reach by another address than it has.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use plenary_relay::{Relay, RelayAddress};

use crate::client::Client;
use crate::near::clients;
use crate::socket::Socket;
use crate::start::{FAR, relay};

/// What is told of it. Nobody is there: what is sent there does not come back.
const TOLD: &str = "127.0.0.77";

/// What is told of a service.
fn told(service: &Socket) -> SocketAddr {
    SocketAddr::new(TOLD.parse().unwrap(), service.address().port())
}

/// A relay, and a service of the same host, beside the NAT too.
fn behind_a_nat(threads: usize) -> (Relay, Socket) {
    let service = Socket::bind("127.0.0.1");
    let relay = relay(|config| {
        config.relays = vec![RelayAddress { bind: "127.0.0.1".parse().unwrap(), told: TOLD.parse().unwrap() }];
        config.threads = NonZeroUsize::new(threads);
        config.turn.peers.services = vec![told(&service)];
    });
    (relay, service)
}

/// Lets both permit each other, and then have channels.
fn talk(one: &mut Client, other: &mut Client) {
    let (first, second) = (one.relayed(), other.relayed());
    assert_eq!((first.ip().to_string(), second.ip().to_string()), (TOLD.to_owned(), TOLD.to_owned()));
    for is_bound in [false, true] {
        if is_bound {
            one.bind(second);
            other.bind(first);
        } else {
            one.permit(second.ip());
            other.permit(first.ip());
        }
        one.send(second, b"there");
        let arrived = other.expect();
        assert_eq!((arrived.from, &arrived.bytes[..]), (first, &b"there"[..]));
        other.send(first, b"and back");
        let arrived = one.expect();
        assert_eq!((arrived.from, &arrived.bytes[..]), (second, &b"and back"[..]));
    }
}

#[test]
fn relays_talk_to_each_other_by_what_is_told() {
    let (relay, _service) = behind_a_nat(1);
    talk(&mut Client::udp(&relay), &mut Client::tcp(&relay));
    let (relay, _service) = behind_a_nat(2);
    let [mut one, mut other] = clients(&relay);
    talk(&mut one, &mut other);
}

#[test]
fn a_service_beside_the_nat_is_reached_by_what_is_told() {
    for threads in [1, 2] {
        let (relay, mut service) = behind_a_nat(threads);
        let named = told(&service);
        let mut client = Client::udp(&relay);
        client.bind(named);
        client.send(named, b"question");
        let arrived = service.expect();
        assert_eq!(arrived.from.ip().to_string(), "127.0.0.1");
        service.send(arrived.from, b"answer");
        let arrived = client.expect();
        assert_eq!((arrived.from, &arrived.bytes[..]), (named, &b"answer"[..]));
        // Who is far away is as it was.
        let mut peer = Socket::bind(FAR);
        client.bind(peer.address());
        client.send(peer.address(), b"far");
        let near = peer.expect().from;
        peer.send(near, b"away");
        assert_eq!(client.expect().from, peer.address());
    }
}

#[test]
fn a_service_that_is_gone_is_told_by_its_name() {
    let (relay, service) = behind_a_nat(1);
    let named = told(&service);
    let mut client = Client::udp(&relay);
    client.bind(named);
    drop(service);
    client.send(named, b"question");
    assert_eq!(client.expect_icmp(), (named, 3, 3, [0; 4]));
}
