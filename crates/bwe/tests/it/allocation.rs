use std::time::Duration;

use plenary_bwe::{ArrivalTime, Feedback, PacketReport, Purpose, SentPacket};
use plenary_wire::{DataSize, Ecn};

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
