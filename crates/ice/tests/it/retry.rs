//! Pairs whose checks were not answered are checked again while none works (RFC 8863 §4).

use plenary_ice::{Config, Failed, Failure, Reason, Role, State};

use crate::alone::{Alone, PASSWORD};
use crate::lab::{A, B, Lab, address, config, lite_config, ms};
use crate::raw;

/// Answers the next check, which has to be one that nominates or not.
fn answer(alone: &mut Alone, nominates: bool) {
    let (to, request) = alone.next_check();
    assert_eq!(raw::attribute(&request, raw::USE_CANDIDATE).is_some(), nominates);
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
}

/// When checks were sent in the next `seconds`, in seconds from now; all that are due at one time count as one.
fn checks(alone: &mut Alone, seconds: u64) -> Vec<f64> {
    let (begun, mut times) = (alone.now, Vec::new());
    while alone.now < begun + ms(seconds * 1000) {
        alone.pass(ms(10));
        if !alone.sent().is_empty() {
            times.push((alone.now - begun).as_secs_f64());
        }
    }
    times
}

// The trap: both sides' checks were over after 10 s, and behind NATs nothing of the peer comes to trigger another.
#[test]
fn a_path_that_works_after_the_checks_have_failed_is_found() {
    for lite in [false, true] {
        let b = if lite { lite_config(2) } else { config(2, Role::Controlled) };
        let mut lab = Lab::new(config(1, Role::Controlling), b);
        lab.natted(A, 1, "10.0.0.1:1000", "192.0.2.1:1000");
        if lite {
            lab.host(B, 2, "192.0.2.2:2000");
        } else {
            lab.natted(B, 2, "10.0.0.2:2000", "192.0.2.2:2000");
        }
        lab.parameters();
        for (agent, at) in [(A, "192.0.2.2 2000"), (B, "192.0.2.1 1000")] {
            let line = format!("candidate:1 1 udp 1694498815 {at} typ srflx raddr 0.0.0.0 rport 9");
            lab.agents[agent].add_remote_candidate(line.parse().unwrap(), lab.now);
        }
        lab.cut = Some(Box::new(|_| true));
        lab.run(ms(35_000));
        assert_eq!(lab.agents[A].explain().pairs[0].reason, Reason::Failed(Failure::NoResponse));
        lab.cut = None;
        assert!(lab.until(ms(3_200), Lab::is_complete), "{}", lab.agents[A].explain());
    }
}

#[test]
fn a_nomination_that_is_not_answered_leaves_the_only_pair_to_be_checked_again() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    answer(&mut alone, false);
    alone.pass(ms(10_010));
    assert_eq!((alone.selected(), alone.agent.state()), (None, State::Checking));
    alone.sent(); // the first of the new ones is lost
    answer(&mut alone, false);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
    answer(&mut alone, true);
    assert_eq!(alone.agent.state(), State::Completed);
}

#[test]
fn what_was_not_answered_is_checked_every_three_seconds_until_patience_is_over() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    checks(&mut alone, 9);
    alone.pass(ms(990));
    alone.sent();
    let times = checks(&mut alone, 70);
    assert_eq!(times.len(), 10, "{times:?}");
    for (number, at) in times.iter().enumerate() {
        assert!((at - 3.0 * number as f64).abs() < 0.05, "{times:?}");
    }
    assert_eq!(alone.agent.state(), State::Failed(Failed::NoPair));
}

#[test]
fn all_that_were_not_answered_keep_to_the_pacing() {
    let mut alone = Alone::new(Config { pacing: ms(20), ..config(1, Role::Controlling) });
    alone.parameters(false);
    for port in 1..=50 {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    checks(&mut alone, 15);
    let (begun, mut last, mut sent) = (alone.now, None, 0);
    while alone.now < begun + ms(6_000) {
        alone.pass(ms(1));
        for (to, _) in alone.sent() {
            assert!(last.is_none_or(|last| alone.now - last >= ms(20)), "{to}");
            last = Some(alone.now);
            sent += 1;
        }
    }
    assert!((98..=102).contains(&sent), "{sent} for 50 pairs in 6 s");
}

#[test]
fn once_a_pair_works_those_that_failed_are_left_alone() {
    let mut alone = Alone::full(Role::Controlled);
    alone.candidate("192.0.2.2:2000", 1);
    checks(&mut alone, 12);
    alone.candidate("192.0.2.2:3000", 2);
    loop {
        let (to, request) = alone.next_check();
        if to.port() == 3000 {
            let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
            assert_eq!(alone.receive("192.0.2.2:3000", response), Ok(()));
            break;
        }
    }
    for _ in 0..1000 {
        alone.pass(ms(10));
        for (to, request) in alone.sent() {
            assert_eq!(to, address("192.0.2.2:3000"));
            let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
            assert_eq!(alone.receive("192.0.2.2:3000", response), Ok(()));
        }
    }
}

// RFC 7675 §5.1: 30 s after the last answer consent is over there, and with it the checks.
#[test]
fn a_pair_that_has_worked_is_not_checked_again_without_consent() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    answer(&mut alone, false);
    let times = checks(&mut alone, 60);
    let last = times.last().unwrap();
    assert!((25.0..30.0).contains(last), "{times:?}");
    assert_eq!(alone.agent.state(), State::Failed(Failed::NoPair));
}
