//! Streams of packets, and a path that loses, delays and copies them.

use std::collections::VecDeque;

use rand_core::Rng;
use rand_pcg::Pcg64Mcg;

const STREAMS: usize = 5;
/// How many packets the path holds back at most.
const DELAYED_MAX: usize = 30;

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) rtcp: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What the path delivers.
pub(crate) struct Delivery {
    pub(crate) clear: Packet,
    pub(crate) bytes: Vec<u8>,
    /// It has been delivered before.
    pub(crate) copy: bool,
}

pub(crate) struct Traffic {
    rng: Pcg64Mcg,
    sent: usize,
    /// The index of the next packet of each stream.
    indexes: [u64; STREAMS],
    delayed: VecDeque<(Packet, Vec<u8>)>,
    /// Nothing on the path may be delayed beyond this packet: a stream jumps.
    flush: bool,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Self {
        let indexes = [0, 0x7fff, 1, 0x4000, 0x7ff0];
        Self { rng: Pcg64Mcg::new(seed.into()), sent: 0, indexes, delayed: VecDeque::new(), flush: false }
    }

    /// The fewest turns that a stream has made.
    pub(crate) fn rollovers(&self) -> u64 {
        self.indexes.iter().min().expect("there are streams") >> 16
    }

    /// The next packet of the next stream, of which numbers may have been skipped.
    pub(crate) fn next(&mut self, limit: usize) -> Option<Packet> {
        if self.sent == limit {
            return None;
        }
        self.sent += 1;
        let stream = self.below(STREAMS);
        if self.below(20) == 0 {
            return Some(self.rtcp(stream));
        }
        // Mostly the next number, now and then a few further, seldom nearly as far as can be followed.
        self.flush = self.below(200) == 0;
        let skipped = match self.below(10) {
            _ if self.flush => self.below(0x7000),
            0 => self.below(20),
            _ => 0,
        };
        self.indexes[stream] += skipped as u64;
        let index = self.indexes[stream];
        self.indexes[stream] += 1;
        Some(self.rtp(stream, index as u16))
    }

    fn rtp(&mut self, stream: usize, sequence: u16) -> Packet {
        let csrcs = if self.below(4) == 0 { self.below(16) } else { 0 };
        let extension = self.below(3);
        let mut bytes = vec![0x80 | csrcs as u8, self.below(256) as u8];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(self.bytes(4));
        bytes.extend(ssrc(stream));
        bytes.extend(self.bytes(4 * csrcs));
        match extension {
            1 => {
                bytes[0] |= 0x10;
                bytes.extend([0xbe, 0xde, 0, 1, 0x12]);
                bytes.extend(self.bytes(3));
            }
            2 => {
                bytes[0] |= 0x10;
                let words = self.below(5);
                bytes.extend([0x12, 0x34, 0, words as u8]);
                bytes.extend(self.bytes(4 * words));
            }
            _ => {}
        }
        let len = if self.below(20) == 0 { self.below(1400) } else { self.below(150) };
        bytes.extend(self.bytes(len));
        Packet { rtcp: false, bytes }
    }

    fn rtcp(&mut self, stream: usize) -> Packet {
        let words = 1 + self.below(20);
        let mut bytes = vec![0x80, 201, 0, words as u8];
        bytes.extend(ssrc(stream));
        bytes.extend(self.bytes(4 * words - 4));
        Packet { rtcp: true, bytes }
    }

    /// Puts a packet on the path, and takes off what arrives now. What is still on it at the end never does.
    pub(crate) fn carry(&mut self, packet: Packet, protected: Vec<u8>) -> Vec<Delivery> {
        let mut arrived = Vec::new();
        if self.flush {
            while !self.delayed.is_empty() {
                self.deliver(&mut arrived);
            }
        }
        // The first packets of all set the rollover counters: RFC 3711 §3.3.1 asks for nothing less.
        if self.sent <= 100 || self.flush {
            arrived.push(Delivery { clear: packet, bytes: protected, copy: false });
            return arrived;
        }
        if self.below(20) > 0 {
            self.delayed.push_back((packet, protected));
        }
        while self.delayed.len() > DELAYED_MAX || !self.delayed.is_empty() && self.below(30) == 0 {
            self.deliver(&mut arrived);
        }
        arrived
    }

    /// Takes any packet off the path; one in fifty arrives twice.
    fn deliver(&mut self, arrived: &mut Vec<Delivery>) {
        let place = self.below(self.delayed.len());
        let (clear, bytes) = self.delayed.swap_remove_back(place).expect("the place is one of the path's");
        if self.below(50) == 0 {
            arrived.push(Delivery { clear: clear.clone(), bytes: bytes.clone(), copy: false });
            arrived.push(Delivery { clear, bytes, copy: true });
        } else {
            arrived.push(Delivery { clear, bytes, copy: false });
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

fn ssrc(stream: usize) -> [u8; 4] {
    (0xcafe_0000 + stream as u32 * 0x1111).to_be_bytes()
}
