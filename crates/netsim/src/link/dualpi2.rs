use std::time::Duration;

use plenary_wire::DataSize;

use super::aqm::DualPi2;
use super::fifo::{Fifo, Waiting};
use crate::Probability;

/// Certainty: probabilities are in parts of it, so that thousandths of a hertz times nanoseconds are such parts.
const ONE: u64 = 1_000_000_000_000;

/// Where DualPI2 stands, in the words of RFC 9332 appendix A.
#[derive(Debug)]
pub(crate) struct State {
    /// The base probability, p'.
    base: u64,
    /// The delay at the last update.
    previous: Duration,
    next_update: Duration,
    /// What is left over of decisions, so that as many are made as the probability says.
    low_recur: u64,
    classic_recur: u64,
    /// Bytes, times a million, that the Classic queue is behind its share.
    credit: i128,
}

impl State {
    pub(crate) fn new(config: &DualPi2, now: Duration) -> Self {
        let next_update = now.saturating_add(period(config));
        Self { base: 0, previous: Duration::ZERO, next_update, low_recur: 0, classic_recur: 0, credit: 0 }
    }

    /// Makes up for the updates that were due by now. Between two calls the queues have not changed but for their age.
    pub(crate) fn update<P>(&mut self, config: &DualPi2, (classic, low): (&Fifo<P>, &Fifo<P>), now: Duration) {
        while self.next_update <= now {
            let at = self.next_update;
            // RFC 9332 figure 8, line 2a: the greater one, for when the queue of low latency alone is overloaded.
            let delay = classic.age(at).max(low.age(at));
            let base = self.moved(config, delay);
            let at_rest = base == self.base && (delay == self.previous || (base == ONE && delay >= config.target));
            (self.base, self.previous) = (base, delay);
            self.next_update = at.saturating_add(period(config));
            if at_rest {
                // It stays so until a packet comes or goes.
                let periods = now.saturating_sub(at).as_nanos() / period(config).as_nanos();
                let skipped = u64::try_from(periods * period(config).as_nanos()).unwrap_or(u64::MAX);
                let last = at.saturating_add(Duration::from_nanos(skipped));
                self.previous = classic.age(last).max(low.age(last));
                self.next_update = last.saturating_add(period(config));
            }
            if at == Duration::MAX {
                return;
            }
        }
    }

    /// The base probability after an update with this delay.
    fn moved(&self, config: &DualPi2, delay: Duration) -> u64 {
        let beyond = |than: Duration| nanos(delay) - nanos(than);
        let integral = i128::from(config.alpha_millihertz) * beyond(config.target);
        let proportional = i128::from(config.beta_millihertz) * beyond(self.previous);
        (i128::from(self.base) + integral + proportional).clamp(0, i128::from(ONE)) as u64
    }

    pub(crate) fn pop<P>(
        &mut self,
        config: &DualPi2,
        (classic, low, mtu): (&mut Fifo<P>, &mut Fifo<P>, DataSize),
        now: Duration,
        refuse: &mut impl FnMut(Waiting<P>),
    ) -> Option<Waiting<P>> {
        self.update(config, (classic, low), now);
        loop {
            let contended = !classic.is_empty() && !low.is_empty();
            let from_low = if contended { self.credit <= 0 } else { classic.is_empty() };
            let short = classic.size().saturating_add(low.size()) < mtu.saturating_add(mtu);
            let count = low.len();
            let Some(mut first) = (if from_low { low.pop() } else { classic.pop() }) else {
                self.credit = 0;
                return None;
            };
            let base = if short { 0 } else { self.base };
            let passes = if from_low {
                self.passes_low(config, &mut first, (base, count), now)
            } else {
                self.passes_classic(config, &mut first, base)
            };
            if !passes {
                refuse(first);
                continue;
            }
            if contended {
                self.account(config.classic_share, from_low, first.packet.size);
            }
            return Some(first);
        }
    }

    /// Figure 7, lines 4 to 8.
    fn passes_low<P>(
        &mut self,
        config: &DualPi2,
        first: &mut Waiting<P>,
        (base, count): (u64, usize),
        now: Duration,
    ) -> bool {
        let coupled = base.saturating_mul(u64::from(config.coupling)).min(ONE);
        let overload = coupled == ONE;
        if overload && recur(&mut self.low_recur, squared(base)) {
            return false;
        }
        let native = if count > 1 { ramp(config, first.waited(now)) } else { 0 };
        if overload || recur(&mut self.low_recur, native.max(coupled)) {
            first.mark();
        }
        true
    }

    /// Figure 7, lines 10 to 16.
    fn passes_classic<P>(&mut self, config: &DualPi2, first: &mut Waiting<P>, base: u64) -> bool {
        let probability = squared(base);
        if !recur(&mut self.classic_recur, probability) {
            return true;
        }
        let coupling = u64::from(config.coupling.max(1));
        let overload = probability >= ONE / coupling.saturating_mul(coupling);
        !overload && first.mark()
    }

    fn account(&mut self, classic_share: Probability, from_low: bool, size: DataSize) {
        let classic = i128::from(classic_share.as_ppm());
        let bytes = i128::from(size.as_bytes());
        let low = i128::from(Probability::ONE.as_ppm()) - classic;
        self.credit += if from_low { bytes * classic } else { -bytes * low };
    }
}

/// Whether it is time again for what happens with this probability.
const fn recur(left: &mut u64, probability: u64) -> bool {
    *left += probability;
    let due = *left > ONE;
    if due {
        *left -= ONE;
    }
    due
}

/// Figure 5.
fn ramp(config: &DualPi2, delay: Duration) -> u64 {
    let above = delay.saturating_sub(config.threshold);
    if delay >= config.threshold.saturating_add(config.range) {
        ONE
    } else {
        (above.as_nanos() * u128::from(ONE) / config.range.as_nanos().max(1)) as u64
    }
}

const fn squared(probability: u64) -> u64 {
    (probability as u128 * probability as u128 / ONE as u128) as u64
}

fn period(config: &DualPi2) -> Duration {
    config.update.max(Duration::from_micros(1))
}

/// Years are enough: 584 of them.
fn nanos(time: Duration) -> i128 {
    i128::from(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
