//! `turnutils_uclient` against the relay.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use plenary_relay::{Config, Identity, Relay, RelayAddress};
use plenary_turn::{Keys, User};
use plenary_turn_peers::{Uclient, echo};

const USER: [&str; 4] = ["-u", "user", "-w", "secret"];

/// How many messages each of its clients sends.
const MESSAGES: u64 = 20;

/// Runs until one draws two numbers of channels that are in range: one in 16 does, and none of these once in 10^11.
const RUNS_MAX: u32 = 400;

/// A run, and what it does.
struct Case<'c> {
    /// Its options, beside those of all.
    options: &'c [&'c str],
    /// How many clients it has: one, or two ends of one another (`-y`), and as many more for RTCP unless it is told `-c`.
    clients: u64,
    /// How many of these see what comes in.
    readers: u64,
    /// Whether it leaves an allocation behind: that by which it tries whether another server is to be taken.
    leaves: u64,
}

impl<'c> Case<'c> {
    const fn udp(clients: u64, options: &'c [&'c str]) -> Self {
        Self { options, clients, readers: clients, leaves: 1 }
    }

    const fn tcp(clients: u64, options: &'c [&'c str]) -> Self {
        Self { options, clients, readers: clients, leaves: 0 }
    }

    /// Whether its connections are joined with others, so that there are no datagrams.
    fn is_joined(&self) -> bool {
        self.has("-T") || self.has("-P")
    }

    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }
}

/// A relay that lets clients reach 127.0.0.2, by an identity of its own that nobody has to trust.
fn relay() -> Relay {
    let user = User { name: b"user".to_vec(), keys: Keys::from_password(b"user", b"turn", b"secret") };
    let address = |ip: &str| ip.parse().map(|ip| RelayAddress { bind: ip, told: ip }).unwrap();
    let mut relays = vec![address("127.0.0.1")];
    if has_ipv6() {
        relays.push(address("::1"));
    }
    let mut turn = plenary_turn::Config {
        users: vec![user],
        secrets: vec![b"shared".to_vec()],
        tcp: true,
        // Runs that find no channel leave theirs behind.
        allocations_per_user_max: 10_000,
        unauthenticated_per_second: 60_000,
        ..plenary_turn::Config::default()
    };
    turn.peers.allow.push("127.0.0.2/32".parse().unwrap());
    Relay::start(Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_tls: vec!["127.0.0.1:0".parse().unwrap()],
        identity: Some(identity()),
        told: None,
        relays,
        ports: 49_152..=65_535,
        threads: NonZeroUsize::new(1),
        turn,
    })
    .unwrap()
}

fn identity() -> Identity {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["relay".to_owned()]).unwrap();
    Identity::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap()
}

fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

/// Runs one, with these options and those of all.
fn run(relay: &Relay, peer: SocketAddr, options: &[&str]) -> Uclient {
    let listeners = match ["-S", "-t"].map(|option| options.contains(&option)) {
        [true, true] => relay.listeners_tls(),
        [true, false] => relay.listeners_dtls(),
        _ => relay.listeners(),
    };
    let (ip, port, messages) = (peer.ip().to_string(), peer.port().to_string(), MESSAGES.to_string());
    let all = ["-e", &ip, "-r", &port, "-n", &messages, "-z", "5"];
    Uclient::run(listeners[0], &[&all, options].concat())
}

/// Nothing was lost.
fn check(case: &Case<'_>, ran: &Uclient) {
    let (sent, heard) = (case.clients * MESSAGES, case.readers * MESSAGES);
    let options = case.options;
    assert!(ran.is_good, "{options:?}: {}", ran.printed);
    assert_eq!(ran.messages(), Some((sent, heard)), "{options:?}: {}", ran.printed);
    assert_eq!(ran.lost(), Some((sent - heard, 0)), "{options:?}: {}", ran.printed);
    let relayed = ran.relayed();
    assert_eq!(relayed.len() as u64, case.readers + 1, "{options:?}: {relayed:?}");
    assert!(relayed.iter().all(|relayed| relayed.is_ipv6() == case.has("-x")), "{options:?}: {relayed:?}");
    // One is for the next that comes with the token of the one before.
    let is_pair = |two: &[SocketAddr]| two[0].port().is_multiple_of(2) && two[1].port() == two[0].port() + 1;
    let pairs = relayed.windows(2).filter(|two| is_pair(two)).count() as u64;
    let has_rtcp = !case.has("-c") && !case.is_joined();
    assert!(pairs >= if has_rtcp { case.clients / 2 } else { 0 }, "{options:?}: {relayed:?}");
}

/// A figure of the relay.
fn figure(relay: &Relay, name: &str) -> u64 {
    let metrics = relay.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until only that many allocations are there.
fn check_left(relay: &Relay, allocations: u64) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while relay.allocations() != allocations && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(relay.allocations(), allocations);
}

/// Runs all at once, as each waits for seconds, and checks what the relay says of them.
fn check_all(cases: &[Case<'_>]) {
    let (relay, peer) = (relay(), echo("127.0.0.2"));
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case, &run(&relay, peer, &[case.options, &USER].concat())));
        }
    });
    check_left(&relay, cases.iter().map(|case| case.leaves).sum());
    for way in ["to_peers", "to_clients"] {
        let datagrams = figure(&relay, &format!("plenary_turn_{way}_datagrams_total"));
        let clients = cases.iter().filter(|case| !case.is_joined()).map(|case| case.clients).sum::<u64>();
        assert_eq!(datagrams, clients * MESSAGES, "{way}");
    }
    relay.stop();
}

#[test]
fn indications_are_relayed_for_clients_of_udp() {
    let mut cases = vec![
        Case::udp(1, &["-s", "-c"]),
        // A pair of ports: the first asks for an even one and the one above it, the second comes with the token.
        Case::udp(2, &["-s"]),
        Case::udp(1, &["-s", "-c", "-g"]),
        Case::udp(1, &["-s", "-c", "-X"]),
        Case::udp(1, &["-s", "-c", "-M"]),
        Case::udp(1, &["-s", "-c", "-G"]),
        // Both ends are relays.
        Case::udp(4, &["-s", "-y"]),
    ];
    if has_ipv6() {
        cases.push(Case::udp(2, &["-s", "-c", "-y", "-x"]));
    }
    check_all(&cases);
}

#[test]
fn indications_are_relayed_for_clients_of_tcp() {
    check_all(&[
        Case::tcp(1, &["-t", "-s", "-c"]),
        Case::tcp(2, &["-t", "-s"]),
        // What may move stays, whatever becomes of the connection.
        Case { leaves: 1, ..Case::tcp(1, &["-t", "-s", "-c", "-M"]) },
        Case::tcp(4, &["-t", "-s", "-y"]),
        // One end connects to the other's relay.
        Case::tcp(2, &["-T"]),
        // A peer connects to the relay of the only client. It does not read: coturn's own server has half come back, too.
        Case { readers: 1, ..Case::tcp(2, &["-P"]) },
    ]);
}

#[test]
fn indications_are_relayed_for_clients_of_tls() {
    check_all(&[
        Case::tcp(1, &["-t", "-S", "-s", "-c"]),
        Case::tcp(2, &["-t", "-S", "-s"]),
        // It takes a record for a message.
        Case::tcp(4, &["-t", "-S", "-s", "-y"]),
        Case::tcp(2, &["-t", "-S", "-T"]),
    ]);
}

#[test]
fn indications_are_relayed_for_clients_of_dtls() {
    check_all(&[
        Case::udp(1, &["-S", "-s", "-c"]),
        Case::udp(2, &["-S", "-s"]),
        Case::udp(1, &["-S", "-s", "-c", "-g"]),
        Case::udp(4, &["-S", "-s", "-y"]),
    ]);
}

#[test]
fn a_secret_lets_in_who_was_issued_a_name() {
    let (relay, peer) = (relay(), echo("127.0.0.2"));
    let case = Case::udp(1, &["-s", "-c", "-u", "somebody", "-W", "shared"]);
    check(&case, &run(&relay, peer, case.options));
    let ran = run(&relay, peer, &["-s", "-c", "-u", "somebody", "-W", "other"]);
    assert!(!ran.is_good && ran.printed.trim_end().ends_with("Cannot complete Allocation"), "{}", ran.printed);
    check_left(&relay, case.leaves);
    relay.stop();
}

/// It draws the numbers of its channels from all of RFC 5766's, 0x4000 to 0x7fff. RFC 8656 §12 has left the first quarter of them,
/// and whoever draws another gets a 400, and gives up: then it is run again.
#[test]
fn channels_are_relayed_once_their_numbers_are_in_range() {
    let (relay, peer) = (&relay(), echo("127.0.0.2"));
    let cases =
        [Case::udp(1, &["-c"]), Case::udp(1, &["-c", "-D"]), Case::tcp(1, &["-t", "-c"]), Case::udp(2, &["-c", "-y"])];
    let refused: u64 = std::thread::scope(|scope| {
        let draw = |case| scope.spawn(move || drawn(case, relay, peer));
        let runs: Vec<_> = cases.iter().map(draw).collect();
        runs.into_iter().map(|run| run.join().expect("it has found one")).sum()
    });
    assert_eq!(figure(relay, "plenary_turn_refused_total{thread=\"0\",code=\"400\"}"), refused);
    let clients: u64 = cases.iter().map(|case| case.clients).sum();
    assert_eq!(figure(relay, "plenary_turn_to_peers_datagrams_total"), clients * MESSAGES);
    relay.stop();
}

/// Runs until the numbers are in range, and checks; how many runs before had others.
fn drawn(case: &Case<'_>, relay: &Relay, peer: SocketAddr) -> u64 {
    let numbers = 0x4000..=0x4fff;
    for refused in 0..RUNS_MAX {
        let ran = run(relay, peer, &[case.options, &USER].concat());
        assert!(ran.channels().iter().all(|number| numbers.contains(number)), "{}", ran.printed);
        if ran.is_good {
            assert!(ran.channels().len() >= 2, "{}", ran.printed);
            check(case, &ran);
            return refused.into();
        }
        assert!(ran.printed.trim_end().ends_with("channel bind: error 400 (Bad Request)"), "{}", ran.printed);
    }
    panic!("no number in range by {RUNS_MAX} runs");
}
