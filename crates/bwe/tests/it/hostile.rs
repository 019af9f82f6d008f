use std::time::{Duration, Instant};

use plenary_bwe::{ArrivalTime, Controller, Feedback, PacketReport, Purpose, Rates, Route, SentPacket, Streams};
use plenary_wire::{Bitrate, DataSize, Ecn};
use proptest::collection::vec;
use proptest::prelude::*;

use super::controllers;

/// What is done to a controller.
#[derive(Clone, Debug)]
enum Step {
    Send {
        size: u16,
        after: Duration,
    },
    /// Of each packet that was sent and not reported on: whether and when it arrived, and how.
    Report {
        packets: Vec<(Option<i64>, u8, bool)>,
        round_trip: Option<Duration>,
        after: Duration,
    },
    RoundTrip(Duration),
    RemoteLimit(Option<u64>),
    Loss(u64, u64),
    Streams(Streams),
    Route(Option<u64>),
    Timeout(Duration),
}

fn streams() -> impl Strategy<Value = Streams> {
    let rate = || prop_oneof![Just(0_u64), 0..20_000_000_u64, Just(u64::MAX)].prop_map(Bitrate::from_bps);
    (rate(), rate(), rate(), rate(), rate(), any::<(bool, u16)>()).prop_map(
        |(min, max, start, demand, padding_max, (is_application_limited, priority))| Streams {
            min,
            max,
            start,
            demand,
            padding_max,
            is_application_limited,
            priority,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let time = || (0..2_000_000_u64).prop_map(Duration::from_micros);
    let arrival = prop_oneof![Just(None), any::<i64>().prop_map(Some), (-100_000..2_000_000_i64).prop_map(Some)];
    prop_oneof![
        6 => (any::<u16>(), (0..20_000_u64).prop_map(Duration::from_micros)).prop_map(|(size, after)| Step::Send { size, after }),
        4 => (vec((arrival, any::<u8>(), any::<bool>()), 0..40), proptest::option::of(time()), time())
            .prop_map(|(packets, round_trip, after)| Step::Report { packets, round_trip, after }),
        1 => time().prop_map(Step::RoundTrip),
        1 => proptest::option::of(any::<u64>()).prop_map(Step::RemoteLimit),
        1 => any::<(u64, u64)>().prop_map(|(lost, expected)| Step::Loss(lost, expected)),
        1 => streams().prop_map(Step::Streams),
        1 => proptest::option::of(any::<u64>()).prop_map(Step::Route),
        2 => time().prop_map(Step::Timeout),
    ]
}

/// One who does all that to a controller.
struct Peer {
    now: Instant,
    number: u64,
    sent: Vec<SentPacket>,
    streams: Streams,
}

impl Peer {
    fn new() -> Self {
        Self { now: plenary_netsim::base(), number: 0, sent: Vec::new(), streams: Streams::default() }
    }

    fn act(&mut self, step: &Step, controller: &mut dyn Controller) {
        match step {
            Step::Send { size, after } => {
                self.now += *after;
                self.number += 1;
                let size = DataSize::from_bytes(u64::from(*size));
                let packet = SentPacket {
                    number: self.number,
                    at: self.now,
                    size,
                    untracked: DataSize::ZERO,
                    purpose: Purpose::Video,
                    probe: None,
                    in_flight: size,
                };
                controller.handle_sent(&packet);
                self.sent.push(packet);
            }
            Step::Report { packets, round_trip, after } => {
                self.now += *after;
                let known = self.sent.drain(..packets.len().min(self.sent.len()));
                let reports: Vec<_> = known
                    .zip(packets)
                    .map(|(sent, (arrived, ecn, is_recovered))| PacketReport {
                        sent,
                        arrived: arrived.map(ArrivalTime::from_micros),
                        ecn: Ecn::from_bits(*ecn),
                        is_recovered: *is_recovered && arrived.is_some(),
                    })
                    .collect();
                if !reports.is_empty() {
                    let feedback = Feedback { packets: &reports, in_flight: DataSize::ZERO, round_trip: *round_trip };
                    controller.handle_feedback(&feedback, self.now);
                }
            }
            Step::RoundTrip(sample) => controller.handle_round_trip(*sample, self.now),
            Step::RemoteLimit(limit) => controller.handle_remote_limit(limit.map(Bitrate::from_bps), self.now),
            Step::Loss(lost, expected) => controller.handle_loss(*lost, *expected, self.now),
            Step::Streams(streams) => {
                self.streams = *streams;
                controller.handle_streams(streams, self.now);
            }
            Step::Route(known) => {
                controller.handle_route_change(&Route { id: 1, known: known.map(Bitrate::from_bps) }, self.now);
            }
            Step::Timeout(after) => {
                self.now += *after;
                controller.handle_timeout(self.now);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_reported_the_target_is_within_its_limits(steps in vec(step(), 1..200)) {
        for (name, mut controller) in controllers() {
            let mut peer = Peer::new();
            for step in &steps {
                peer.act(step, &mut *controller);
                let Rates { target, padding, .. } = controller.rates();
                let Streams { min, max, padding_max, .. } = peer.streams;
                prop_assert!(target >= min && target <= max.max(min), "{}: {:?} after {:?}", name, target, step);
                prop_assert!(padding <= padding_max, "{}: padding {:?}", name, padding);
                prop_assert!(controller.explain().to <= max.max(min) || controller.explain().at < Some(peer.now));
                while controller.poll_probe().is_some() {}
            }
        }
    }

    #[test]
    fn from_a_snapshot_it_goes_the_same_way_again(before in vec(step(), 1..60), after in vec(step(), 1..60)) {
        for (name, mut controller) in controllers() {
            let mut peer = Peer::new();
            before.iter().for_each(|step| peer.act(step, &mut *controller));
            let snapshot = controller.snapshot();
            let (now, number, sent, streams) = (peer.now, peer.number, peer.sent.clone(), peer.streams);
            let run = |controller: &mut dyn Controller| {
                let mut peer = Peer { now, number, sent: sent.clone(), streams };
                after.iter().map(|step| { peer.act(step, controller); controller.rates() }).collect::<Vec<_>>()
            };
            let first = run(&mut *controller);
            controller.restore(&snapshot).unwrap();
            prop_assert_eq!(first, run(&mut *controller), "{}", name);
        }
    }
}

/// A receiver that says whatever makes it faster: all arrives at once, at any time, and never a queue; and that keeps what
/// it says, to say all of it at once.
#[test]
fn a_liar_is_sent_no_more_than_twice_what_it_acknowledged() {
    for kept in [1, 5, 50, 500] {
        // All but `Fixed` and `Oracle`, who listen to nobody.
        for (name, mut controller) in controllers().split_off(2) {
            // NADA and SCReAM go to one and a half times that. In half a second 51 packets may leave.
            let most = Bitrate::from_kbps(if name == "gcc" { 2_000 } else { 1_530 });
            lie(name, &mut *controller, kept, most);
        }
    }
}

/// Tells of so many packets at once.
fn lie(name: &str, controller: &mut dyn Controller, kept: u64, most: Bitrate) {
    let start = plenary_netsim::base();
    let streams = Streams { max: Bitrate::from_mbps(100), ..Streams::default() };
    controller.handle_streams(&streams, start);
    // 1 Mb/s leaves, however high the target is.
    let size = DataSize::from_bytes(1250);
    let mut reports = Vec::new();
    for number in 1..=3000_u64 {
        let at = start + Duration::from_millis(10 * number);
        let (purpose, untracked) = (Purpose::Video, DataSize::ZERO);
        let sent = SentPacket { number, at, size, untracked, purpose, probe: None, in_flight: size };
        controller.handle_sent(&sent);
        // In its clock all of it arrives within some microseconds.
        let arrived = Some(ArrivalTime::from_micros(number as i64));
        reports.push(PacketReport { sent, arrived, ecn: Ecn::NotEct, is_recovered: false });
        if number % kept == 0 {
            let round_trip = Some(Duration::from_micros(1));
            let feedback = Feedback { packets: &reports, in_flight: DataSize::ZERO, round_trip };
            controller.handle_feedback(&feedback, at + Duration::from_millis(1));
            reports.clear();
        }
        let target = controller.rates().target;
        assert!(target <= most, "{name}: {target:?} after {number} packets, {kept} at once");
    }
}
