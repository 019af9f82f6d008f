//! RFC 8869 §3.1: a wired bottleneck behind Wi-Fi, 1 Mbit/s each way. Media are video alone.

use plenary_netsim::Tcp;

use super::{DELAY, bottleneck, seconds, shared, steps};
use crate::case::{Background, Case, CrossTcp, Flow, Kind};

/// The RFC does not state the rate of its CBR flow: half of the link.
const CBR: u64 = 500;

pub(super) fn cases() -> Vec<Case> {
    let cbr = |rate: &[(u64, u64)]| vec![Background { links: vec![0], rate: steps(rate) }];
    vec![
        wired("8869-3.1a", "wired: one flow up", 1),
        wired("8869-3.1b", "wired: a flow up and one down", 2),
        Case {
            background: cbr(&[(0, CBR), (60, 0)]),
            ..wired("8869-3.1c", "wired: both ways, constant traffic up for the first half", 2)
        },
        Case {
            background: cbr(&[(0, 0), (60, CBR)]),
            ..wired("8869-3.1d", "wired: both ways, constant traffic up for the second half", 2)
        },
        Case { tcp: vec![long_tcp()], ..wired("8869-3.1e", "wired: both ways, a long TCP flow up", 2) },
    ]
}

fn long_tcp() -> CrossTcp {
    let span = (seconds(0), seconds(119));
    CrossTcp { forward: vec![0], backward: vec![1], span, kind: Kind::Long(Tcp::default()) }
}

fn wired(name: &str, title: &str, flows: usize) -> Case {
    let up = Flow { audio: Vec::new(), ..Flow::of(0, 119) };
    let down = Flow { forward: vec![1], backward: vec![0], ..up.clone() };
    let flows = [up, down].into_iter().take(flows).collect();
    let capacity = steps(&[(0, 1_000)]);
    let mut case = shared(name, title, 120, capacity.clone(), flows);
    case.links[1] = bottleneck(capacity, DELAY);
    case
}
