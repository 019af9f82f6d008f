//! RFC 8868 §4: delays, queues and loss, each alone.

use plenary_netsim::{Loss, QueueLimit};

use super::rfc8867_5::one_flow;
use super::{DELAY, ms, shared, steps};
use crate::case::{Case, Flow};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend([0, 150, 300].map(|delay| one_flow(&format!("8868-delay-{delay}ms"), ms(delay))));
    cases.extend([70, 1_000, 2_000].map(queue));
    cases.extend([1, 5, 10, 20].map(loss));
    cases
}

/// §4.4: shallow, and far too deep.
fn queue(limit: u64) -> Case {
    let mut case = one_flow(&format!("8868-queue-{limit}ms"), DELAY);
    case.title = format!("one flow, variable capacity, a queue of {limit} ms");
    case.links[0].queue = QueueLimit::ms(limit);
    case
}

/// §4.2: independent of what is sent.
fn loss(percent: u32) -> Case {
    let title = format!("one flow, {percent} % of packets are lost at random");
    let name = format!("8868-loss-{percent}");
    let mut case = shared(&name, &title, 100, steps(&[(0, 1_000)]), vec![Flow::of(0, 99)]);
    case.links[0].loss = Loss::percent(percent);
    case
}
