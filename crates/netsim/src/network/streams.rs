use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use plenary_wire::{DataSize, FlowId};

use super::packet::{Body, Packet};
use super::{Delivery, Input, Network, NodeId, TrafficId, Wake};
use crate::Protocol;
use crate::stream::{Connection, Segment, StreamConfig, StreamCounters, StreamEvent};

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
    traffic: Option<Carries>,
}

/// Which traffic a stream carries.
#[derive(Debug)]
struct Carries {
    source: TrafficId,
    /// Whether this is the end that sends, and what was counted of it.
    sends: bool,
    counted: StreamCounters,
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
        let connection = Connection::connect(StreamConfig::default());
        self.streams.insert(node, flow, Stream { local, remote, connection, wake: None, traffic: None });
        self.run_stream(node, flow, now);
        flow
    }

    /// Opens a stream of cross traffic, with all that it has to say.
    pub(super) fn connect_filler(
        &mut self,
        node: NodeId,
        (local, remote): (SocketAddr, SocketAddr),
        (config, source): (StreamConfig, TrafficId),
        length: u64,
        now: Duration,
    ) -> FlowId {
        let local = self.claim(node, Protocol::Tcp, local);
        let flow = self.sockets.add_stream(node);
        let mut connection = Connection::connect(config);
        connection.fill(length);
        let traffic = Some(Carries { source, sends: true, counted: StreamCounters::default() });
        self.streams.insert(node, flow, Stream { local, remote, connection, wake: None, traffic });
        self.run_stream(node, flow, now);
        flow
    }

    /// Ends such a stream with what it has sent.
    pub(super) fn cut_filler(&mut self, node: NodeId, flow: FlowId, now: Duration) {
        if let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) {
            stream.connection.cut();
            self.run_stream(node, flow, now);
        }
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
                let listener = self.sockets.find(node, Protocol::Tcp, local);
                let Some(listener) = listener.filter(|_| segment.syn && segment.ack.is_none()) else {
                    let reset = Segment { rst: true, seq: segment.ack.unwrap_or(0), ..Segment::default() };
                    return self.send_segment(node, (local, remote), reset, now);
                };
                return self.accept(node, listener, (local, remote), now);
            }
        };
        if let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) {
            stream.connection.handle_segment(segment, now);
        }
        self.run_stream(node, flow, now);
    }

    /// A SYN has come to a listener.
    fn accept(&mut self, node: NodeId, listener: FlowId, (local, remote): (SocketAddr, SocketAddr), now: Duration) {
        if self.streams.by_flow.len() >= STREAMS_MAX {
            return;
        }
        let flow = self.sockets.add_stream(node);
        let (config, traffic) = match self.traffic_of_listener(node, listener) {
            Some((config, source)) => {
                (config, Some(Carries { source, sends: false, counted: StreamCounters::default() }))
            }
            None => (StreamConfig::default(), None),
        };
        let connection = Connection::accept(config);
        self.streams.insert(node, flow, Stream { local, remote, connection, wake: None, traffic });
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
        self.count_traffic(node, flow, now);
        let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) else { return };
        while let Some(event) = stream.connection.poll_event() {
            if stream.traffic.is_some() {
                continue;
            }
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

    /// What a stream of cross traffic did is counted, and its source is told of its end.
    fn count_traffic(&mut self, node: NodeId, flow: FlowId, now: Duration) {
        let Some(stream) = self.streams.by_flow.get_mut(&(node, flow)) else { return };
        let Some(carries) = &mut stream.traffic else { return };
        let source = carries.source;
        if !carries.sends {
            let received = DataSize::from_bytes(stream.connection.take_filler());
            return self.count_received(source, received);
        }
        let counters = stream.connection.counters();
        let since = counters.since(std::mem::replace(&mut carries.counted, counters));
        let ended = stream.connection.is_done().then(|| stream.connection.is_complete());
        self.count_stream(source, since, now);
        if let Some(complete) = ended {
            self.flow_ended(source, complete, now);
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
        let ecn = segment.ecn;
        let body = Body::Segment(Box::new(segment));
        self.originate(node, Packet { source, destination, ecn, body }, true, now);
    }
}
