//! How fast it is, on the same network.

use std::time::Duration;

use super::RTTS;
use super::cast::Cast;
use super::cell::{Cell, Door, Place, Stack, Trial, Turn};
use super::trial::Run;
use super::verdict::{Base, Remote, judge};
use crate::lab::ms;

pub(crate) fn cell(doors: [Door; 2], turn: Turn) -> Cell {
    let place = Place::Apart(doors);
    let (stacks, relayed) = ([Stack::V4; 2], [true; 2]);
    Cell { place, stacks, prefix: false, turn, relayed, one_server: false, lite: None, a_controls: true, tcp: false }
}

/// The paths in use, of which all are IPv4.
pub(crate) fn paths(run: &Run<'_>) -> [Option<(Base, Remote)>; 2] {
    run.paths().map(|path| path.map(|path| (path.base, path.remote)))
}

/// When each side is usable after both were told all, the controlling side first.
pub(crate) fn usable_after(cast: &dyn Cast, cell: Cell, loss: u8, rtt: u64, seed: u64) -> [Duration; 2] {
    let verdict = judge(cell);
    let mut run = Run::new(cast, Trial { cell, loss, rtt, trickle: false, seed }, &verdict);
    while run.usable.contains(&None) {
        assert!(run.step(run.patience), "seed {seed} at loss {loss} % and RTT {rtt} ms");
    }
    let after = |peer: usize| run.usable[peer].unwrap() - run.begun[peer].unwrap();
    let controlling = cell.controlling();
    [after(controlling), after(1 - controlling)]
}

/// Where only relays work: a round trip and 25 ms.
pub(crate) fn relays_are_usable(cast: &dyn Cast) {
    for (door, turn) in [(Door::Blocked, Turn::Tcp), (Door::Symmetric, Turn::Udp), (Door::Symmetric, Turn::Tcp)] {
        for one_server in [false, true] {
            for rtt in RTTS {
                for side in usable_after(cast, Cell { one_server, ..cell([door; 2], turn) }, 0, rtt, 1) {
                    assert!(side <= ms(rtt + 25), "{door:?}, RTT {rtt} ms, one server {one_server}: {side:?}");
                }
            }
        }
    }
}

/// Within 1.5 s. A firewall begins to block UDP: only the relay that is reached by TCP is left. Then it thinks better of it.
pub(crate) fn a_dead_pair_is_left(cast: &dyn Cast) {
    let cell = Cell { relayed: [true, false], ..cell([Door::PortRestricted, Door::Open], Turn::Tcp) };
    let verdict = judge(cell);
    for (seed, a_controls, lite) in
        (0..20).flat_map(|seed| [(seed, true, None), (seed, false, None), (seed, true, Some(1))])
    {
        let cell = Cell { a_controls, lite, ..cell };
        let trial = Trial { cell, loss: 0, rtt: 50, trickle: false, seed };
        let mut run = Run::new(cast, trial, &verdict);
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
