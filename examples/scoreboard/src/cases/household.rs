//! Several transports behind one link.

use super::{bottleneck, ms, shared, steps};
use crate::case::{Case, Flow};

pub(super) fn cases() -> Vec<Case> {
    vec![two_up(), mesh()]
}

/// Two people of one household call, each with a transport of their own; the second begins later and ends earlier.
fn two_up() -> Case {
    let flows = vec![Flow::of(0, 119), Flow::of(30, 90)];
    let mut case =
        shared("household-two", "two transports behind an uplink of 2 Mbit/s", 120, steps(&[(0, 2_000)]), flows);
    for link in &mut case.links {
        link.delay = ms(20);
    }
    case
}

/// One in a mesh of three: sends to two, and receives of two, over a slow uplink and a faster downlink.
fn mesh() -> Case {
    let up = || Flow::of(0, 119);
    let down = || Flow { forward: vec![1], backward: vec![0], ..Flow::of(0, 119) };
    let flows = vec![up(), up(), down(), down()];
    let mut case =
        shared("household-mesh", "in a mesh of three: 1.5 Mbit/s up, 3 down", 120, steps(&[(0, 1_500)]), flows);
    case.links[1] = bottleneck(steps(&[(0, 3_000)]), ms(20));
    case.links[0].delay = ms(20);
    case
}
