use std::net::SocketAddr;
use std::ops::{Index, IndexMut};

use slotmap::SlotMap;

use crate::allocation::{Allocation, Key, Relayed};
use crate::tuple::{ByNumber, FiveTuple, Mixed, Places};

/// All allocations, by client and by relayed address.
pub(crate) struct Allocations {
    slots: SlotMap<Key, Box<Allocation>>,
    /// By hashes with a key: that two clients share one has a chance of 2^-64, and costs the second its allocation.
    by_client: ByNumber<u64, Key>,
    by_relayed: ByNumber<u64, Key>,
    places: Places,
    /// Datagrams come in runs of one client.
    last: Option<(FiveTuple, Key)>,
}

impl Allocations {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            slots: SlotMap::with_key(),
            by_client: ByNumber::with_hasher(Mixed::default()),
            by_relayed: ByNumber::with_hasher(Mixed::default()),
            places,
            last: None,
        }
    }

    pub(crate) fn of_client(&mut self, tuple: &FiveTuple) -> Option<Key> {
        if let Some((last, key)) = &self.last
            && last == tuple
        {
            return Some(*key);
        }
        let key = *self.by_client.get(&self.places.of_client(tuple))?;
        if !self.slots[key].is_of(tuple) {
            return None;
        }
        self.last = Some((*tuple, key));
        Some(key)
    }

    pub(crate) fn at_relayed(&self, address: SocketAddr) -> Option<Key> {
        let key = *self.by_relayed.get(&self.places.of_address(address))?;
        let is_there = self.slots[key].relayed(address.ip()).is_some_and(|relayed| relayed.address == address);
        is_there.then_some(key)
    }

    pub(crate) fn insert(&mut self, allocation: Allocation) -> Key {
        let place = self.places.of_client(&allocation.tuple);
        let key = self.slots.insert(Box::new(allocation));
        self.by_client.insert(place, key);
        key
    }

    pub(crate) fn add_client(&mut self, tuple: &FiveTuple, key: Key) {
        self.by_client.insert(self.places.of_client(tuple), key);
    }

    pub(crate) fn forget_client(&mut self, tuple: &FiveTuple, key: Key) {
        self.last = None;
        let place = self.places.of_client(tuple);
        if self.by_client.get(&place) == Some(&key) {
            self.by_client.remove(&place);
        }
    }

    /// Makes a relayed address known; `false` if another allocation has it.
    pub(crate) fn add_relayed(&mut self, key: Key, relayed: Relayed) -> bool {
        if self.at_relayed(relayed.address).is_some() {
            return false;
        }
        self.by_relayed.insert(self.places.of_address(relayed.address), key);
        true
    }

    pub(crate) fn remove_relayed(&mut self, relayed: Relayed) {
        self.by_relayed.remove(&self.places.of_address(relayed.address));
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Box<Allocation>> {
        let allocation = self.slots.remove(key)?;
        let next = allocation.mobility.and_then(|mobility| mobility.next);
        for tuple in [Some(allocation.tuple), next].iter().flatten() {
            self.forget_client(tuple, key);
        }
        for relayed in allocation.relays.iter().flatten() {
            self.remove_relayed(*relayed);
        }
        Some(allocation)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Allocation> {
        self.slots.get(key).map(|it| &**it)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many relayed addresses there are.
    pub(crate) fn relays(&self) -> usize {
        self.by_relayed.len()
    }
}

impl Index<Key> for Allocations {
    type Output = Allocation;

    fn index(&self, key: Key) -> &Allocation {
        &self.slots[key]
    }
}

impl IndexMut<Key> for Allocations {
    fn index_mut(&mut self, key: Key) -> &mut Allocation {
        &mut self.slots[key]
    }
}
