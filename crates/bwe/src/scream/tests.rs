use super::*;
use crate::bottleneck::Bottleneck;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn scream() -> Scream {
    let mut scream = Scream::default();
    let (min, start) = (Bitrate::from_kbps(150), Bitrate::from_kbps(150));
    scream.handle_streams(
        &Streams { min, max: Bitrate::from_kbps(1500), start, ..Streams::default() },
        plenary_netsim::base(),
    );
    scream
}

#[test]
fn it_fills_the_link_without_loss_at_half_its_queueing_target() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
    let mut scream = scream();
    link.run(&mut scream, seconds(10));
    let passed = link.run(&mut scream, seconds(30));
    assert!((0.85..=1.01).contains(&passed.utilisation), "{passed:?}");
    assert_eq!(passed.lost, 0);
    assert!(passed.queueing_max < Duration::from_millis(100), "{passed:?}");
}

#[test]
fn a_drop_of_the_capacity_is_followed() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(2), Duration::from_millis(50));
    let mut scream = scream();
    link.run(&mut scream, seconds(20));
    assert_eq!(scream.rates().target, Bitrate::from_kbps(1500));
    link.capacity = Bitrate::from_kbps(600);
    link.run(&mut scream, seconds(10));
    let passed = link.run(&mut scream, seconds(10));
    assert!((0.75..=1.01).contains(&passed.utilisation), "{passed:?}");
    assert!(passed.queueing_max < Duration::from_millis(100), "{passed:?}");
}

#[test]
fn marks_keep_the_queue_short() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(25));
    link.marks_above = Some(Duration::from_millis(5));
    let mut scream = scream();
    link.run(&mut scream, seconds(10));
    let passed = link.run(&mut scream, seconds(20));
    assert!((0.75..=1.01).contains(&passed.utilisation), "{passed:?}");
    assert!(passed.queueing_max < Duration::from_millis(40), "{passed:?}");
    assert!(scream.marks > 0.0);
}

#[test]
fn rare_losses_are_borne() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
    link.loses_each = 200;
    let mut scream = scream();
    link.run(&mut scream, seconds(10));
    let passed = link.run(&mut scream, seconds(20));
    assert!(passed.utilisation > 0.7 && passed.lost > 5, "{passed:?}");
}

#[test]
fn nothing_beyond_the_window_is_on_the_way() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(1), Duration::from_millis(50));
    let mut scream = scream();
    assert_eq!(scream.rates().window, None);
    link.run(&mut scream, seconds(5));
    let rates = scream.rates();
    let window = rates.window.unwrap();
    assert!(window >= DataSize::from_bytes((1.5 * scream.window.bytes()) as u64));
    assert!(window <= DataSize::from_bytes((3.0 * scream.window.bytes()) as u64));
    assert_eq!(rates.pacing.as_bps(), (rates.target.as_bps() as f64 * 1.1) as u64);
}

#[test]
fn a_receiver_s_limit_holds_until_it_is_taken_back() {
    let mut link = Bottleneck::new(Bitrate::from_mbps(2), Duration::from_millis(50));
    let mut scream = scream();
    link.run(&mut scream, seconds(10));
    scream.handle_remote_limit(Some(Bitrate::from_kbps(400)), link.now);
    assert_eq!((scream.explain().cause, scream.rates().target), (Cause::RemoteLimit, Bitrate::from_kbps(400)));
    link.run(&mut scream, seconds(2));
    assert_eq!(scream.rates().target, Bitrate::from_kbps(400));
    scream.handle_remote_limit(None, link.now);
    link.run(&mut scream, seconds(20));
    assert!(scream.rates().target > Bitrate::from_mbps(1));
}
