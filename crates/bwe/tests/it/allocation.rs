use std::time::Duration;

use plenary_bwe::{ArrivalTime, Feedback, Pacer, PacerConfig, PacketReport, Purpose, Rates, SentPacket, StreamId};
use plenary_wire::{Bitrate, DataSize, Ecn};

use super::controllers;

#[test]
fn a_warm_controller_allocates_nothing() {
    for (name, mut controller) in controllers() {
        let start = plenary_netsim::base();
        let mut reports = Vec::with_capacity(10);
        let mut run = |from: u64, to: u64| {
            for number in from..to {
                let at = start + Duration::from_millis(4 * number);
                let size = DataSize::from_bytes(1200);
                let (purpose, untracked) = (Purpose::Video, DataSize::ZERO);
                let sent = SentPacket { number, at, size, untracked, purpose, probe: None, in_flight: size };
                controller.handle_sent(&sent);
                let queue = (number % 500) as i64 * 100;
                let arrived = (number % 90 != 0).then(|| ArrivalTime::from_micros(4000 * number as i64 + queue));
                let ecn = if number % 400 > 390 { Ecn::Ce } else { Ecn::Ect1 };
                reports.push(PacketReport { sent, arrived, ecn, is_recovered: false });
                if reports.len() == 10 {
                    let now = at + Duration::from_millis(50);
                    let round_trip = Some(Duration::from_millis(50));
                    controller.handle_feedback(
                        &Feedback { packets: &reports, in_flight: DataSize::from_bytes(12_000), round_trip },
                        now,
                    );
                    controller.handle_timeout(now);
                    while controller.poll_probe().is_some() {}
                    reports.clear();
                }
            }
        };
        run(1, 20_000);
        let counted = allocation_counter::measure(|| run(20_000, 60_000));
        assert_eq!(counted.count_total, 0, "{name}");
    }
}

#[test]
fn a_warm_pacer_allocates_nothing() {
    let start = plenary_netsim::base();
    let mut pacer = Pacer::new(PacerConfig::default(), start);
    for stream in 0..50 {
        let purpose = if stream < 5 { Purpose::Audio } else { Purpose::Video };
        pacer.add_stream(StreamId(stream), purpose, stream >= 5).unwrap();
    }
    pacer.set_rates(&Rates::target(Bitrate::from_mbps(20)), start);
    let mut run = |from: u64, to: u64| {
        let mut granted = 0;
        for frame in from..to {
            let now = start + Duration::from_millis(frame);
            let (stream, size) = (StreamId(frame as u32 % 50), DataSize::from_bytes(2400));
            pacer.set_waiting(stream, size, now, now).unwrap();
            while let Some(grant) = pacer.poll(now) {
                pacer.handle_sent(&grant, 2, grant.size, now);
                granted += 1;
            }
        }
        granted
    };
    run(0, 1000);
    let mut granted = 0;
    let counted = allocation_counter::measure(|| granted = run(1000, 10_000));
    assert_eq!((counted.count_total, granted >= 9000), (0, true), "{granted}");
}
