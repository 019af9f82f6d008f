//! A server on the open network: it tells addresses, and relays. No TURN, but what TURN comes to for those behind it:
//! an external port per client and family, and a filter by address that what is sent opens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use plenary_netsim::Machine;
use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use super::cast::Serves;
use super::station::Told;
use super::stun_answer::stun_answer;
use super::wire::{
    ALLOCATE, ALLOCATED, DATA, Frames, HEAD, HELLO, Piece, SEND, TELL, TOLD, address_of, framed, with_address,
};

/// The sockets of a server: one for each family where clients come in, and ports to be given to them. It listens for
/// streams as well.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    pub(crate) udp: Vec<(FlowId, SocketAddr)>,
    pub(crate) ports: Vec<(FlowId, SocketAddr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    /// On which socket, and where from.
    Udp(FlowId, SocketAddr),
    Stream(FlowId),
}

#[derive(Debug)]
struct Allocation {
    client: Client,
    /// Its port.
    flow: FlowId,
    local: SocketAddr,
    permitted: BTreeSet<IpAddr>,
}

#[derive(Debug)]
pub(crate) struct Server {
    sockets: Sockets,
    allocations: Vec<Allocation>,
    streams: BTreeMap<FlowId, Frames>,
    out: VecDeque<Piece>,
}

impl Machine for Server {
    type Event = Told;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, _now: Instant) {
        let Datagram { flow, remote, bytes, .. } = datagram;
        if self.sockets.udp.iter().any(|udp| udp.0 == flow) {
            return self.serve(Client::Udp(flow, remote), bytes);
        }
        let Some(allocation) = self.allocations.iter().find(|it| it.flow == flow) else { return };
        if allocation.permitted.contains(&remote.ip()) {
            let client = allocation.client;
            self.reply(client, with_address(DATA, remote, bytes));
        }
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], _now: Instant) {
        let frames = self.streams.entry(flow).or_default().take(bytes);
        for frame in frames {
            self.serve(Client::Stream(flow), &frame);
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, _now: Instant, _limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        Some(self.out.pop_front()?.write(out))
    }

    fn poll_event(&mut self) -> Option<Told> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl Serves for Server {}

impl Server {
    pub(crate) const fn new(sockets: Sockets) -> Self {
        Self { sockets, allocations: Vec::new(), streams: BTreeMap::new(), out: VecDeque::new() }
    }

    fn serve(&mut self, client: Client, bytes: &[u8]) {
        match (bytes[0], client) {
            (0, Client::Udp(_, remote)) => self.reply(client, stun_answer(remote, bytes)),
            (TELL, Client::Udp(_, remote)) => self.reply(client, with_address(TOLD, remote, &[])),
            (HELLO, _) => self.reply(client, bytes.to_vec()),
            (ALLOCATE, _) => {
                let wanted = address_of(bytes);
                let known = self.allocation(client, wanted).map(|it| it.local);
                let local = known.unwrap_or_else(|| self.allocate(client, wanted));
                self.reply(client, with_address(ALLOCATED, local, &[]));
            }
            (SEND, _) => {
                let to = address_of(bytes);
                let Some(allocation) = self.allocation(client, to) else { return };
                allocation.permitted.insert(to.ip());
                let (flow, local) = (allocation.flow, allocation.local);
                self.out.push_back(Piece { flow, local, remote: to, bytes: bytes[HEAD..].to_vec() });
            }
            _ => {}
        }
    }

    /// That of a client in the family of an address.
    fn allocation(&mut self, client: Client, like: SocketAddr) -> Option<&mut Allocation> {
        self.allocations.iter_mut().find(|it| it.client == client && it.local.is_ipv4() == like.is_ipv4())
    }

    fn allocate(&mut self, client: Client, like: SocketAddr) -> SocketAddr {
        let free = self.sockets.ports.iter().position(|port| port.1.is_ipv4() == like.is_ipv4());
        let (flow, local) = self.sockets.ports.remove(free.expect("there are two clients and two ports"));
        self.allocations.push(Allocation { client, flow, local, permitted: BTreeSet::new() });
        local
    }

    fn reply(&mut self, client: Client, bytes: Vec<u8>) {
        let local = |flow: FlowId| self.sockets.udp.iter().find(|udp| udp.0 == flow).expect("it came there").1;
        self.out.push_back(match client {
            Client::Udp(flow, remote) => Piece { flow, local: local(flow), remote, bytes },
            // A stream has its addresses.
            Client::Stream(flow) => {
                let any = self.sockets.udp[0].1;
                Piece { flow, local: any, remote: any, bytes: framed(&bytes) }
            }
        });
    }
}
