//! A relay for a test, and its figures.

use std::num::NonZeroUsize;
use std::ops::{Range, RangeInclusive};
use std::time::{Duration, Instant};

use plenary_relay::{Config, Relay, RelayAddress};
use plenary_turn::{Keys, User};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a test waits for what must not come.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// Where peers are: an address of loopback that is no interface's, so that it is far away to a server.
pub(crate) const FAR: &str = "127.0.0.9";

/// A part of the ports that are nobody's by chance, from the first of those that this process has: 200. Another one that is
/// tested meanwhile has others, most likely.
pub(crate) fn ports(part: Range<u16>) -> RangeInclusive<u16> {
    let first = 10_000 + (std::process::id() % 100) as u16 * 200;
    first + part.start..=first + part.end - 1
}

/// One thread that listens and relays at 127.0.0.1, whose peers may be on loopback.
pub(crate) fn config() -> Config {
    let user = User { name: b"user".to_vec(), keys: Keys::from_password(b"user", b"turn", b"secret") };
    let mut turn = plenary_turn::Config {
        users: vec![user],
        allocations_per_user_max: 10_000,
        allocations_per_address_max: 10_000,
        unauthenticated_per_second: 60_000,
        ..plenary_turn::Config::default()
    };
    turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    let ip = "127.0.0.1".parse().unwrap();
    Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_tls: Vec::new(),
        identity: None,
        told: None,
        relays: vec![RelayAddress { bind: ip, told: ip }],
        ports: 49_152..=65_535,
        threads: NonZeroUsize::new(1),
        turn,
    }
}

pub(crate) fn relay(change: impl FnOnce(&mut Config)) -> Relay {
    let mut config = config();
    change(&mut config);
    Relay::start(config).expect("it starts")
}

/// A figure of all threads, by its name behind `plenary_turn_` and what its labels have beside the thread.
pub(crate) fn figures(relay: &Relay, name: &str, label: &str) -> Vec<u64> {
    let name = format!("plenary_turn_{name}{{");
    let metrics = relay.metrics();
    let lines = metrics.lines().filter(|line| line.starts_with(&name) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

pub(crate) fn figure(relay: &Relay, name: &str) -> u64 {
    figures(relay, name, "").iter().sum()
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it is never so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
