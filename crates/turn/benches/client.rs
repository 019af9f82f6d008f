//! What it costs a client to wrap what goes to a peer by a channel.

use std::net::SocketAddr;
use std::time::Instant;

use divan::{Bencher, black_box};
use plenary_stun::{Algorithm, Attribute, Class, Key, Message, Method, Writer};
use plenary_turn::client::{Client, Config};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

const RUN: usize = 32;
const LEN: usize = 1200;

fn main() {
    divan::main();
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client with a channel to `PEER`.
fn client() -> (Client, Instant) {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    let now = Instant::now();
    let (server, local) = (at("198.51.100.1:3478"), at("192.0.2.1:4000"));
    let config = Config {
        server,
        local,
        username: "user".into(),
        password: "secret".into(),
        channel_after: 0,
        ..Config::default()
    };
    let mut client = Client::new(config, now).unwrap();
    let key = Key::long_term(b"user", b"turn", b"secret", Algorithm::Sha1);
    let mut out = Vec::new();
    for step in 0..3 {
        if step == 2 {
            client.bind(at("203.0.113.9:7000"), now).unwrap();
        }
        while client.poll_transmit(now, Limit::DATAGRAM, &mut out).is_some() {
            let asked = Message::parse(&out).unwrap();
            let mut answer = Vec::new();
            let class = if step == 0 { Class::Error } else { Class::Success };
            let mut writer = Writer::new(class, asked.method(), asked.transaction(), &mut answer);
            if step == 0 {
                writer.error_code(plenary_stun::ErrorCode::UNAUTHENTICATED, "");
                writer.attribute(Attribute::REALM, &[b"turn"]);
                writer.attribute(Attribute::NONCE, &[b"nonce"]);
            } else if asked.method() == Method::ALLOCATE {
                writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, at("198.51.100.1:50000"));
                writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, local);
                writer.attribute(Attribute::LIFETIME, &[&600u32.to_be_bytes()]);
            }
            if step > 0 {
                writer.integrity(&key, Algorithm::Sha1);
            }
            let datagram = Datagram { flow: FlowId(0), local, remote: server, ecn: Ecn::NotEct, bytes: &mut answer };
            let _ = client.handle_datagram(datagram, now);
            out.clear();
            if step == 0 {
                break;
            }
        }
    }
    assert_eq!(client.wrap(at("203.0.113.9:7000"), LEN, now).unwrap().head.as_bytes().len(), 4, "a channel");
    (client, now)
}

/// 32 datagrams of 1,200 bytes, each by itself.
#[divan::bench]
fn one_by_one(bencher: Bencher<'_, '_>) {
    let (mut client, now) = client();
    let mut out = Vec::with_capacity(RUN * (LEN + 100));
    bencher.bench_local(move || {
        out.clear();
        for _ in 0..RUN {
            let start = out.len();
            out.resize(start + LEN, 7);
            let envelope = client.wrap(at("203.0.113.9:7000"), LEN, now).unwrap();
            out.splice(start..start, envelope.head.as_bytes().iter().copied());
        }
        black_box(out.len());
    });
}

/// The same as one run.
#[divan::bench]
fn run(bencher: Bencher<'_, '_>) {
    let (mut client, now) = client();
    let mut out = Vec::with_capacity(RUN * (LEN + 100));
    let peer = at("203.0.113.9:7000");
    bencher.bench_local(move || {
        out.clear();
        out.resize(RUN * LEN, 7);
        let range = 0..out.len();
        let run = Transmit { flow: FlowId(0), local: peer, remote: peer, range, segment: LEN, ecn: Ecn::NotEct };
        black_box(client.wrap_run(run, now, &mut out).unwrap());
    });
}
