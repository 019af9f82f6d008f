//! What a datagram costs, without the sockets: data on its four ways, and what strangers and users ask for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use plenary_stun::{Algorithm, Attribute, Class, Key, Message, Method, TransactionId, Writer};
use plenary_turn::{Bound, Config, Event, Handled, Keys, Server, User};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

const LISTENER: FlowId = FlowId(0);
const CLIENTS: u16 = 1000;
const PEER: &str = "9.9.9.9:7000";

fn main() {
    divan::main();
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A server with 1,000 clients that have a channel and a permission each.
struct Loaded {
    server: Server,
    now: Instant,
    clients: Vec<(SocketAddr, FlowId, SocketAddr)>,
    nonce: Vec<u8>,
}

impl Loaded {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
        let now = Instant::now();
        let keys = Keys::from_password(b"user", b"turn", b"secret");
        let config = Config {
            unix_time: Duration::from_secs(1_700_000_000),
            users: vec![User { name: b"user".to_vec(), keys }],
            allocations_per_user_max: 10_000,
            allocations_per_address_max: 10_000,
            unauthenticated_per_second: 60_000,
            ..Config::default()
        };
        let mut server = Server::new(config, now).unwrap();
        server.listen(LISTENER, at("8.8.4.4:3478")).unwrap();
        let mut loaded = Self { server, now, clients: Vec::new(), nonce: Vec::new() };
        for number in 0..CLIENTS {
            loaded.add(number);
        }
        loaded
    }

    fn add(&mut self, number: u16) {
        let client = SocketAddr::from(([5, 5, (number >> 8) as u8, number as u8], 5000));
        let challenge = self.ask(
            client,
            &mut request(Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&[17, 0, 0, 0]]);
            }),
        );
        self.nonce = Message::parse(&challenge).unwrap().get(Attribute::NONCE).unwrap().to_vec();
        let mut allocate = self.signed(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&[17, 0, 0, 0]]);
        });
        let _ = self.receive(LISTENER, client, &mut allocate);
        let flow = FlowId(1 + u32::from(number));
        let local = SocketAddr::from(([8, 8, 4, 4], 50_000 + number));
        while let Some(event) = self.server.poll_event() {
            if let Event::Bind { request, .. } = event {
                let bound = Bound { flow, local, relayed: local, next: None };
                let _ = self.server.handle_bound(request, Ok(bound), self.now);
            }
        }
        self.clients.push((client, flow, local));
        self.answer();
        let bind = &mut self.signed(Method::CHANNEL_BIND, |writer| {
            writer.attribute(Attribute::CHANNEL_NUMBER, &[&[0x40, 0, 0, 0]]);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, at(PEER));
        });
        self.ask(client, bind);
        let permit = &mut self.signed(Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, at("9.9.9.8:1"));
        });
        self.ask(client, permit);
    }

    fn signed(&self, method: Method, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        request(method, |writer| {
            write(writer);
            writer.attribute(Attribute::USERNAME, &[b"user"]);
            writer.attribute(Attribute::REALM, &[b"turn"]);
            writer.attribute(Attribute::NONCE, &[&self.nonce]);
            writer.integrity(&Key::long_term(b"user", b"turn", b"secret", Algorithm::Sha1), Algorithm::Sha1);
        })
    }

    fn receive<'d>(&mut self, flow: FlowId, remote: SocketAddr, bytes: &'d mut [u8]) -> Handled<'d> {
        let local = at("8.8.4.4:3478");
        self.server.handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes }, self.now)
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.server.poll_transmit(self.now, Limit::DATAGRAM, &mut out).unwrap();
        out
    }

    fn ask(&mut self, client: SocketAddr, bytes: &mut [u8]) -> Vec<u8> {
        assert_eq!(self.receive(LISTENER, client, bytes), Handled::Consumed);
        self.answer()
    }
}

fn request(method: Method, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::new(Class::Request, method, TransactionId([1; 12]), &mut out));
    out
}

/// Each call is one datagram of another client, or of the same.
fn relay(bencher: Bencher<'_, '_>, apart: usize, from_client: bool, mut bytes: Vec<u8>, peer: &str) {
    let mut loaded = Loaded::new();
    let (peer, mut number) = (at(peer), 0);
    bencher.bench_local(move || {
        number = (number + apart) % loaded.clients.len();
        let (client, flow, _) = loaded.clients[number];
        let (flow, from) = if from_client { (LISTENER, client) } else { (flow, peer) };
        let handled = loaded.receive(flow, from, black_box(&mut bytes));
        assert!(matches!(black_box(handled), Handled::Relay(_)));
    });
}

fn channel_data() -> Vec<u8> {
    [&[0x40, 0, 0, 200][..], &[7; 200]].concat()
}

#[divan::bench(sample_size = 1000)]
fn channel_to_peer_of_one_client(bencher: Bencher<'_, '_>) {
    relay(bencher, 0, true, channel_data(), PEER);
}

#[divan::bench(sample_size = 1000)]
fn channel_to_peer_of_1000_clients_in_turn(bencher: Bencher<'_, '_>) {
    relay(bencher, 379, true, channel_data(), PEER);
}

#[divan::bench(sample_size = 1000)]
fn peer_to_channel_of_1000_clients_in_turn(bencher: Bencher<'_, '_>) {
    relay(bencher, 379, false, vec![7; 200], PEER);
}

#[divan::bench(sample_size = 1000)]
fn peer_to_indication_of_1000_clients_in_turn(bencher: Bencher<'_, '_>) {
    relay(bencher, 379, false, vec![7; 200], "9.9.9.8:1");
}

#[divan::bench(sample_size = 1000)]
fn indication_to_peer_of_1000_clients_in_turn(bencher: Bencher<'_, '_>) {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([1; 12]), &mut bytes);
    writer.xor_address(Attribute::XOR_PEER_ADDRESS, at(PEER));
    writer.attribute(Attribute::DATA, &[&[7; 200]]);
    relay(bencher, 379, true, bytes, PEER);
}

/// A 401 to a stranger, with the answer.
#[divan::bench(sample_size = 100)]
fn challenge(bencher: Bencher<'_, '_>) {
    let mut loaded = Loaded::new();
    let mut bytes =
        request(Method::ALLOCATE, |writer| writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&[17, 0, 0, 0]]));
    let (mut number, mut out) = (0_u32, Vec::new());
    bencher.bench_local(move || {
        number = number.wrapping_add(0x0101_0101);
        out.clear();
        let from = SocketAddr::from((number.to_be_bytes(), 5000));
        let handled = loaded.receive(LISTENER, from, black_box(&mut bytes));
        assert_eq!(handled, Handled::Consumed);
        black_box(loaded.server.poll_transmit(loaded.now, Limit::DATAGRAM, &mut out)).unwrap();
    });
}

/// A Refresh of a user, with the answer.
#[divan::bench(sample_size = 100)]
fn refresh(bencher: Bencher<'_, '_>) {
    let mut loaded = Loaded::new();
    let mut bytes = loaded.signed(Method::REFRESH, |_| ());
    let (client, mut out) = (loaded.clients.last().unwrap().0, Vec::new());
    bencher.bench_local(move || {
        out.clear();
        assert_eq!(loaded.receive(LISTENER, client, black_box(&mut bytes)), Handled::Consumed);
        black_box(loaded.server.poll_transmit(loaded.now, Limit::DATAGRAM, &mut out)).unwrap();
    });
}
