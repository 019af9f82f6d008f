//! The sockets of a thread, by flow.

use std::net::TcpListener;

use plenary_wire::FlowId;

use crate::associations::Client;
use crate::connection::Connection;
use crate::identity::Identity;
use crate::udp::Udp;

/// Bits of a flow that say which place it has; those above say whose turn there it is, so that what is sent late to a socket
/// that is closed does not go out by another one.
const PLACE_BITS: u32 = 22;

/// A socket.
#[derive(Debug)]
pub(crate) enum Flow {
    /// Of a listener, of a relay, or reserved for one.
    Datagrams(Udp),
    /// Where clients connect: by TLS, if it has an identity.
    Clients(TcpListener, Option<Identity>),
    /// Where peers connect (RFC 6062).
    Peers(TcpListener),
    /// Of a client, or of a peer.
    Connection(Box<Connection>),
    /// Of a client by DTLS: it has the socket of its listener.
    Association(Box<Client>),
}

#[derive(Debug, Default)]
pub(crate) struct Flows {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    turn: u32,
    flow: Option<Flow>,
}

impl Flows {
    /// `None` if there is no place left.
    pub(crate) fn insert(&mut self, flow: Flow) -> Option<FlowId> {
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.places.len() < 1 << PLACE_BITS => {
                self.places.push(Place::default());
                self.places.len() as u32 - 1
            }
            None => return None,
        };
        let place = &mut self.places[at as usize];
        place.flow = Some(flow);
        Some(FlowId(place.turn << PLACE_BITS | at))
    }

    pub(crate) fn get(&self, flow: FlowId) -> Option<&Flow> {
        let place = self.places.get((flow.0 & ((1 << PLACE_BITS) - 1)) as usize)?;
        place.flow.as_ref().filter(|_| place.turn == flow.0 >> PLACE_BITS)
    }

    pub(crate) fn get_mut(&mut self, flow: FlowId) -> Option<&mut Flow> {
        let place = self.places.get_mut((flow.0 & ((1 << PLACE_BITS) - 1)) as usize)?;
        place.flow.as_mut().filter(|_| place.turn == flow.0 >> PLACE_BITS)
    }

    pub(crate) fn udp(&self, flow: FlowId) -> Option<&Udp> {
        match self.get(flow) {
            Some(Flow::Datagrams(udp)) => Some(udp),
            _ => None,
        }
    }

    pub(crate) fn connection(&mut self, flow: FlowId) -> Option<&mut Connection> {
        match self.get_mut(flow) {
            Some(Flow::Connection(connection)) => Some(connection),
            _ => None,
        }
    }

    pub(crate) fn association(&mut self, flow: FlowId) -> Option<&mut Client> {
        match self.get_mut(flow) {
            Some(Flow::Association(client)) => Some(client),
            _ => None,
        }
    }

    /// Those where somebody connects.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (FlowId, &TcpListener)> {
        self.places.iter().enumerate().filter_map(|(at, place)| match &place.flow {
            Some(Flow::Clients(listener, _) | Flow::Peers(listener)) => {
                Some((FlowId(place.turn << PLACE_BITS | at as u32), listener))
            }
            _ => None,
        })
    }

    pub(crate) fn remove(&mut self, flow: FlowId) -> Option<Flow> {
        self.get(flow)?;
        let at = flow.0 & ((1 << PLACE_BITS) - 1);
        let place = &mut self.places[at as usize];
        place.turn = (place.turn + 1) % (1 << (32 - PLACE_BITS));
        self.free.push(at);
        place.flow.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_is_closed_is_not_the_next_one_at_its_place() {
        let listener = || Flow::Peers(TcpListener::bind("127.0.0.1:0").unwrap());
        let mut flows = Flows::default();
        let (one, other) = (flows.insert(listener()).unwrap(), flows.insert(listener()).unwrap());
        assert!(flows.remove(one).is_some() && flows.remove(one).is_none());
        let next = flows.insert(listener()).unwrap();
        assert_ne!(one, next);
        assert!(flows.get(one).is_none() && flows.get(next).is_some() && flows.get(other).is_some());
        assert_eq!(flows.places.len(), 2, "its place is used again");
    }
}
