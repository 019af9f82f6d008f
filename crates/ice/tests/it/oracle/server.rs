//! A server on the open network: it tells addresses, and relays. No TURN, but what TURN comes to for those behind it:
//! an external port per client, and a filter by address that what is sent opens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use plenary_wire::FlowId;

use super::wire::{ALLOCATE, ALLOCATED, DATA, Frames, Piece, SEND, TELL, TOLD, address_of, framed, with_address};
use crate::lab::stun_answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Udp(SocketAddr),
    Stream(FlowId),
}

#[derive(Debug)]
struct Allocation {
    client: Client,
    permitted: BTreeSet<IpAddr>,
}

#[derive(Debug)]
pub(crate) struct Server {
    udp: (FlowId, SocketAddr),
    /// Ports to be given to clients.
    ports: Vec<(FlowId, SocketAddr)>,
    /// By port, in their order.
    allocations: Vec<Allocation>,
    streams: BTreeMap<FlowId, Frames>,
    pub(crate) out: VecDeque<Piece>,
}

impl Server {
    pub(crate) fn new(udp: (FlowId, SocketAddr), ports: Vec<(FlowId, SocketAddr)>) -> Self {
        Self { udp, ports, allocations: Vec::new(), streams: BTreeMap::new(), out: VecDeque::new() }
    }

    pub(crate) fn handle_datagram(&mut self, flow: FlowId, remote: SocketAddr, bytes: &[u8]) {
        if flow == self.udp.0 {
            return self.serve(Client::Udp(remote), bytes);
        }
        let Some(index) = self.ports.iter().position(|port| port.0 == flow) else { return };
        let Some(allocation) = self.allocations.get(index) else { return };
        if allocation.permitted.contains(&remote.ip()) {
            let client = allocation.client;
            self.reply(client, with_address(DATA, remote, bytes));
        }
    }

    pub(crate) fn handle_stream(&mut self, flow: FlowId, bytes: &[u8]) {
        let frames = self.streams.entry(flow).or_default().take(bytes);
        for frame in frames {
            self.serve(Client::Stream(flow), &frame);
        }
    }

    fn serve(&mut self, client: Client, bytes: &[u8]) {
        match (bytes[0], client) {
            (0, Client::Udp(remote)) => self.reply(client, stun_answer(remote, bytes)),
            (TELL, Client::Udp(remote)) => self.reply(client, with_address(TOLD, remote, &[])),
            (ALLOCATE, _) => {
                let known = self.allocations.iter().position(|it| it.client == client);
                let index = known.unwrap_or_else(|| {
                    self.allocations.push(Allocation { client, permitted: BTreeSet::new() });
                    self.allocations.len() - 1
                });
                self.reply(client, with_address(ALLOCATED, self.ports[index].1, &[]));
            }
            (SEND, _) => {
                let to = address_of(bytes);
                let Some(index) = self.allocations.iter().position(|it| it.client == client) else { return };
                self.allocations[index].permitted.insert(to.ip());
                let (flow, local) = self.ports[index];
                self.out.push_back(Piece { flow, local, remote: to, bytes: bytes[7..].to_vec() });
            }
            _ => {}
        }
    }

    fn reply(&mut self, client: Client, bytes: Vec<u8>) {
        let local = self.udp.1;
        self.out.push_back(match client {
            Client::Udp(remote) => Piece { flow: self.udp.0, local, remote, bytes },
            Client::Stream(flow) => Piece { flow, local, remote: local, bytes: framed(&bytes) },
        });
    }
}
