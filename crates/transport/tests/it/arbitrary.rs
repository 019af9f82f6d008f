//! Whatever bytes come: no panic, and no end but by DTLS itself.

use plenary_transport::{CloseReason, Config, DropReason, DtlsVersions, Fingerprint, Setup};
use plenary_wire::{Datagram, Ecn};
use proptest::prelude::*;

use crate::lab::{A, B, Lab, config};

/// A DTLS record with a fragment of a handshake message, in any order and number.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let fields = (prop::sample::select(vec![1_u8, 2, 3, 11, 12, 14, 16, 20]), 0..4_u8, 0..40_u8, 0..40_u8);
    (fields, any::<[u8; 6]>(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(fields, sequence, body)| {
        let (kind, message, total, offset) = fields;
        let mut bytes = vec![22, 0xfe, 0xfd, 0, 0];
        bytes.extend(sequence);
        bytes.extend((body.len() as u16 + 12).to_be_bytes());
        bytes.extend([kind, 0, 0, total.saturating_add(body.len() as u8), 0, message, 0, 0, offset]);
        bytes.extend([0, 0, body.len() as u8]);
        bytes.extend(body);
        bytes
    })
}

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let any_bytes = prop::collection::vec(any::<u8>(), 0..200);
    let headed = (prop::sample::select(vec![0_u8, 20, 21, 22, 23, 25, 45, 0x80, 0x90]), any_bytes.clone());
    prop_oneof![any_bytes, headed.prop_map(|(first, rest)| [vec![first], rest].concat()), fragment()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// At 0 ms nothing is proven, at 110 the handshake is under way on both sides, at 1000 there are keys.
    #[test]
    fn any_datagram_at_any_stage_is_survived(
        stage in prop::sample::select(vec![0_u64, 110, 160, 1000]),
        datagrams in prop::collection::vec(datagram(), 1..60),
    ) {
        let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
        lab.run(stage);
        for bytes in &datagrams {
            for of in [A, B] {
                let remote = lab.peer(1 - of).local;
                lab.inject(of, remote, bytes);
            }
        }
        lab.run(2000);
        if stage == 1000 {
            prop_assert_eq!((lab.closed(A), lab.closed(B)), (None, None));
            lab.send_rtp(A, 1);
            lab.run(100);
            prop_assert_eq!(lab.peer(B).rtp.len(), 1);
        }
    }

    #[test]
    fn any_line_is_survived(line in "(sha-256|sha-384|SHA-512|)[ -~é]{0,120}") {
        if let Ok(fingerprint) = Fingerprint::parse(&line) {
            prop_assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Ok(fingerprint));
        }
        let _ = Setup::parse(&line);
    }
}

/// A datagram with some bytes of a message of 4 MB of this type, other ones for each number, in so many records.
fn endless(kind: u8, number: usize, records: usize) -> Vec<u8> {
    let part = Config::DATAGRAM_MAX / records - 25;
    let mut bytes = Vec::new();
    for place in number * records..(number + 1) * records {
        bytes.extend([22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0]);
        bytes.extend((place as u16).to_be_bytes());
        bytes.extend((part as u16 + 12).to_be_bytes());
        bytes.extend([kind, 0x40, 0, 0, 0, 1]);
        bytes.extend(&(place as u32 * 1500).to_be_bytes()[1..]);
        bytes.extend(&(part as u32).to_be_bytes()[1..]);
        bytes.extend(vec![7; part]);
    }
    bytes
}

// A peer that ICE has proven, and that never comes to an end with its handshake.
#[test]
fn a_half_open_handshake_holds_little() {
    // In 1.3 nothing in the clear is taken after the hello; with 1.2 it ends when DTLS has no more room.
    for (versions, bytes_max, closed) in [
        (DtlsVersions::Dtls12, 160_000, Some(CloseReason::Handshake)),
        (DtlsVersions::Dtls13, 60_000, None),
        (DtlsVersions::Both, 60_000, None),
    ] {
        for records in [1, 8, 16] {
            let mut a = config(A);
            a.dtls_server = versions;
            let mut lab = Lab::signalled(1, 100, 0, [a, config(B)]);
            lab.run(110);
            let (now, remote) = (lab.sim.now(), lab.peer(B).local);
            let (flow, local) = (lab.peer(A).flow, lab.peer(A).local);
            let mut hello = lab.peer(B).hello.clone().expect("the answerer is the client, and has begun");
            let transport = lab.transport_mut(A);
            let mut give = |bytes: &mut [u8]| {
                let _ = transport.handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes }, now);
            };
            let held = allocation_counter::measure(|| {
                give(&mut hello);
                for number in 0..100 {
                    give(&mut endless(11, number, records)); // a Certificate
                }
            });
            println!("{versions:?}, {records} records in each datagram: at most {} bytes", held.bytes_max);
            assert!(held.bytes_max < bytes_max, "{versions:?}, {records}: {}", held.bytes_max);
            assert_eq!(transport.closed(), closed, "{versions:?}, {records}");
        }
    }
}

// Before that there is no handshake at all: the largest hello, and one byte of it missing for ever.
#[test]
fn a_hello_that_never_ends_holds_little() {
    let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
    lab.run(110);
    let (now, remote) = (lab.sim.now(), lab.peer(B).local);
    let (flow, local) = (lab.peer(A).flow, lab.peer(A).local);
    let transport = lab.transport_mut(A);
    let held = allocation_counter::measure(|| {
        for number in 0..1000 {
            let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0];
            bytes.extend([1, 0, 0x20, 0, 0, 0, 0, 4 * (number % 7) as u8, 0, 0, 4, 0xf4]);
            bytes.resize(25 + 0x4f4, number as u8);
            let ecn = Ecn::NotEct;
            let _ = transport.handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, now);
        }
    });
    println!("a hello that never ends: at most {} bytes", held.bytes_max);
    assert!(held.bytes_max < 20_000, "{}", held.bytes_max);
    assert_eq!((transport.closed(), transport.dropped(DropReason::Dtls)), (None, 0));
}
