//! Media, restarts and ends.

use plenary_ice::{Failed, State};
use plenary_transport::{CloseReason, DtlsVersions, Error, Event, Parameters, Setup};

use crate::lab::{A, B, Lab, certificate, config, lite_config, rtp};

#[test]
fn media_flows_both_ways_and_comes_back_in_the_clear() {
    let mut lab = Lab::plain();
    for of in [A, B] {
        for sequence in 1..=10 {
            lab.send_rtp(of, sequence);
        }
        lab.send_rtcp(of);
    }
    lab.run(100);
    for of in [A, B] {
        let expected: Vec<_> = (1..=10).map(rtp).collect();
        assert_eq!(lab.peer(of).rtp, expected);
        assert_eq!(lab.peer(of).rtcp, [[0x80, 201, 0, 1, 0, 0, 0, 9]]);
        // What was on the wire was not in the clear.
        assert!(lab.peer(of).came.iter().all(|it| !it.windows(7).any(|window| window == b"a frame")));
        assert_eq!(lab.transport(of).peer_certificate(), Some(certificate(1 - of).der()));
    }
}

#[test]
fn media_can_not_be_sent_before_keys_or_without_a_path() {
    let mut lab = Lab::new(1, 50, 0, [config(A), config(B)]);
    let mut packet = [rtp(1), vec![0; 16]].concat();
    assert_eq!(lab.transport_mut(A).protect_rtp(&mut packet, None), Err(Error::NoKeys));
    lab.signal();
    lab.run(1000);
    // 30 s of silence: the peer no longer consents (RFC 7675 §5.1).
    lab.cut();
    lab.run(40_000);
    assert_eq!(lab.transport_mut(A).protect_rtp(&mut packet, Some(1)), Err(Error::NoPath));
    assert_eq!(lab.transport(A).path(), None);
    assert_eq!(lab.closed(A), None, "ICE may restart");
}

// The trap: some clients send no STUN while media flows, and a server that waits for it goes silent.
#[test]
fn a_lite_server_lives_by_authentic_media_alone() {
    for rtcp in [false, true] {
        let mut lab = Lab::signalled(1, 50, 0, [config(A), lite_config(B)]);
        lab.run(1000);
        let remote = lab.peer(A).local;
        let packets: Vec<_> = (1..=60)
            .map(|number| {
                let peer = &mut lab.peer_mut(A).transport;
                let mut packet = if rtcp { vec![0x80, 201, 0, 1, 0, 0, 0, 9] } else { rtp(number) };
                let profile = peer.profile().unwrap();
                let overhead = if rtcp { profile.rtcp_overhead() } else { profile.rtp_overhead() };
                packet.resize(packet.len() + overhead, 0);
                if rtcp { peer.protect_rtcp(&mut packet) } else { peer.protect_rtp(&mut packet, None) }.unwrap();
                packet
            })
            .collect();
        lab.cut();
        for packet in &packets {
            lab.run(1000);
            lab.inject(B, remote, packet);
            assert_eq!(lab.transport(B).ice().state(), State::Completed, "RTCP {rtcp}");
            assert_eq!(lab.transport(B).path().map(|path| path.remote), Some(remote));
        }
        // What anybody could have recorded is no sign of life.
        for packet in &packets[..31] {
            lab.run(1000);
            lab.inject(B, remote, packet);
        }
        assert_eq!(lab.transport(B).ice().state(), State::Failed(Failed::ConsentExpired), "RTCP {rtcp}");
        assert_eq!(lab.transport(B).path(), None);
    }
}

#[test]
fn a_restart_of_ice_keeps_dtls_and_media_flows_on() {
    let mut lab = Lab::plain();
    let before = lab.transport(A).local_parameters();
    lab.send_rtp(A, 1);
    let now = lab.sim.now();
    lab.transport_mut(A).restart(now);
    lab.send_rtp(A, 2); // on the path of before
    lab.signal();
    let after = lab.transport(A).local_parameters();
    assert_ne!(after.ice.credentials, before.ice.credentials);
    assert_eq!(after.fingerprints, before.fingerprints);
    for sequence in 3..30 {
        lab.send_rtp(A, sequence);
        lab.run(10);
    }
    lab.run(100);
    assert_eq!(lab.peer(B).rtp.len(), 29);
    for of in [A, B] {
        let connected = lab.events.iter().filter(|(_, whose, it)| *whose == of && matches!(it, Event::Connected(_)));
        assert_eq!(connected.count(), 1);
        assert_eq!(lab.closed(of), None);
    }
}

// An offer that says `actpass` again leaves the roles as they are; another certificate or role needs another transport.
#[test]
fn a_new_description_may_not_change_who_the_peer_is() {
    let mut lab = Lab::plain();
    let now = lab.sim.now();
    let known = lab.transport(B).local_parameters();
    assert_eq!(known.setup, Setup::Active);
    let again = Parameters { setup: Setup::ActPass, ..known.clone() };
    assert!(lab.transport_mut(A).set_remote(again, now).is_ok());
    let other_role = Parameters { setup: Setup::Passive, ..known.clone() };
    assert_eq!(lab.transport_mut(A).set_remote(other_role, now), Err(Error::NewAssociation));
    let hash = plenary_transport::HashFunction::Sha256;
    let other = Parameters { fingerprints: vec![certificate(2).fingerprint(hash)], ..known.clone() };
    assert_eq!(lab.transport_mut(A).set_remote(other, now), Err(Error::NewAssociation));
    let none = Parameters { fingerprints: vec![], ..known.clone() };
    assert_eq!(lab.transport_mut(A).set_remote(none, now), Err(Error::NoFingerprint));
    let many = Parameters { fingerprints: vec![known.fingerprints[0]; 17], ..known };
    assert_eq!(lab.transport_mut(A).set_remote(many, now), Err(Error::Fingerprints));
    lab.send_rtp(A, 1);
    lab.run(100);
    assert_eq!(lab.peer(B).rtp.len(), 1);
}

#[test]
fn a_goodbye_ends_both_sides() {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        for from in [A, B] {
            let configs = [A, B].map(|of| {
                let mut config = config(of);
                (config.dtls_client, config.dtls_server) = (versions, versions);
                config
            });
            let mut lab = Lab::signalled(2, 50, 0, configs);
            lab.run(1000);
            let now = lab.sim.now();
            lab.transport_mut(from).close(now);
            let mut packet = [rtp(1), vec![0; 16]].concat();
            assert_eq!(lab.transport_mut(from).protect_rtp(&mut packet, None), Err(Error::Closed));
            lab.run(30);
            assert_eq!(lab.closed(from), Some(CloseReason::Local), "{versions:?}");
            assert_eq!(lab.closed(1 - from), Some(CloseReason::Peer), "{versions:?}");
            let sent = lab.peer(1 - from).written.len();
            lab.run(60_000);
            assert!(lab.peer(1 - from).written.len() <= sent + 1, "nothing is sent after the end");
        }
    }
}

#[test]
fn a_transport_that_is_closed_early_says_nothing() {
    let mut lab = Lab::signalled(2, 50, 0, [config(A), config(B)]);
    let now = lab.sim.now();
    lab.transport_mut(A).close(now);
    lab.run(1000);
    assert_eq!(lab.closed(A), Some(CloseReason::Local));
    assert!(lab.peer(A).written.is_empty());
    assert_eq!(lab.transport(A).poll_timeout(), None);
}

#[test]
fn a_peer_without_a_version_in_common_is_told() {
    let [mut a, mut b] = [config(A), config(B)];
    b.dtls_client = DtlsVersions::Dtls12;
    a.dtls_server = DtlsVersions::Dtls13;
    let mut lab = Lab::signalled(2, 50, 0, [a, b]);
    lab.run(200);
    assert_eq!(lab.closed(A), Some(CloseReason::NoCommonCipher), "the client has not the server's version");
    assert_eq!(lab.closed(B), Some(CloseReason::Alert(40)));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let mut b = config(B);
    b.handshake_timeout = std::time::Duration::from_secs(5);
    let mut lab = Lab::new(2, 50, 0, [config(A), b]);
    lab.signal();
    lab.peer_mut(A).mute = true;
    lab.run(5040);
    assert_eq!(lab.closed(B), None);
    lab.run(20);
    assert_eq!(lab.closed(B), Some(CloseReason::HandshakeTimeout));
}

// The trap: `dimpl` begins to count when the hello comes, which here never does.
#[test]
fn a_client_that_never_speaks_is_given_up() {
    let mut lab = Lab::new(2, 50, 0, [config(A), config(B)]);
    lab.signal();
    lab.peer_mut(B).mute = true;
    lab.run(30_025);
    assert_eq!(lab.closed(A), None);
    lab.run(50);
    assert_eq!(lab.closed(A), Some(CloseReason::HandshakeTimeout));
}
