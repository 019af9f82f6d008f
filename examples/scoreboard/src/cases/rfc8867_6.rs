//! RFC 8867 §6: other potential cases.

use plenary_netsim::{Aqm, CoDel, DualPi2};

use super::rfc8867_5::competing;
use super::{DELAY, bottleneck, ms, shared, steps, wide};
use crate::case::{Case, Flow, Kind};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![priorities()];
    cases.extend(
        super::rfc8867_5::basic().into_iter().map(|case| ecn(case, "dualpi2", Aqm::DualPi2(DualPi2::default()))),
    );
    cases.push(ecn(super::rfc8867_5::one_flow("8867-5.1-50ms", DELAY), "codel", Aqm::CoDel(CoDel::default())));
    cases.push(ecn(competing(), "codel", Aqm::CoDel(CoDel::default())));
    cases.push(two_bottlenecks());
    cases
}

/// §6.2: a basic case where packets are ECN-capable, and queues mark them.
fn ecn(case: Case, name: &str, aqm: Aqm) -> Case {
    let number = case.name.trim_start_matches("8867-");
    let mut marked = Case {
        name: format!("8867-6.2-{name}-{number}"),
        title: format!("{}; ECN, {}", case.title, if name == "codel" { "CoDel" } else { "DualPI2" }),
        is_ecn: true,
        ..case.clone()
    };
    for link in &mut marked.links {
        link.aqm = aqm;
    }
    for tcp in &mut marked.tcp {
        match &mut tcp.kind {
            Kind::Long(tcp) => tcp.ecn = true,
            Kind::Short(short) => short.tcp.ecn = true,
        }
    }
    marked
}

/// §6.1: flows of different priority.
fn priorities() -> Case {
    let mut case = Case {
        name: "8867-6.1".to_owned(),
        title: "three flows of priorities 2, 1 and 1 join one after another".to_owned(),
        ..competing()
    };
    case.flows[0].priority *= 2;
    case
}

/// §6.3: a flow over A–B–C–D, one over A–B, one over C–D. The reference is 2 Mbit/s.
fn two_bottlenecks() -> Case {
    let over = |forward: &[usize], backward: usize| Flow {
        forward: forward.to_vec(),
        backward: vec![backward],
        ..Flow::of(0, 299)
    };
    let flows = vec![over(&[0, 1, 2], 3), over(&[0], 4), over(&[2], 4)];
    let mut case = shared("8867-6.3", "one flow over two bottlenecks, one over each", 300, Vec::new(), flows);
    let link = |kbps, delay| bottleneck(steps(&[(0, kbps)]), ms(delay));
    case.links = vec![link(2_000, 40), link(8_000, 20), link(1_500, 40), wide(ms(100)), wide(ms(40))];
    case
}
