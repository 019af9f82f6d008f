//! A relay for a test, and its figures.

use std::num::NonZeroUsize;
use std::ops::{Range, RangeInclusive};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use plenary_relay::{Config, Relay, RelayAddress};
use plenary_turn::{Keys, User};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a test waits for what must not come.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// Where peers are: an address of loopback that is no interface's, so that it is far away to a server.
pub(crate) const FAR: &str = "127.0.0.9";

/// A part of 200 ports that the kernel gives to nobody by chance, and that nobody had when these tests began.
pub(crate) fn ports(part: Range<u16>) -> RangeInclusive<u16> {
    static FIRST: OnceLock<u16> = OnceLock::new();
    let first = *FIRST.get_or_init(|| {
        let own = (std::process::id() % 100) as u16;
        let mut blocks = (own..own + 100).map(|block| 10_000 + block % 100 * 200);
        let is_free = |first: &u16| {
            let ports = *first..=*first + 199;
            bound("udp", ports.clone()) + bound("tcp", ports) == 0
        };
        blocks.find(is_free).expect("200 free ports")
    });
    first + part.start..=first + part.end - 1
}

/// Sockets of this host that are bound to these ports.
pub(crate) fn bound(kind: &str, ports: RangeInclusive<u16>) -> usize {
    let table = std::fs::read_to_string(format!("/proc/net/{kind}")).unwrap();
    let port = |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.split(':').nth(1)?, 16).ok();
    table.lines().filter(|line| port(line).is_some_and(|port| ports.contains(&port))).count()
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
