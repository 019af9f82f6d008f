use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use plenary_wire::{Ecn, FlowId};

use super::packet::{Body, Packet};
use super::{Delivery, Input, Network, NodeId, Wake};
use crate::Protocol;
use crate::stream::{Connection, Segment, StreamEvent};

/// How many ends of streams a network has at most, of up to 130 kB each. A SYN beyond is not answered.
pub const STREAMS_MAX: usize = 16_384;

/// The streams of all nodes.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_flow: BTreeMap<(NodeId, FlowId), Stream>,
    /// By node, local and remote address.
    by_addresses: BTreeMap<(NodeId, SocketAddr, SocketAddr), FlowId>,
}

#[derive(Debug)]
struct Stream {
    local: SocketAddr,
    remote: SocketAddr,
    connection: Connection,
    /// The earliest entry of the network's wakes that is for it.
    wake: Option<Duration>,
}

impl Streams {
    pub(super) fn addresses(&self, node: NodeId, flow: FlowId) -> Option<(SocketAddr, SocketAddr)> {
        self.by_flow.get(&(node, flow)).map(|stream| (stream.local, stream.remote))
    }

    /// Whether a stream of the node has this local address.
    pub(super) fn uses(&self, node: NodeId, local: SocketAddr) -> bool {
        let lowest = SocketAddr::from(([0, 0, 0, 0], 0));
        let next = self.by_addresses.range((node, local, lowest)..).next();
        next.is_some_and(|((of, at, _), _)| *of == node && *at == local)
    }

    fn insert(&mut self, node: NodeId, flow: FlowId, stream: Stream) {
        self.by_addresses.insert((node, stream.local, stream.remote), flow);
        self.by_flow.insert((node, flow), stream);
    }

    fn remove(&mut self, node: NodeId, flow: FlowId) {
        if let Some(stream) = self.by_flow.remove(&(node, flow)) {
            self.by_addresses.remove(&(node, stream.local, stream.remote));
        }
    }
}

impl Network {
    /// Opens a stream to a listener and names it. [`Input::Connected`] or [`Input::Closed`] tells what came of it.
    /// Port 0 asks for a free one. What is written before it is open waits in its buffer.
    ///
    /// # Panics
    ///
    /// If the local address is not the node's, or the two are connected already.
    pub fn connect(&mut self, node: NodeId, local: SocketAddr, remote: SocketAddr, now: Duration) -> FlowId {
        self.assert_owned(node, local);
        let local = if local.port() == 0 { self.claim(node, Protocol::Tcp, local) } else { local };
        let free = !self.streams.by_addresses.contains_key(&(node, local, remote));
        assert!(free, "{local} and {remote} are connected already");
        let flow = self.sockets.add_stream(node);
        self.streams.insert(node, flow, Stream { local, remote, connection: Connection::connect(), wake: None });
        self.run_stream(node, flow, now);
        flow
    }

    /// Writes to a stream and says how many bytes it took: none if it is not open, and never more than
    /// [`stream_room`](Self::stream_room).
    pub fn write(&mut self, node: NodeId, flow: FlowId, bytes: &[u8], now: Duration) -> usize {
        let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) else { return 0 };
        let taken = stream.connection.write(bytes);
        self.run_stream(node, flow, now);
        taken
    }

    /// How many bytes a stream would take now; none if there is no such stream.
    pub fn stream_room(&self, node: NodeId, flow: FlowId) -> usize {
        self.streams.by_flow.get(&(node, flow)).map_or(0, |stream| stream.connection.room())
    }

    /// The local and remote address of a stream.
    pub fn stream_addresses(&self, node: NodeId, flow: FlowId) -> Option<(SocketAddr, SocketAddr)> {
        self.streams.addresses(node, flow)
    }

    /// Closes a stream after what was written has been sent. Nothing more comes from it.
    pub fn close(&mut self, node: NodeId, flow: FlowId, now: Duration) {
        if let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) {
            stream.connection.close();
            self.run_stream(node, flow, now);
        }
    }

    /// Ends a stream at once; the peer is told [`Closed::Reset`](crate::Closed::Reset).
    pub fn abort(&mut self, node: NodeId, flow: FlowId, now: Duration) {
        if let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) {
            stream.connection.abort();
            self.run_stream(node, flow, now);
        }
    }

    pub(super) fn take_segment(
        &mut self,
        node: NodeId,
        (local, remote): (SocketAddr, SocketAddr),
        segment: Segment,
        now: Duration,
    ) {
        let flow = match self.streams.by_addresses.get(&(node, local, remote)) {
            Some(flow) => *flow,
            None if segment.rst => return,
            None => {
                let listens = self.sockets.find(node, Protocol::Tcp, local).is_some();
                if !segment.syn || segment.ack.is_some() || !listens {
                    let reset = Segment { rst: true, seq: segment.ack.unwrap_or(0), ..Segment::default() };
                    return self.send_segment(node, (local, remote), reset, now);
                }
                if self.streams.by_flow.len() >= STREAMS_MAX {
                    return;
                }
                let flow = self.sockets.add_stream(node);
                let connection = Connection::accept();
                self.streams.insert(node, flow, Stream { local, remote, connection, wake: None });
                return self.run_stream(node, flow, now);
            }
        };
        if let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) {
            stream.connection.handle_segment(segment, now);
        }
        self.run_stream(node, flow, now);
    }

    /// Does all that a stream has to do: its timer, its segments, its news, and its end.
    pub(super) fn run_stream(&mut self, node: NodeId, flow: FlowId, now: Duration) {
        let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) else { return };
        if stream.wake.is_some_and(|wake| wake <= now) {
            stream.wake = None;
        }
        stream.connection.handle_timeout(now);
        let (local, remote) = (stream.local, stream.remote);
        while let Some(segment) = self.next_segment(node, flow, now) {
            self.send_segment(node, (local, remote), segment, now);
        }
        let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) else { return };
        while let Some(event) = stream.connection.poll_event() {
            let input = match event {
                StreamEvent::Connected => Input::Connected,
                StreamEvent::Accepted => Input::Accepted,
                StreamEvent::Data(data) => Input::Stream(data),
                StreamEvent::Closed(reason) => Input::Closed(reason),
            };
            self.deliveries.push_back(Delivery { node, flow, local, remote, input });
        }
        if stream.connection.is_done() {
            self.streams.remove(node, flow);
            self.sockets.remove(node, flow);
            return;
        }
        let next = stream.connection.poll_timeout();
        if let Some(at) = next.filter(|at| stream.wake.is_none_or(|wake| *at < wake)) {
            stream.wake = Some(at);
            self.wake(at, Wake::Stream(node, flow));
        }
    }

    fn next_segment(&mut self, node: NodeId, flow: FlowId, now: Duration) -> Option<Segment> {
        self.streams.by_flow.get_mut(&(node, flow))?.connection.poll_segment(now)
    }

    fn send_segment(
        &mut self,
        node: NodeId,
        (source, destination): (SocketAddr, SocketAddr),
        segment: Segment,
        now: Duration,
    ) {
        let body = Body::Segment(Box::new(segment));
        self.originate(node, Packet { source, destination, ecn: Ecn::NotEct, body }, true, now);
    }
}
