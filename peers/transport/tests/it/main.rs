//! `plenary-transport` against OpenSSL's DTLS 1.2, as client and as server.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plenary_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};
use plenary_transport::{Certificate, CloseReason, Config, Connected, DtlsRole, DtlsVersion, Setup};
use plenary_transport_peers::{Bridge, Identity, OpenSsl};
use plenary_wire::Handled;

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

const OWN: &[&str] = &["-cert", "certificate.pem", "-key", "key.pem"];
const SRTP: &[&str] = &["-use_srtp", "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM"];
/// A server asks for a certificate, and takes any.
const ASKS: &[&str] = &["-Verify", "1"];

/// A folder of its own for each test.
fn folder(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

fn bridge(setup: Setup, peer: &Identity) -> Bridge {
    let certificate = Certificate::generate(SystemTime::now(), Duration::from_secs(86_400)).unwrap();
    Bridge::new(Config::new(certificate, [7; 32]), setup, &peer.der())
}

/// A packet each way, with the keys that OpenSSL exports.
fn exchange_media(bridge: &mut Bridge, profile: Profile, exported: &str) {
    let bytes: Vec<_> = exported.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
    let bytes: Vec<_> = bytes.iter().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let (client, server) = MasterKey::from_dtls(profile, &bytes).unwrap();
    let we_are_client = bridge.connected.unwrap().role == DtlsRole::Client;
    let (ours, theirs) = if we_are_client { (client, server) } else { (server, client) };
    let clear = [&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], b"a frame"].concat();
    let mut packet = clear.clone();
    packet.resize(clear.len() + profile.rtp_overhead(), 0);

    let mut sent = packet.clone();
    bridge.transport.protect_rtp(&mut sent, Some(1)).unwrap();
    let mut receiver = Receiver::new(&ours, ReceiverConfig::default()).unwrap();
    assert_eq!(receiver.unprotect_rtp(&mut sent, std::time::Instant::now()).unwrap(), clear);

    Sender::new(theirs, SenderConfig::default()).unwrap().protect_rtp(&mut packet, Some(1)).unwrap();
    assert_eq!(bridge.receive(&mut packet), Handled::Rtp(&mut clear.clone()));
}

#[test]
fn an_openssl_client_connects_with_the_best_profile() {
    for (curve, key) in [("256", P256), ("384", P384)] {
        let folder = folder(&format!("client-{curve}"));
        let peer = Identity::generate(&folder, key);
        let mut bridge = bridge(Setup::Passive, &peer);
        let export = ["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "88"];
        let openssl = OpenSsl::client(bridge.address(), &folder, &[OWN, SRTP, &export].concat());
        let is_there = bridge.run_until(|it| it.connected.is_some() && openssl.after("Keying material: ").is_some());
        assert!(is_there, "{:?}: {}", bridge.transport.closed(), openssl.printed());
        let profile = Profile::AeadAes256Gcm;
        let expected = Connected { version: DtlsVersion::Dtls12, role: DtlsRole::Server, profile };
        assert_eq!(bridge.connected, Some(expected));
        assert_eq!(openssl.after("SRTP Extension negotiated, profile=").as_deref(), Some("SRTP_AEAD_AES_256_GCM"));
        assert_eq!(bridge.transport.peer_certificate(), Some(&peer.der()[..]));
        exchange_media(&mut bridge, profile, &openssl.after("Keying material: ").unwrap());
    }
}

#[test]
fn an_openssl_server_is_connected_to_with_the_profile_that_it_prefers() {
    for (name, srtp, profile) in [
        ("SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", Profile::Aes128CmHmacSha1_80),
        ("SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
    ] {
        let folder = folder(&format!("server-{name}"));
        let peer = Identity::generate(&folder, P256);
        let length = if profile == Profile::AeadAes128Gcm { "56" } else { "60" };
        let export = ["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", length, "-use_srtp", srtp];
        let (openssl, address) = OpenSsl::server(&folder, &[OWN, ASKS, &export].concat());
        let mut bridge = bridge(Setup::Active, &peer);
        bridge.set_program(address);
        let is_there = bridge.run_until(|it| it.connected.is_some() && openssl.after("Keying material: ").is_some());
        assert!(is_there, "{:?}: {}", bridge.transport.closed(), openssl.printed());
        let expected = Connected { version: DtlsVersion::Dtls12, role: DtlsRole::Client, profile };
        assert_eq!(bridge.connected, Some(expected));
        exchange_media(&mut bridge, profile, &openssl.after("Keying material: ").unwrap());
    }
}

#[test]
fn a_certificate_of_several_datagrams_comes_in_fragments() {
    let folder = folder("large");
    let names: Vec<_> = (0..400).map(|number| format!("DNS:name-{number}.example")).collect();
    let names = format!("subjectAltName={}", names.join(","));
    let peer = Identity::generate(&folder, &[P256, &["-addext", &names]].concat());
    assert!(peer.der().len() > 5000);
    let mut bridge = bridge(Setup::Passive, &peer);
    let _openssl = OpenSsl::client(bridge.address(), &folder, &[OWN, SRTP].concat());
    assert!(bridge.run_until(|it| it.connected.is_some()), "{:?}", bridge.transport.closed());
}

/// How a handshake ends that can't succeed, and whether OpenSSL printed this.
fn check_client(test: &str, key: &[&str], arguments: &[&[&str]], reason: CloseReason, prints: &str) {
    let folder = folder(test);
    let peer = Identity::generate(&folder, key);
    let mut bridge = bridge(Setup::Passive, &peer);
    let openssl = OpenSsl::client(bridge.address(), &folder, &arguments.concat());
    assert!(bridge.run_until(|it| it.transport.closed().is_some()), "{test}: {}", openssl.printed());
    assert_eq!(bridge.transport.closed(), Some(reason), "{test}: {}", openssl.printed());
    assert_eq!(bridge.connected, None);
    assert!(bridge.run_until(|_| openssl.printed().contains(prints)), "{test}: {}", openssl.printed());
}

#[test]
fn a_client_that_will_not_do_ends_with_a_reason_and_is_told() {
    // It has nothing to sign with that we would take, and so sends no certificate.
    check_client("rsa", RSA, &[OWN, SRTP], CloseReason::NoCertificate, "alert handshake failure");
    check_client("none", P256, &[SRTP], CloseReason::NoCertificate, "alert handshake failure");
    let rsa = ["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
    check_client("rsa-only", RSA, &[OWN, SRTP, &rsa], CloseReason::NoCommonCipher, "alert handshake failure");
    check_client("no-srtp", P256, &[OWN], CloseReason::NoSrtpProfile, "closed");
}

#[test]
fn a_server_with_rsa_ends_with_its_alert() {
    let folder = folder("rsa-server");
    let peer = Identity::generate(&folder, RSA);
    let (openssl, address) = OpenSsl::server(&folder, &[OWN, ASKS, SRTP].concat());
    let mut bridge = bridge(Setup::Active, &peer);
    bridge.set_program(address);
    assert!(bridge.run_until(|it| it.transport.closed().is_some()), "{}", openssl.printed());
    assert_eq!(bridge.transport.closed(), Some(CloseReason::Alert(40)), "{}", openssl.printed());
}

#[test]
fn a_stranger_is_told_that_its_certificate_is_bad() {
    for setup in [Setup::Passive, Setup::Active] {
        let folder = folder(&format!("stranger-{setup}"));
        let [peer, stranger] = ["peer", "stranger"].map(|who| Identity::generate(&folder.join(who), P256));
        assert_ne!(peer.der(), stranger.der());
        let mut bridge = bridge(setup, &peer);
        let there = folder.join("stranger");
        let openssl = if setup == Setup::Active {
            let (openssl, address) = OpenSsl::server(&there, &[OWN, ASKS, SRTP].concat());
            bridge.set_program(address);
            openssl
        } else {
            OpenSsl::client(bridge.address(), &there, &[OWN, SRTP].concat())
        };
        assert!(bridge.run_until(|it| it.transport.closed().is_some()), "{}", openssl.printed());
        assert_eq!(bridge.transport.closed(), Some(CloseReason::Fingerprint), "{}", openssl.printed());
        assert_eq!(bridge.connected, None);
        assert!(bridge.run_until(|_| openssl.printed().contains("alert bad certificate")), "{}", openssl.printed());
    }
}
