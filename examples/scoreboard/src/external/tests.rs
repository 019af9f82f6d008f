use std::path::Path;

use plenary_bwe::Purpose;
use plenary_wire::DataSize;

use super::*;
use crate::{Entrant, Score, cases, run};

fn entrant(line: &str, reply_time_max: Duration) -> Entrant {
    Entrant::External(Command { name: "external".to_owned(), line: line.to_owned(), reply_time_max })
}

/// Runs the first case with this program.
fn outcome(line: &str, reply_time_max: Duration) -> Result<Score, Error> {
    let case = &cases()[0];
    run(case, &entrant(line, reply_time_max), 1).map(|record| Score::of(case, &record))
}

#[test]
fn a_reply_says_how_fast_to_send() {
    let reply = Reply::parse(
        r#"{"target": 3e5, "pacing": 400000.7, "window": 9000, "timeout": 12, "more": 1,
            "probes": [{"rate": 900000, "duration": 15000, "packets": 5}]}"#,
    );
    let reply = reply.unwrap();
    assert_eq!((reply.target, reply.pacing), (Bitrate::from_kbps(300), Some(Bitrate::from_kbps(400))));
    assert_eq!((reply.window, reply.timeout), (Some(DataSize::from_bytes(9_000)), Some(12)));
    assert_eq!((reply.padding, reply.probes.len()), (Bitrate::ZERO, 1));
    assert_eq!((reply.probes[0].duration, reply.probes[0].packets_min), (Duration::from_millis(15), 5));
    assert_eq!(Reply::parse(r#"{"target":5}"#).unwrap(), Reply::target(Bitrate::from_bps(5)));
}

#[test]
fn rubbish_is_refused_by_its_place() {
    let refused = |line: &str| Reply::parse(line).unwrap_err().to_string();
    for line in ["", "hello", "[]", "3", r#"{"target":"#] {
        assert_eq!(refused(line), "its reply is not a JSON object", "{line}");
    }
    for (line, member) in [
        ("{}", "target"),
        (r#"{"target":-1}"#, "target"),
        (r#"{"target":1e300}"#, "target"),
        (r#"{"target":"fast"}"#, "target"),
        (r#"{"target":1,"window":[]}"#, "window"),
        (r#"{"target":1,"probes":3}"#, "probes"),
        (r#"{"target":1,"probes":[{"duration":1}]}"#, "rate"),
        (r#"{"target":1,"probes":[{"rate":0,"duration":1}]}"#, "rate"),
        (r#"{"target":1,"timeout":-5}"#, "timeout"),
    ] {
        assert_eq!(refused(line), format!("its reply has no valid `{member}`"), "{line}");
    }
}

#[test]
fn what_is_told_is_json() {
    let base = plenary_netsim::base();
    let sent = SentPacket {
        number: 7,
        at: base + Duration::from_micros(1_500),
        size: DataSize::from_bytes(1_228),
        untracked: DataSize::ZERO,
        purpose: Purpose::Video,
        probe: Some(plenary_bwe::ProbeId(3)),
        in_flight: DataSize::from_bytes(2_456),
    };
    let arrived = Some(plenary_bwe::ArrivalTime::from_micros(52_000));
    let report = |arrived| plenary_bwe::PacketReport { sent, arrived, ecn: plenary_wire::Ecn::Ce, is_recovered: false };
    let packets = [report(arrived), report(None)];
    let feedback =
        Feedback { packets: &packets, in_flight: DataSize::ZERO, round_trip: Some(Duration::from_millis(99)) };
    let line = message::feedback(&feedback, 105_000, |at| message::micros(at - base));
    let packet = |arrived: Option<u32>| {
        serde_json::json!({"number": 7, "sent": 1500, "size": 1228, "purpose": "video", "probe": 3, "arrived": arrived,
            "ecn": "ce", "is_recovered": false})
    };
    let expected = serde_json::json!({"type": "feedback", "now": 105_000, "in_flight": 0, "round_trip": 99_000,
        "packets": [packet(Some(52_000)), packet(None)]});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
    let line = message::sent(&sent, 1_500);
    let expected = serde_json::json!({"type": "sent", "now": 1500, "in_flight": 2456, "number": 7, "sent": 1500,
        "size": 1228, "purpose": "video", "probe": 3});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
}

#[test]
fn a_program_that_is_no_good_ends_its_run_and_not_the_others() {
    let long = Duration::from_secs(60);
    assert!(matches!(outcome("", long), Err(Error::NoCommand)));
    assert!(matches!(outcome("/there/is/no/such/program", long), Err(Error::Start(std::io::ErrorKind::NotFound))));
    assert!(matches!(outcome("false", long), Err(Error::Ended(Some(_)))));
    assert!(matches!(outcome("echo hello", long), Err(Error::NotJson)));
    assert!(matches!(outcome("echo {}", long), Err(Error::Member("target"))));
    assert!(matches!(outcome("yes {\"target\":9}", long), Ok(score) if score.loss == 0.0), "it replies unasked");
    assert!(matches!(outcome("sleep 1000", Duration::from_millis(50)), Err(Error::Silent)));
    assert!(matches!(outcome("head -c 100000 /dev/zero", long), Err(Error::TooLong)));
}

#[test]
fn the_example_is_an_estimator() {
    let python = std::process::Command::new("python3").arg("--version").output();
    if python.is_err() {
        println!("there is no python3 here: the example is not tried");
        return;
    }
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/aimd.py");
    let line = format!("python3 {}", agent.display());
    let score = outcome(&line, Duration::from_secs(60)).unwrap();
    assert_eq!(score, outcome(&line, Duration::from_secs(60)).unwrap(), "the same comes out each time");
    assert!(score.utilisation.iter().all(|used| *used > 0.5), "{:?}", score.utilisation);
    assert!(score.wait[1] < 0.2 && score.loss < 0.05, "{score:?}");
}
