//! The first byte chooses the format, the second the bins of mahimahi's; the rest is the text.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use plenary_netsim::{Direction, Link, LinkConfig, LinkTrace, Packet, TRACE_RATE_MAX, TRACE_STEPS_MAX};
use plenary_wire::{DataSize, Ecn};

fuzz_target!(|bytes: &[u8]| {
    let Some((&[format, bin], text)) = bytes.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let trace = match format % 3 {
        0 => LinkTrace::from_mahimahi(text, Duration::from_millis(bin.into())),
        1 => LinkTrace::from_csv(text),
        _ => LinkTrace::from_gym(text, if bin % 2 == 0 { Direction::Up } else { Direction::Down }),
    };
    let Ok(trace) = trace else { return };
    let steps = trace.steps();
    assert!(steps.len() <= TRACE_STEPS_MAX && steps[0].at.is_zero());
    assert!(steps.iter().all(|step| step.rate <= TRACE_RATE_MAX));
    let again = LinkTrace::from_csv(&trace.to_string()).expect("what was written is read");
    assert_eq!(again.steps(), steps);

    // A link lives through it: all that it takes is dropped or has arrived, or there is no more rate for it.
    let mut link = Link::new(trace.link(LinkConfig::default()), 1, 0);
    for number in 0..20u32 {
        let packet = Packet { size: DataSize::from_bytes(1_200), ecn: Ecn::NotEct, payload: number };
        let _ = link.send(packet, Duration::from_millis(u64::from(number) * 77));
        while link.poll_arrival(Duration::from_millis(u64::from(number) * 77)).is_some() {}
    }
    let end = Duration::from_secs(1_000_000);
    while link.poll_arrival(end).is_some() {}
    let counters = link.counters();
    assert_eq!(counters.offered, counters.delivered + counters.drops.total() + link.in_flight() as u64);
});
