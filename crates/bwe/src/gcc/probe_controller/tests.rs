use super::*;

fn at(ms: i64) -> Time {
    Time::from_micros(ms * 1_000)
}

fn kbps(kbps: u64) -> Bitrate {
    Bitrate::from_kbps(kbps)
}

fn rates(controller: &mut ProbeController) -> Vec<u64> {
    std::iter::from_fn(|| controller.poll()).map(|cluster| cluster.rate.as_bps() / 1_000).collect()
}

/// Told to begin at 300 kbit/s.
fn started(demand: u64) -> ProbeController {
    let mut controller = ProbeController::new(ProbingConfig::default());
    controller.set_max(kbps(10_000), at(0));
    controller.set_start(kbps(300), at(0));
    controller.set_demand(kbps(demand), at(0));
    controller
}

#[test]
fn it_begins_with_three_and_six_times_the_start_and_goes_further() {
    let mut controller = started(10_000);
    let first = controller.poll().unwrap();
    assert_eq!((first.rate, first.duration, first.packets_min), (kbps(900), Duration::from_millis(15), 5));
    assert_eq!(rates(&mut controller), [1_800]);
    // 70 % of 1,800 are not enough, a little more is.
    controller.set_target(kbps(1_260), LimitedBy::Delay, at(200));
    assert!(rates(&mut controller).is_empty());
    controller.set_target(kbps(1_300), LimitedBy::Delay, at(250));
    assert_eq!(rates(&mut controller), [2_600]);
    // After a second without a result it is over.
    controller.handle_timeout(at(1_251));
    controller.set_target(kbps(2_500), LimitedBy::Delay, at(1_300));
    assert!(rates(&mut controller).is_empty());
}

#[test]
fn without_demand_there_is_none_and_never_above_twice_of_it() {
    let mut controller = started(0);
    assert!(rates(&mut controller).is_empty());
    controller.set_demand(kbps(500), at(100));
    assert_eq!(rates(&mut controller), [900, 1_000]);
    assert_eq!(controller.state, State::Complete);
    // Sound alone: nothing to learn.
    let mut controller = started(40);
    assert_eq!((rates(&mut controller), controller.state), (vec![], State::Complete));
}

#[test]
fn a_demand_that_rises_is_probed_for_where_the_application_was_the_limit() {
    let mut controller = started(40);
    controller.set_demand(kbps(2_500), at(10_000));
    assert!(rates(&mut controller).is_empty());
    controller.set_demand(kbps(40), at(10_000));
    controller.set_limited(Some(at(1_000)));
    controller.set_demand(kbps(2_500), at(10_000));
    // Twice the target, then twice what that shows.
    assert_eq!(rates(&mut controller), [600]);
    controller.set_target(kbps(590), LimitedBy::Delay, at(10_200));
    controller.set_target(kbps(1_180), LimitedBy::Delay, at(10_400));
    assert_eq!(rates(&mut controller), [1_180, 2_360]);
    // A result that is not enough is not taken for the last word, twice.
    for ms in [10_600, 10_800, 11_000] {
        controller.set_target(kbps(1_600), LimitedBy::Delay, at(ms));
        controller.handle_result(at(ms));
    }
    assert_eq!(rates(&mut controller), [3_200, 3_200]);
    // Where the target nearly is there, both.
    let mut controller = started(40);
    controller.set_limited(Some(at(1_000)));
    controller.set_demand(kbps(400), at(10_000));
    assert_eq!(rates(&mut controller), [400, 600]);
}

#[test]
fn each_5_seconds_is_probed_while_the_application_is_the_limit() {
    let mut controller = started(2_000);
    rates(&mut controller);
    controller.set_limited(Some(at(3_000)));
    controller.handle_timeout(at(1_001));
    for (now, expected) in [(7_999, vec![]), (8_000, vec![600]), (12_999, vec![]), (13_000, vec![600])] {
        controller.handle_timeout(at(now));
        assert_eq!(rates(&mut controller), expected, "{now}");
    }
    controller.set_limited(None);
    controller.handle_timeout(at(30_000));
    assert!(rates(&mut controller).is_empty());
}

#[test]
fn congestion_forbids_probes_and_loss_lowers_them() {
    for (limited_by, expected) in [
        (LimitedBy::DelayIncreased, vec![]),
        (LimitedBy::RoundTrip, vec![]),
        (LimitedBy::Loss, vec![]),
        (LimitedBy::LossIncreasing, vec![450]),
        (LimitedBy::Delay, vec![600]),
    ] {
        let mut controller = started(2_000);
        rates(&mut controller);
        controller.handle_timeout(at(1_001));
        controller.set_limited(Some(at(0)));
        controller.set_target(kbps(300), limited_by, at(1_001));
        controller.handle_timeout(at(6_000));
        assert_eq!(rates(&mut controller), expected, "{limited_by:?}");
    }
}

#[test]
fn after_a_large_fall_what_there_was_is_probed_for_once() {
    let mut controller = started(2_000);
    rates(&mut controller);
    controller.handle_timeout(at(1_001));
    controller.set_target(kbps(2_000), LimitedBy::Delay, at(10_000));
    controller.set_target(kbps(1_400), LimitedBy::Delay, at(11_000));
    controller.set_limited(Some(at(9_000)));
    controller.handle_recovery(at(11_500));
    assert!(rates(&mut controller).is_empty());
    controller.set_target(kbps(900), LimitedBy::Delay, at(12_000));
    controller.handle_recovery(at(13_000));
    controller.handle_recovery(at(13_100));
    assert_eq!(rates(&mut controller), [1_190]);
    // Three seconds after it is no more limited by the application it is not.
    controller.set_target(kbps(2_000), LimitedBy::Delay, at(20_000));
    controller.set_target(kbps(900), LimitedBy::Delay, at(20_000));
    controller.set_limited(None);
    controller.handle_limit_ended(at(19_000));
    controller.handle_recovery(at(22_000));
    assert!(rates(&mut controller).is_empty());
    controller.handle_recovery(at(21_999));
    assert_eq!(rates(&mut controller), [1_700]);
}

#[test]
fn a_higher_maximum_is_probed_for() {
    let mut controller = started(5_000);
    rates(&mut controller);
    controller.handle_timeout(at(1_001));
    controller.set_max(kbps(2_000), at(2_000));
    assert!(rates(&mut controller).is_empty());
    controller.set_max(kbps(4_000), at(3_000));
    assert_eq!(rates(&mut controller), [4_000]);
}

#[test]
fn the_first_is_repeated_where_that_is_wanted() {
    let config = ProbingConfig { repeated_first: Duration::from_secs(5), ..ProbingConfig::default() };
    let mut controller = ProbeController::new(config);
    controller.set_start(kbps(300), at(0));
    controller.set_demand(kbps(10_000), at(0));
    assert_eq!(controller.poll().map(|cluster| cluster.duration), Some(Duration::from_millis(100)));
    rates(&mut controller);
    controller.handle_timeout(at(1_001));
    assert_eq!(rates(&mut controller), [900]);
    controller.handle_timeout(at(2_002));
    controller.handle_timeout(at(5_000));
    assert_eq!(rates(&mut controller), [900]);
}

#[test]
fn probes_that_wait_are_bounded_and_another_route_begins_anew() {
    let mut controller = started(10_000);
    for second in 0..20 {
        controller.set_demand(kbps(10_000 + second), at(0));
        controller.set_limited(Some(at(0)));
        controller.handle_timeout(at(i64::try_from(second).unwrap() * 7_000));
    }
    assert!(controller.waiting.len() <= WAITING_MAX);
    let last = controller.next_id;
    controller.reset(at(0));
    assert_eq!((controller.poll(), controller.next_id, controller.demand), (None, last, kbps(10_019)));
    controller.set_start(kbps(100), at(0));
    assert_eq!(rates(&mut controller), [300, 600]);
}
