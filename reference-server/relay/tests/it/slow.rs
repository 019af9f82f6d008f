//! A client that does not read.

use std::time::Instant;

use crate::client::Client;
use crate::data::datagram;
use crate::socket::Socket;
use crate::start::{FAR, MOMENT, figure, relay, wait_until};

#[test]
fn who_does_not_read_loses_whole_messages_and_holds_nobody_up() {
    let relay = relay(|_| ());
    let (mut slow, mut quick) = (Client::tcp(&relay), Client::tcp(&relay));
    let (peer, mut other) = (Socket::bind(FAR), Socket::bind(FAR));
    slow.bind(peer.address());
    quick.bind(other.address());
    // More than the kernel keeps for it, in and out: 10 MB by default.
    let all = 20_000;
    for sent in (0..all).step_by(40) {
        let run: Vec<u8> = (sent..sent + 40).flat_map(|number| datagram(number, 1200)).collect();
        peer.send_run(slow.relayed(), &run, Some(1200), plenary_wire::Ecn::NotEct);
        let relayed = || figure(&relay, "to_clients_datagrams_total") as usize;
        wait_until("they are taken in", || relayed() >= sent + 40);
    }
    let lost = figure(&relay, "unread_messages_total") as usize;
    assert!(lost > 1000, "{lost} are lost");
    quick.send(other.address(), b"quick");
    assert_eq!(other.expect().bytes, b"quick");
    // What is left comes whole and in its order.
    let mut last = None;
    for _ in 0..all - lost {
        let bytes = slow.expect().bytes;
        let number = usize::from_be_bytes(bytes[..8].try_into().unwrap());
        assert!(last < Some(number) && bytes == datagram(number, 1200), "{number} behind {last:?}");
        last = Some(number);
    }
    assert_eq!(slow.next(Instant::now() + MOMENT), None);
    // And all comes again.
    peer.send(slow.relayed(), b"awake?");
    assert_eq!(slow.expect().bytes, b"awake?");
}
