//! How fast it is, on the same network.

use std::time::Duration;

use super::agents::Agents;
use super::matrix::RTTS;
use super::matrix::cell::{Cell, Door, Trial, Turn};
use super::matrix::figures::{a_dead_pair_is_left, cell, paths, relays_are_usable, usable_after};
use super::matrix::trial::Run;
use super::matrix::verdict::{Base, Remote, judge};
use crate::lab::ms;

#[test]
fn usable_after_one_round_trip() {
    let open = cell([Door::Open; 2], Turn::None);
    for rtt in RTTS {
        for (lite, a_controls) in [(None, true), (None, false), (Some(0), true), (Some(1), true)] {
            let [controlling, controlled] = usable_after(&Agents, Cell { lite, a_controls, ..open }, 0, rtt, 1);
            assert!(controlling <= ms(rtt + 1), "RTT {rtt} ms, lite {lite:?}: {controlling:?}");
            assert!(controlled <= ms(rtt * 3 / 2 + 1), "RTT {rtt} ms, lite {lite:?}: {controlled:?}");
        }
    }
}

#[test]
fn a_fifth_of_all_packets_lost_costs_little() {
    for (doors, lite) in [
        ([Door::Open; 2], None),
        ([Door::Open; 2], Some(1)),
        ([Door::PortRestricted; 2], None),
        ([Door::PortRestricted, Door::Open], Some(1)),
    ] {
        for rtt in RTTS {
            let cell = Cell { lite, ..cell(doors, Turn::None) };
            let mut times: Vec<_> =
                (0..200).map(|seed| usable_after(&Agents, cell, 20, rtt, seed).into_iter().max()).collect();
            times.sort_unstable();
            let p95 = times[189].unwrap();
            assert!(p95 <= ms(3 * rtt + 250), "{doors:?}, RTT {rtt} ms, lite {lite:?}: {p95:?}");
        }
    }
}

/// RFC 7675 §5.1: over TCP as well. Without an answer it would have ended after 30 s.
#[test]
fn consent_is_asked_for_on_streams() {
    let cell = Cell { tcp: true, ..cell([Door::Open, Door::Blocked], Turn::None) };
    let verdict = judge(cell);
    for seed in 0..10 {
        let mut run = Run::new(&Agents, Trial { cell, loss: 0, rtt: 50, trickle: false, seed }, &verdict);
        while run.step(Duration::from_secs(100)) {}
        assert_eq!(paths(&run), [Some((Base::Stream, Remote::Accepted)), Some((Base::Stream, Remote::Listener))]);
    }
}

#[test]
fn usable_after_one_round_trip_and_25_ms_where_only_relays_work() {
    relays_are_usable(&Agents);
}

#[test]
fn a_dead_pair_is_left_within_one_and_a_half_seconds() {
    a_dead_pair_is_left(&Agents);
}
