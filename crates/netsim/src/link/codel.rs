use std::time::Duration;

use plenary_wire::DataSize;

use super::aqm::CoDel;
use super::fifo::{Fifo, Waiting};

/// Where CoDel stands: the variables of RFC 8289 §5.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// When the delay will have been above the target for an interval.
    first_above: Option<Duration>,
    dropping: bool,
    drop_next: Duration,
    /// Drops since this spell began, and with how many it began.
    count: u32,
    count_first: u32,
}

impl State {
    pub(crate) fn pop<P>(
        &mut self,
        config: &CoDel,
        (fifo, mtu): (&mut Fifo<P>, DataSize),
        now: Duration,
        refuse: &mut impl FnMut(Waiting<P>),
    ) -> Option<Waiting<P>> {
        let mut first = fifo.pop();
        let mut late = self.is_late(config, first.as_ref(), (fifo.size(), mtu), now);
        if !self.dropping {
            if late {
                self.begin(config, now);
                if !accepts(config, &mut first, refuse) {
                    first = fifo.pop();
                    self.is_late(config, first.as_ref(), (fifo.size(), mtu), now);
                }
            }
            return first;
        }
        self.dropping = late;
        while self.dropping && now >= self.drop_next {
            self.count = self.count.saturating_add(1);
            if accepts(config, &mut first, refuse) {
                self.drop_next = next_drop(config, self.drop_next, self.count);
                return first;
            }
            first = fifo.pop();
            late = self.is_late(config, first.as_ref(), (fifo.size(), mtu), now);
            self.dropping = late;
            if late {
                self.drop_next = next_drop(config, self.drop_next, self.count);
            }
        }
        first
    }

    /// Whether all packets of an interval until now have waited longer than the target. With an MTU or less behind it
    /// no packet is late: the transmitter must not run dry.
    fn is_late<P>(
        &mut self,
        config: &CoDel,
        first: Option<&Waiting<P>>,
        (rest, mtu): (DataSize, DataSize),
        now: Duration,
    ) -> bool {
        if rest <= mtu || first.is_none_or(|first| first.waited(now) < config.target) {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            Some(first_above) => now >= first_above,
            None => {
                self.first_above = Some(now.saturating_add(config.interval));
                false
            }
        }
    }

    /// A spell of drops begins: as fast as the last one ended, if that was not long ago.
    fn begin(&mut self, config: &CoDel, now: Duration) {
        self.dropping = true;
        let drops = self.count - self.count_first;
        let recent = now.saturating_sub(self.drop_next) < config.interval.saturating_mul(16);
        self.count = if drops > 1 && recent { drops } else { 1 };
        self.count_first = self.count;
        self.drop_next = next_drop(config, now, self.count);
    }
}

/// Marks the packet, or refuses it.
fn accepts<P>(config: &CoDel, first: &mut Option<Waiting<P>>, refuse: &mut impl FnMut(Waiting<P>)) -> bool {
    if config.ecn && first.as_mut().is_some_and(Waiting::mark) {
        return true;
    }
    first.take().into_iter().for_each(refuse);
    false
}

/// The control law: after an interval divided by the root of the count. In whole nanoseconds, rounded down.
fn next_drop(config: &CoDel, after: Duration, count: u32) -> Duration {
    let interval = u128::from(u64::try_from(config.interval.as_nanos()).unwrap_or(u64::MAX));
    let wait = (interval * interval / u128::from(count)).isqrt();
    after.saturating_add(Duration::from_nanos(wait as u64))
}
