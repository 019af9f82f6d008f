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

use cell::{Cell, DOORS, Door, Ground, Place, STACKS, Stack, Trial, Turn};
use verdict::{Verdict, judge};

const LOSSES: [u8; 4] = [0, 5, 20, 40];
const RTTS: [u64; 3] = [2, 50, 300];

/// How many times the matrix is run: `PLENARY_ORACLE_ROUNDS`, 1 if it is not set.
fn times() -> usize {
    std::env::var("PLENARY_ORACLE_ROUNDS").map_or(1, |times| times.parse().expect("a number of times"))
}

/// How much of the matrix is run on some grounds.
#[derive(Clone, Copy)]
struct Sample {
    rounds: usize,
    /// Of the cells of a ground, one in so many, others in each round: a divisor of 12.
    share: usize,
    /// Of the 12 conditions, so many for each cell, others in each round.
    conditions: usize,
}

/// Runs a sample of these grounds; those of one shard of two.
fn sweep(grounds: &[Ground], sample: Sample, shard: usize) {
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

const APART: Sample = Sample { rounds: 3, share: 1, conditions: 12 };

#[test]
fn apart_even() {
    sweep(&cell::apart(), APART, 0);
}

#[test]
fn apart_odd() {
    sweep(&cell::apart(), APART, 1);
}

const FAMILIES: Sample = Sample { rounds: 8, share: 12, conditions: 3 };

#[test]
fn families_even() {
    sweep(&cell::families(), FAMILIES, 0);
}

#[test]
fn families_odd() {
    sweep(&cell::families(), FAMILIES, 1);
}

#[test]
fn together() {
    for shard in [0, 1] {
        sweep(&cell::together(&STACKS[..1]), Sample { rounds: 2, share: 1, conditions: 4 }, shard);
        sweep(&cell::together(&STACKS[1..]), Sample { rounds: 2, share: 4, conditions: 2 }, shard);
    }
}

#[test]
fn nested() {
    for shard in [0, 1] {
        sweep(&cell::nested(), Sample { rounds: 1, share: 1, conditions: 2 }, shard);
    }
}

/// What is known of NATs, without any simulation: the brute force must come to the same.
#[test]
fn brute_force_finds_what_is_known_of_nats() {
    use Door::{Blocked, Open};
    for a in DOORS {
        for b in DOORS {
            let doors = [a, b];
            let cell = |turn, relayed, tcp| Cell { turn, relayed, tcp, ..plain(doors, [Stack::V4; 2]) };
            let connects = |turn, relayed, tcp| judge(cell(turn, relayed, tcp)).best.is_some();
            let (blocked, direct) = (doors.contains(&Blocked), meet_by_ipv4(doors));
            assert_eq!(connects(Turn::None, [true; 2], false), direct, "{a:?} {b:?}");
            let by_tcp = blocked && doors.contains(&Open);
            assert_eq!(connects(Turn::None, [true; 2], true), direct || by_tcp, "{a:?} {b:?} with ICE-TCP");
            for who in [[true, true], [true, false], [false, true]] {
                assert_eq!(connects(Turn::Udp, who, false), !blocked, "{a:?} {b:?} with UDP relays for {who:?}");
                let served = |door, has| door != Blocked || has;
                let expected = served(a, who[0]) && served(b, who[1]);
                for turn in [Turn::Tcp, Turn::Tls] {
                    assert_eq!(connects(turn, who, false), expected, "{a:?} {b:?} with {turn:?} relays for {who:?}");
                }
            }
        }
    }
}

/// The same of families.
#[test]
fn brute_force_finds_what_is_known_of_families() {
    use Door::{Blocked, FullCone, Open};
    for (place, stacks) in cell::families() {
        let Place::Apart(doors) = place else { panic!("they are apart") };
        for prefix in [false, true] {
            let cell = Cell { prefix, ..plain(doors, stacks) };
            let blocked = doors.contains(&Blocked);
            // IPv6 is filtered alone, and both sides send.
            let by_ipv6 = stacks.iter().all(|stack| stack.has_ipv6()) && !blocked;
            let translated = [0, 1].map(|peer| stacks[peer] == Stack::Nat64);
            // Who can't name the other's address may still be found by it, if its NAT64 lets strangers in.
            let waits = |peer: usize| translated[peer] && !prefix;
            let found = |peer: usize| !waits(peer) || (!waits(1 - peer) && matches!(doors[peer], Open | FullCone));
            let has_ipv4 = |peer: usize| stacks[peer].has_ipv4() || translated[peer];
            let by_ipv4 = [0, 1].into_iter().all(|peer| has_ipv4(peer) && found(peer)) && meet_by_ipv4(doors);
            assert_eq!(judge(cell).best.is_some(), by_ipv6 || by_ipv4, "{doors:?} {stacks:?}, prefix {prefix}");
            // Relays have both families: one stands for what a peer has not.
            let relayed = judge(Cell { turn: Turn::Udp, one_server: prefix, ..cell });
            assert_eq!(relayed.best.is_some(), !blocked, "{doors:?} {stacks:?} with relays, one server {prefix}");
        }
    }
}

/// Without relays, both full.
fn plain(doors: [Door; 2], stacks: [Stack; 2]) -> Cell {
    Cell {
        place: Place::Apart(doors),
        stacks,
        prefix: true,
        turn: Turn::None,
        relayed: [true; 2],
        one_server: false,
        lite: None,
        a_controls: true,
        tcp: false,
    }
}

/// Two peers that both send, from behind these doors, with IPv4.
fn meet_by_ipv4(doors: [Door; 2]) -> bool {
    let narrow = |door| matches!(door, Door::PortRestricted | Door::Symmetric);
    let strangers = doors.into_iter().all(narrow) && doors.contains(&Door::Symmetric);
    !doors.contains(&Door::Blocked) && !strangers
}
