use std::net::SocketAddr;
use std::time::Instant;

use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use crate::Closed;

/// What a [`Simulation`](crate::Simulation) drives: the one shape of Plenary's machines, which `plenary-wire`
/// describes, as a trait. A test implements it for a machine, or for an enum of the machines of its scenario, by
/// handing each call on; what a machine does not use is left as it is here.
pub trait Machine {
    /// What the test hears.
    type Event;

    /// A datagram came in.
    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant);

    /// The instant of `poll_timeout` has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagrams, or piece of a stream, to send.
    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit>;

    /// The next thing for the test.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call next if nothing comes in.
    fn poll_timeout(&self) -> Option<Instant>;

    /// A stream that the test opened with [`Simulation::connect`](crate::Simulation::connect) is open.
    fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let _ = (flow, local, remote, now);
    }

    /// A stream came to a listener of this node.
    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let _ = (flow, local, remote, now);
    }

    /// The next bytes of a stream.
    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], now: Instant) {
        let _ = (flow, bytes, now);
    }

    /// A stream is no more.
    fn handle_closed(&mut self, flow: FlowId, reason: Closed, now: Instant) {
        let _ = (flow, reason, now);
    }

    /// The whole of this transmit was dropped: its stream is gone, or has no room for all of it.
    fn handle_unsent(&mut self, transmit: &Transmit, now: Instant) {
        let _ = (transmit, now);
    }
}
