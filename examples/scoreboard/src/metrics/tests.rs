use plenary_wire::{Bitrate, DataSize};

use super::*;
use crate::cases;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Bins of a tenth of a second, each with so many bytes sent and received.
fn flow(bytes: impl IntoIterator<Item = u64>) -> FlowRecord {
    let bin = |bytes| {
        let size = DataSize::from_bytes(bytes);
        Bin { sent: size, received: size, useful: size, packets_sent: 10, target: Bitrate::ZERO, ..Bin::default() }
    };
    FlowRecord {
        bins: bytes.into_iter().map(bin).collect(),
        waits: Vec::new(),
        frames: Vec::new(),
        feedback: DataSize::ZERO,
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn percentiles_are_by_nearest_rank() {
    let mut hundred: Vec<_> = (1..=100).rev().map(ms).collect();
    assert_eq!(percentiles(&mut hundred, [50, 95, 99]), [0.05, 0.095, 0.099]);
    assert_eq!(percentiles(&mut [ms(3), ms(1)], [50, 51]), [0.001, 0.003]);
    assert_eq!(percentiles(&mut [], [95]), [0.0]);
}

#[test]
fn jains_index_is_one_for_equals_and_a_part_for_one_of_many() {
    assert!(near(jains_index(&[5.0, 5.0, 5.0]), 1.0));
    assert!(near(jains_index(&[1.0, 0.0, 0.0, 0.0]), 0.25));
    // (1 + 2 + 3)² / (3 × 14)
    assert!(near(jains_index(&[1.0, 2.0, 3.0]), 36.0 / 42.0));
    assert!(near(jains_index(&[0.0, 0.0]), 0.0));
}

#[test]
fn variation_is_deviation_by_mean() {
    assert!(near(deviation_by_mean(&[1.0, 3.0]).unwrap(), 0.5));
    assert!(near(deviation_by_mean(&[7.0; 5]).unwrap(), 0.0));
    assert_eq!(deviation_by_mean(&[0.0; 5]), None);
}

#[test]
fn a_flow_has_converged_at_the_end_of_the_first_half_second_near_its_share() {
    // 12,500 bytes in a tenth of a second are 1 Mbit/s.
    let bins = flow([2_000, 2_000, 9_000, 12_000, 12_500, 12_500, 12_500, 12_500]).bins;
    // Bins 2 to 6 are 0.936 Mbit/s, bins 1 to 5 0.768.
    assert!(near(converged(&bins, 1e6).unwrap(), 0.7));
    assert_eq!(converged(&bins, 2e6), None);
    assert!(converged(&bins, 0.85e6).is_some(), "on the way to too much");
}

#[test]
fn a_second_is_worth_by_rate_lateness_and_loss() {
    // 150 kbit/s: 18,750 bytes a second.
    let mut one = flow([1_875; 10]);
    assert!(near(utility(&one), std::f64::consts::LN_2));
    one.bins[3].late = ms(100);
    assert!(near(utility(&one), 0.8 * std::f64::consts::LN_2));
    one.bins[7].packets_lost = 10;
    assert!(near(utility(&one), 0.9 * 0.8 * std::f64::consts::LN_2));
    one.bins[3].late = ms(600);
    assert!(near(utility(&one), 0.9 * 0.1 * std::f64::consts::LN_2));
}

#[test]
fn phases_are_told_apart_and_steady_is_without_their_beginning() {
    let case = cases().into_iter().find(|case| case.name == "8867-5.1-50ms").unwrap();
    let s = Duration::from_secs;
    assert_eq!(case.phases(), [(s(0), s(40)), (s(40), s(60)), (s(60), s(80)), (s(80), s(99))]);
    let ideal = Ideal::of(&case);
    // 1 Mbit/s up to 40 s, from then on all that audio and video are.
    let mut record = Record::new(&case);
    record.flows[0] = flow((0..1000).map(|tenth| if tenth < 30 { 0 } else { 12_500 }));
    let score = Score::of(&case, &record);
    assert!(near(score.utilisation[0], 0.925));
    assert!(near(score.utilisation[1], 1e6 / 1_611_200.0));
    assert!(near(score.utilisation[3], 1.0));
    assert_eq!(score.convergence, [Some(3.5), None, None, Some(0.5)]);
    assert!(near(score.variation, 0.0));
    assert_eq!(score.jain, None);
    assert!(near(ideal.mean(0, s(30), s(50)), (1e6 + 1_611_200.0) / 2.0));
}
