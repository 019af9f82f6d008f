use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use plenary_wire::FlowId;

use super::{Network, NodeId};
use crate::Protocol;

/// Ports of sockets that ask for none: RFC 6335 §6.
const EPHEMERAL_PORT_FIRST: u16 = 49_152;

/// What a flow of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Udp(SocketAddr),
    Listener(SocketAddr),
    Stream,
}

/// The sockets of all nodes.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    by_address: BTreeMap<(NodeId, Protocol, SocketAddr), FlowId>,
    by_flow: BTreeMap<(NodeId, FlowId), Socket>,
    next_flow: BTreeMap<NodeId, u32>,
    /// After the last ephemeral port that was given: what is late for a closed stream must not find the next one.
    next_port: BTreeMap<NodeId, u16>,
}

impl Sockets {
    fn add(&mut self, node: NodeId, socket: Socket) -> FlowId {
        let next = self.next_flow.entry(node).or_default();
        let flow = FlowId(*next);
        *next += 1;
        self.by_flow.insert((node, flow), socket);
        flow
    }

    pub(super) fn add_stream(&mut self, node: NodeId) -> FlowId {
        self.add(node, Socket::Stream)
    }

    /// Closes it; streams have their own way.
    pub(super) fn remove(&mut self, node: NodeId, flow: FlowId) {
        match self.by_flow.remove(&(node, flow)) {
            Some(Socket::Udp(address)) => self.by_address.remove(&(node, Protocol::Udp, address)),
            Some(Socket::Listener(address)) => self.by_address.remove(&(node, Protocol::Tcp, address)),
            Some(Socket::Stream) | None => None,
        };
    }

    /// The socket or listener that a packet to this address is for.
    pub(super) fn find(&self, node: NodeId, protocol: Protocol, address: SocketAddr) -> Option<FlowId> {
        let any = SocketAddr::new(unspecified(address.ip()), address.port());
        let exact = self.by_address.get(&(node, protocol, address));
        exact.or_else(|| self.by_address.get(&(node, protocol, any))).copied()
    }

    pub(super) fn is_udp(&self, node: NodeId, flow: FlowId) -> bool {
        matches!(self.by_flow.get(&(node, flow)), Some(Socket::Udp(_)))
    }

    /// The source address of what a UDP socket sends.
    pub(super) fn source(&self, node: NodeId, flow: FlowId, local: SocketAddr) -> Option<SocketAddr> {
        let Some(Socket::Udp(bound)) = self.by_flow.get(&(node, flow)) else { return None };
        let address = if bound.ip().is_unspecified() { local.ip() } else { bound.ip() };
        Some(SocketAddr::new(address, bound.port()))
    }
}

const fn unspecified(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

impl Network {
    /// Opens a UDP socket and names its flow. Port 0 asks for a free one; the unspecified address stands for all.
    ///
    /// # Panics
    ///
    /// If the address is not the node's, or the port is taken.
    pub fn bind(&mut self, node: NodeId, address: SocketAddr) -> FlowId {
        let address = self.claim(node, Protocol::Udp, address);
        let flow = self.sockets.add(node, Socket::Udp(address));
        self.sockets.by_address.insert((node, Protocol::Udp, address), flow);
        flow
    }

    /// Listens for streams, and names the listener. Each stream that comes has a flow of its own.
    ///
    /// # Panics
    ///
    /// As [`bind`](Self::bind).
    pub fn listen(&mut self, node: NodeId, address: SocketAddr) -> FlowId {
        let address = self.claim(node, Protocol::Tcp, address);
        let flow = self.sockets.add(node, Socket::Listener(address));
        self.sockets.by_address.insert((node, Protocol::Tcp, address), flow);
        flow
    }

    /// The address that a UDP socket or listener is bound to.
    pub fn local_address(&self, node: NodeId, flow: FlowId) -> Option<SocketAddr> {
        match self.sockets.by_flow.get(&(node, flow))? {
            Socket::Udp(address) | Socket::Listener(address) => Some(*address),
            Socket::Stream => self.streams.addresses(node, flow).map(|(local, _)| local),
        }
    }

    /// Whether a flow is a UDP socket, a listener or a stream that is open.
    pub fn is_open(&self, node: NodeId, flow: FlowId) -> bool {
        self.sockets.by_flow.contains_key(&(node, flow))
    }

    /// Whether a flow is a stream.
    pub fn is_stream(&self, node: NodeId, flow: FlowId) -> bool {
        matches!(self.sockets.by_flow.get(&(node, flow)), Some(Socket::Stream))
    }

    /// Closes a UDP socket or a listener: what comes there is dropped, or refused. Accepted streams go on.
    pub fn unbind(&mut self, node: NodeId, flow: FlowId) {
        if !matches!(self.sockets.by_flow.get(&(node, flow)), Some(Socket::Stream)) {
            self.sockets.remove(node, flow);
        }
    }

    /// Checks an address for a new socket, and finds a port where none is given.
    pub(super) fn claim(&mut self, node: NodeId, protocol: Protocol, address: SocketAddr) -> SocketAddr {
        if !address.ip().is_unspecified() {
            self.assert_owned(node, address);
        }
        let free = |port: &u16| {
            let address = SocketAddr::new(address.ip(), *port);
            !self.sockets.by_address.contains_key(&(node, protocol, address)) && !self.streams.uses(node, address)
        };
        let port = match address.port() {
            0 => {
                let next = self.sockets.next_port.get(&node).copied().unwrap_or(EPHEMERAL_PORT_FIRST);
                let mut ports = (next..=u16::MAX).chain(EPHEMERAL_PORT_FIRST..next);
                let port = ports.find(free).expect("the node has a free port");
                let after = port.checked_add(1).unwrap_or(EPHEMERAL_PORT_FIRST);
                self.sockets.next_port.insert(node, after);
                port
            }
            port => {
                let taken = self.sockets.by_address.contains_key(&(node, protocol, address));
                assert!(!taken, "node {} has bound {address} already", node.index());
                port
            }
        };
        SocketAddr::new(address.ip(), port)
    }

    pub(super) fn assert_owned(&self, node: NodeId, address: SocketAddr) {
        let owned = self.addresses(node).any(|owned| owned == address.ip());
        assert!(owned, "node {} does not own {address}", node.index());
    }
}
