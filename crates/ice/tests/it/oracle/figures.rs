//! How fast it is, on the same network.

use std::time::Duration;

use super::agents::Agents;
use super::matrix::RTTS;
use super::matrix::cell::{Cell, Door, Place, Stack, Trial, Turn};
use super::matrix::trial::{Run, usable_after};
use super::matrix::verdict::{Base, Remote, judge};
use crate::lab::ms;

fn cell(doors: [Door; 2], turn: Turn) -> Cell {
    let place = Place::Apart(doors);
    let (stacks, relayed) = ([Stack::V4; 2], [true; 2]);
    Cell { place, stacks, prefix: false, turn, relayed, one_server: false, lite: None, a_controls: true, tcp: false }
}

/// The paths in use, of which all are IPv4.
fn paths(run: &Run<'_>) -> [Option<(Base, Remote)>; 2] {
    run.paths().map(|path| path.map(|path| (path.base, path.remote)))
}

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
fn usable_after_one_round_trip_and_25_ms_where_only_relays_work() {
    for (door, turn) in [(Door::Blocked, Turn::Tcp), (Door::Symmetric, Turn::Udp), (Door::Symmetric, Turn::Tcp)] {
        for rtt in RTTS {
            for side in usable_after(&Agents, cell([door; 2], turn), 0, rtt, 1) {
                assert!(side <= ms(rtt + 25), "{door:?}, RTT {rtt} ms: {side:?}");
            }
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

/// A firewall begins to block UDP: only the relay that is reached by TCP is left. Then it thinks better of it.
#[test]
fn a_dead_pair_is_left_within_one_and_a_half_seconds() {
    let cell = Cell { relayed: [true, false], ..cell([Door::PortRestricted, Door::Open], Turn::Tcp) };
    let verdict = judge(cell);
    for (seed, a_controls, lite) in
        (0..20).flat_map(|seed| [(seed, true, None), (seed, false, None), (seed, true, Some(1))])
    {
        let cell = Cell { a_controls, lite, ..cell };
        let trial = Trial { cell, loss: 0, rtt: 50, trickle: false, seed };
        let mut run = Run::new(&Agents, trial, &verdict);
        let begin = Duration::from_secs(8) + ms(seed * 29);
        while run.step(begin) {}
        assert_eq!(paths(&run)[0], Some((Base::Udp, Remote::Host)), "{trial}");
        let site = run.world.sites[0];
        run.world.sim.network_mut().nat_mut(site).update(|nat| nat.udp = false);
        while run.step(begin + ms(1_500)) {}
        let relayed = [Some((Base::Relay, Remote::Host)), Some((Base::Udp, Remote::Relay))];
        assert_eq!(paths(&run), relayed, "{trial}");
        run.world.sim.network_mut().nat_mut(site).update(|nat| nat.udp = true);
        while run.step(begin + Duration::from_secs(20)) {}
        assert_eq!(paths(&run), [Some((Base::Udp, Remote::Host)), Some((Base::Udp, Remote::Mapped))], "{trial}");
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
