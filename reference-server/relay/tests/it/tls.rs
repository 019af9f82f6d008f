//! Clients by TLS.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plenary_relay::Relay;
use plenary_turn::client::{Deframer, Transport};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::secure::{Channel, Client, peer, relay};
use crate::start::{PATIENCE, figure, wait_until};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// RFC 8489 §5: a Binding request.
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42its own name";

struct Tls<S: Read + Write> {
    stream: StreamOwned<ClientConnection, S>,
    local: SocketAddr,
    deframer: Deframer,
    waiting: VecDeque<Vec<u8>>,
}

/// A stream that hands over one byte at a time.
struct Slow(TcpStream);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Slow {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(&buffer[..1.min(buffer.len())])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A stream that keeps what comes.
struct Kept(TcpStream, Vec<u8>);

impl Kept {
    /// How many records of data have come.
    fn records(&self) -> usize {
        let (mut rest, mut count) = (&self.1[..], 0);
        while let [kind, 3, _, l1, l2, behind @ ..] = rest {
            rest = &behind[usize::from(u16::from_be_bytes([*l1, *l2]))..];
            count += usize::from(*kind == 23);
        }
        count
    }
}

impl Read for Kept {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Kept {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn config(certificate: &str, versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

fn session(config: ClientConfig) -> ClientConnection {
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

fn connect(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.listeners_tls()[0]).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Tls<TcpStream> {
    fn new(relay: &Relay, config: ClientConfig) -> Self {
        let stream = connect(relay);
        Self::over(stream.try_clone().unwrap(), stream, config)
    }
}

impl<S: Read + Write> Tls<S> {
    fn over(stream: S, socket: TcpStream, config: ClientConfig) -> Self {
        Self {
            stream: StreamOwned::new(session(config), stream),
            local: socket.local_addr().unwrap(),
            deframer: Deframer::new(65_555),
            waiting: VecDeque::new(),
        }
    }
}

impl<S: Read + Write> Channel for Tls<S> {
    const TRANSPORT: Transport = Transport::Stream;

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn send(&mut self, message: &[u8]) {
        self.stream.write_all(message).unwrap();
    }

    fn receive(&mut self, _until: Instant) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        while self.waiting.is_empty() {
            let count = self.stream.read(&mut buffer).expect("something to come");
            assert_ne!(count, 0, "the relay has ended the connection");
            let mut rest = &buffer[..count];
            while let Some(message) = self.deframer.take(&mut rest).unwrap() {
                self.waiting.push_back(message.to_vec());
            }
        }
        self.waiting.pop_front()
    }
}

#[test]
fn both_versions_carry_all_lengths_to_and_fro() {
    let (relay, certificate) = relay(|_| ());
    for version in VERSIONS {
        let tls = Tls::new(&relay, config(&certificate, &[version], &["stun.turn"]));
        let mut client = Client::allocated(tls, relay.listeners_tls()[0]);
        client.talk(&[0, 1, 2, 3, 999, 1200, 16_383, 16_384, 16_385, 40_000, 65_000]);
        assert_eq!(client.channel.stream.conn.protocol_version(), Some(version.version));
        assert_eq!(client.channel.stream.conn.alpn_protocol(), Some(&b"stun.turn"[..]));
    }
    assert_eq!(figure(&relay, "tls_errors_total"), 0);
}

/// coturn's own client takes the one for the other.
#[test]
fn each_message_is_a_record() {
    let (relay, certificate) = relay(|_| ());
    for version in VERSIONS {
        let stream = connect(&relay);
        let kept = Kept(stream.try_clone().unwrap(), Vec::new());
        let tls = Tls::over(kept, stream, config(&certificate, &[version], &[]));
        let mut client = Client::allocated(tls, relay.listeners_tls()[0]);
        let peer = peer();
        client.bind(peer.local_addr().unwrap());
        // Answers come before it.
        peer.send_to(b"first", client.relayed()).unwrap();
        assert_eq!(client.expect().1, b"first");
        let before = client.channel.stream.sock.records();
        // So fast that the relay takes in some together.
        for number in 0..100 {
            peer.send_to(&[number; 250], client.relayed()).unwrap();
        }
        for number in 0..100 {
            assert_eq!(client.expect().1, [number; 250]);
        }
        assert_eq!(client.channel.stream.sock.records() - before, 100);
    }
}

#[test]
fn who_names_no_protocol_is_served_and_who_names_others_only_is_not() {
    let (relay, certificate) = relay(|_| ());
    let server = relay.listeners_tls()[0];
    for protocols in [&[][..], &["http/1.1", "stun.turn"][..]] {
        Client::allocated(Tls::new(&relay, config(&certificate, &VERSIONS, protocols)), server).talk(&[100]);
    }
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let mut tls = Tls::new(&relay, config(&certificate, &[version], &["http/1.1", "stun.nat-discovery"]));
        let error = tls.stream.write_all(&BINDING).and_then(|()| tls.stream.read(&mut [0])).unwrap_err();
        let alert = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(error.into_inner().unwrap().downcast::<rustls::Error>().unwrap(), alert.into());
        wait_until("it is counted", || figure(&relay, "tls_errors_total") == number as u64 + 1);
    }
}

#[test]
fn a_client_that_comes_byte_by_byte_is_served() {
    let (relay, certificate) = relay(|_| ());
    for version in VERSIONS {
        let stream = connect(&relay);
        let slow = Slow(stream.try_clone().unwrap());
        let tls = Tls::over(slow, stream, config(&certificate, &[version], &[]));
        Client::allocated(tls, relay.listeners_tls()[0]).talk(&[10, 1000]);
    }
}

#[test]
fn who_ends_no_handshake_or_has_no_allocation_is_told_to_go() {
    let (relay, certificate) = relay(|config| config.turn.idle_connection = Duration::from_millis(300));
    let mut hello = Vec::new();
    session(config(&certificate, &VERSIONS, &[])).write_tls(&mut hello).unwrap();
    for sent in [0, 1, hello.len() / 2, hello.len()] {
        let begun = Instant::now();
        let mut stream = connect(&relay);
        stream.write_all(&hello[..sent]).unwrap();
        let end = io::copy(&mut stream, &mut io::sink());
        assert!(end.is_ok_and(|count| count > 0) == (sent == hello.len()), "{sent}");
        assert!((300..5000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }
    // With a goodbye, where one can be said: rustls has an error for an end without.
    for version in VERSIONS {
        let mut tls = Tls::new(&relay, config(&certificate, &[version], &[]));
        tls.stream.write_all(&BINDING).unwrap();
        let mut all = Vec::new();
        tls.stream.read_to_end(&mut all).unwrap();
        assert_eq!(all[..2], [1, 1]);
    }
    assert_eq!(figure(&relay, "tls_errors_total"), 0);
}

#[test]
fn a_client_that_says_goodbye_has_ended_even_if_its_stream_has_not() {
    let (relay, certificate) = relay(|_| ());
    for version in VERSIONS {
        let tls = Tls::new(&relay, config(&certificate, &[version], &[]));
        let mut client = Client::allocated(tls, relay.listeners_tls()[0]);
        wait_until("it is counted", || relay.allocations() == 1);
        client.channel.stream.conn.send_close_notify();
        client.channel.stream.flush().unwrap();
        let mut rest = Vec::new();
        client.channel.stream.read_to_end(&mut rest).unwrap();
        wait_until("its allocation is gone", || relay.allocations() == 0);
    }
}

#[test]
fn who_does_not_read_loses_whole_datagrams_and_no_more() {
    let (relay, certificate) = relay(|_| ());
    for version in VERSIONS {
        let tls = Tls::new(&relay, config(&certificate, &[version], &[]));
        let mut client = Client::allocated(tls, relay.listeners_tls()[0]);
        let peer = peer();
        client.bind(peer.local_addr().unwrap());
        let lost = figure(&relay, "unread_messages_total");
        let mut last = 0_u32;
        // More than the kernel keeps for both.
        while figure(&relay, "unread_messages_total") < lost + 100 {
            last += 1;
            peer.send_to(&[last.to_be_bytes(); 250].concat(), client.relayed()).unwrap();
            if last.is_multiple_of(50) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(last < 1_000_000, "somebody keeps all of it");
        }
        // What was not lost comes, whole and in order, and what is sent now comes behind it.
        let mut before = 0;
        let mut count = 0;
        while before != u32::MAX {
            peer.send_to(&[u32::MAX.to_be_bytes(); 250].concat(), client.relayed()).unwrap();
            let (_, bytes) = client.expect();
            let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
            assert!(number > before, "{number} behind {before}");
            assert_eq!(bytes, [number.to_be_bytes(); 250].concat());
            (before, count) = (number, count + 1);
        }
        assert!(count > 100 && count <= last, "{count} of {last} came");
    }
    assert_eq!(figure(&relay, "tls_errors_total"), 0);
}

/// Flips bits of what a client sends, and of what it would have sent next: the relay ends it, and nobody else.
#[test]
fn nonsense_ends_a_connection_and_no_other() {
    let (relay, certificate) = relay(|_| ());
    let server = relay.listeners_tls()[0];
    let mut other = Client::allocated(Tls::new(&relay, config(&certificate, &VERSIONS, &[])), server);
    let mut seed = 20_261_128_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..300 {
        let mut stream = connect(&relay);
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut session = session(config(&certificate, &[VERSIONS[round % 2]], &[]));
        session.writer().write_all(&BINDING).unwrap();
        // Of some rounds the hello is broken, of others what follows it.
        for turn in 0..3 {
            let mut bytes = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut bytes).unwrap();
            }
            if turn == round % 3 && !bytes.is_empty() {
                for _ in 0..=draw(3) {
                    let at = draw(bytes.len());
                    bytes[at] ^= 1 << draw(8);
                }
                let length = bytes.len() + draw(20);
                bytes.resize_with(length, || draw(256) as u8);
            }
            if stream.write_all(&bytes).is_err() || session.read_tls(&mut stream).is_err() {
                break;
            }
            let _ = session.process_new_packets();
        }
    }
    for length in [1, 5, 100, 20_000, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|_| draw(256) as u8).collect();
        // It may be gone before it has taken all.
        let _ = connect(&relay).write_all(&bytes);
    }
    wait_until("they are counted", || figure(&relay, "tls_errors_total") > 100);
    other.talk(&[100, 1000]);
}

#[test]
fn openssl_is_served() {
    let (relay, _) = relay(|_| ());
    let server = relay.listeners_tls()[0].to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &server, "-alpn", "stun.turn", version])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        openssl.stdin.as_mut().unwrap().write_all(&BINDING).unwrap();
        let mut answer = [0; 32];
        openssl.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &BINDING[8..]), "{version}");
        drop(openssl.stdin.take());
        openssl.kill().unwrap();
        openssl.wait().unwrap();
    }
}

#[test]
fn nobody_negotiates_anew() {
    let (relay, _) = relay(|_| ());
    let server = relay.listeners_tls()[0].to_string();
    // It is done with `R`, and gives up when it is refused.
    let mut openssl = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-connect", &server, "-tls1_2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    openssl.stdin.as_mut().unwrap().write_all(b"R\n").unwrap();
    let output = openssl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{:?}: {said}", output.status);
}
