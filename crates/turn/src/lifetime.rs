//! How allocations, permissions and channels end.

use std::time::Instant;

use crate::allocation::{Allocation, Key};
use crate::event::{Event, Released};
use crate::server::{Server, Timer};

impl Server {
    pub(crate) fn allocation_is_due(&mut self, key: Key, now: Instant) {
        let is_due = |allocation: &Allocation| allocation.expires <= now;
        if self.allocations.get(key).is_some_and(|it| is_due(it) && it.binding.is_some()) {
            // The caller has not bound in time. That the answer finds no room is the same to the client. With one of two
            // sockets it goes on.
            self.finish_allocate(key, now).ok();
        }
        let Some(allocation) = self.allocations.get(key) else { return };
        if is_due(allocation) {
            return self.remove(key, Some(Released::Expired));
        }
        self.expire(key, now);
        let allocation = &mut self.allocations[key];
        let next = [allocation.permissions.first_expiry(), allocation.channels.first_expiry()];
        let next = next.into_iter().flatten().fold(allocation.expires, Instant::min);
        allocation.timer = next;
        self.timers.add(next, Timer::Allocation(key));
    }

    /// Takes out permissions and channels whose time is over.
    pub(crate) fn expire(&mut self, key: Key, now: Instant) {
        let (allocation, id, fast_path) = (&mut self.allocations[key], key.id(), self.config.fast_path);
        let events = &mut self.events;
        let mut tell = |event| {
            if fast_path {
                events.push_back(event)
            }
        };
        allocation.channels.expire(now, |number| tell(Event::ChannelExpired { allocation: id, number }));
        allocation.permissions.expire(now, |peer| tell(Event::PermissionExpired { allocation: id, peer }));
    }

    /// Sees to it that an allocation is looked at by this instant.
    pub(crate) fn look_at(&mut self, key: Key, at: Instant) {
        let allocation = &mut self.allocations[key];
        if at < allocation.timer {
            self.timers.remove(allocation.timer, Timer::Allocation(key));
            allocation.timer = at;
            self.timers.add(at, Timer::Allocation(key));
        }
    }

    /// Ends an allocation. Without a reason nobody has heard of it yet.
    pub(crate) fn remove(&mut self, key: Key, reason: Option<Released>) {
        let Some(allocation) = self.allocations.remove(key) else { return };
        self.end_connections(&allocation.connections);
        self.timers.remove(allocation.timer, Timer::Allocation(key));
        self.quota.give_back(allocation.owner.account(), allocation.tuple.remote);
        if let Some(binding) = &allocation.binding {
            for request in binding.awaits.iter().flatten() {
                self.binds.remove(request);
            }
        }
        for relayed in allocation.relays.iter().flatten() {
            self.flows.remove(&relayed.flow);
            self.events.push_back(Event::Close { flow: relayed.flow });
        }
        if let Some(reason) = reason {
            self.events.push_back(Event::Released { allocation: key.id(), reason, usage: allocation.usage });
        }
    }

    pub(crate) fn tell_fast_path(&mut self, event: Event) {
        if self.config.fast_path {
            self.events.push_back(event);
        }
    }
}
