//! Clients by DTLS.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, DtlsCertificate, Output};
use plenary_relay::Relay;
use plenary_turn::client::Transport;
use rcgen::{CertificateParams, KeyPair};

use crate::secure::{Channel, Client, relay};
use crate::start::{MOMENT, PATIENCE, figure, wait_until};

/// RFC 8489 §5: a Binding request.
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42its own name";

struct Sealed {
    socket: UdpSocket,
    dtls: Dtls,
    is_connected: bool,
    has_ended: bool,
    waiting: VecDeque<Vec<u8>>,
}

fn dtls() -> Dtls {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let certificate = DtlsCertificate { certificate: certificate.der().to_vec(), private_key: key.serialize_der() };
    let mut dtls = Dtls::new_12(Arc::new(dimpl::Config::default()), certificate, Instant::now());
    dtls.set_active(true);
    dtls
}

fn socket(relay: &Relay) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(relay.listeners_dtls()[0]).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket
}

impl Sealed {
    fn new(relay: &Relay) -> Self {
        Self::at(socket(relay))
    }

    fn at(socket: UdpSocket) -> Self {
        let mut sealed = Self::begun(socket);
        let deadline = Instant::now() + PATIENCE;
        while !sealed.is_connected {
            assert!(Instant::now() < deadline, "no handshake");
            sealed.step();
        }
        sealed
    }

    fn begun(socket: UdpSocket) -> Self {
        let (is_connected, has_ended, waiting) = (false, false, VecDeque::new());
        let mut sealed = Self { socket, dtls: dtls(), is_connected, has_ended, waiting };
        sealed.dtls.handle_timeout(Instant::now()).unwrap();
        sealed
    }

    /// What is to be sent.
    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let (mut buffer, mut out) = (vec![0; 20_000], Vec::new());
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(bytes) => out.push(bytes.to_vec()),
                Output::ApplicationData(bytes) => self.waiting.push_back(bytes.to_vec()),
                Output::Connected => self.is_connected = true,
                Output::CloseNotify => self.has_ended = true,
                Output::Timeout(_) => return out,
                _ => {}
            }
        }
    }

    fn step(&mut self) {
        for packet in self.outgoing() {
            self.socket.send(&packet).unwrap();
        }
        let mut buffer = [0; 65_536];
        let count = self.socket.recv(&mut buffer);
        self.dtls.handle_timeout(Instant::now()).unwrap();
        if let Ok(count) = count {
            self.dtls.handle_packet(&buffer[..count]).unwrap();
        }
        for packet in self.outgoing() {
            self.socket.send(&packet).unwrap();
        }
    }
}

impl Channel for Sealed {
    const TRANSPORT: Transport = Transport::Datagrams;

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn send(&mut self, message: &[u8]) {
        self.dtls.handle_timeout(Instant::now()).unwrap();
        self.dtls.send_application_data(message).unwrap();
        for packet in self.outgoing() {
            self.socket.send(&packet).unwrap();
        }
    }

    fn receive(&mut self, until: Instant) -> Option<Vec<u8>> {
        while self.waiting.is_empty() && Instant::now() < until {
            self.step();
        }
        self.waiting.pop_front()
    }
}

#[test]
fn datagrams_go_both_ways() {
    let (relay, _) = relay(|_| ());
    assert_eq!(relay.listeners_dtls(), relay.listeners_tls());
    let mut client = Client::allocated(Sealed::new(&relay), relay.listeners_dtls()[0]);
    client.talk(&[0, 1, 2, 3, 500, 1200, 1400, 9000, 16_000]);
    assert_eq!(client.channel.dtls.protocol_version(), Some(dimpl::ProtocolVersion::DTLS1_2));
    // What does not fit a record goes no further, and what follows it does.
    client.talk(&[100]);
    assert_eq!((figure(&relay, "tls_errors_total"), figure(&relay, "dtls_dropped_total")), (0, 0));
}

#[test]
fn who_has_no_allocation_is_told_to_go() {
    let (relay, _) = relay(|config| config.turn.idle_connection = Duration::from_millis(300));
    let mut sealed = Sealed::new(&relay);
    sealed.send(&BINDING);
    assert_eq!(sealed.receive(Instant::now() + PATIENCE).unwrap()[..2], [1, 1]);
    let deadline = Instant::now() + PATIENCE;
    while !sealed.has_ended {
        assert!(Instant::now() < deadline, "no goodbye");
        sealed.step();
    }
    // It knows nothing of it any more.
    let dropped = figure(&relay, "dtls_dropped_total");
    sealed.socket.send(&[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 1, 1]).unwrap();
    wait_until("it is counted", || figure(&relay, "dtls_dropped_total") > dropped);
}

#[test]
fn a_client_that_says_goodbye_has_ended() {
    let (relay, _) = relay(|_| ());
    let mut client = Client::allocated(Sealed::new(&relay), relay.listeners_dtls()[0]);
    wait_until("it is counted", || relay.allocations() == 1);
    client.channel.dtls.close().unwrap();
    client.channel.step();
    wait_until("its allocation is gone", || relay.allocations() == 0);
}

#[test]
fn who_begins_anew_from_the_same_port_replaces_what_was() {
    let (relay, _) = relay(|_| ());
    let socket = socket(&relay);
    let mut old = Client::allocated(Sealed::at(socket.try_clone().unwrap()), relay.listeners_dtls()[0]);
    old.talk(&[10]);
    let begun = Instant::now();
    let mut new = Client::allocated(Sealed::at(socket), relay.listeners_dtls()[0]);
    assert!(begun.elapsed() > Duration::from_millis(500), "not all the time");
    new.talk(&[10, 1000]);
    wait_until("the old one is gone", || relay.allocations() == 1);
}

/// A handshake whose datagrams are lost, one after the other, by the client's or the relay's repetition.
#[test]
fn what_is_lost_of_a_handshake_comes_again() {
    let (relay, _) = relay(|_| ());
    for lost in 0..4 {
        let mut sealed = Sealed::begun(socket(&relay));
        let deadline = Instant::now() + PATIENCE;
        let mut received = 0;
        while !sealed.is_connected {
            assert!(Instant::now() < deadline, "no handshake without {lost}");
            for packet in sealed.outgoing() {
                sealed.socket.send(&packet).unwrap();
            }
            let mut buffer = [0; 4096];
            let count = sealed.socket.recv(&mut buffer);
            sealed.dtls.handle_timeout(Instant::now()).unwrap();
            if let Ok(count) = count {
                if received != lost {
                    sealed.dtls.handle_packet(&buffer[..count]).unwrap();
                }
                received += 1;
            }
        }
        sealed.send(&BINDING);
        assert_eq!(sealed.receive(Instant::now() + PATIENCE).unwrap()[..2], [1, 1]);
    }
}

#[test]
fn hellos_are_answered_with_less_and_a_cookie_is_of_use_to_one_alone() {
    let (relay, _) = relay(|_| ());
    let hello = Sealed::begun(socket(&relay)).outgoing().remove(0);
    let ask = |hello: &[u8]| {
        let socket = socket(&relay);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(hello).unwrap();
        let mut answer = [0; 2000];
        let count = socket.recv(&mut answer).unwrap();
        assert!(count < hello.len(), "{count} bytes for {}", hello.len());
        assert_eq!((answer[0], answer[13], count), (22, 3, 60), "a HelloVerifyRequest");
        answer[28..count].to_vec()
    };
    let cookie = ask(&hello);
    // The second hello of a client, but from another port.
    let mut other = hello;
    (other[18], other[60]) = (1, 32);
    other.splice(61..61, cookie);
    for at in [11, 14, 22] {
        let length = if at == 11 { 2 } else { 3 };
        let value = other[at..at + length].iter().fold(0, |value, byte| value << 8 | u32::from(*byte)) + 32;
        other[at..at + length].copy_from_slice(&value.to_be_bytes()[4 - length..]);
    }
    ask(&other);
}

/// What others send from the address of a client, as far as it is not encrypted by its key, is nothing to it.
#[test]
fn nonsense_ends_no_association() {
    let (relay, _) = relay(|_| ());
    let mut client = Client::allocated(Sealed::new(&relay), relay.listeners_dtls()[0]);
    let mut seed = 20_261_128_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..3000 {
        let kind = [20, 21, 22, 23, 24, 25, 63][draw(7)];
        let length = draw(200);
        let mut bytes = vec![kind, 0xfe, 0xfd, 0, draw(3) as u8, 0, 0, 0, 0, draw(2) as u8, draw(256) as u8];
        bytes.extend((length as u16).to_be_bytes());
        bytes.extend((0..length).map(|_| draw(256) as u8));
        if kind == 22 && length > 20 {
            bytes[13] = [0, 1, 2, 11, 14, 16, 20][draw(7)];
            bytes[14..17].copy_from_slice(&[0, 0, length as u8 - 12]);
            bytes[17..22].copy_from_slice(&[0, draw(8) as u8, 0, 0, 0]);
            bytes[22..25].copy_from_slice(&[0, 0, length as u8 - 12]);
        }
        if kind == 21 {
            bytes.splice(11.., [0, 2, 1 + draw(2) as u8, [0, 10, 40, 50][draw(4)]]);
        }
        client.channel.socket.send(&bytes).unwrap();
        if round % 500 == 0 {
            client.talk(&[100]);
        }
    }
    client.talk(&[100, 1000]);
    assert_eq!(relay.allocations(), 1);
    assert_eq!(figure(&relay, "tls_errors_total"), 0);
}

/// Handshakes that are broken at some place: none of them harms the relay.
#[test]
fn broken_handshakes_end_or_pass() {
    let (relay, _) = relay(|_| ());
    let mut seed = 7_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..200 {
        let mut sealed = Sealed::begun(socket(&relay));
        let bad = round % 3;
        for turn in 0..3 {
            for mut packet in sealed.outgoing() {
                for _ in 0..if turn == bad { 1 + draw(3) } else { 0 } {
                    let at = draw(packet.len());
                    packet[at] ^= 1 << draw(8);
                }
                sealed.socket.send(&packet).unwrap();
            }
            let mut buffer = [0; 4096];
            while let Ok(count) = sealed.socket.recv(&mut buffer) {
                let _ = sealed.dtls.handle_packet(&buffer[..count]);
                if turn < 2 {
                    break;
                }
            }
        }
    }
    Client::allocated(Sealed::new(&relay), relay.listeners_dtls()[0]).talk(&[100]);
}

#[test]
fn what_is_not_sealed_is_not_taken() {
    let (relay, _) = relay(|_| ());
    let socket = socket(&relay);
    socket.set_read_timeout(Some(MOMENT)).unwrap();
    socket.send(&BINDING).unwrap();
    wait_until("it is counted", || figure(&relay, "dtls_dropped_total") == 1);
    assert!(socket.recv(&mut [0; 100]).is_err());
}

fn openssl(relay: &Relay, options: &[&str]) -> Child {
    Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &relay.listeners_dtls()[0].to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed")
}

#[test]
fn openssl_is_served() {
    let (relay, _) = relay(|_| ());
    // The second names 1.0 in its first record, and 1.2 in its hello.
    for options in ["-dtls1_2", "-dtls"] {
        let mut openssl = openssl(&relay, &[options]);
        openssl.stdin.as_mut().unwrap().write_all(&BINDING).unwrap();
        let mut answer = [0; 32];
        openssl.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &BINDING[8..]), "{options}");
        openssl.kill().unwrap();
        openssl.wait().unwrap();
    }
}

/// RFC 8996: DTLS 1.0 is no more. Who has no other is told so at once, and leaves nothing.
#[test]
fn dtls_1_0_is_refused() {
    let (relay, _) = relay(|_| ());
    let mut hello = Sealed::begun(socket(&relay)).outgoing().remove(0);
    (hello[2], hello[26]) = (0xff, 0xff);
    let socket = socket(&relay);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(&hello).unwrap();
    let mut answer = [0; 100];
    assert_eq!(socket.recv(&mut answer).unwrap(), 15);
    assert_eq!(answer[..15], [21, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 70]);
    wait_until("it is counted", || figure(&relay, "dtls_dropped_total") == 1);
}

/// Certificates for RSA are not there, and a suite that nobody knows is no suite.
#[test]
fn who_has_no_suite_in_common_is_told_so() {
    let (relay, _) = relay(|_| ());
    for (number, suite) in [[0xc0, 0x2f], [0x7a, 0x7a]].into_iter().enumerate() {
        let socket = socket(&relay);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 100];
        socket.send(&hello(0, suite, &[])).unwrap();
        assert_eq!(socket.recv(&mut answer).unwrap(), 60);
        socket.send(&hello(1, suite, &answer[28..60])).unwrap();
        assert_eq!(socket.recv(&mut answer).unwrap(), 15);
        assert_eq!((answer[0], &answer[13..15]), (21, &[2, 40][..]), "handshake_failure");
        wait_until("it is counted", || figure(&relay, "tls_errors_total") == number as u64 + 1);
    }
}

/// A ClientHello with one suite.
fn hello(message: u8, suite: [u8; 2], cookie: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([7; 32]);
    body.extend([0, cookie.len() as u8]);
    body.extend(cookie);
    body.extend([0, 2, suite[0], suite[1], 1, 0]);
    let length = body.len() as u8;
    let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, message, 0, length + 12];
    datagram.extend([1, 0, 0, length, 0, message, 0, 0, 0, 0, 0, length]);
    datagram.extend(body);
    datagram
}
