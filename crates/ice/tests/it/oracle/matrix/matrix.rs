//! The matrix: networks, what brute force finds possible on them, and runs of two who must find their way by ICE. Who
//! these are is for who uses it: agents alone here, whole transports with real relays in `plenary-transport`, whose
//! tests take these files as they are.

pub(crate) mod cast;
pub(crate) mod cell;
pub(crate) mod figures;
mod prober;
pub(crate) mod server;
pub(crate) mod station;
pub(crate) mod stun_answer;
pub(crate) mod trial;
pub(crate) mod verdict;
pub(crate) mod wire;
pub(crate) mod world;

use std::collections::BTreeMap;

use cast::Cast;
use cell::{Cell, Ground, Trial};
use verdict::{Verdict, judge};

const LOSSES: [u8; 4] = [0, 5, 20, 40];
pub(crate) const RTTS: [u64; 3] = [2, 50, 300];

/// How many times the matrix is run: `PLENARY_ORACLE_ROUNDS`, 1 if it is not set.
fn times() -> usize {
    std::env::var("PLENARY_ORACLE_ROUNDS").map_or(1, |times| times.parse().expect("a number of times"))
}

/// How much of the matrix is run on some grounds.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rounds: usize,
    /// Of the cells of a ground, one in so many, others in each round: a divisor of 12.
    pub(crate) share: usize,
    /// Of the 12 conditions, so many for each cell, others in each round.
    pub(crate) conditions: usize,
}

/// Runs a sample of these grounds; those of one shard of two.
pub(crate) fn sweep(cast: &dyn Cast, grounds: &[Ground], sample: Sample, shard: usize) {
    let mut verdicts: BTreeMap<Cell, Verdict> = BTreeMap::new();
    let conditions: Vec<_> = LOSSES.into_iter().flat_map(|loss| RTTS.map(|rtt| (loss, rtt))).collect();
    let (mut runs, mut wrong) = (0, Vec::new());
    for round in 0..sample.rounds * times() {
        let cells = cell::cells(grounds, round, sample.share).into_iter().enumerate();
        for (index, cell) in cells.filter(|(index, _)| index % 2 == shard) {
            let verdict = verdicts.entry(cell).or_insert_with(|| judge(cell));
            let chosen = |number: &usize| (number * 5 + index / 2 + round * 7) % conditions.len() < sample.conditions;
            for number in (0..conditions.len()).filter(chosen) {
                let (loss, rtt) = conditions[number];
                let seed = (round as u64) << 32 | (index as u64) << 8 | number as u64;
                let trickle = (round + index / 2 + number) % 2 == 1;
                let trial = Trial { cell, loss, rtt, trickle, seed };
                let outcome = trial::run(cast, trial, verdict);
                if runs % 50 == 0 {
                    assert_eq!(outcome, trial::run(cast, trial, verdict), "{trial}: two runs of one seed differ");
                }
                runs += 1;
                wrong.extend(outcome.err());
            }
        }
    }
    let shown: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {runs} runs are wrong:\n{}", wrong.len(), shown.join("\n"));
    println!("{runs} runs");
}
