//! TCP connections that are relayed (RFC 6062).

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use plenary_relay::Relay;
use plenary_stun::{Algorithm, Attribute, Class, HEADER_LEN, Key, Message, Method, TransactionId, Writer};
use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::socket::wait;
use crate::start::{FAR, MOMENT, PATIENCE, figure, figures, ports, relay, wait_until};

const TCP: [u8; 4] = [6, 0, 0, 0];

/// A client's connection, whose requests are made by hand.
struct Control {
    stream: TcpStream,
    nonce: Vec<u8>,
    transaction: u8,
}

impl Control {
    /// Connects, and asks for a nonce.
    fn connect(relay: &Relay) -> Self {
        let stream = TcpStream::connect(relay.listeners()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut control = Self { stream, nonce: Vec::new(), transaction: 0 };
        let mut out = Vec::new();
        Writer::new(Class::Request, Method::ALLOCATE, TransactionId([0; 12]), &mut out).fingerprint();
        control.stream.write_all(&out).unwrap();
        let answer = control.message();
        control.nonce = Message::parse(&answer).unwrap().get(Attribute::NONCE).unwrap().to_vec();
        control
    }

    /// One with a TCP allocation, and the address by which peers connect to it.
    fn allocate(relay: &Relay) -> (Self, SocketAddr) {
        let mut control = Self::connect(relay);
        let answer =
            control.ask(Method::ALLOCATE, |writer| writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&TCP])).unwrap();
        let relayed = Message::parse(&answer).unwrap().get_xor_address(Attribute::XOR_RELAYED_ADDRESS);
        (control, relayed.unwrap().unwrap())
    }

    /// The answer to a request; or the code of an error.
    fn ask(&mut self, method: Method, write: impl FnOnce(&mut Writer<'_>)) -> Result<Vec<u8>, u16> {
        let request = self.request(method, write);
        self.stream.write_all(&request).unwrap();
        self.answer()
    }

    fn request(&mut self, method: Method, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        self.transaction += 1;
        let mut out = Vec::new();
        let mut writer = Writer::new(Class::Request, method, TransactionId([self.transaction; 12]), &mut out);
        write(&mut writer);
        writer.attribute(Attribute::USERNAME, &[b"user"]);
        writer.attribute(Attribute::REALM, &[b"turn"]);
        writer.attribute(Attribute::NONCE, &[&self.nonce]);
        writer.integrity(&Key::long_term(b"user", b"turn", b"secret", Algorithm::Sha1), Algorithm::Sha1);
        out
    }

    fn answer(&mut self) -> Result<Vec<u8>, u16> {
        let bytes = self.message();
        let message = Message::parse(&bytes).unwrap();
        match message.class() {
            Class::Success => Ok(bytes),
            Class::Error => Err(message.get_error_code().unwrap().unwrap().0),
            other => panic!("no response: {other:?}"),
        }
    }

    /// The next message, and no byte behind it.
    fn message(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        self.stream.read_exact(&mut bytes).unwrap();
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        bytes.resize(HEADER_LEN + length, 0);
        self.stream.read_exact(&mut bytes[HEADER_LEN..]).unwrap();
        bytes
    }

    fn connect_to(&mut self, peer: SocketAddr) -> Result<[u8; 4], u16> {
        let answer = self.ask(Method::CONNECT, |writer| writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer))?;
        Ok(connection_id(&answer))
    }

    /// Binds a connection of a peer to this one; `behind` is sent with the request.
    fn bind(mut self, id: [u8; 4], behind: &[u8]) -> Result<TcpStream, u16> {
        let mut request = self.request(Method::CONNECTION_BIND, |writer| {
            writer.attribute(Attribute::CONNECTION_ID, &[&id]);
        });
        request.extend_from_slice(behind);
        self.stream.write_all(&request).unwrap();
        self.answer().map(|_| self.stream)
    }
}

fn connection_id(bytes: &[u8]) -> [u8; 4] {
    Message::parse(bytes).unwrap().get_array(Attribute::CONNECTION_ID).unwrap().unwrap()
}

/// A relay, a client's control connection, and two ends that are joined: the client's and the peer's.
fn joined() -> (Relay, Control, TcpStream, TcpStream) {
    let relay = relay(|config| config.turn.tcp = true);
    let (mut control, _) = Control::allocate(&relay);
    let listener = TcpListener::bind((FAR, 0)).unwrap();
    let id = control.connect_to(listener.local_addr().unwrap()).unwrap();
    let client = Control::connect(&relay).bind(id, &[]).unwrap();
    let peer = listener.accept().unwrap().0;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (relay, control, client, peer)
}

/// Bytes that tell where they belong.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 4 * 7 + at % 4 * 31) as u8).collect()
}

/// Reads to the end.
fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn what_is_joined_is_carried_whole_while_both_read_when_they_like() {
    let (_relay, _control, client, peer) = joined();
    let all = bytes(16 << 20);
    for (one, other) in [(&client, &peer), (&peer, &client)] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut one = one;
                one.write_all(&all).unwrap();
            });
            let (mut other, mut taken) = (other, vec![0; all.len()]);
            // A while nobody reads, and once more in the middle.
            for half in taken.chunks_mut(8 << 20) {
                std::thread::sleep(MOMENT);
                other.read_exact(half).unwrap();
            }
            assert!(taken == all, "something else arrives");
        });
    }
}

#[test]
fn half_a_close_is_carried_and_the_rest_comes_back() {
    let (relay, mut control, mut client, mut peer) = joined();
    let (question, answer) = (bytes(4 << 20), bytes(5 << 20));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(read_all(&mut peer) == question, "something else arrives");
            peer.write_all(&answer).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        });
        client.write_all(&question).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(read_all(&mut client) == answer, "something else comes back");
    });
    // Both are closed then: the client may connect there again.
    let mut again = || control.connect_to(peer.local_addr().unwrap());
    wait_until("both are closed", || again() != Err(446));
    assert_eq!(again(), Err(447), "nobody listens there");
    drop(relay);
}

#[test]
fn both_at_once_are_carried_and_ended() {
    let (_relay, _control, client, peer) = joined();
    let all = bytes(4 << 20);
    std::thread::scope(|scope| {
        for stream in [&client, &peer] {
            let all = &all;
            scope.spawn(move || {
                let mut stream = stream;
                stream.write_all(all).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let mut stream = stream;
                assert!(read_all(&mut stream) == *all, "something else arrives");
            });
        }
    });
}

/// Writes until nothing more is taken.
fn fill(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let mut fruitless = 0;
    while fruitless < 5 {
        match stream.write(&[7; 65_536]) {
            Ok(count) if count > 0 => fruitless = 0,
            _ => {
                wait(&*stream, PollFlags::OUT, MOMENT);
                fruitless += 1;
            }
        }
    }
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn a_reset_ends_both_and_keeps_nobody_busy() {
    for peer_is_reset in [false, true] {
        let (relay, _control, mut client, mut peer) = joined();
        // Nobody reads, on either side.
        fill(&mut client);
        fill(&mut peer);
        let (reset, mut other) = if peer_is_reset { (peer, client) } else { (client, peer) };
        set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
        drop(reset);
        // What the thread does is looked at once a second: this is the second look.
        std::thread::sleep(Duration::from_millis(2_100));
        assert!(relay.saturation() < 0.5, "{}", relay.saturation());
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = vec![0; 65_536];
        while other.read(&mut buffer).is_ok_and(|count| count > 0) {}
        let over = other.read(&mut buffer).unwrap_or(0);
        assert_eq!(over, 0);
    }
}

/// States of connections in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";
const SYN_SENT: &str = "02";
const CLOSE_WAIT: &str = "08";

/// Connections of this host that have a port and a state.
fn connections(port: u16, state: &str) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let is_one = |fields: &[&str]| fields[1].ends_with(&port) && fields[3] == state;
    table.lines().filter(|line| is_one(&line.split_whitespace().collect::<Vec<_>>())).count()
}

fn begin_connecting(to: SocketAddr) -> std::os::fd::OwnedFd {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let _ = net::connect(&socket, &to);
    socket
}

/// Connects from an address.
fn connect_from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    net::connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn what_comes_behind_a_request_is_the_first_that_is_carried() {
    let relay = relay(|config| config.turn.tcp = true);
    let (mut control, relayed) = Control::allocate(&relay);
    let peer = SocketAddr::new(FAR.parse().unwrap(), 1);
    let permit = |writer: &mut Writer<'_>| writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    control.ask(Method::CREATE_PERMISSION, permit).unwrap();
    let mut peer = connect_from(FAR, relayed);
    peer.write_all(b"peer speaks first").unwrap();
    let id = connection_id(&control.message());
    let mut client = Control::connect(&relay).bind(id, b"and the client").unwrap();
    let mut buffer = [0; 17];
    client.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"peer speaks first");
    peer.read_exact(&mut buffer[..14]).unwrap();
    assert_eq!(&buffer[..14], b"and the client");
}

#[test]
fn whom_nobody_permits_is_closed() {
    let relay = relay(|config| config.turn.tcp = true);
    let (_control, relayed) = Control::allocate(&relay);
    assert_eq!(read_all(&mut connect_from(FAR, relayed)), b"");
    let dropped = || figures(&relay, "dropped_total", "reason=\"no-permission\"")[0];
    wait_until("it is counted", || dropped() == 1);
}

#[test]
fn who_goes_leaves_no_connection_that_is_being_opened() {
    let relay = relay(|config| config.turn.tcp = true);
    let (mut control, relayed) = Control::allocate(&relay);
    // A listener that takes nobody: what waits to be accepted are two, and others get no answer.
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddr::new(FAR.parse().unwrap(), 0)).unwrap();
    net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..2).map(|_| begin_connecting(address)).collect();
    let opening = || connections(relayed.port(), SYN_SENT);
    let request = control.request(Method::CONNECT, |writer| writer.xor_address(Attribute::XOR_PEER_ADDRESS, address));
    control.stream.write_all(&request).unwrap();
    wait_until("it is being opened", || opening() == 1);
    drop(control);
    wait_until("it is given up", || opening() == 0);
    drop(waiting);
}

#[test]
fn a_relay_does_not_share_the_listeners_port() {
    let four = ports(30..34);
    let listener = four.start() + 1;
    let relay = relay(|config| {
        config.turn.tcp = true;
        config.listen = vec![(Ipv4Addr::LOCALHOST, listener).into()];
        config.ports = four.clone();
    });
    let controls: Vec<_> = (0..3).map(|_| Control::allocate(&relay)).collect();
    let mut relayed: Vec<u16> = controls.iter().map(|(_, relayed)| relayed.port()).collect();
    relayed.sort_unstable();
    assert_eq!(relayed, four.filter(|port| *port != listener).collect::<Vec<_>>());
    let transport = |writer: &mut Writer<'_>| writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&TCP]);
    assert_eq!(Control::connect(&relay).ask(Method::ALLOCATE, transport), Err(508));
}

#[test]
fn relays_connect_to_each_other_by_what_is_told() {
    for told in ["127.0.0.1", "127.0.0.77"] {
        let told: IpAddr = told.parse().unwrap();
        let relay = relay(|config| {
            config.turn.tcp = true;
            config.relays[0].told = told;
        });
        let (mut one, from) = Control::allocate(&relay);
        let (mut other, to) = Control::allocate(&relay);
        assert_eq!([from.ip(), to.ip()], [told; 2]);
        let permit = |writer: &mut Writer<'_>| writer.xor_address(Attribute::XOR_PEER_ADDRESS, from);
        other.ask(Method::CREATE_PERMISSION, permit).unwrap();
        let id = one.connect_to(to).unwrap();
        let attempt = other.message();
        let peer = Message::parse(&attempt).unwrap().get_xor_address(Attribute::XOR_PEER_ADDRESS);
        assert_eq!(peer, Ok(Some(from)));
        let mut one = Control::connect(&relay).bind(id, b"there").unwrap();
        let mut other = Control::connect(&relay).bind(connection_id(&attempt), b"back ").unwrap();
        let mut bytes = [[0; 5]; 2];
        one.read_exact(&mut bytes[0]).unwrap();
        other.read_exact(&mut bytes[1]).unwrap();
        assert_eq!(bytes, [*b"back ", *b"there"]);
    }
}

/// How far two are before one of them goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connected,
    Joined,
    /// Both have sent more than anybody has read.
    Full,
}

/// Comes as far as that, and has one of control, peer and client go, by a reset or a close.
fn come_and_go(relay: &Relay, listener: &TcpListener, stage: Stage, (who, resets): (usize, bool)) {
    let (mut control, _) = Control::allocate(relay);
    let id = control.connect_to(listener.local_addr().unwrap()).unwrap();
    let mut streams = vec![listener.accept().unwrap().0];
    if stage >= Stage::Joined {
        streams.push(Control::connect(relay).bind(id, b"first").unwrap());
    }
    streams.insert(0, control.stream);
    for stream in &mut streams[1..] {
        if stage == Stage::Full {
            stream.set_nonblocking(true).unwrap();
            while stream.write(&[7; 65_536]).is_ok_and(|count| count > 0) {}
        }
    }
    let gone = streams.remove(who.min(streams.len() - 1));
    if resets {
        set_socket_linger(&gone, Some(Duration::ZERO)).unwrap();
    }
    drop(gone);
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn whoever_goes_at_any_time_leaves_nothing() {
    let relay = relay(|config| config.turn.tcp = true);
    let listener = TcpListener::bind((FAR, 0)).unwrap();
    for round in 0..10 {
        for stage in [Stage::Connected, Stage::Joined, Stage::Full] {
            for who in 0..6 {
                come_and_go(&relay, &listener, stage, (who / 2, (who + round) % 2 == 0));
            }
        }
    }
    let port = relay.listeners()[0].port();
    let count = || [ESTABLISHED, CLOSE_WAIT].map(|state| connections(port, state));
    wait_until("all are gone", || figure(&relay, "allocations") == 0 && count() == [0, 0]);
    assert_eq!(figure(&relay, "allocations_total"), 180);
    // It goes on as before.
    let (mut control, _) = Control::allocate(&relay);
    assert!(control.connect_to(listener.local_addr().unwrap()).is_ok());
}
