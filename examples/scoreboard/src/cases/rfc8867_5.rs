//! RFC 8867 §5: the basic cases.

use plenary_wire::Bitrate;

use super::{bottleneck, capacity, ms, seconds, wide};
use crate::Case;
use crate::case::{Background, Flow};

/// RFC 8867 §5.1 and §5.2: where background traffic makes the capacity, the link has so much.
const LINK: u64 = 4_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for delay in [50, 100] {
        let steps = capacity(&[(0, 100), (40, 250), (60, 60), (80, 100)]);
        cases.extend(varying("5.1", "one flow, variable capacity", 100, vec![Flow::of(0, 99)], steps, delay));
    }
    cases
}

/// The capacity changes by the link's rate, and by what background traffic leaves.
fn varying(
    number: &str,
    title: &str,
    length: u64,
    flows: Vec<Flow>,
    steps: Vec<(std::time::Duration, Bitrate)>,
    delay: u64,
) -> [Case; 2] {
    let rest = |rate: Bitrate| Bitrate::from_kbps(LINK) - rate;
    let background = steps.iter().map(|(at, rate)| (*at, rest(*rate))).collect();
    let by_rate = Case {
        name: format!("8867-{number}-{delay}ms"),
        title: format!("{title}, {delay} ms"),
        length: seconds(length),
        links: vec![bottleneck(steps, ms(delay)), wide(ms(delay))],
        flows,
        background: Vec::new(),
    };
    let by_background = Case {
        name: format!("{}-background", by_rate.name),
        title: format!("{}, by background traffic", by_rate.title),
        links: vec![bottleneck(capacity(&[(0, LINK / 10)]), ms(delay)), wide(ms(delay))],
        background: vec![Background { links: vec![0], rate: background }],
        ..by_rate.clone()
    };
    [by_rate, by_background]
}
