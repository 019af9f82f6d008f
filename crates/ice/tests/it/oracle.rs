//! The oracle matrix: two agents on every pair of NATs, with and without relays, loss and distance, and all that they
//! come to is compared with what brute force finds possible on the same network. See the crate's front page.

mod cell;
mod figures;
mod prober;
mod server;
mod station;
mod trial;
mod verdict;
mod wire;
mod world;

use std::collections::BTreeMap;

use cell::{Cell, DOORS, Place, Trial, Turn};
use verdict::{Verdict, judge};

const LOSSES: [u8; 3] = [0, 5, 20];
const RTTS: [u64; 3] = [2, 50, 300];

/// How many times the matrix is run: `PLENARY_ORACLE_ROUNDS`, 1 if it is not set.
fn rounds() -> u64 {
    std::env::var("PLENARY_ORACLE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Runs `repeats` rounds of these places; those of one shard of two.
fn sweep(places: &[Place], conditions: &[(u8, u64)], repeats: u64, shard: usize) {
    let mut verdicts: BTreeMap<Cell, Verdict> = BTreeMap::new();
    let (mut runs, mut wrong) = (0, Vec::new());
    for round in 0..repeats * rounds() {
        let cells = cell::cells(places, round).into_iter().enumerate();
        // Full and lite are neighbours, and lite is less work.
        for (index, cell) in cells.filter(|(index, _)| index / 2 % 2 == shard) {
            let verdict = verdicts.entry(cell).or_insert_with(|| judge(cell));
            for (number, &(loss, rtt)) in conditions.iter().enumerate() {
                let seed = round << 32 | (index as u64) << 8 | number as u64;
                let trickle = (round + index as u64 + number as u64) % 2 == 1;
                let trial = Trial { cell, loss, rtt, trickle, seed };
                let outcome = trial::run(trial, verdict);
                if runs % 50 == 0 {
                    assert_eq!(outcome, trial::run(trial, verdict), "{trial}: two runs of one seed differ");
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

fn conditions() -> Vec<(u8, u64)> {
    LOSSES.into_iter().flat_map(|loss| RTTS.map(|rtt| (loss, rtt))).collect()
}

#[test]
fn apart_even() {
    sweep(&cell::apart(), &conditions(), 12, 0);
}

#[test]
fn apart_odd() {
    sweep(&cell::apart(), &conditions(), 12, 1);
}

#[test]
fn together() {
    for shard in [0, 1] {
        sweep(&cell::together(), &conditions(), 3, shard);
    }
}

#[test]
fn nested() {
    for shard in [0, 1] {
        sweep(&cell::nested(), &[(0, 2), (5, 300), (20, 50)], 2, shard);
    }
}

/// What is known of NATs, without any simulation: the brute force must come to the same.
#[test]
fn brute_force_finds_what_is_known_of_nats() {
    use Door::{Blocked, Open, PortRestricted, Symmetric};
    use cell::Door;
    for a in DOORS {
        for b in DOORS {
            let cell = |turn, relayed, tcp| Cell {
                place: Place::Apart([a, b]),
                turn,
                relayed,
                b_is_lite: false,
                a_controls: true,
                tcp,
            };
            let connects = |turn, relayed, tcp| judge(cell(turn, relayed, tcp)).best.is_some();
            let narrow = |door| matches!(door, PortRestricted | Symmetric);
            let blocked = [a, b].contains(&Blocked);
            let strangers = narrow(a) && narrow(b) && [a, b].contains(&Symmetric);
            let direct = !(blocked || strangers);
            assert_eq!(connects(Turn::None, [true; 2], false), direct, "{a:?} {b:?}");
            let by_tcp = blocked && [a, b].contains(&Open);
            assert_eq!(connects(Turn::None, [true; 2], true), direct || by_tcp, "{a:?} {b:?} with ICE-TCP");
            for who in [[true, true], [true, false], [false, true]] {
                assert_eq!(connects(Turn::Udp, who, false), !blocked, "{a:?} {b:?} with UDP relays for {who:?}");
                let served = |door, has| door != Blocked || has;
                let expected = served(a, who[0]) && served(b, who[1]);
                assert_eq!(connects(Turn::Tcp, who, false), expected, "{a:?} {b:?} with TCP relays for {who:?}");
            }
        }
    }
}
