use std::net::{IpAddr, SocketAddr};

use plenary_wire::{DataSize, Ecn};

use super::TrafficId;
use crate::stream::Segment;
use crate::{Protocol, Trace};

const IPV4_HEADER: u64 = 20;
const IPV6_HEADER: u64 = 40;
const UDP_HEADER: u64 = 8;
const TCP_HEADER: u64 = 20;

/// Buffers kept for reuse: 1.5 MB of 1500 bytes each.
const BUFFERS_MAX: usize = 1_024;

/// A packet under way, by the addresses that it has there.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) ecn: Ecn,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Datagram(Vec<u8>),
    Segment(Box<Segment>),
    /// A datagram of cross traffic, of which there is no more than its length.
    Filler {
        source: TrafficId,
        length: DataSize,
    },
}

impl Packet {
    pub(super) const fn protocol(&self) -> Protocol {
        match self.body {
            Body::Datagram(_) | Body::Filler { .. } => Protocol::Udp,
            Body::Segment(_) => Protocol::Tcp,
        }
    }

    pub(super) fn trace(&self, trace: &mut Trace) {
        for address in [self.source, self.destination] {
            match address {
                SocketAddr::V4(address) => {
                    trace.word(u64::from(address.ip().to_bits()) << 16 | u64::from(address.port()))
                }
                SocketAddr::V6(address) => {
                    trace.bytes(&address.ip().octets());
                    trace.word(u64::from(address.port()));
                }
            }
        }
        trace.word(u64::from(self.ecn.bits()));
        match &self.body {
            Body::Datagram(bytes) => trace.bytes(bytes),
            Body::Segment(segment) => {
                let flags = [segment.syn, segment.fin, segment.rst, segment.ece, segment.cwr];
                trace.word(flags.into_iter().rev().fold(0, |bits, flag| bits << 1 | u64::from(flag)));
                trace.word(segment.seq);
                trace.word(segment.ack.unwrap_or(u64::MAX));
                for (start, end) in segment.sack {
                    trace.word(start);
                    trace.word(end);
                }
                trace.word(segment.filler);
                trace.bytes(&segment.data);
            }
            Body::Filler { length, .. } => trace.word(length.as_bytes()),
        }
    }

    fn size(&self) -> DataSize {
        let carried = match &self.body {
            Body::Datagram(bytes) => DataSize::from_bytes(bytes.len() as u64),
            Body::Segment(segment) => DataSize::from_bytes(segment.length()),
            Body::Filler { length, .. } => *length,
        };
        headers(self.destination.ip(), self.protocol()).saturating_add(carried)
    }
}

/// What a packet to this address has before what it carries.
pub(super) const fn headers(destination: IpAddr, protocol: Protocol) -> DataSize {
    let ip = if destination.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    let rest = match protocol {
        Protocol::Udp => UDP_HEADER,
        Protocol::Tcp => TCP_HEADER,
    };
    DataSize::from_bytes(ip + rest)
}

/// Names a packet while links carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketKey(u32);

/// The packets under way. Links bound how many there are.
#[derive(Debug, Default)]
pub(super) struct Packets {
    slots: Vec<Option<Packet>>,
    free: Vec<u32>,
    buffers: Vec<Vec<u8>>,
}

impl Packets {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, packet: Packet) -> PacketKey {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(packet);
            return PacketKey(index);
        }
        self.slots.push(Some(packet));
        PacketKey(u32::try_from(self.slots.len() - 1).expect("links hold fewer packets"))
    }

    pub(super) fn get(&self, key: PacketKey) -> &Packet {
        self.slots[key.0 as usize].as_ref().expect("a link names only packets that it carries")
    }

    pub(super) fn get_mut(&mut self, key: PacketKey) -> &mut Packet {
        self.slots[key.0 as usize].as_mut().expect("a link names only packets that it carries")
    }

    pub(super) fn remove(&mut self, key: PacketKey) -> Packet {
        let packet = self.slots[key.0 as usize].take().expect("a link names only packets that it carries");
        self.free.push(key.0);
        packet
    }

    pub(super) fn duplicate(&mut self, key: PacketKey) -> PacketKey {
        let mut copy = self.get(key).clone();
        if let Body::Datagram(bytes) = &mut copy.body {
            let mut buffer = self.buffer();
            buffer.extend_from_slice(bytes);
            *bytes = buffer;
        }
        self.insert(copy)
    }

    pub(super) fn size(&self, key: PacketKey) -> (DataSize, Ecn) {
        let packet = self.get(key);
        (packet.size(), packet.ecn)
    }

    pub(super) fn mark(&mut self, key: PacketKey, ecn: Ecn) {
        self.get_mut(key).ecn = ecn;
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() > 0 && self.buffers.len() < BUFFERS_MAX {
            bytes.clear();
            self.buffers.push(bytes);
        }
    }

    pub(super) fn reuse(&mut self, packet: Packet) {
        if let Body::Datagram(bytes) = packet.body {
            self.recycle(bytes);
        }
    }
}
