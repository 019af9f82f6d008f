//! What keeps the queue of one link short.

use std::time::Duration;

use plenary_netsim::{Aqm, CoDel, DropReason, DualPi2, Link, LinkConfig, Packet, QueueLimit};
use plenary_wire::{Bitrate, DataSize, Ecn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A link of 10 Mb/s, where a packet of 1250 bytes takes a millisecond.
fn link(aqm: Aqm) -> Link<()> {
    let rate = Bitrate::from_mbps(10).into();
    Link::new(LinkConfig { rate, aqm, queue: QueueLimit::ms(1_000), ..LinkConfig::default() }, 1, 0)
}

/// What became of packets of one kind.
#[derive(Debug, Default)]
struct Fate {
    /// How long each that arrived had waited, in the order of time.
    waits: Vec<Duration>,
    marked: Vec<Duration>,
    /// When each was dropped by the management.
    dropped: Vec<Duration>,
}

impl Fate {
    /// Of those that arrived in the last half.
    fn quantile(&self, percent: usize) -> Duration {
        let mut late = self.waits[self.waits.len() / 2..].to_vec();
        late.sort_unstable();
        late[(late.len() * percent).div_ceil(100).max(1) - 1]
    }
}

/// Sends packets of 1250 bytes for a while, one every so often of each kind.
fn run(link: &mut Link<()>, time: Duration, kinds: &[(Ecn, Duration)]) -> Vec<Fate> {
    let mut fates: Vec<_> = kinds.iter().map(|_| Fate::default()).collect();
    let mut due: Vec<_> = kinds.iter().map(|_| Duration::ZERO).collect();
    while let Some((index, now)) =
        due.iter().copied().enumerate().min_by_key(|(_, at)| *at).filter(|(_, at)| *at < time)
    {
        due[index] += kinds[index].1;
        let _ = link.send(Packet { size: DataSize::from_bytes(1_250), ecn: kinds[index].0, payload: () }, now);
        let kind = |ecn| kinds.iter().position(|(of, _)| *of == ecn);
        while let Some(arrival) = link.poll_arrival(now) {
            // The one kind that has ECN is what a mark is of.
            let of = kind(arrival.packet.ecn).or_else(|| kinds.iter().position(|(of, _)| *of != Ecn::NotEct));
            let fate = &mut fates[of.expect("a kind that was sent")];
            fate.waits.push(arrival.waited);
            if arrival.packet.ecn == Ecn::Ce {
                fate.marked.push(arrival.at);
            }
        }
        while let Some(dropped) = link.poll_dropped() {
            assert_eq!(dropped.reason, DropReason::Aqm);
            fates[kind(dropped.packet.ecn).expect("a kind that was sent")].dropped.push(dropped.at);
        }
    }
    fates
}

#[test]
fn codel_drops_by_its_control_law() {
    let mut link = link(Aqm::CoDel(CoDel::default()));
    // Twice the rate: after 10 ms of it a packet has waited for 5 ms; then it takes an interval.
    let fate = &run(&mut link, ms(695), &[(Ecn::NotEct, Duration::from_micros(500))])[0];
    // 100 ms divided by the roots of 1, 2, 3 and so on later, each at the next packet's turn.
    let expected = [110, 210, 281, 339, 389, 434, 474, 512, 548, 581, 613, 643, 672].map(ms);
    assert_eq!(fate.dropped, expected);
    assert_eq!(link.counters().drops[DropReason::Aqm], 13);
}

#[test]
fn codel_marks_in_place_of_drops() {
    let late = |config| {
        let mut link = link(Aqm::CoDel(config));
        let fate = run(&mut link, ms(695), &[(Ecn::Ect0, Duration::from_micros(500))]).remove(0);
        (fate.marked.len(), fate.dropped.len(), link.counters().marked)
    };
    assert_eq!(late(CoDel::default()), (13, 0, 13));
    assert_eq!(late(CoDel { ecn: false, ..CoDel::default() }), (0, 13, 0));
}

/// One packet waits while another is sent: on a slow link that takes longer than the target.
#[test]
fn codel_leaves_the_last_packet_alone() {
    let mut link = link(Aqm::CoDel(CoDel::default()));
    link.update(ms(0), |link| link.rate = Bitrate::from_kbps(100).into());
    // 100 ms each, two at a time: one of the two always waits.
    let fate = &run(&mut link, ms(10_000), &[(Ecn::NotEct, ms(200)), (Ecn::Ect0, ms(200))])[1];
    assert!(fate.waits.iter().all(|waited| *waited == ms(100)) && fate.waits.len() > 45, "{:?}", fate.waits);
    assert_eq!((link.counters().drops.total(), link.counters().marked), (0, 0));
}

#[test]
fn a_threshold_marks_what_has_waited_for_so_long() {
    for (ecn, marked) in [(Ecn::Ect0, true), (Ecn::Ect1, true), (Ecn::NotEct, false)] {
        let mut link = link(Aqm::Mark(ms(20)));
        let fate = &run(&mut link, ms(100), &[(ecn, Duration::from_micros(500))])[0];
        // The packet of 20 ms is the first that waited 20 ms less half of that.
        let first = fate.waits.iter().position(|waited| *waited >= ms(20)).expect("the queue grows");
        let expected = if marked { fate.waits.len() - first } else { 0 };
        assert_eq!((fate.marked.len(), fate.dropped.len()), (expected, 0), "{ecn:?}");
    }
}

/// Traffic that does not listen: the controller alone holds the delay at its target, and sheds what is too much.
#[test]
fn dualpi2_holds_an_overload_at_its_target() {
    // 15 Mb/s on 10 Mb/s: a third is dropped, be it of the Classic queue or of the other.
    for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1] {
        let mut link = link(Aqm::DualPi2(DualPi2::default()));
        let fate = &run(&mut link, ms(60_000), &[(ecn, Duration::from_nanos(666_667))])[0];
        let median = fate.quantile(50);
        assert!((ms(13)..ms(17)).contains(&median), "{ecn:?} waits {median:?}");
        let dropped = fate.dropped.iter().filter(|at| **at > ms(30_000)).count();
        assert!((14_500..15_500).contains(&dropped), "{ecn:?}: {dropped} dropped in 30 s");
    }
}

/// A little traffic of low latency beside too much of the Classic kind.
#[test]
fn dualpi2_keeps_the_queues_apart() {
    let mut link = link(Aqm::DualPi2(DualPi2::default()));
    // 1 Mb/s of ECT(1), 11 Mb/s of the other.
    let kinds = [(Ecn::Ect1, Duration::from_micros(10_007)), (Ecn::NotEct, Duration::from_nanos(909_090))];
    let fates = run(&mut link, ms(60_000), &kinds);
    // The rest of a packet that is on its way already, and now and then one more for the Classic queue's share.
    assert!(fates[0].quantile(99) <= ms(2), "{:?}", fates[0].quantile(99));
    assert!((ms(13)..ms(17)).contains(&fates[1].quantile(50)), "{:?}", fates[1].quantile(50));
    // Two of eleven Classic packets are dropped: p' is 0.43, twice that is what marks the other kind.
    let late = |of: &[Duration]| of.iter().filter(|at| **at > ms(30_000)).count();
    let (dropped, marked) = (late(&fates[1].dropped), late(&fates[0].marked));
    assert!((5_700..6_300).contains(&dropped), "{dropped} of 33,000");
    assert!((2_450..2_700).contains(&marked), "{marked} of 2,998");
    assert_eq!(late(&fates[0].dropped), 0);
}

/// Traffic of low latency that listens to nothing can't starve the other.
#[test]
fn dualpi2_keeps_a_share_for_the_classic_queue() {
    let mut link = link(Aqm::DualPi2(DualPi2::default()));
    let kinds = [(Ecn::Ect1, Duration::from_micros(500)), (Ecn::NotEct, ms(10))];
    let fates = run(&mut link, ms(20_000), &kinds);
    // 21 Mb/s in all: of either kind about half pass.
    let share = fates[1].waits.len();
    assert!((900..1_000).contains(&share), "{share} of 2,000 in 20 s");
}

#[test]
fn another_management_takes_over_what_waits() {
    let mut link = link(Aqm::DualPi2(DualPi2::default()));
    let packet = |ecn| Packet { size: DataSize::from_bytes(1_250), ecn, payload: () };
    for (at, ecn) in [(0, Ecn::NotEct), (0, Ecn::NotEct), (0, Ecn::Ect1), (0, Ecn::NotEct), (0, Ecn::Ect1)] {
        link.send(packet(ecn), ms(at)).expect("there is room");
    }
    link.update(ms(0), |link| link.aqm = Aqm::DropTail);
    let order: Vec<_> = std::iter::from_fn(|| link.poll_arrival(ms(100))).map(|arrival| arrival.packet.ecn).collect();
    assert_eq!(order, [Ecn::NotEct, Ecn::NotEct, Ecn::NotEct, Ecn::Ect1, Ecn::Ect1]);
    assert_eq!(link.in_flight(), 0);
}

/// Weeks without a packet, or with one that can't leave, cost no more than a moment.
#[test]
fn dualpi2_makes_up_for_a_long_silence() {
    for rate in [Bitrate::from_mbps(10), Bitrate::ZERO] {
        let mut link = link(Aqm::DualPi2(DualPi2::default()));
        link.update(ms(0), |link| link.rate = rate.into());
        for weeks in 0..1_000u32 {
            let packet = Packet { size: DataSize::from_bytes(1_250), ecn: Ecn::Ect1, payload: () };
            let _ = link.send(packet, Duration::from_secs(604_800) * weeks);
        }
        link.update(Duration::MAX, |link| link.rate = Bitrate::from_mbps(10).into());
    }
}
