//! Sockets that the server asks for.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use plenary_turn::{BindError, Bound, ConnectError, Event, Family, PortWish, RequestId};
use plenary_wire::FlowId;
use rustix::io::Errno;
use rustix::net::{SocketType, bind, connect, listen};

use crate::connection::{Connection, Role};
use crate::flows::Flow;
use crate::udp::{Kind, Udp, open};
use crate::worker::{Place, Worker};

/// Ports that are tried before there is none: others' sockets may have some of them.
const TRIES: usize = 64;

/// Peers that wait to be accepted.
const BACKLOG: i32 = 16;

impl Worker {
    pub(crate) fn handle_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Bind { request, family, port, tcp } => {
                let bound = self.bind(family, port, tcp, now);
                self.events.bind_errors += u64::from(bound.is_err());
                let _ = self.server.handle_bound(request, bound, now);
            }
            Event::Connect { request, local, peer, .. } => self.connect(request, local, peer, now),
            Event::Abandon { request } => {
                if let Some(flow) = self.openings.remove(&request) {
                    self.ways.close(flow);
                }
            }
            Event::Join { client, peer } => self.join(client, peer, now),
            Event::Close { flow } => self.close(flow, now),
            // There are figures of these, and nobody to tell.
            _ => {}
        }
    }

    fn bind(&mut self, family: Family, wish: PortWish, tcp: bool, now: Instant) -> Result<Bound, BindError> {
        for _ in 0..TRIES {
            let place = self.place(family).ok_or(BindError::Family)?;
            let port = place.ports.take(wish, now).map_err(|_| BindError::System)?.ok_or(BindError::NoPort)?;
            let address = place.address;
            let ports = if wish == PortWish::EvenAndNext { vec![port, port + 1] } else { vec![port] };
            let flows: io::Result<Vec<Flow>> =
                ports.iter().map(|port| socket(SocketAddr::new(address.bind, *port), tcp)).collect();
            let flows = flows.map(|flows| flows.into_iter().map(|flow| self.ways.add(flow)).collect::<Vec<_>>());
            match flows.as_deref() {
                Ok(&[Some(flow), ref next @ ..]) if next.iter().all(Option::is_some) => {
                    if let Some(place) = self.place(family) {
                        ports.iter().for_each(|port| place.ports.open(*port));
                    }
                    let (local, relayed) = (SocketAddr::new(address.bind, port), SocketAddr::new(address.told, port));
                    return Ok(Bound { flow, local, relayed, next: next.first().copied().flatten() });
                }
                _ => self.undo(family, &ports, flows.as_deref().unwrap_or_default(), now),
            }
            let is_taken = flows.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
            if !is_taken {
                return Err(BindError::System);
            }
        }
        Err(BindError::NoPort)
    }

    fn undo(&mut self, family: Family, ports: &[u16], flows: &[Option<FlowId>], now: Instant) {
        for flow in flows.iter().flatten() {
            self.ways.close(*flow);
        }
        if let Some(place) = self.place(family) {
            ports.iter().for_each(|port| place.ports.give_back(*port, now));
        }
    }

    fn place(&mut self, family: Family) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| Family::of(place.address.told) == family)
    }

    /// RFC 6062 §5.2: from the address at which peers reach the allocation.
    fn connect(&mut self, request: RequestId, local: SocketAddr, peer: SocketAddr, now: Instant) {
        let begin = || -> io::Result<TcpStream> {
            let socket = open(local, SocketType::STREAM, true)?;
            bind(&socket, &local)?;
            let way = self.ways.own().way_to(peer).ok_or(io::ErrorKind::AddrNotAvailable)?;
            match connect(&socket, &way) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
                Err(error) => Err(error.into()),
            }
        };
        let connection = begin().and_then(|stream| Connection::new(stream, Role::Opening(request), None));
        let flow = connection.ok().and_then(|connection| self.ways.add(Flow::Connection(Box::new(connection))));
        match flow {
            // Whether it is open is told when there is room to write.
            Some(flow) => drop(self.openings.insert(request, flow)),
            None => drop(self.server.handle_connected(request, Err(ConnectError), now)),
        }
    }

    /// Closes a socket; its port rests.
    fn close(&mut self, flow: FlowId, now: Instant) {
        let local = match self.ways.close(flow) {
            Some(Flow::Datagrams(udp)) if udp.kind == Kind::Relay => Some(udp.local),
            Some(Flow::Peers(listener)) => listener.local_addr().ok(),
            _ => None,
        };
        if let Some(local) = local
            && let Some(place) = self.place(Family::of(local.ip()))
        {
            place.ports.give_back(local.port(), now);
        }
    }
}

/// A socket at which peers reach an allocation.
fn socket(address: SocketAddr, tcp: bool) -> io::Result<Flow> {
    if !tcp {
        return Ok(Flow::Datagrams(Udp::bind(address, Kind::Relay)?));
    }
    // Connections to peers share its address, and nobody else: not a listener of ours that shares its own.
    bind(&open(address, SocketType::STREAM, false)?, &address)?;
    let socket = open(address, SocketType::STREAM, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(Flow::Peers(TcpListener::from(socket)))
}
