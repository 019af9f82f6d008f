//! RFC 8867 §5: the basic cases.

use std::time::Duration;

use plenary_netsim::{Congestion, QueueLimit, ShortTcp, Tcp};
use plenary_wire::Bitrate;

use super::{DELAY, bottleneck, ms, seconds, shared, steps, wide};
use crate::case::{Background, Case, CrossTcp, Flow, Kind};

/// Where background traffic makes the capacity, the link has 4 Mbit/s.
const LINK: u64 = 4_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for delay in [50, 100] {
        cases.extend(twins(one_flow(&format!("8867-5.1-{delay}ms"), ms(delay))));
    }
    cases.extend(twins(two_flows()));
    cases.extend(congested_feedback());
    cases.extend([competing(), round_trips()]);
    for queue in [300, 1_000] {
        cases.extend([("newreno", Congestion::NewReno), ("cubic", Congestion::Cubic)].map(|tcp| long_tcp(queue, tcp)));
    }
    cases.extend([short_tcp(), paused()]);
    cases
}

/// Those that §6.2 has again with ECN.
pub(super) fn basic() -> Vec<Case> {
    let mut congested = congested_feedback();
    congested.truncate(1);
    let long = long_tcp(300, ("cubic", Congestion::Cubic));
    let mut basic = vec![one_flow("8867-5.1-50ms", DELAY), two_flows()];
    basic.extend(congested);
    basic.extend([competing(), round_trips(), long, short_tcp(), paused()]);
    basic
}

/// §5.1: one flow, variable available capacity.
pub(super) fn one_flow(name: &str, delay: Duration) -> Case {
    let capacity = steps(&[(0, 1_000), (40, 2_500), (60, 600), (80, 1_000)]);
    let title = format!("one flow, variable capacity, {} ms each way", delay.as_millis());
    let links = vec![bottleneck(capacity.clone(), delay), wide(delay)];
    Case { links, ..shared(name, &title, 100, capacity, vec![Flow::of(0, 99)]) }
}

/// §5.2: several flows, variable available capacity. The reference is 2 Mbit/s.
fn two_flows() -> Case {
    let capacity = steps(&[(0, 4_000), (25, 2_000), (50, 3_500), (75, 1_000), (100, 2_000)]);
    shared("8867-5.2", "two flows, variable capacity", 125, capacity, vec![Flow::of(0, 124), Flow::of(0, 124)])
}

/// §5.3: a flow in each direction. Beside it, the way there with a way back that is free.
fn congested_feedback() -> Vec<Case> {
    let [there, back] =
        [steps(&[(0, 2_000), (20, 1_000), (40, 500), (60, 2_000)]), steps(&[(0, 2_000), (35, 800), (70, 2_000)])];
    let other = Flow { forward: vec![1], backward: vec![0], ..Flow::of(0, 99) };
    let mut case = shared("8867-5.3", "congested feedback", 100, there.clone(), vec![Flow::of(0, 99), other]);
    case.links[1] = bottleneck(back, DELAY);
    let mut cases = Vec::from(twins(case));
    cases.push(shared("8867-5.3-free", "the same way there, a free way back", 100, there, vec![Flow::of(0, 99)]));
    cases
}

/// §5.4: flows of one algorithm.
pub(super) fn competing() -> Case {
    let flows = vec![Flow::of(0, 119), Flow::of(20, 119), Flow::of(40, 119)];
    shared("8867-5.4", "three flows join one after another", 120, steps(&[(0, 3_500)]), flows)
}

/// §5.5: flows of different round trips.
fn round_trips() -> Case {
    let flow = |start, delay| Flow { access: ms(delay), ..Flow::of(start, 299) };
    let flows = vec![flow(0, 10), flow(10, 25), flow(20, 50), flow(30, 100), flow(40, 150)];
    let mut case = shared("8867-5.5", "five flows, 10 to 150 ms each way", 300, steps(&[(0, 4_000)]), flows);
    for link in &mut case.links {
        link.delay = Duration::ZERO;
    }
    case
}

/// §5.6: media beside a long TCP flow.
fn long_tcp(queue: u64, (name, congestion): (&str, Congestion)) -> Case {
    let title = format!("beside a long TCP flow ({name}), a queue of {queue} ms");
    let name = format!("8867-5.6-{name}-{queue}ms");
    let mut case = shared(&name, &title, 120, steps(&[(0, 2_000)]), vec![Flow::of(5, 119)]);
    case.links[0].queue = QueueLimit::ms(queue);
    let span = (seconds(0), seconds(119));
    case.tcp.push(CrossTcp { forward: vec![0], backward: vec![1], span, kind: Kind::Long(Tcp::new(congestion)) });
    case
}

/// §5.7: media beside ten short TCP flows, two of which begin at once.
fn short_tcp() -> Case {
    let flows = vec![Flow::of(5, 299), Flow::of(5, 299)];
    let mut case = shared("8867-5.7", "two flows beside ten of short TCP", 300, steps(&[(0, 2_000)]), flows);
    let download = |index| {
        let kind = Kind::Short(ShortTcp { starts_on: index < 2, ..ShortTcp::default() });
        CrossTcp { forward: vec![0], backward: vec![1], span: (seconds(0), seconds(299)), kind }
    };
    case.tcp = (0..10).map(download).collect();
    case
}

/// §5.8: a flow pauses. The RFC's text once says the third, its timeline the second.
fn paused() -> Case {
    let spans = vec![(seconds(0), seconds(40)), (seconds(60), seconds(119))];
    let pausing = Flow { audio: spans.clone(), video: spans, ..Flow::of(0, 119) };
    let flows = vec![Flow::of(0, 119), pausing, Flow::of(0, 119)];
    shared("8867-5.8", "three flows, one of which pauses", 120, steps(&[(0, 3_500)]), flows)
}

/// The capacity changes by the links' rates, and by what background traffic leaves of them: (4 - Y × r) Mbit/s.
fn twins(by_rate: Case) -> [Case; 2] {
    let is_wide = |link: usize| by_rate.links[link].capacity.iter().all(|step| step.1 > Bitrate::from_kbps(LINK));
    let narrow = (0..by_rate.links.len()).filter(|link| !is_wide(*link)).collect::<Vec<_>>();
    let mut by_background = Case {
        name: format!("{}-background", by_rate.name),
        title: format!("{}, by background traffic", by_rate.title),
        ..by_rate.clone()
    };
    for link in narrow {
        let rest = |rate: Bitrate| Bitrate::from_kbps(LINK) - rate;
        let rate = by_rate.links[link].capacity.iter().map(|(at, rate)| (*at, rest(*rate))).collect();
        by_background.background.push(Background { links: vec![link], rate });
        by_background.links[link].capacity = steps(&[(0, LINK)]);
    }
    [by_rate, by_background]
}
