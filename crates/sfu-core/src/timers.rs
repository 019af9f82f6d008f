//! When which transport wants to be called: a heap in which each has one place.

use std::time::Instant;

use slotmap::{Key, SecondaryMap};

/// The instants of transports, soonest first. O(log n) for each change, and no allocation once it has been as large as it gets;
/// a B-tree has nodes to make and to drop. (`priority-queue` does the same under a licence that is not ours.)
#[derive(Debug)]
pub(crate) struct Timers<K: Key> {
    /// None is later than the two at twice its index and one, and two, further on.
    heap: Vec<(Instant, K)>,
    places: SecondaryMap<K, usize>,
}

impl<K: Key> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { heap: Vec::new(), places: SecondaryMap::new() }
    }

    /// The soonest.
    pub(crate) fn first(&self) -> Option<(Instant, K)> {
        self.heap.first().copied()
    }

    /// Sets the instant of one, or takes it out.
    pub(crate) fn set(&mut self, key: K, due: Option<Instant>) {
        match (self.places.get(key).copied(), due) {
            (None, None) => {}
            (None, Some(due)) => {
                self.heap.push((due, key));
                self.up(self.heap.len() - 1);
            }
            (Some(place), Some(due)) => {
                if self.heap[place].0 != due {
                    self.heap[place].0 = due;
                    let place = self.up(place);
                    self.down(place);
                }
            }
            (Some(place), None) => {
                self.places.remove(key);
                self.heap.swap_remove(place);
                if place < self.heap.len() {
                    let place = self.up(place);
                    self.down(place);
                }
            }
        }
    }

    fn up(&mut self, mut place: usize) -> usize {
        while place > 0 && self.heap[place].0 < self.heap[(place - 1) / 2].0 {
            self.heap.swap(place, (place - 1) / 2);
            self.keep(place);
            place = (place - 1) / 2;
        }
        self.keep(place);
        place
    }

    fn down(&mut self, mut place: usize) {
        loop {
            let children = (2 * place + 1..self.heap.len()).take(2);
            let soonest = children.min_by_key(|child| self.heap[*child].0);
            let Some(child) = soonest.filter(|child| self.heap[*child].0 < self.heap[place].0) else { break };
            self.heap.swap(place, child);
            self.keep(place);
            place = child;
        }
        self.keep(place);
    }

    /// Takes note of who stands in this place.
    fn keep(&mut self, place: usize) {
        self.places.insert(self.heap[place].1, place);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use plenary_netsim::base;
    use proptest::prelude::*;
    use slotmap::{DefaultKey, SlotMap};

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set(changes in prop::collection::vec((0usize..20, prop::option::weighted(0.8, 0u64..50)), 0..200)) {
            let (start, mut keys) = (base(), SlotMap::new());
            let keys: Vec<DefaultKey> = (0..20).map(|_| keys.insert(())).collect();
            let (mut timers, mut model) = (Timers::new(), vec![None; 20]);
            for (index, after) in changes {
                let due = after.map(|after| start + Duration::from_secs(after));
                timers.set(keys[index], due);
                model[index] = due;
                let soonest = model.iter().flatten().min().copied();
                prop_assert_eq!(timers.first().map(|(due, _)| due), soonest);
                prop_assert_eq!(timers.heap.len(), model.iter().flatten().count());
            }
            let mut left: BTreeSet<_> = (0..20).filter(|index| model[*index].is_some()).collect();
            let mut last = None;
            while let Some((due, key)) = timers.first() {
                prop_assert!(last <= Some(due), "in order");
                last = Some(due);
                timers.set(key, None);
                let index = keys.iter().position(|known| *known == key).unwrap();
                prop_assert!(left.remove(&index) && model[index] == Some(due));
            }
            prop_assert!(left.is_empty());
        }
    }
}
