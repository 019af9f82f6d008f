//! Who plays: what stands on the network of a cell.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Agent, Candidate, LocalCandidate, Parameters, Request};
use plenary_netsim::{Machine, Simulation};
use plenary_wire::{Datagram, FlowId};

use super::cell::{Cell, Turn};
use super::server::Sockets;
use super::station::{Host, Station, Told};
use super::wire::Piece;

/// Makes the machines of a cell.
pub(crate) trait Cast {
    /// A server on the open network.
    fn server(&self, sockets: Sockets, sim: &mut Simulation<Host>) -> Box<dyn Serves>;

    /// What sits in a peer.
    fn station(&self, seat: Seat, sim: &mut Simulation<Host>) -> Station;

    /// How long it may take to know all candidates where a relay does not answer.
    fn gathers_within(&self) -> Duration {
        Duration::ZERO
    }
}

/// Where a peer sits.
pub(crate) struct Seat {
    pub(crate) cell: Cell,
    pub(crate) peer: usize,
    /// By what it reaches its relay, if it has one.
    pub(crate) way: Option<Way>,
}

/// The way to a relay.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) turn: Turn,
    /// An address of each family that an address is wanted of.
    pub(crate) wanted: Vec<SocketAddr>,
}

impl Way {
    pub(crate) const fn is_stream(&self) -> bool {
        !matches!(self.turn, Turn::Udp)
    }
}

/// Media that came in: on which flow, from where, its number, and whether the path was held to be proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media {
    pub(crate) flow: FlowId,
    pub(crate) remote: SocketAddr,
    pub(crate) number: u32,
    pub(crate) is_proven: bool,
}

/// What a subject sends, and on which path of its agent's; `None` if it is for its relay alone.
pub(crate) type Sent = (Piece, Option<(FlowId, SocketAddr)>);

/// Who must find their way: an agent, or what has one. Its relay is the station's ([`Station::relay`]), which it then
/// knows nothing of; or its own, by a [`Way`].
pub(crate) trait Subject {
    fn ice(&self) -> &Agent;

    fn set_remote(&mut self, parameters: Parameters, now: Instant);
    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant);
    fn end_remote_candidates(&mut self, now: Instant);
    fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant);
    fn end_local_candidates(&mut self, now: Instant);
    /// A relay has given this address: [`Told::Allocated`].
    fn handle_allocated(&mut self, relayed: SocketAddr, now: Instant);
    fn handle_connected(&mut self, request: Request, stream: Option<(FlowId, SocketAddr)>, now: Instant);
    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, now: Instant);
    fn handle_closed(&mut self, flow: FlowId, now: Instant);

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) -> Option<Media>;
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant) -> Option<Sent>;
    fn poll_event(&mut self) -> Option<Told>;
    fn poll_timeout(&self) -> Option<Instant>;

    /// Media for the pair in use, if there is one.
    fn media(&mut self, number: u32, now: Instant) -> Option<Piece>;

    /// It is over: what is held elsewhere is given back.
    fn close(&mut self, now: Instant);

    /// The stream to its relay is open, if that is its flow.
    fn handle_way_open(&mut self, flow: FlowId, now: Instant) -> bool {
        let _ = (flow, now);
        false
    }

    /// What came by the stream to its relay.
    fn handle_way(&mut self, flow: FlowId, bytes: &[u8], now: Instant) -> Vec<Media> {
        let _ = (flow, bytes, now);
        Vec::new()
    }

    /// What is wrong with it, once it is closed.
    fn wrong(&self) -> Option<String> {
        None
    }
}

/// A server: it tells addresses, and relays.
pub(crate) trait Serves: Machine<Event = Told> {
    /// What it still holds, once all are gone.
    fn leftovers(&self) -> Option<String> {
        None
    }
}
