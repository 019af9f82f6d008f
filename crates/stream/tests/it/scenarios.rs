//! Whole calls over bad links.

use std::time::Duration;

use plenary_netsim::{DropReason, GilbertElliott, LinkConfig, Loss, Probability, Reorder};
use plenary_rtp::Ssrc;
use plenary_stream::{NackConfig, ReceiveConfig};

use crate::call::Call;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn video() -> ReceiveConfig {
    ReceiveConfig::video(Ssrc(0))
}

fn delay(ms: u64) -> LinkConfig {
    LinkConfig::delay(MS(ms))
}

/// Places that never came.
fn holes(call: &Call) -> usize {
    call.receiver.came.iter().filter(|came| !**came).count()
}

#[test]
fn a_clean_call_has_no_loss_and_both_ends_know_the_round_trip() {
    let mut call = Call::new(delay(30), delay(50), video(), 1);
    call.run(20_000, true);
    call.run(200, false);
    let counters = call.receiver.stream.counters();
    assert_eq!((counters.packets, counters.asked, counters.given_up), (10_000, 0, 0));
    assert_eq!((call.receiver.stream.cumulative_lost(), call.receiver.stream.jitter()), (0, 0));
    for round_trip in [call.sender.round_trip, call.receiver.round_trip] {
        // The calls are made every millisecond.
        let measured = round_trip.smoothed().unwrap();
        assert!(measured >= MS(79) && measured <= MS(82), "{measured:?}");
    }
    let reception = call.sender.stream.reception().unwrap();
    assert_eq!((reception.fraction_lost, reception.cumulative_lost), (0, 0));
    // Cycles count from 0 at the receiver: one wrap.
    assert!(reception.highest_seq > 0x1_0000 && reception.highest_seq <= 65_300 + 10_000);
}

#[test]
fn random_loss_is_repaired_within_the_patience() {
    for seed in 0..10 {
        let lossy = LinkConfig { loss: Loss::percent(5), ..delay(15) };
        let mut call = Call::new(lossy, delay(15), video(), seed);
        call.run(20_000, true);
        call.run(500, false);
        let counters = *call.receiver.stream.counters();
        // 5 % of 10,000 packets; one repair in twenty is lost too, and there is time for three.
        assert!(counters.repaired > 400, "{seed}: {counters:?}");
        assert!(counters.given_up * 200 < counters.repaired, "{seed}: {counters:?}");
        assert!(counters.asked < counters.repaired * 12 / 10, "{seed}: {counters:?}");
        assert_eq!(counters.repair_duplicates, 0, "{seed}");
        // What was given up may come all the same.
        let holes = holes(&call) as u64;
        assert!(holes <= counters.given_up, "{seed}: {holes} {counters:?}");
        assert_eq!(call.receiver.stream.missing(), 0);
        // Repairs do not hide the loss from the sender.
        assert_eq!(call.receiver.stream.cumulative_lost() as u64, counters.repaired + holes);
        let told = call.sender.stream.reception().unwrap().cumulative_lost;
        assert!((380..=620).contains(&told), "{seed}: {told}");
    }
}

#[test]
fn bursts_are_repaired_and_a_patient_receiver_repairs_all() {
    let bursts = GilbertElliott::bursts(Probability::from_percent(10), 8);
    let lossy = LinkConfig { loss: Loss::GilbertElliott(bursts), ..delay(40) };
    let patient = NackConfig { patience_margin: MS(800), patience_max: MS(900), ..NackConfig::default() };
    let mut call = Call::new(lossy, delay(40), ReceiveConfig { nack: Some(patient), ..video() }, 3);
    call.run(20_000, true);
    call.run(2_000, false);
    let counters = call.receiver.stream.counters();
    assert!(counters.repaired > 600, "{counters:?}");
    assert_eq!((counters.given_up, holes(&call)), (0, 0));
}

#[test]
fn lost_feedback_is_asked_again() {
    let both = LinkConfig { loss: Loss::percent(20), ..delay(5) };
    let mut call = Call::new(both.clone(), both, video(), 4);
    call.run(20_000, true);
    call.run(500, false);
    let counters = call.receiver.stream.counters();
    assert!(counters.repaired > 1_800 && counters.given_up * 8 < counters.repaired, "{counters:?}");
}

#[test]
fn usual_reordering_is_hardly_asked_for() {
    let reordered = Reorder { fraction: Probability::from_percent(5), extra: MS(9) };
    let mut call = Call::new(LinkConfig { reorder: reordered, ..delay(30) }, delay(30), video(), 5);
    call.run(20_000, true);
    call.run(500, false);
    let counters = call.receiver.stream.counters();
    assert!(counters.late > 400, "{counters:?}");
    assert!(counters.asked < counters.late / 10, "{counters:?}");
    assert_eq!((call.receiver.stream.cumulative_lost(), holes(&call), counters.given_up), (0, 0, 0));
}

#[test]
fn reordering_beside_loss_does_not_hide_the_loss() {
    let reordered = Reorder { fraction: Probability::from_percent(5), extra: MS(9) };
    let up = LinkConfig { reorder: reordered, loss: Loss::percent(2), ..delay(15) };
    let mut call = Call::new(up, delay(15), video(), 6);
    call.run(20_000, true);
    call.run(500, false);
    let counters = call.receiver.stream.counters();
    assert!(counters.repaired > 150 && counters.given_up * 10 < counters.repaired, "{counters:?}");
}

#[test]
fn duplicates_are_told_apart_and_counted() {
    let up = LinkConfig { duplicate: Probability::from_percent(10), ..delay(20) };
    let mut call = Call::new(up, delay(20), video(), 7);
    call.run(20_000, true);
    call.run(200, false);
    let counters = call.receiver.stream.counters();
    let copies = counters.duplicates;
    assert!((900..=1_100).contains(&copies), "{copies}");
    assert_eq!((counters.packets, counters.late, counters.asked), (10_000 + copies, 0, 0));
    assert_eq!(call.receiver.stream.cumulative_lost(), -(copies as i64));
}

#[test]
fn an_outage_is_survived_as_a_loss_or_as_a_restart() {
    for (outage_ms, restarts, lost) in [(4_000, 0, 2_000), (7_000, 1, 0)] {
        let mut call = Call::new(delay(20), delay(20), video(), 8);
        call.run(5_000, true);
        let start = Duration::from_millis(5_000);
        call.up.update(start, |link| link.loss = Loss::percent(100));
        call.run(outage_ms, true);
        call.up.update(start + MS(outage_ms), |link| link.loss = Loss::None);
        call.run(5_000, true);
        call.run(300, false);
        let counters = call.receiver.stream.counters();
        assert_eq!(counters.restarts, restarts, "{outage_ms}");
        // The call is made before the first packet of its millisecond leaves: one more or less.
        let told = call.receiver.stream.cumulative_lost();
        assert!((lost - 1..=lost + 1).contains(&told), "{outage_ms}: {told}");
        assert_eq!(call.receiver.stream.missing(), 0);
        assert_eq!(call.receiver.came.iter().rev().take_while(|came| **came).count(), 2_500, "{outage_ms}");
    }
}

#[test]
fn a_hostile_receiver_gets_no_more_than_the_budget() {
    // Half of all is asked for once, and all that comes back is lost too.
    let up = LinkConfig { loss: Loss::percent(70), ..delay(5) };
    let mut call = Call::new(up, delay(5), video(), 9);
    call.run(20_000, true);
    let counters = call.sender.history.counters();
    let bytes = counters.retransmitted * 1040;
    let budget = call.sender.sent * 1040 / 2 + 128_000;
    assert!(bytes <= budget && bytes > budget * 9 / 10 && counters.over_budget > 0, "{counters:?}");
    assert!(call.up.counters().drops[DropReason::Lost] > 10_000);
}
