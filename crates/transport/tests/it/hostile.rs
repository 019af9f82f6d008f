//! What strangers and liars can do.

use std::net::SocketAddr;

use plenary_transport::{
    CloseReason, Config, ConfigError, DropReason, DtlsVersions, Error, HashFunction, Parameters, Setup, Transport,
};

use crate::lab::{A, B, Lab, certificate, config, lite_config, ms, rtp};

#[test]
fn a_wrong_fingerprint_ends_it_before_any_media() {
    for (versions, setup, told) in [
        (DtlsVersions::Dtls12, Setup::Active, Some(CloseReason::Alert(42))),
        (DtlsVersions::Dtls12, Setup::Passive, Some(CloseReason::Alert(42))),
        (DtlsVersions::Dtls13, Setup::Active, Some(CloseReason::Peer)),
        (DtlsVersions::Dtls13, Setup::Passive, None), // a server of 1.3 reads nothing in the clear any more
    ] {
        let [mut a, mut b] = [config(A), config(B)];
        for it in [&mut a, &mut b] {
            (it.dtls_client, it.dtls_server) = (versions, versions);
        }
        b.setup = setup;
        let mut lab = Lab::new(1, 50, 0, [a, b]);
        let now = lab.sim.now();
        lab.tell(A, B);
        // The signalling said that B is someone else.
        let known = lab.transport(B).local_parameters();
        let lie = Parameters { fingerprints: vec![certificate(2).fingerprint(HashFunction::Sha256)], ..known };
        lab.transport_mut(A).set_remote(lie, now).unwrap();
        lab.run(500);
        assert_eq!(lab.closed(A), Some(CloseReason::Fingerprint), "{versions:?}, {setup:?}");
        assert!(lab.connected(A).is_none());
        let mut packet = [rtp(1), vec![0; 16]].concat();
        assert_eq!(lab.transport_mut(A).protect_rtp(&mut packet, None), Err(Error::Closed));
        let remote = lab.peer(B).local;
        lab.inject(A, remote, &packet);
        assert_eq!(lab.peer(A).dropped.last(), Some(&DropReason::Closed));
        assert!(lab.peer(A).rtp.is_empty());
        assert_eq!(lab.transport(A).peer_certificate(), None);
        assert_eq!(lab.closed(B), told, "{versions:?}, {setup:?}");
    }
}

#[test]
fn media_before_keys_is_dropped_and_counted() {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        for setup in [Setup::Active, Setup::Passive] {
            let [mut a, mut b] = [config(A), config(B)];
            for it in [&mut a, &mut b] {
                (it.dtls_client, it.dtls_server) = (versions, versions);
            }
            b.setup = setup;
            let mut lab = Lab::signalled(1, 100, 0, [a, b]);
            let mut before = [0; 2];
            while lab.keys_after().is_none() {
                for of in [A, B] {
                    let remote = lab.peer(1 - of).local;
                    if lab.connected(of).is_none() && lab.transport(of).ice().is_proven(lab.peer(of).flow, remote) {
                        lab.inject(of, remote, &rtp(before[of] as u16));
                        lab.inject(of, remote, &[0x80, 201, 0, 1, 0, 0, 0, 9]);
                        before[of] += 2;
                    }
                }
                lab.run(5);
            }
            for of in [A, B] {
                assert!(before[of] >= 40, "{before:?}");
                assert_eq!(lab.transport(of).dropped(DropReason::NoKeys), before[of], "{versions:?}, {setup:?}");
                assert!(lab.peer(of).rtp.is_empty() && lab.peer(of).rtcp.is_empty());
            }
        }
    }
}

// Whose handshake ends first may send at once: what overtakes its last flight, with the certificate of a 1.3 client in
// it, is not taken before that has come.
#[test]
fn media_that_overtakes_the_last_flight_is_not_taken() {
    for (versions, first, second) in [(DtlsVersions::Dtls12, A, B), (DtlsVersions::Dtls13, B, A)] {
        let configs = [A, B].map(|of| {
            let mut config = config(of);
            (config.dtls_client, config.dtls_server) = (versions, versions);
            config
        });
        let mut lab = Lab::new(1, 100, 0, configs);
        lab.peer_mut(first).loses = Some(1); // its second flight is its last
        lab.signal();
        while lab.connected(first).is_none() {
            lab.run(5);
        }
        lab.send_rtp(first, 1);
        lab.run(60);
        assert!(lab.connected(second).is_none() && lab.transport(second).profile().is_none());
        assert_eq!(lab.transport(second).dropped(DropReason::NoKeys), 1, "{versions:?}");
        let remote = lab.peer(first).local;
        let mut packet = [rtp(1), vec![0; 16]].concat();
        assert_eq!(lab.transport_mut(second).protect_rtp(&mut packet, None), Err(Error::NoKeys));
        lab.inject(second, remote, &packet);
        assert_eq!(lab.transport(second).peer_certificate().is_some(), second == B, "the server's came before");
        lab.run(1000);
        assert!(lab.connected(second).is_some());
        lab.send_rtp(first, 2);
        lab.run(60);
        assert_eq!(lab.peer(second).rtp, [rtp(2)]);
    }
}

#[test]
fn what_comes_from_elsewhere_is_dropped_whatever_it_is() {
    let mut lab = Lab::plain();
    let stranger: SocketAddr = "203.0.113.9:9".parse().unwrap();
    let hello = lab.peer(A).came.iter().find(|it| it[0] == 22).cloned().expect("the answerer is the client");
    lab.send_rtp(A, 1);
    lab.run(100);
    let packet = lab.peer(B).came.iter().rfind(|it| it[0] == 0x80).cloned().unwrap();
    // The second time right after the peer itself, whose address is remembered.
    let remote = lab.peer(A).local;
    for from in [stranger, remote, stranger] {
        lab.inject(B, from, &packet);
    }
    lab.inject(A, stranger, &hello);
    assert_eq!(lab.transport(B).dropped(DropReason::Unproven), 2);
    assert_eq!(lab.transport(B).dropped(DropReason::Srtp(plenary_srtp::DropReason::Replayed)), 1);
    assert_eq!(lab.transport(A).dropped(DropReason::Unproven), 1);
    lab.run(1000);
    assert_eq!(lab.peer(B).rtp.len(), 1);
}

#[test]
fn forged_and_replayed_datagrams_change_nothing() {
    let mut lab = Lab::plain();
    lab.send_rtp(A, 1);
    lab.run(100);
    let genuine: Vec<_> = lab.peer(B).came.clone();
    // Everything that was heard, once more, as it was and with each of a few bits flipped.
    for bytes in &genuine {
        lab.forge(A, bytes);
        for place in [0, 1, 3, 11, 12, 13, 20, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            let place = place.min(bytes.len() - 1);
            bytes[place] ^= 0x15;
            lab.forge(A, &bytes);
        }
        lab.run(20);
    }
    // An alert in the clear, which anybody can write: close and fatal.
    for alert in [[1, 0], [2, 40], [2, 0]] {
        let record = [&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2][..], &alert].concat();
        lab.forge(A, &record);
    }
    lab.forge(A, &[]);
    lab.forge(A, &[0x17]);
    lab.forge(A, &[70, 0, 0, 0]);
    lab.run(1000);
    assert_eq!(lab.closed(B), None);
    assert_eq!(lab.peer(B).rtp.len(), 1, "the replay is dropped");
    lab.send_rtp(A, 2);
    lab.run(100);
    assert_eq!(lab.peer(B).rtp.len(), 2);
    assert!(lab.transport(B).dropped(DropReason::Srtp(plenary_srtp::DropReason::Replayed)) >= 1);
    assert!(lab.transport(B).dropped(DropReason::Srtp(plenary_srtp::DropReason::NotAuthentic)) >= 1);
    assert!(lab.transport(B).dropped(DropReason::Kind) >= 1);
}

/// A record whose sender has no keys: any content type, epoch and number, and a body that may mean something.
fn forged_record(number: usize) -> Vec<u8> {
    let (kind, epoch) = (20 + (number % 7) as u8, (number / 7 % 4) as u8);
    let handshake = |kind, message| {
        let mut bytes = vec![kind, 0, 0, 20, 0, message, 0, 0, 0, 0, 0, 20];
        bytes.extend([7; 20]);
        bytes
    };
    let body = match number / 28 % 8 {
        0 => vec![1],
        1 => vec![1, 0],
        2 => vec![2, 40],
        3 => handshake(1, 0),
        4 => handshake(20, 9),
        5 => handshake(24, 3),
        6 => vec![7; 40],
        _ => Vec::new(),
    };
    let mut bytes = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, (number >> 8) as u8, number as u8];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    if number.is_multiple_of(5) {
        bytes[0] = 0b0010_1100 | epoch; // a header of 1.3
    }
    bytes
}

#[test]
fn records_that_a_stranger_can_write_end_nothing() {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        let configs = [A, B].map(|of| {
            let mut config = config(of);
            (config.dtls_client, config.dtls_server) = (versions, versions);
            config
        });
        let mut lab = Lab::signalled(1, 50, 0, configs);
        lab.run(1000);
        for number in 0..1000 {
            for of in [A, B] {
                let remote = lab.peer(1 - of).local;
                lab.inject(of, remote, &forged_record(number));
            }
        }
        lab.run(60_000);
        lab.send_rtp(A, 1);
        lab.send_rtp(B, 1);
        lab.run(100);
        for of in [A, B] {
            assert_eq!(lab.closed(of), None, "{versions:?}, {of}");
            assert_eq!(lab.peer(of).rtp.len(), 1, "{versions:?}, {of}");
            let dtls = lab.peer(of).written.iter().filter(|(_, first, _)| *first >= 4).count();
            assert!(dtls < 30, "{versions:?}, {of}: {dtls} datagrams in answer to 1000");
        }
        let now = lab.sim.now();
        lab.transport_mut(A).close(now);
        lab.run(100);
        assert_eq!(lab.closed(B), Some(CloseReason::Peer), "the association goes on");
    }
}

// Nothing but STUN is answered before ICE has proven the address, and what is kept is bounded.
#[test]
fn a_flood_before_ice_is_done_is_not_answered_and_holds_little() {
    let mut lab = Lab::new(1, 50, 0, [config(A), config(B)]);
    let hello = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x8c, 1][..], &[7; 1200]].concat();
    let answered = lab.peer(A).written.len();
    for number in 0..10_000_u32 {
        let stranger = SocketAddr::from((number.to_be_bytes(), 1000));
        lab.inject(A, stranger, &hello);
        lab.inject(A, stranger, &rtp(number as u16));
    }
    assert_eq!(lab.transport(A).dropped(DropReason::Early), 10_000 - 8);
    assert_eq!(lab.transport(A).dropped(DropReason::Unproven), 10_000);
    lab.run(1000);
    assert_eq!(lab.peer(A).written.len(), answered);
    // It does not keep the peer away either: only its retransmission is needed.
    lab.signal();
    lab.run(2000);
    assert!(lab.keys_after().is_some());
    assert_eq!(lab.transport(A).dropped(DropReason::Early), 10_000 - 8);
    assert_eq!(lab.transport(A).dropped(DropReason::Unproven), 10_000 + 8);
}

#[test]
fn a_datagram_of_dtls_that_comes_before_the_path_is_kept() {
    // B hears of A late: until then it can't know that A's hello, which comes at 75 ms, is A's.
    let mut a = config(A);
    a.setup = Setup::Active;
    let mut lab = Lab::new(1, 50, 0, [a, config(B)]);
    lab.tell(B, A);
    lab.run(80);
    assert_eq!(lab.peer(B).came.iter().filter(|it| it[0] == 22).count(), 1);
    lab.tell(A, B);
    lab.run(1000);
    let hellos = lab.peer(B).came.iter().filter(|it| it[0] == 22 && it[13] == 1).count();
    let keys = lab.keys_after().expect("they connect");
    println!("hellos {hellos}, keys after {keys:?}");
    assert_eq!(lab.transport(B).dropped(DropReason::Early), 0);
    assert!(keys <= ms(250), "{keys:?}");
}

// A lite agent has a path as soon as it is told of one, and may hear of the peer's certificate much later.
#[test]
fn a_hello_that_comes_before_the_description_is_kept() {
    let mut lab = Lab::new(1, 50, 0, [config(A), lite_config(B)]);
    lab.tell(B, A);
    let now = lab.sim.now();
    let offer = lab.transport(B).local_parameters();
    lab.transport_mut(A).set_remote(Parameters { setup: Setup::Passive, ..offer }, now).unwrap();
    lab.run(200);
    assert!(lab.transport(B).path().is_some());
    assert!(lab.peer(B).came.iter().filter(|it| it[0] == 22).count() >= 1);
    lab.tell(A, B);
    lab.run(80);
    assert!(lab.keys_after().is_some(), "without a retransmission");
    assert!(lab.peer(B).dropped.is_empty(), "{:?}", lab.peer(B).dropped);
}

/// The hello of a client that has cipher suites for RSA certificates only.
fn rsa_hello() -> Vec<u8> {
    let extensions = [
        0, 10, 0, 4, 0, 2, 0, 23, // supported groups: P-256
        0, 11, 0, 2, 1, 0, // point formats
        0, 13, 0, 4, 0, 2, 4, 1, // signature algorithms: rsa_pkcs1_sha256
        0, 14, 0, 5, 0, 2, 0, 7, 0, // use_srtp
        0, 23, 0, 0, // extended master secret
    ];
    let mut body = vec![0xfe, 0xfd];
    body.extend([7; 32]);
    body.extend([0, 0, 0, 4, 0xc0, 0x2f, 0xc0, 0x30, 1, 0, 0, extensions.len() as u8]);
    body.extend(extensions);
    let length = body.len() as u8;
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, length + 12];
    record.extend([1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length]);
    record.extend(body);
    record
}

#[test]
fn a_peer_with_rsa_only_ends_with_a_reason() {
    // As a client: it offers nothing that goes with our certificate.
    let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
    lab.run(110);
    let remote = lab.peer(B).local;
    lab.inject(A, remote, &rsa_hello());
    lab.run(1);
    assert_eq!(lab.closed(A), Some(CloseReason::NoCommonCipher));
    lab.run(100);
    assert!(lab.peer(B).came.iter().any(|it| it[0] == 21 && it[13..] == [2, 40]), "handshake_failure");
    // As a server: it answers our hello with the alert handshake_failure.
    let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
    lab.run(110);
    let remote = lab.peer(A).local;
    lab.inject(B, remote, &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]);
    lab.run(1);
    assert_eq!(lab.closed(B), Some(CloseReason::Alert(40)));
}

#[test]
fn a_configuration_out_of_range_is_named() {
    let now = Lab::plain().sim.now();
    let refused = |change: fn(&mut Config)| {
        let mut config = config(A);
        change(&mut config);
        Transport::new(config, now).unwrap_err()
    };
    assert_eq!(refused(|it| it.handshake_timeout = ms(999)), ConfigError::HandshakeTimeout);
    assert_eq!(refused(|it| it.retransmit = ms(9)), ConfigError::Retransmit);
    assert_eq!(refused(|it| it.early_datagrams_max = 65), ConfigError::EarlyDatagrams);
    assert_eq!(refused(|it| it.ice.pacing = ms(1)), ConfigError::Ice(plenary_ice::ConfigError::Pacing));
    assert_eq!(refused(|it| it.srtp_receiver.window = 1), ConfigError::Srtp(plenary_srtp::ConfigError::Window));
}
