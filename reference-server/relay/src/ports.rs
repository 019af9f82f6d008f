//! Ports for relays: drawn by chance, and rested when they were used (RFC 8656 §7.2).

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plenary_turn::PortWish;

use crate::chance::draw;

/// How long a port rests, so that what is still on its way to one client does not reach another. If all others are in use it
/// rests as long as it can.
const REST: Duration = Duration::from_secs(120);

/// Which ports of an address are bound by a relay of any thread.
#[derive(Clone, Debug)]
pub(crate) struct Bound(Arc<[AtomicU64; 1024]>);

impl Default for Bound {
    fn default() -> Self {
        Self(Arc::new([const { AtomicU64::new(0) }; 1024]))
    }
}

impl Bound {
    pub(crate) fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)].load(Ordering::Relaxed) >> (port % 64) & 1 == 1
    }

    fn insert(&self, port: u16) {
        self.0[usize::from(port / 64)].fetch_or(1 << (port % 64), Ordering::Relaxed);
    }

    fn remove(&self, port: u16) {
        self.0[usize::from(port / 64)].fetch_and(!(1 << (port % 64)), Ordering::Relaxed);
    }
}

/// The ports of one thread, for one address.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Those that are free, the longest first; since when, if they ever were used.
    free: VecDeque<(u16, Option<Instant>)>,
    all: usize,
    bound: Bound,
}

impl Ports {
    /// The part of one thread, of so many. An even port and the next above it are of the same one.
    pub(crate) fn new(ports: RangeInclusive<u16>, thread: usize, threads: usize, bound: Bound) -> io::Result<Self> {
        let mut free: VecDeque<_> =
            ports.filter(|port| usize::from(port / 2) % threads == thread).map(|port| (port, None)).collect();
        for end in (1..free.len()).rev() {
            free.swap(end, below(end + 1)?);
        }
        Ok(Self { all: free.len(), free, bound })
    }

    /// The share of ports that are in use, in thousandths.
    pub(crate) fn used_permille(&self) -> u64 {
        ((self.all - self.free.len()) * 1000 / self.all.max(1)) as u64
    }

    /// Takes a port, and the one above it if that is wished; `None` if there is none.
    pub(crate) fn take(&mut self, wish: PortWish, now: Instant) -> io::Result<Option<u16>> {
        let at = match wish {
            PortWish::Any => self.any(now)?,
            PortWish::Even => self.free.iter().position(|(port, _)| port.is_multiple_of(2)),
            PortWish::EvenAndNext => self.even_and_next(),
        };
        let taken = at.and_then(|at| match wish {
            // The order of those that have rested is of no matter.
            PortWish::Any => self.free.swap_remove_front(at),
            PortWish::Even | PortWish::EvenAndNext => self.free.remove(at),
        });
        let Some((port, _)) = taken else { return Ok(None) };
        if wish == PortWish::EvenAndNext {
            self.free.retain(|(other, _)| *other != port + 1);
        }
        Ok(Some(port))
    }

    /// Any of those that have rested; if none has, the one that has for longest.
    fn any(&self, now: Instant) -> io::Result<Option<usize>> {
        let is_rested = |(_, since): &(u16, Option<Instant>)| since.is_none_or(|since| now >= since + REST);
        let rested = self.free.partition_point(is_rested);
        Ok(match self.free.len() {
            0 => None,
            _ if rested == 0 => Some(0),
            _ => Some(below(rested)?),
        })
    }

    fn even_and_next(&self) -> Option<usize> {
        let mut free = [0_u64; 1024];
        for (port, _) in &self.free {
            free[usize::from(port / 64)] |= 1 << (port % 64);
        }
        let is_pair = |port: u16| port.is_multiple_of(2) && free[usize::from(port / 64)] >> (port % 64) & 0b11 == 0b11;
        self.free.iter().position(|(port, _)| is_pair(*port))
    }

    /// One that was taken is bound: others' relays reach it. Before, somebody else's socket may have it.
    pub(crate) fn open(&self, port: u16) {
        self.bound.insert(port);
    }

    /// Gives one back, to rest.
    pub(crate) fn give_back(&mut self, port: u16, now: Instant) {
        self.bound.remove(port);
        self.free.push_back((port, Some(now)));
    }
}

/// A number below another one.
fn below(end: usize) -> io::Result<usize> {
    Ok((u64::from_ne_bytes(draw()?) % end.max(1) as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(range: RangeInclusive<u16>) -> Ports {
        Ports::new(range, 0, 1, Bound::default()).unwrap()
    }

    #[test]
    fn threads_share_all_ports_and_no_port() {
        let bound = Bound::default();
        let mut seen: Vec<u16> = (0..3)
            .flat_map(|thread| Ports::new(50_000..=50_099, thread, 3, bound.clone()).unwrap().free)
            .map(|(port, _)| port)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (50_000..=50_099).collect::<Vec<_>>());
    }

    #[test]
    fn a_port_rests_as_long_as_there_are_others() {
        let now = Instant::now();
        let mut ports = ports(50_000..=50_003);
        let mut all: Vec<u16> = (0..4).map(|_| ports.take(PortWish::Any, now).unwrap().unwrap()).collect();
        assert_eq!(ports.take(PortWish::Any, now).unwrap(), None);
        assert_eq!(ports.used_permille(), 1000);
        for (index, port) in all.iter().enumerate() {
            assert!(!ports.bound.contains(*port), "it may be another's yet");
            ports.open(*port);
            assert!(ports.bound.contains(*port));
            ports.give_back(*port, now + Duration::from_secs(index as u64));
            assert!(!ports.bound.contains(*port));
        }
        // None has rested: in the order in which they came back.
        let later = now + Duration::from_secs(10);
        let next: Vec<u16> = (0..3).map(|_| ports.take(PortWish::Any, later).unwrap().unwrap()).collect();
        assert_eq!(next, all[..3]);
        ports.give_back(all[0], later);
        // The fourth has by then, the first has not.
        let last = all.pop().unwrap();
        assert_eq!(ports.take(PortWish::Any, later + REST - Duration::from_secs(5)).unwrap(), Some(last));
    }

    #[test]
    fn who_asks_for_an_even_port_wakes_no_other() {
        let now = Instant::now();
        let mut ports = ports(50_001..=50_003);
        ports.free = [(50_001, Some(now)), (50_003, Some(now + REST)), (50_002, Some(now + REST))].into();
        assert_eq!(ports.take(PortWish::Even, now + REST).unwrap(), Some(50_002));
        let left: Vec<u16> = ports.free.iter().map(|(port, _)| *port).collect();
        assert_eq!(left, [50_001, 50_003], "the longest first");
    }

    #[test]
    fn ports_come_by_chance() {
        let now = Instant::now();
        let mut ports = ports(49_152..=65_535);
        let taken: Vec<u16> = (0..8).map(|_| ports.take(PortWish::Any, now).unwrap().unwrap()).collect();
        assert!(!taken.is_sorted() || !taken.iter().rev().is_sorted(), "{taken:?}");
        assert!(taken.windows(2).any(|pair| pair[0].abs_diff(pair[1]) > 100), "{taken:?}");
    }

    #[test]
    fn pairs_are_even_and_next() {
        let now = Instant::now();
        let mut ports = ports(50_001..=50_004);
        assert_eq!(ports.take(PortWish::EvenAndNext, now).unwrap(), Some(50_002));
        assert_eq!(ports.take(PortWish::EvenAndNext, now).unwrap(), None);
        assert_eq!(ports.take(PortWish::Even, now).unwrap(), Some(50_004));
        assert_eq!(ports.take(PortWish::Even, now).unwrap(), None);
        assert_eq!(ports.take(PortWish::Any, now).unwrap(), Some(50_001));
    }
}
