#![no_main]

// The first byte chooses. Even: a story between a client and a server, as the crate's own tests tell them. Odd: what a
// server says, as pieces with two bytes before each: how long it is, and whether it is raw, a response, or a signed one,
// with the piece for its attributes.

#[allow(dead_code, reason = "its tests need more of it")]
#[path = "../../crates/turn/tests/it/client_operations.rs"]
mod client_operations;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use plenary_stun::{Algorithm, Attribute, Class, Key, Message, Method, TransactionId, Writer};
use plenary_turn::client::{Client, Config, Deframer, Handled};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

const REALM: &[u8] = b"example.org";

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((first, rest)) if first % 2 == 0 => client_operations::run(rest),
        Some((_, rest)) => hostile_server(rest),
        None => {}
    }
});

/// Whatever the server says: limits hold, time goes on, and data lies within what came.
fn hostile_server(mut input: &[u8]) {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
    let mut now = Instant::now();
    let (server, local) = (SocketAddr::from(([192, 0, 2, 9], 3478)), SocketAddr::from(([192, 0, 2, 1], 4000)));
    let config = Config {
        server,
        local,
        username: "user".into(),
        password: "secret".into(),
        channel_after: 0,
        ..Config::default()
    };
    let mut client = Client::new(config, now).expect("in range");
    let key = Key::long_term(b"user", REALM, b"secret", Algorithm::Sha1);
    let mut deframer = Deframer::new(1500);
    let mut asked = (Method::ALLOCATE, TransactionId([0; 12]));
    let (mut pieces, mut sent) = (0, 0);
    while let [len, kind, rest @ ..] = input {
        let (piece, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        (input, pieces) = (rest, pieces + 1);
        let mut out = Vec::new();
        while client.poll_transmit(now, Limit::DATAGRAM, &mut out).is_some() {
            let message = Message::parse(&out).expect("a client writes messages");
            if message.class() == Class::Request {
                asked = (message.method(), message.transaction());
            }
            sent += 1;
            out.clear();
        }
        let mut bytes = if kind % 4 == 0 { piece.to_vec() } else { respond(asked, kind % 4, piece, &key) };
        let mut stream = &bytes[..];
        while let Ok(Some(frame)) = deframer.take(&mut stream) {
            assert!(frame.len() <= 1500);
        }
        let len = bytes.len();
        let datagram = Datagram { flow: FlowId(0), local, remote: server, ecn: Ecn::NotEct, bytes: &mut bytes };
        if let Handled::Data { peer, bytes } = client.handle_datagram(datagram, now) {
            assert!(bytes.len() + 4 <= len && client.allocated().is_some(), "{peer}");
        }
        // It may be refused.
        let _ = client.send(SocketAddr::from(([192, 0, 2, 80], u16::from(*kind))), piece, now, &mut out);
        while client.poll_event().is_some() {}
        now += Duration::from_millis(u64::from(kind / 4) * 500);
        client.handle_timeout(now);
        assert!(client.poll_timeout().is_none_or(|due| due > now), "time stands still");
    }
    // Each answer leads to no more than what the tables hold.
    assert!(sent <= 40 * (pieces + 1), "{sent} requests after {pieces} answers");
}

fn respond((method, transaction): (Method, TransactionId), kind: u8, piece: &[u8], key: &Key<'_>) -> Vec<u8> {
    let class = if kind == 3 { Class::Success } else { Class::Error };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(class, method, transaction, &mut bytes);
    if kind == 2 {
        writer.attribute(Attribute::REALM, &[REALM]);
    }
    let mut attributes = piece;
    while let [high, low, len, rest @ ..] = attributes {
        let (value, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        writer.attribute(Attribute(u16::from_be_bytes([*high, *low])), &[value]);
        attributes = rest;
    }
    if kind == 3 || piece.len() % 2 == 1 {
        writer.integrity(key, Algorithm::Sha1);
    }
    bytes
}
