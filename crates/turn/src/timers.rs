use std::collections::BTreeSet;
use std::time::Instant;

/// When whose time comes. Each knows its own instant, as that is half of its place here.
#[derive(Debug)]
pub(crate) struct Timers<K>(BTreeSet<(Instant, K)>);

impl<K: Ord + Copy> Timers<K> {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn add(&mut self, at: Instant, key: K) {
        self.0.insert((at, key));
    }

    pub(crate) fn remove(&mut self, at: Instant, key: K) {
        self.0.remove(&(at, key));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out the first whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<K> {
        let first = *self.0.first()?;
        if first.0 > now {
            return None;
        }
        self.0.remove(&first);
        Some(first.1)
    }
}
