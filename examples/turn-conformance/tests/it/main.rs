//! The probes against servers that are wrong: see `broken`.

mod broken;
mod ours;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use broken::{Broken, Fault};
use ours::Ours;
use plenary_turn_conformance::{Row, Status, Target, Transport, all, json, markdown, run, summary};

/// Short, as most of these servers answer at once or never; not so short that a busy machine is taken for silence.
fn target(server: SocketAddr) -> Target {
    Target {
        server,
        transport: Transport::Udp,
        username: "u".to_owned(),
        password: "p".to_owned(),
        realm: Some("example".to_owned()),
        other: Some(("other".to_owned(), "q".to_owned())),
        peer_bind: Ipv4Addr::LOCALHOST.into(),
        patience: Duration::from_millis(100),
    }
}

/// Where the peers are makes a difference only to which addresses are not asked for.
fn elsewhere(server: SocketAddr) -> Target {
    Target { peer_bind: Ipv4Addr::new(93, 184, 216, 34).into(), ..target(server) }
}

#[test]
fn each_probe_fails_at_its_rule_against_some_broken_server() {
    let probes = all();
    let next = AtomicUsize::new(0);
    let unproven = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(probe) = probes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut seen = Vec::new();
                    let fails = Fault::ALL.into_iter().any(|fault| {
                        let server = Broken::start(fault);
                        let mut outcome = probe.run(&target(server.address));
                        if outcome.status == Status::Skipped {
                            outcome = probe.run(&elsewhere(server.address));
                        }
                        seen.push(format!("{fault:?}: {}, {}", outcome.status.name(), outcome.seen));
                        outcome.status == Status::Failed
                    });
                    if !fails {
                        unproven.lock().unwrap().push(format!("{}: {seen:#?}", probe.id()));
                    }
                }
            });
        }
    });
    let unproven = unproven.into_inner().unwrap();
    assert!(unproven.is_empty(), "{} of {} never fail:\n{}", unproven.len(), probes.len(), unproven.join("\n"));
}

#[test]
fn nothing_passes_against_silence() {
    let server = Broken::start(Fault::Sleeps);
    let target = Target { patience: Duration::from_millis(20), ..target(server.address) };
    let rows = run(&target, &all(), 32, Duration::from_secs(60));
    let passed: Vec<_> = rows.iter().filter(|row| row.outcome.status == Status::Passed).map(|row| &row.id).collect();
    assert!(passed.is_empty(), "{passed:?}");
    assert_eq!(rows.len(), all().len());
}

#[test]
fn probes_are_many_and_distinct() {
    let probes = all();
    assert!(probes.len() >= 250, "{}", probes.len());
    let ids: BTreeSet<_> = probes.iter().map(|probe| probe.id()).collect();
    assert_eq!(ids.len(), probes.len(), "an id is there twice");
    let cases: BTreeSet<_> =
        probes.iter().map(|it| (it.rule().section, it.rule().words, it.input(), it.expected())).collect();
    for (at, probe) in probes.iter().enumerate() {
        let same = |other: &&plenary_turn_conformance::Probe| {
            (other.rule(), other.input(), other.expected()) == (probe.rule(), probe.input(), probe.expected())
        };
        let twin = probes[..at].iter().find(same).map(|twin| twin.id());
        assert_eq!(twin, None, "{} is the same rule and input", probe.id());
    }
    assert_eq!(cases.len(), probes.len());
    assert!(probes.iter().all(|probe| probe.rule().section.starts_with("RFC ")));
}

#[test]
fn a_run_that_is_out_of_time_says_so() {
    let server = Broken::start(Fault::Agrees);
    let rows = run(&target(server.address), &all()[..3], 2, Duration::ZERO);
    assert!(rows.iter().all(|row| row.outcome.status == Status::Unreached && row.outcome.seen == "0 s are over"));
}

#[test]
fn tables_say_what_was_seen() {
    let server = Broken::start(Fault::Refuses);
    let probes: Vec<_> = all().into_iter().filter(|probe| probe.id() == "binding.mapped").collect();
    let rows = run(&target(server.address), &probes, 1, Duration::from_secs(10));
    assert_eq!(summary(&rows).lines().last(), Some("| all | 0 | 1 | 0 | 0 |"));
    let row = markdown(&rows).lines().last().map(str::to_owned).unwrap_or_default();
    assert!(row.starts_with("| binding.mapped | RFC 8489 §6.3.1.1 |") && row.ends_with("in 400 | fail |"), "{row}");
    let json = json(&rows);
    assert!(json.contains("\"id\": \"binding.mapped\"") && json.contains("\"status\": \"fail\""), "{json}");
}

/// Peers at another loopback address than the server's, where only relays may be reached.
const PEERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What did not pass and should have, and why each probe that was skipped was.
fn outcome(rows: &[Row]) -> (Vec<String>, BTreeMap<&str, usize>) {
    let is_bad = |row: &&Row| matches!(row.outcome.status, Status::Failed | Status::Unreached);
    let bad = rows.iter().filter(is_bad).map(ToString::to_string).collect();
    let mut skipped = BTreeMap::new();
    for row in rows.iter().filter(|row| row.outcome.status == Status::Skipped) {
        let why = row.outcome.seen.split(": ").next().unwrap_or_default();
        *skipped.entry(why).or_default() += 1;
    }
    (bad, skipped)
}

/// All probes, by clients that speak this; those of TCP do in any case.
fn run_ours(transport: Transport) -> Vec<Row> {
    let server = Ours::start(&["127.0.0.2/32", "127.0.1.4/32"]);
    let target = Target {
        realm: Some("turn".to_owned()),
        peer_bind: PEERS.into(),
        patience: Duration::from_millis(500),
        transport,
        ..target(if transport == Transport::Tls { server.tls } else { server.address })
    };
    run(&target, &all(), 6, Duration::from_secs(60))
}

#[test]
fn ours_passes_all() {
    let rows = run_ours(Transport::Udp);
    let (bad, skipped) = outcome(&rows);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    // It relays at ::1, and the peers are on loopback.
    let expected = [("the peers of this run are there", 16), ("the server relays there", 1)];
    assert_eq!(skipped, BTreeMap::from(expected));
}

#[test]
fn ours_passes_all_over_tcp() {
    passes_all_by_streams(Transport::Tcp);
}

#[test]
fn ours_passes_all_over_tls() {
    passes_all_by_streams(Transport::Tls);
}

fn passes_all_by_streams(transport: Transport) {
    let rows = run_ours(transport);
    let (bad, skipped) = outcome(&rows);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    let expected = [
        ("is about datagrams", 105),
        ("is about UDP", 1),
        ("the peers of this run are there", 16),
        ("the server relays there", 1),
    ];
    assert_eq!(skipped, BTreeMap::from(expected));
}

#[test]
fn ours_denies_loopback() {
    let server = Ours::start(&[]);
    let target = Target { patience: Duration::from_millis(500), ..elsewhere(server.address) };
    let probes: Vec<_> = all().into_iter().filter(|probe| probe.family() == "special").collect();
    let rows = run(&target, &probes, 6, Duration::from_secs(60));
    let (bad, skipped) = outcome(&rows);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    // 127.0.0.1, a channel to it, and ::1.
    assert_eq!(skipped, BTreeMap::from([("the server relays there", 3)]));
}
