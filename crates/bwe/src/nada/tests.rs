use super::*;
use crate::bottleneck::Bottleneck;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn nada(max: Bitrate) -> Nada {
    let mut nada = Nada::default();
    let streams = Streams { min: Bitrate::from_kbps(150), max, start: Bitrate::from_kbps(150), ..Streams::default() };
    nada.handle_streams(&streams, plenary_netsim::base());
    nada
}

#[test]
fn it_ramps_up_and_keeps_a_queue_of_the_reference() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
    let mut nada = nada(Bitrate::from_kbps(1500));
    link.run(&mut nada, seconds(10));
    let passed = link.run(&mut nada, seconds(30));
    assert!((0.95..=1.01).contains(&passed.utilisation), "{passed:?}");
    assert_eq!(passed.lost, 0);
    // §6.1: in the steady state the signal is the reference times highest over rate: 10 ms × 1.5.
    let queueing = nada.window.queueing();
    assert!((Duration::from_millis(8)..Duration::from_millis(25)).contains(&queueing), "{queueing:?}");
}

#[test]
fn a_drop_of_the_capacity_is_followed() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(2), Duration::from_millis(50));
    let mut nada = nada(Bitrate::from_kbps(1500));
    let passed = link.run(&mut nada, seconds(20));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(1500), "{passed:?}");
    link.capacity = Bitrate::from_kbps(600);
    link.run(&mut nada, seconds(30));
    // A packet takes 11 ms longer on the slower link: more than the ramp-up bears, which is why it takes so long.
    let passed = link.run(&mut nada, seconds(10));
    assert!((0.9..=1.01).contains(&passed.utilisation), "{passed:?}");
    assert!(passed.queueing_max < Duration::from_millis(120), "{passed:?}");
}

#[test]
fn loss_and_marks_are_penalised() {
    for (loses_each, marks_above) in [(20, None), (u64::MAX, Some(Duration::from_millis(5)))] {
        let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
        (link.loses_each, link.marks_above) = (loses_each, marks_above);
        let mut nada = nada(Bitrate::from_kbps(1500));
        link.run(&mut nada, seconds(30));
        let target = nada.rates().target;
        assert!(target < Bitrate::from_mbps(1), "{target:?} with {marks_above:?}");
        assert!(nada.loss + nada.marks > 0.0);
    }
}

#[test]
fn it_explains_itself() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
    let mut nada = nada(Bitrate::from_kbps(1500));
    link.run(&mut nada, seconds(2));
    let up = nada.explain();
    assert_eq!(up.cause, Cause::Increase);
    assert!(up.from < up.to && up.evidence.packets.is_some_and(|(first, last)| first < last));
    nada.handle_route_change(&Route { id: 1, known: Some(Bitrate::from_kbps(200)) }, link.now);
    let why = nada.explain();
    assert_eq!((why.cause, why.from, why.to), (Cause::Route, up.to, Bitrate::from_kbps(200)));
}

#[test]
fn the_target_is_not_far_above_what_was_seen_to_arrive() {
    // There is a tenth of it to send: the capacity is never seen.
    let mut link = Bottleneck::new(Bitrate::from_mbps(10), Duration::from_millis(20));
    let mut nada = nada(Bitrate::from_mbps(5));
    nada.streams.max = Bitrate::from_kbps(300);
    link.run(&mut nada, seconds(10));
    nada.streams.max = Bitrate::from_mbps(5);
    nada.compute(DELTA);
    nada.bound();
    let target = nada.rates().target;
    assert!((Bitrate::from_kbps(300)..=Bitrate::from_kbps(470)).contains(&target), "{target:?}");
}

#[test]
fn a_receiver_s_limit_holds_until_it_is_taken_back() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(2), Duration::from_millis(50));
    let mut nada = nada(Bitrate::from_kbps(1500));
    link.run(&mut nada, seconds(10));
    nada.handle_remote_limit(Some(Bitrate::from_kbps(400)), link.now);
    assert_eq!((nada.explain().cause, nada.rates().target), (Cause::RemoteLimit, Bitrate::from_kbps(400)));
    link.run(&mut nada, seconds(2));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(400));
    nada.handle_remote_limit(None, link.now);
    link.run(&mut nada, seconds(20));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(1500));
}

#[test]
fn silence_lowers_the_rate_each_second_while_packets_leave() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(2), Duration::from_millis(50));
    let mut nada = nada(Bitrate::from_kbps(1500));
    link.run(&mut nada, seconds(10));
    assert_eq!((nada.rates().target, nada.explain().cause), (Bitrate::from_kbps(1500), Cause::Increase));
    // All is lost from here on, reports too.
    (link.queue_max, link.capacity) = (Duration::ZERO, Bitrate::from_bps(1));
    link.run(&mut nada, Duration::from_millis(2_900));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(1500));
    link.run(&mut nada, Duration::from_millis(2_900));
    let target = nada.rates().target;
    assert!((Bitrate::from_kbps(760)..=Bitrate::from_kbps(970)).contains(&target), "{target:?}");
    assert_eq!(nada.explain().cause, Cause::Silence);
    link.run(&mut nada, seconds(60));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(150), "the least");
    // It falls once more for what has left, and not for the hour in which nothing does.
    nada.streams.min = Bitrate::from_kbps(50);
    let due = nada.poll_timeout().unwrap();
    nada.handle_timeout(due);
    assert_eq!((nada.rates().target, nada.poll_timeout()), (Bitrate::from_kbps(120), None));
    nada.handle_timeout(due + seconds(3_600));
    assert_eq!(nada.rates().target, Bitrate::from_kbps(120));
}
