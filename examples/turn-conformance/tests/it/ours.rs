//! `plenary-relay`, with the users of these tests.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use plenary_relay::{Config, Identity, Relay, RelayAddress};
use plenary_turn::{Keys, PeerPolicy, User};
use rcgen::{CertificateParams, KeyPair};

/// Runs until it is dropped.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    /// Where it is reached by TLS.
    pub(crate) tls: SocketAddr,
    _relay: Relay,
}

impl Ours {
    /// With what is permitted beside the public addresses.
    pub(crate) fn start(allow: &[&str]) -> Self {
        let user = |name: &[u8], password: &[u8]| User {
            name: name.to_vec(),
            keys: Keys::from_password(name, b"turn", password),
        };
        let turn = plenary_turn::Config {
            users: vec![user(b"u", b"p"), user(b"other", b"q")],
            tcp: true,
            peers: PeerPolicy {
                allow: allow.iter().map(|network| network.parse().expect("a network")).collect(),
                ..PeerPolicy::default()
            },
            // All probes come from one address.
            unauthenticated_per_second: 60_000,
            ..plenary_turn::Config::default()
        };
        let relays = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let relay = Relay::start(Config {
            listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            listen_tls: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            identity: Some(identity()),
            told: None,
            relays: relays.map(|ip| RelayAddress { bind: ip, told: ip }).to_vec(),
            ports: 49_152..=65_535,
            // TCP allocations and clients that move need it.
            threads: NonZeroUsize::new(1),
            turn,
        });
        let relay = relay.expect("it starts");
        Self { address: relay.listeners()[0], tls: relay.listeners_tls()[0], _relay: relay }
    }
}

fn identity() -> Identity {
    let pem = |kind: &str, der: &[u8]| {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
    };
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::default().self_signed(&key).expect("a certificate");
    let (certificate, key) = (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()));
    Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("an identity")
}
