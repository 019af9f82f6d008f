//! `plenary-relay`, with the users of these tests.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use plenary_relay::{Config, Relay, RelayAddress};
use plenary_turn::{Keys, PeerPolicy, User};

/// Runs until it is dropped.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
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
            listen_tls: Vec::new(),
            identity: None,
            told: None,
            relays: relays.map(|ip| RelayAddress { bind: ip, told: ip }).to_vec(),
            ports: 49_152..=65_535,
            // TCP allocations and clients that move need it.
            threads: NonZeroUsize::new(1),
            turn,
        });
        let relay = relay.expect("it starts");
        Self { address: relay.listeners()[0], _relay: relay }
    }
}
