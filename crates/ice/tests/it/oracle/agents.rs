//! Agents alone, by servers and relays of the laboratory's own.

use std::net::SocketAddr;
use std::time::Instant;

use plenary_ice::{Agent, Candidate, Event, LocalCandidate, Parameters, Request, Transport};
use plenary_netsim::Simulation;
use plenary_wire::{Datagram, FlowId, Limit};

use super::matrix::cast::{Cast, Media, Seat, Sent, Serves, Subject};
use super::matrix::server::{Server, Sockets};
use super::matrix::station::{Brain, Host, Relay, Station, Told, relayed_flow};
use super::matrix::trial::{config, preferred};
use super::matrix::wire::{Piece, framed, media, number_of};

pub(crate) struct Agents;

impl Cast for Agents {
    fn server(&self, sockets: Sockets, _sim: &mut Simulation<Host>) -> Box<dyn Serves> {
        Box::new(Server::new(sockets))
    }

    fn station(&self, seat: Seat, sim: &mut Simulation<Host>) -> Station {
        let agent = Agent::new(config(&seat, sim.entropy()), sim.now()).expect("the configuration is in range");
        Station::new(Brain::Subject(Box::new(agent)), seat.way.map(|way| Relay::new(way, sim.now())))
    }
}

impl Subject for Agent {
    fn ice(&self) -> &Agent {
        self
    }

    fn set_remote(&mut self, parameters: Parameters, now: Instant) {
        self.set_remote_parameters(parameters, now);
    }

    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        self.add_remote_candidate(candidate, now);
    }

    fn end_remote_candidates(&mut self, now: Instant) {
        self.end_remote_candidates(now);
    }

    fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant) {
        self.add_local_candidate(candidate, now).expect("the candidate is sound");
    }

    fn end_local_candidates(&mut self, now: Instant) {
        self.end_local_candidates(now);
    }

    fn handle_allocated(&mut self, relayed: SocketAddr, now: Instant) {
        let candidate = LocalCandidate::relayed(relayed_flow(relayed), relayed);
        self.add_local_candidate(preferred(candidate, 65_000), now).expect("the candidate is sound");
    }

    fn handle_connected(&mut self, request: Request, stream: Option<(FlowId, SocketAddr)>, now: Instant) {
        // If it is not wanted any more, it stays unused.
        let _ = self.handle_connected(request, stream, now);
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, now: Instant) {
        self.handle_accepted(flow, local, now).expect("it came to the passive candidate");
    }

    fn handle_closed(&mut self, flow: FlowId, now: Instant) {
        let _ = self.handle_closed(flow, now);
    }

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) -> Option<Media> {
        let Datagram { flow, remote, .. } = datagram;
        if let Some(number) = number_of(datagram.bytes) {
            return Some(Media { flow, remote, number, is_proven: self.is_proven(flow, remote) });
        }
        let _ = self.handle_datagram(datagram, now);
        None
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Sent> {
        let mut bytes = Vec::new();
        let transmit = self.poll_transmit(now, Limit::DATAGRAM, &mut bytes)?;
        let piece = Piece { flow: transmit.flow, local: transmit.local, remote: transmit.remote, bytes };
        let path = (piece.flow, piece.remote);
        Some((piece, Some(path)))
    }

    fn poll_event(&mut self) -> Option<Told> {
        Some(match self.poll_event()? {
            Event::Selected(_) => Told::Selected,
            event => Told::Ice(event),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn media(&mut self, number: u32, _now: Instant) -> Option<Piece> {
        let pair = self.selected()?;
        let bytes = if matches!(pair.transport, Transport::Tcp(_)) { framed(&media(number)) } else { media(number) };
        Some(Piece { flow: pair.flow, local: pair.local, remote: pair.remote, bytes })
    }

    fn close(&mut self, _now: Instant) {
        self.close();
    }
}
