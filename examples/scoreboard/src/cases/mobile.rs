//! Mobile links, drawn from a model: recorded traces can't be shipped, but read (`--trace`).
//!
//! A link is in one of a few regimes, each with a mean rate, and stays there for a time of the exponential distribution; the
//! next is one of the others, all equally likely. Within a regime the logarithm of the rate is an AR(1) process in steps of
//! 100 ms around the regime's. Gaps (handovers, blockages) come after times of the exponential distribution, last from a
//! least to a longest time, and leave 10 kbit/s.

use std::time::Duration;

use plenary_netsim::{QueueLimit, Random};
use plenary_wire::Bitrate;

use super::{ms, seconds, shared};
use crate::case::{Case, Flow};

/// The rate is another each so often.
const STEP: Duration = Duration::from_millis(100);
/// How much of the last step's deviation is in the next.
const MEMORY: f64 = 0.9;
const GAP_RATE: u64 = 10_000;
const LENGTH: u64 = 120;

struct Model {
    name: &'static str,
    title: &'static str,
    /// The label of chance: another trace of the same model.
    label: u64,
    /// Mean rates, kbit/s.
    regimes: &'static [f64],
    stay: Duration,
    /// The deviation of the rate's natural logarithm.
    deviation: f64,
    /// Mean time between gaps, the shortest and the longest.
    gaps: Option<(Duration, Duration, Duration)>,
    delay: Duration,
    queue: QueueLimit,
}

const MODELS: &[Model] = &[
    Model {
        name: "mobile-hsdpa",
        title: "like HSDPA on a bus: slow, far too deep a queue",
        label: 1,
        regimes: &[250.0, 600.0, 1_400.0],
        stay: seconds(10),
        deviation: 0.35,
        gaps: Some((seconds(40), ms(500), ms(2_000))),
        delay: ms(70),
        queue: QueueLimit::ms(1_500),
    },
    Model {
        name: "mobile-lte",
        title: "like LTE in a car: handovers of 50 to 300 ms",
        label: 2,
        regimes: &[500.0, 1_200.0, 3_000.0],
        stay: seconds(6),
        deviation: 0.3,
        gaps: Some((seconds(15), ms(50), ms(300))),
        delay: ms(35),
        queue: QueueLimit::ms(800),
    },
    Model {
        name: "mobile-5g",
        title: "like 5G at millimetre waves: fast, with blockages",
        label: 3,
        regimes: &[1_500.0, 8_000.0, 20_000.0],
        stay: seconds(4),
        deviation: 0.25,
        gaps: Some((seconds(8), ms(200), ms(800))),
        delay: ms(15),
        queue: QueueLimit::ms(400),
    },
    Model {
        name: "mobile-wifi",
        title: "like Wi-Fi at its edge: fast changes, a shallow queue",
        label: 4,
        regimes: &[400.0, 900.0, 2_500.0],
        stay: seconds(3),
        deviation: 0.5,
        gaps: None,
        delay: ms(20),
        queue: QueueLimit::ms(150),
    },
];

pub(super) fn cases() -> Vec<Case> {
    MODELS.iter().map(case).collect()
}

fn case(model: &Model) -> Case {
    let flows = vec![Flow::of(0, LENGTH - 1)];
    let mut case = shared(model.name, model.title, LENGTH, trace(model), flows);
    case.links[0].is_trace = true;
    case.links[0].queue = model.queue;
    case.links.iter_mut().for_each(|link| link.delay = model.delay);
    case
}

fn trace(model: &Model) -> Vec<(Duration, Bitrate)> {
    let mut random = Random::new(0, model.label);
    let (mut regime, mut until) = (0, Duration::ZERO);
    let mut deviation = 0.0;
    let mut gap = next_gap(model, &mut random, Duration::ZERO);
    let mut steps = Vec::new();
    let mut now = Duration::ZERO;
    while now < seconds(LENGTH) {
        if until <= now {
            let others = model.regimes.len() as u32 - 1;
            regime = (regime + 1 + random.below(others) as usize) % model.regimes.len();
            until = now + random.exponential(model.stay);
        }
        let fresh = libm::sqrt(1.0 - MEMORY * MEMORY) * model.deviation;
        deviation = MEMORY * deviation + fresh * random.normal();
        if gap.1 <= now {
            gap = next_gap(model, &mut random, now);
        }
        let is_gap = gap.0 <= now;
        let rate = model.regimes[regime] * 1_000.0 * libm::exp(deviation);
        steps.push((now, Bitrate::from_bps(if is_gap { GAP_RATE } else { rate as u64 })));
        now += STEP;
    }
    steps
}

/// From when to when.
fn next_gap(model: &Model, random: &mut Random, now: Duration) -> (Duration, Duration) {
    let Some((between, shortest, longest)) = model.gaps else {
        return (Duration::MAX, Duration::MAX);
    };
    let start = now + random.exponential(between);
    let range = (longest - shortest).as_millis() as u32;
    (start, start + shortest + ms(u64::from(random.below(range + 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_the_rates_and_gaps_of_their_models() {
        for model in MODELS {
            let trace = trace(model);
            assert_eq!(trace.len() as u64, 10 * LENGTH);
            let rates = || trace.iter().map(|step| step.1.as_bps() as f64 / 1e3);
            let mean = rates().sum::<f64>() / trace.len() as f64;
            let regimes = model.regimes.iter().sum::<f64>() / model.regimes.len() as f64;
            assert!((0.5..1.6).contains(&(mean / regimes)), "{}: {mean} kbit/s", model.name);
            let gaps = rates().filter(|rate| *rate == 10.0).count();
            assert_eq!(gaps > 0, model.gaps.is_some(), "{}: {gaps} steps are gaps", model.name);
        }
    }
}
