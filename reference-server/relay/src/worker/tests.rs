//! What the way of data costs, seen from within the thread.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use plenary_stun::{Class, Method, TransactionId, Writer};
use plenary_turn::client::{Client, Config, Handled};
use plenary_turn::{DropReason, Keys, User};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};
use quinn_udp::{Transmit, UdpSocketState};

use crate::relay::lone_worker;
use crate::worker::Worker;

const LENGTH: usize = 1200;

/// A worker whose turns the test takes; a client of it with a channel; and the peer at its other end.
struct Lab {
    worker: Worker,
    server: SocketAddr,
    client: Client,
    socket: UdpSocket,
    peer: UdpSocket,
}

impl Lab {
    fn new() -> Self {
        let ip = "127.0.0.1".parse().unwrap();
        let mut turn = plenary_turn::Config {
            unauthenticated_per_second: 60_000,
            users: vec![User { name: b"u".to_vec(), keys: Keys::from_password(b"u", b"turn", b"p") }],
            ..plenary_turn::Config::default()
        };
        turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let worker = lone_worker(crate::Config {
            listen: vec![(ip, 0).into()],
            listen_tls: Vec::new(),
            identity: None,
            told: None,
            relays: vec![crate::RelayAddress { bind: ip, told: ip }],
            ports: 49_152..=65_535,
            threads: None,
            turn,
        });
        let server = worker.ways.flows.udp(FlowId(0)).unwrap().local;
        let [socket, peer] = ["127.0.0.1:0", "127.0.0.9:0"].map(|address| UdpSocket::bind(address).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let (username, password) = ("u".to_owned(), "p".to_owned());
        let config = Config { server, local: socket.local_addr().unwrap(), username, password, ..Config::default() };
        let client = Client::new(config, Instant::now()).unwrap();
        let mut lab = Self { worker, server, client, socket, peer };
        let peer = lab.peer.local_addr().unwrap();
        while lab.client.allocated().is_none() {
            lab.ask();
        }
        lab.client.bind(peer, Instant::now()).unwrap();
        while lab.client.wrap(peer, 0, Instant::now()).unwrap().head.as_bytes().len() > 4 {
            lab.ask();
        }
        lab
    }

    /// Sends requests, and takes in an answer.
    fn ask(&mut self) {
        let mut bytes = vec![0; 2000];
        while self.client.poll_transmit(Instant::now(), Limit::DATAGRAM, &mut bytes).is_some() {
            self.socket.send_to(&bytes[2000..], self.server).unwrap();
            bytes.truncate(2000);
        }
        self.take_a_turn();
        let Ok((length, remote)) = self.socket.recv_from(&mut bytes) else { return };
        let (flow, local) = self.client.path();
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes[..length] };
        assert_eq!(self.client.handle_datagram(datagram, Instant::now()), Handled::Consumed);
    }

    fn take_a_turn(&mut self) {
        take_a_turn(&mut self.worker);
    }

    /// How often memory is allocated when so many datagrams come at once and go on.
    fn allocations(&mut self, datagrams: usize, to_peer: bool) -> u64 {
        let now = Instant::now();
        let peer = self.peer.local_addr().unwrap();
        let relayed = self.client.allocated().unwrap().ipv4.unwrap();
        let mut bytes = Vec::new();
        for _ in 0..datagrams {
            if to_peer {
                self.client.send(peer, &[7; LENGTH], now, &mut bytes).unwrap();
            } else {
                bytes.extend_from_slice(&[7; LENGTH]);
            }
        }
        let (from, destination) = if to_peer { (&self.socket, self.server) } else { (&self.peer, relayed) };
        let segment_size = Some(bytes.len() / datagrams);
        let transmit = Transmit { destination, ecn: None, contents: &bytes, segment_size, src_ip: None };
        UdpSocketState::new(from.into()).unwrap().try_send(from.into(), &transmit).unwrap();
        let before = self.worker.ways.tally.sent.datagrams;
        let allocations = allocation_counter::measure(|| self.take_a_turn()).count_total;
        assert_eq!(self.worker.ways.tally.sent.datagrams - before, datagrams as u64, "all leave in one turn");
        allocations
    }
}

pub(crate) fn take_a_turn(worker: &mut Worker) {
    let mut ready = ArrayVec::new();
    worker.ways.poller.wait(Some(Duration::from_millis(10)), &mut ready).unwrap();
    worker.turn(&ready, Instant::now());
}

#[test]
fn what_is_relayed_allocates_once_for_a_run_and_never_for_a_datagram() {
    let mut lab = Lab::new();
    for to_peer in [true, false] {
        // The first time may make room for all others.
        lab.allocations(40, to_peer);
        assert_eq!(lab.allocations(1, to_peer), 0);
        for datagrams in [2, 10, 40] {
            // What nix writes ancillary data into.
            assert_eq!(lab.allocations(datagrams, to_peer), 1, "{datagrams} datagrams");
        }
    }
}

#[test]
fn who_asks_for_much_at_once_leaves_room_for_answers_to_others() {
    let mut lab = Lab::new();
    let request = |number: u32, out: &mut Vec<u8>| {
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&number.to_be_bytes());
        Writer::new(Class::Request, Method::BINDING, TransactionId(transaction), out).fingerprint();
    };
    let state = UdpSocketState::new((&lab.socket).into()).unwrap();
    let before = lab.worker.server.counters().succeeded;
    for run in 0..20 {
        let mut bytes = Vec::new();
        (run * 60..run * 60 + 60).for_each(|number| request(number, &mut bytes));
        let segment_size = Some(bytes.len() / 60);
        let transmit = Transmit { destination: lab.server, ecn: None, contents: &bytes, segment_size, src_ip: None };
        state.try_send((&lab.socket).into(), &transmit).unwrap();
    }
    lab.take_a_turn();
    assert_eq!(lab.worker.server.counters().succeeded - before, 1200, "all in one turn");
    assert_eq!(lab.worker.server.dropped(DropReason::AnswersLimit), 0);
}
