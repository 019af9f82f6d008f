//! Traces that others have written, and links that follow them.

use std::time::Duration;

use plenary_netsim::{
    Condition, Conditions, Link, LinkConfig, LinkTrace, Packet, Place, Probability, QueueLimit, TRACE_BYTES_MAX,
    TraceError, TraceProblem, TraceStep,
};
use plenary_wire::{Bitrate, DataSize, Ecn};
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn step(at: u64, kbps: u64, condition: Condition) -> TraceStep {
    TraceStep { at: ms(at), rate: Bitrate::from_kbps(kbps), condition }
}

const UNTOLD: Condition = Condition { delay: None, jitter: None, loss: None };

/// When each of these packets arrives, if it does.
fn arrivals(config: LinkConfig, sends: &[(Duration, u64)]) -> Vec<(u32, Duration)> {
    let mut link = Link::new(config, 1, 0);
    for (number, &(at, bytes)) in (0..).zip(sends) {
        let _ = link.send(Packet { size: DataSize::from_bytes(bytes), ecn: Ecn::NotEct, payload: number }, at);
    }
    std::iter::from_fn(|| link.poll_arrival(Duration::MAX))
        .map(|arrival| (arrival.packet.payload, arrival.at))
        .collect()
}

#[test]
fn a_mahimahi_trace_delivers_at_its_opportunities() {
    let trace = LinkTrace::from_mahimahi("0\n1\n5\n5\n\n10\n", ms(1)).expect("it is a trace");
    assert_eq!(trace.period(), Some(ms(10)));
    let steps = [(0, 24_064), (1, 0), (4, 24_064), (5, 0), (9, 12_032)].map(|(at, kbps)| step(at, kbps, UNTOLD));
    assert_eq!(trace.steps(), steps);
    let queue = QueueLimit::Bytes(DataSize::from_kilobytes(100));
    let link = trace.link(LinkConfig { queue, mtu: DataSize::from_bytes(1_504), ..LinkConfig::delay(ms(20)) });
    // Five opportunities in each 10 ms: 0 and 1 in the first, 5 and 5, 10.
    let arrived = arrivals(link, &[(ms(0), 1_504); 7]).into_iter().map(|(_, at)| at.as_micros());
    assert_eq!(arrived.collect::<Vec<_>>(), [20_500, 21_000, 24_500, 25_000, 30_000, 30_500, 31_000]);
}

#[test]
fn bins_of_a_mahimahi_trace_hold_as_much() {
    let lines: String = (1..=1_000).map(|index| format!("{}\n", index * 7 / 2)).collect();
    for bin in [1, 10, 100, 777, 5_000] {
        let trace = LinkTrace::from_mahimahi(&lines, ms(bin)).expect("it is a trace");
        let ends = trace.steps().iter().skip(1).map(|step| step.at).chain(trace.period());
        let bits =
            trace.steps().iter().zip(ends).map(|(step, end)| step.rate.as_bps() as u128 * (end - step.at).as_nanos());
        let bytes = bits.sum::<u128>() / 8_000_000_000;
        assert!((1_503_900..=1_504_000).contains(&bytes), "{bytes} bytes in bins of {bin} ms");
    }
}

#[test]
fn csv_has_columns_in_any_order() {
    let text = "# a train\nrate_mbps, time_s ,loss_percent,delay_ms\n\n2,0,,\r\n0.5,10.5,1.5,80\n0,12,0,20.25\n";
    let trace = LinkTrace::from_csv(text).expect("it is a trace");
    let tunnel = Condition { delay: Some(ms(80)), loss: Some(Probability::from_ppm(15_000)), jitter: None };
    let station = Condition { delay: Some(Duration::from_micros(20_250)), loss: Some(Probability::ZERO), jitter: None };
    assert_eq!(trace.steps(), [step(0, 2_000, UNTOLD), step(10_500, 500, tunnel), step(12_000, 0, station)]);
    assert_eq!(LinkTrace::from_csv(&trace.to_string()), Ok(trace.clone()));
    let link = trace.repeating(ms(20_000)).link(LinkConfig::delay(ms(7)));
    assert_eq!((link.delay, link.rate.at(ms(31_000))), (ms(7), Bitrate::from_kbps(500)));
    assert_eq!((link.conditions.at(ms(31_000)), link.conditions.at(ms(20_000))), (tunnel, UNTOLD));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let long = "1\n".repeat(TRACE_BYTES_MAX / 2 + 1);
    let error = |line, problem| Err(TraceError { place: Place::Line(line), problem });
    for (text, line, problem) in [
        ("", 1, TraceProblem::Empty),
        ("0\n0\n", 2, TraceProblem::Empty),
        ("1\n\n5\n4\n", 4, TraceProblem::Order),
        ("1\n2.5\n", 2, TraceProblem::Number),
        ("1\n-2\n", 2, TraceProblem::Number),
        ("1\n99999999999999999999\n", 2, TraceProblem::Range),
        ("1\n9999999999999999999\n", 2, TraceProblem::Range),
        (&long, TRACE_BYTES_MAX / 2 + 1, TraceProblem::TooLong),
    ] {
        assert_eq!(LinkTrace::from_mahimahi(text, ms(1)), error(line, problem), "{:?}", &text[..text.len().min(40)]);
    }
    for (text, line, problem) in [
        ("", 1, TraceProblem::Empty),
        ("time_s,rate_bps\n", 1, TraceProblem::Empty),
        ("time_s,speed\n0,1\n", 1, TraceProblem::Columns),
        ("time_s,rate_bps,time_ms\n0,1,0\n", 1, TraceProblem::Columns),
        ("time_s,delay_ms\n0,1\n", 1, TraceProblem::Columns),
        ("time_s,rate_bps\n1,1\n", 2, TraceProblem::Start),
        ("time_s,rate_bps\n0,1\n# no\n2,1\n2,3\n", 5, TraceProblem::Order),
        ("time_s,rate_bps\n0,1,5\n", 2, TraceProblem::Values),
        ("time_s,rate_bps\n0,\n", 2, TraceProblem::Number),
        ("time_s,rate_bps\n0,1e6\n", 2, TraceProblem::Number),
        ("time_s,rate_bps\n0,1000000000001\n", 2, TraceProblem::Range),
        ("time_s,rate_bps,loss\n0,1,1.1\n", 2, TraceProblem::Range),
        ("time_s,rate_bps\n0,1\n9999999999,1\n", 3, TraceProblem::Range),
    ] {
        assert_eq!(LinkTrace::from_csv(text), error(line, problem), "{text:?}");
    }
    let told = LinkTrace::from_csv("time_s,rate_bps\n0,x\n").map_err(|error| error.to_string());
    assert_eq!(told, Err("line 2: it is not a decimal number".to_owned()));
}

#[cfg(feature = "gym")]
#[test]
fn a_gym_trace_changes_all_of_a_link() {
    use plenary_netsim::Direction;
    let text = r#"{"type": "video", "downlink": {}, "uplink": {"trace_pattern": [
        {"duration": 2896, "capacity": 179, "loss": 0, "rtt": 89, "jitter": 0, "time": 0.0},
        {"duration": 0, "capacity": 1},
        {"duration": 613.5, "capacity": 1500.25, "loss": 0.2, "rtt": 400, "jitter": 5}]}}"#;
    let trace = LinkTrace::from_gym(text, Direction::Up).expect("it is a trace");
    let first = Condition {
        delay: Some(Duration::from_micros(44_500)),
        jitter: Some(Duration::ZERO),
        loss: Some(Probability::ZERO),
    };
    let second = Condition { delay: Some(ms(200)), jitter: Some(ms(5)), loss: Some(Probability::from_percent(20)) };
    let fast = TraceStep { at: ms(2_896), rate: Bitrate::from_bps(1_500_250), condition: second };
    assert_eq!(
        (trace.steps(), trace.period()),
        (&[step(0, 179, first), fast][..], Some(Duration::from_micros(3_509_500)))
    );

    let error = |place, problem| Err(TraceError { place, problem });
    let empty = error(Place::Line(4), TraceProblem::Empty);
    assert_eq!(LinkTrace::from_gym(text, Direction::Down), empty);
    assert_eq!(LinkTrace::from_gym("{\n\"a\": }", Direction::Up), error(Place::Line(2), TraceProblem::Json));
    let with =
        |step: &str| LinkTrace::from_gym(&text.replace("{\"duration\": 0, \"capacity\": 1}", step), Direction::Up);
    for (step, problem) in [
        ("7", TraceProblem::Number),
        (r#"{"duration": 5}"#, TraceProblem::Number),
        (r#"{"duration": -5, "capacity": 1}"#, TraceProblem::Number),
        (r#"{"duration": "5", "capacity": 1}"#, TraceProblem::Number),
        (r#"{"duration": 5, "capacity": 1e300}"#, TraceProblem::Range),
        (r#"{"duration": 1e16, "capacity": 1}"#, TraceProblem::Range),
        (r#"{"duration": 3e12, "capacity": 1}"#, TraceProblem::Range),
        (r#"{"duration": 5, "capacity": 1, "loss": 1.01}"#, TraceProblem::Range),
    ] {
        // Two steps of nearly a hundred years are more than that together.
        let place = if step.contains("3e12") { Place::Step(3) } else { Place::Step(2) };
        let step = step.replace("3e12", "3153599997000");
        assert_eq!(with(&step), error(place, problem), "{step}");
    }
}

#[test]
fn conditions_hold_at_their_times() {
    let condition = |delay, percent| Condition {
        delay: Some(ms(delay)),
        jitter: None,
        loss: Some(Probability::from_percent(percent)),
    };
    let steps = [(ms(100), condition(80, 0)), (ms(200), condition(10, 100)), (ms(300), condition(30, 0))];
    let base = LinkConfig::delay(ms(50));
    let sends = [50, 100, 199, 200, 299, 300, 450].map(|at| (ms(at), 100));
    let once = LinkConfig { conditions: Conditions::steps(&steps), ..base.clone() };
    let expected = [(0, 100), (1, 180), (2, 279), (5, 330), (6, 480)].map(|(number, at)| (number, ms(at)));
    assert_eq!(arrivals(once, &sends), expected);
    let again = LinkConfig { conditions: Conditions::repeating(&steps, ms(400)), ..base };
    let expected = [(0, 100), (1, 180), (2, 279), (5, 330), (6, 500)].map(|(number, at)| (number, ms(at)));
    assert_eq!(arrivals(again, &sends), expected);
}

#[test]
fn a_delay_that_shrinks_reorders_nothing() {
    let short = Condition { delay: Some(ms(10)), ..UNTOLD };
    let conditions = Conditions::steps(&[(ms(100), short)]);
    let link = LinkConfig { conditions, ..LinkConfig::delay(ms(80)) };
    let arrived = arrivals(link, &[(ms(99), 100), (ms(100), 100), (ms(200), 100)]);
    assert_eq!(arrived, [(0, ms(179)), (1, ms(179)), (2, ms(210))]);
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        times in prop::collection::btree_set(1..10_000_000_000u64, 0..20),
        values in prop::collection::vec(
            (0..1_000_000_000u64, any::<Option<u32>>(), any::<Option<u32>>(), prop::option::of(0..=1_000_000u32)), 20,
        ),
    ) {
        let times = std::iter::once(0).chain(times);
        let lines: Vec<String> = times.zip(&values).map(|(at, (rate, delay, jitter, loss))| {
            let time = |nanos: &Option<u32>| nanos.map_or_else(String::new, |nanos| format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000));
            let loss = loss.map_or_else(String::new, |ppm| format!("{}.{:06}", ppm / 1_000_000, ppm % 1_000_000));
            format!("{}.{:09},{rate},{},{},{loss}\n", at / 1_000_000_000, at % 1_000_000_000, time(delay), time(jitter))
        }).collect();
        let text = format!("time_s,rate_bps,delay_ms,jitter_ms,loss\n{}", lines.concat());
        let trace = LinkTrace::from_csv(&text).expect("it is a trace");
        prop_assert_eq!(trace.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([0-9]{0,12}[.,\n ]{0,2}){0,30}|(time_s|rate_bps|loss|,|\n|0|1|[.]){0,40}", bin in 0..2_000u64) {
        for trace in [LinkTrace::from_mahimahi(&text, ms(bin)), LinkTrace::from_csv(&text)].into_iter().flatten() {
            prop_assert!(trace.steps()[0].at.is_zero());
            let link = trace.link(LinkConfig::default());
            let _ = arrivals(link, &[(ms(0), 1_000), (ms(5_000), 1_000)]);
        }
    }
}
