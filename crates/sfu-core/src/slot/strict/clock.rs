//! Time in a slot is ours, whatever was in it and however long nothing was.

use plenary_netsim::base;
use plenary_rtp::{NtpTime, Packet, RtpTime};

use super::bench::Bench;
use super::capture::{ALL, Capture};
use crate::slot::{Kind, NtpClock};

/// Milliseconds that one of the numbers is off, if one is that of the wall clock. Packets wait in the browsers' pacers.
const SLACK: i64 = 250;

#[test]
fn timestamps_and_reports_follow_the_wall_clock_over_pauses_and_sources() {
    let mut bench = Bench::new(Kind::Video, true);
    let clock = NtpClock::new(base(), NtpTime(1 << 60));
    let first = RtpTime(u32::MAX - 1000);
    let off = |bench: &Bench, timestamp: RtpTime, at: std::time::Instant| {
        let elapsed = (at - bench.sent_at[0]).as_millis() as i64;
        i64::from(first.distance_to(timestamp)) / 90 - elapsed
    };
    for capture in [0, 1, 2, 3].map(|index| Capture::open(ALL[index])) {
        let track = bench.publish(capture.codec, capture.payload_type, capture.rids.len(), false);
        bench.attach(track, Some(0));
        let mut last = 0;
        for sent in capture.sent.iter().take_while(|sent| sent.at < 2000) {
            bench.wait(sent.at - last);
            last = sent.at;
            bench.arrive(track, sent.layer, sent.repairs, &sent.bytes);
            bench.drain();
        }
        let report = bench.slot.sender_report(&clock, bench.now).unwrap();
        assert_eq!(report.ntp, clock.at(bench.now), "the source's clock never leaks");
        let wrong = off(&bench, report.rtp_timestamp, bench.now);
        assert!(wrong.abs() < SLACK, "{}: the report is {wrong} ms off", capture.name);
        bench.slot.detach();
        bench.wait(5000);
    }
    assert_eq!(bench.switches.len(), 4);
    for (bytes, at) in bench.sent.iter().zip(&bench.sent_at) {
        let wrong = off(&bench, Packet::parse(bytes).unwrap().timestamp(), *at);
        assert!(wrong.abs() < SLACK, "{wrong} ms off");
    }
}
