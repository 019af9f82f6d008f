//! The oracle matrix: two agents on every pair of NATs, with and without relays, loss and distance, and all that they
//! come to is compared with what brute force finds possible on the same network. See the crate's front page.

mod agents;
mod figures;
#[path = "oracle/matrix/matrix.rs"]
pub(crate) mod matrix;

use agents::Agents;
use matrix::cell::{self, Cell, DOORS, Door, Place, STACKS, Stack, Turn};
use matrix::verdict::judge;
use matrix::{Sample, sweep};

const APART: Sample = Sample { rounds: 3, share: 1, conditions: 12 };

#[test]
fn apart_even() {
    sweep(&Agents, &cell::apart(), APART, 0);
}

#[test]
fn apart_odd() {
    sweep(&Agents, &cell::apart(), APART, 1);
}

const FAMILIES: Sample = Sample { rounds: 8, share: 12, conditions: 3 };

#[test]
fn families_even() {
    sweep(&Agents, &cell::families(), FAMILIES, 0);
}

#[test]
fn families_odd() {
    sweep(&Agents, &cell::families(), FAMILIES, 1);
}

#[test]
fn together() {
    for shard in [0, 1] {
        sweep(&Agents, &cell::together(&STACKS[..1]), Sample { rounds: 2, share: 1, conditions: 4 }, shard);
        sweep(&Agents, &cell::together(&STACKS[1..]), Sample { rounds: 2, share: 4, conditions: 2 }, shard);
    }
}

#[test]
fn nested() {
    for shard in [0, 1] {
        sweep(&Agents, &cell::nested(), Sample { rounds: 1, share: 1, conditions: 2 }, shard);
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
