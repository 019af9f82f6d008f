//! The cases, by the RFC that has them. All that is not stated otherwise is RFC 8867 §4.

mod application;
mod household;
mod mobile;
mod recorded;
mod rfc8867_5;
mod rfc8867_6;
mod rfc8868;
mod rfc8869;

use std::time::Duration;

use plenary_netsim::{Aqm, Conditions, Loss, QueueLimit};
use plenary_wire::Bitrate;

use crate::case::{Bottleneck, Case, Flow};

pub use recorded::recorded;

/// All of them, in the order of the table.
#[must_use]
pub fn all() -> Vec<Case> {
    let families = [
        rfc8867_5::cases(),
        rfc8867_6::cases(),
        rfc8868::cases(),
        rfc8869::cases(),
        household::cases(),
        application::cases(),
        mobile::cases(),
    ];
    families.into_iter().flatten().collect()
}

/// RFC 8868 §4.5.3.
const JITTER: Duration = Duration::from_millis(5);
/// What most cases have, each way.
const DELAY: Duration = Duration::from_millis(50);

/// From each second on, so many kbit/s.
fn steps(steps: &[(u64, u64)]) -> Vec<(Duration, Bitrate)> {
    steps.iter().map(|(second, kbps)| (seconds(*second), Bitrate::from_kbps(*kbps))).collect()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// RFC 8867 §4: drop tail of 300 ms, jitter, no loss.
fn bottleneck(capacity: Vec<(Duration, Bitrate)>, delay: Duration) -> Bottleneck {
    Bottleneck {
        capacity,
        is_trace: false,
        delay,
        jitter: JITTER,
        queue: QueueLimit::ms(300),
        conditions: Conditions::default(),
        aqm: Aqm::DropTail,
        loss: Loss::None,
    }
}

/// A link that is wide enough for all.
fn wide(delay: Duration) -> Bottleneck {
    bottleneck(steps(&[(0, 100_000)]), delay)
}

/// Flows over one bottleneck of a capacity, with a wide way back.
fn shared(name: &str, title: &str, length: u64, capacity: Vec<(Duration, Bitrate)>, flows: Vec<Flow>) -> Case {
    Case {
        name: name.to_owned(),
        title: title.to_owned(),
        length: seconds(length),
        links: vec![bottleneck(capacity, DELAY), wide(DELAY)],
        is_ecn: false,
        flows,
        background: Vec::new(),
        tcp: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Ideal;

    #[test]
    fn each_case_has_its_name_and_its_links() {
        let cases = all();
        let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            for link in case.flows.iter().flat_map(|flow| flow.forward.iter().chain(&flow.backward)) {
                assert!(*link < case.links.len(), "{}", case.name);
            }
            for flow in &case.flows {
                assert!(flow.audio.iter().chain(&flow.video).all(|span| span.1 <= case.length), "{}", case.name);
            }
        }
    }

    /// Background of (4 - Y × r) Mbit/s leaves what the rate of a link would be.
    #[test]
    fn capacity_by_background_is_capacity_by_rate() {
        let cases = all();
        let twins = cases.iter().filter_map(|case| {
            let by_rate = case.name.strip_suffix("-background")?;
            Some((case, cases.iter().find(|other| other.name == by_rate)?))
        });
        let mut count = 0;
        for (by_background, by_rate) in twins {
            for flow in 0..by_rate.flows.len() {
                let schedules = [by_background, by_rate].map(|case| Ideal::of(case).schedule(flow).collect::<Vec<_>>());
                assert_eq!(schedules[0], schedules[1], "{}", by_background.name);
            }
            count += 1;
        }
        assert_eq!(count, 4);
    }
}
