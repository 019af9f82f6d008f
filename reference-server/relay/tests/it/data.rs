//! Datagrams to and fro.

use plenary_wire::Ecn;

use crate::client::Client;
use crate::socket::{Arrived, Socket};
use crate::start::{FAR, figure, relay, wait_until};

/// Bytes that are of this datagram and no other.
pub(crate) fn datagram(number: usize, length: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().chain((0..length).map(|at| (at * 7 + number) as u8)).take(length).collect()
}

#[test]
fn datagrams_of_all_sizes_go_both_ways() {
    let relay = relay(|_| ());
    for mut client in [Client::udp(&relay), Client::tcp(&relay)] {
        let (mut plain, mut bound) = (Socket::bind(FAR), Socket::bind(FAR));
        client.permit(plain.ip());
        client.bind(bound.address());
        for peer in [&mut plain, &mut bound] {
            for (number, length) in [0, 1, 2, 3, 1200, 1500, 9000, 60_000].into_iter().enumerate() {
                let bytes = datagram(number, length);
                client.send(peer.address(), &bytes);
                let arrived = peer.expect();
                assert_eq!((arrived.from, arrived.bytes.len()), (client.relayed(), length));
                assert!(arrived.bytes == bytes, "{length} bytes arrive otherwise");
                peer.send(client.relayed(), &bytes);
                let arrived = client.expect();
                assert_eq!((arrived.from, arrived.bytes.len()), (peer.address(), length));
                assert!(arrived.bytes == bytes, "{length} bytes come back otherwise");
            }
        }
        assert_eq!(client.mapped().ip().to_string(), "127.0.0.1");
    }
    assert_eq!(figure(&relay, "allocations_total"), 2);
    wait_until("all is counted", || figure(&relay, "to_peers_datagrams_total") == 32);
    wait_until("all is counted", || figure(&relay, "to_clients_datagrams_total") == 32);
}

/// Lengths of datagrams in bursts: equal ones, and such as end a run, or begin one.
fn bursts() -> Vec<Vec<usize>> {
    vec![
        vec![1200; 40],
        [vec![1000; 20], vec![500], vec![1000; 20], vec![1, 1200, 1200, 1200, 3]].concat(),
        (0..60).map(|at| [1100, 1100, 80, 1100, 1421, 1372, 1373][at % 7]).collect(),
        vec![60; 60],
    ]
}

/// All of these arrive in this order.
pub(crate) fn assert_arrived(mut next: impl FnMut() -> Arrived, expected: &[Vec<u8>]) {
    for (number, bytes) in expected.iter().enumerate() {
        let arrived = next();
        assert!(arrived.bytes == *bytes, "{number} of {}: {} bytes", expected.len(), arrived.bytes.len());
    }
}

#[test]
fn bursts_arrive_as_they_were_sent() {
    let relay = relay(|_| ());
    for mut client in [Client::udp(&relay), Client::tcp(&relay)] {
        let mut peer = Socket::bind(FAR);
        client.bind(peer.address());
        for lengths in bursts() {
            let burst: Vec<_> = lengths.iter().enumerate().map(|(at, length)| datagram(at, *length)).collect();
            burst.iter().for_each(|bytes| client.send(peer.address(), bytes));
            assert_arrived(|| peer.expect(), &burst);
            burst.iter().for_each(|bytes| peer.send(client.relayed(), bytes));
            assert_arrived(|| client.expect(), &burst);
        }
    }
}

#[test]
fn runs_go_in_and_out_as_runs() {
    let relay = relay(|_| ());
    let (mut client, mut peer) = (Client::udp(&relay), Socket::bind(FAR));
    client.bind(peer.address());
    let calls = |relay: &_| (figure(relay, "sent_datagrams_total"), figure(relay, "send_calls_total"));
    wait_until("the answers are counted", || calls(&relay).0 == client.asked());
    let before = calls(&relay);
    let mut run: Vec<_> = (0..40).map(|number| datagram(number, 1200)).collect();
    run.push(datagram(40, 700));
    client.send_run(peer.address(), &run);
    assert_arrived(|| peer.expect(), &run);
    peer.send_run(client.relayed(), &run.concat(), Some(1200), Ecn::NotEct);
    assert_arrived(|| client.expect(), &run);
    wait_until("all is counted", || calls(&relay).0 == before.0 + 82);
    assert_eq!(calls(&relay).1 - before.1, 2, "each run leaves by one call");
}

#[test]
fn clients_that_talk_at_once_are_not_mixed_up() {
    let relay = relay(|_| ());
    let mut pairs: Vec<_> = (0..2).map(|_| (Client::udp(&relay), Socket::bind(FAR))).collect();
    for (client, peer) in &mut pairs {
        client.bind(peer.address());
    }
    let all = |of: usize| -> Vec<_> { (0..90).map(|at| datagram(at * 2 + of, 900 + at / 30)).collect() };
    for at in (0..90).step_by(3) {
        for (of, (client, peer)) in pairs.iter_mut().enumerate() {
            client.send_run(peer.address(), &all(of)[at..at + 3]);
            all(of)[at..at + 3].iter().for_each(|bytes| peer.send(client.relayed(), bytes));
        }
    }
    for (of, (client, peer)) in pairs.iter_mut().enumerate() {
        assert_arrived(|| peer.expect(), &all(of));
        assert_arrived(|| client.expect(), &all(of));
    }
}

#[test]
fn ecn_is_carried_over() {
    let relay = relay(|_| ());
    let (mut client, mut peer) = (Client::udp(&relay), Socket::bind(FAR));
    for is_bound in [false, true] {
        if is_bound {
            client.bind(peer.address());
        } else {
            client.permit(peer.ip());
        }
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            client.send_with(peer.address(), b"one", ecn);
            assert_eq!(peer.expect().ecn, ecn);
            peer.send_run(client.relayed(), b"two", None, ecn);
            assert_eq!(client.expect().ecn, ecn);
            // Runs too.
            peer.send_run(client.relayed(), &[7; 3000], Some(1000), ecn);
            assert_eq!([0; 3].map(|_| client.expect().ecn), [ecn; 3]);
        }
    }
}
