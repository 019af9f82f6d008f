use plenary_bwe::history::{Config, History};
use plenary_rtp::rtcp::{ArrivalOffset, Metric};
use plenary_wire::Ecn;

use super::wire::{Twcc, ccfb, handle};
use super::{ms, of_stream};

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0u8; 9]))), 1);
}

#[test]
fn a_warm_history_allocates_nothing() {
    let mut history = History::new(Config::default()).unwrap();
    // Ten packets each 10 ms of two streams, of which one is lost; told by both kinds of feedback in turn.
    let statuses = [Some(4), Some(1), None, Some(1), Some(1), Some(9), Some(1), Some(-3), Some(1), Some(4)];
    let metric = Metric::Received { ecn: Ecn::Ect1, offset: ArrivalOffset::from_ticks(3) };
    let metrics = [metric, metric, Metric::Lost, metric, metric];
    let rounds: Vec<[Vec<u8>; 2]> = (0..2000_u16)
        .map(|round| {
            let twcc = Twcc { base: round * 10, reference: 0, count: round as u8, statuses: &statuses };
            [twcc.bytes(), ccfb(&[(1, round * 5, &metrics), (2, round * 5, &metrics)], u32::from(round) * 700)]
        })
        .collect();
    let mut told = 0;
    let mut run = |rounds: std::ops::Range<usize>, feedback: &[[Vec<u8>; 2]]| {
        for round in rounds {
            let now = ms(round as u64 * 10);
            for index in 0..10 {
                history.handle_sent(of_stream(1 + index % 2, (round * 5) as u16 + index as u16 / 2), now);
            }
            let feedback = &feedback[round][round % 2];
            told += handle(&mut history, feedback, now).map_or(0, |joined| joined.packets.len());
        }
    };
    run(0..300, &rounds);
    assert_eq!(allocations(|| run(300..2000, &rounds)), 0);
    assert_eq!(told, 20_000);
}
