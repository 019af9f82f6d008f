use std::time::{Duration, Instant};

use plenary_stun::{Attribute, ErrorCode};

use crate::allocate::requested_family;
use crate::allocation::Key;
use crate::answer::{Done, Refusal, Request};
use crate::bind::Family;
use crate::event::{Event, Released};
use crate::server::Server;

impl Server {
    /// RFC 8656 §8.2.
    pub(crate) fn refresh(&mut self, request: &Request<'_>, key: Key, now: Instant) -> Result<Done, Refusal> {
        let wished = request.message.get_u32(Attribute::LIFETIME)?;
        let family = requested_family(&request.message)?;
        if let Some(family) = family
            && self.allocations[key].relays[family as usize].is_none()
        {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        if wished == Some(0) {
            self.delete(key, family);
            return Ok(Done { lifetime: Some(0), ticket: None });
        }
        let lifetime = self.config.granted(wished);
        let expires = now + Duration::from_secs(lifetime.into());
        self.allocations[key].expires = expires;
        self.look_at(key, expires);
        let has_ticket = request.message.get(Attribute::MOBILITY_TICKET).is_some();
        let ticket = if has_ticket { self.ticket(key) } else { None };
        Ok(Done { lifetime: Some(lifetime), ticket })
    }

    /// Of an allocation with two families one may go, and the other stay.
    fn delete(&mut self, key: Key, family: Option<Family>) {
        let relays = &mut self.allocations[key].relays;
        let is_last = relays.iter().flatten().count() == 1;
        match family.filter(|_| !is_last).and_then(|family| relays[family as usize].take()) {
            None => self.remove(key, Some(Released::Deleted)),
            Some(relayed) => {
                self.allocations.remove_relayed(relayed);
                self.flows.remove(&relayed.flow);
                self.events.push_back(Event::Close { flow: relayed.flow });
            }
        }
    }
}
