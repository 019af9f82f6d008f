use std::time::Duration;

use super::packet::{Body, PacketKey};
use super::{Delivery, Input, Network, NodeId};
use crate::stream::Segment;
use crate::{DropReason, Protocol};

impl Network {
    /// A packet is at its node.
    pub(super) fn arrive(&mut self, node: NodeId, key: PacketKey, now: Duration) {
        let packet = self.packets.get(key);
        let (local, remote, protocol) = (packet.destination, packet.source, packet.protocol());
        let socket = self.sockets.find(node, protocol, local);
        if protocol == Protocol::Udp && socket.is_none() {
            return self.discard(key, DropReason::NoSocket, now);
        }
        let packet = self.packets.remove(key);
        self.counters.delivered += 1;
        self.trace.word(now.as_nanos() as u64);
        self.trace.word(0x200 + u64::from(node.0));
        packet.trace(&mut self.trace);
        match packet.body {
            Body::Datagram(bytes) => {
                let flow = socket.expect("a datagram without a socket is discarded above");
                let input = Input::Datagram { ecn: packet.ecn, bytes };
                self.deliveries.push_back(Delivery { node, flow, local, remote, input });
            }
            Body::Filler { source, length } => self.count_received(source, length),
            Body::Segment(segment) => {
                let segment = Segment { ecn: packet.ecn, ..*segment };
                self.take_segment(node, (local, remote), segment, now);
            }
        }
    }
}
