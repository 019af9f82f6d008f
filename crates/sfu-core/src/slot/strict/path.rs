//! A path that loses, delays and repeats packets.

use plenary_rtp::{Packet, PacketMut};

use super::capture::Sent;

/// A source of chance that is the same everywhere (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How bad it is, in percent of packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path {
    pub(super) lost: u64,
    /// Of those that are lost.
    pub(super) repaired: u64,
    pub(super) late: u64,
    pub(super) twice: u64,
}

impl Path {
    pub(super) const CLEAN: Self = Self { lost: 0, repaired: 0, late: 0, twice: 0 };
    pub(super) const BAD: Self = Self { lost: 4, repaired: 70, late: 10, twice: 3 };
    pub(super) const AWFUL: Self = Self { lost: 20, repaired: 80, late: 30, twice: 10 };

    /// What arrives of these packets, in order.
    pub(super) fn carry(self, sent: &[Sent], chance: &mut Chance) -> Vec<Sent> {
        let mut arriving = Vec::new();
        for packet in sent {
            if chance.percent(self.lost) {
                if !packet.repairs
                    && chance.percent(self.repaired)
                    && !Packet::parse(&packet.bytes).unwrap().payload().is_empty()
                {
                    arriving.push(again(packet, packet.at + 20 + chance.below(250)));
                }
                continue;
            }
            let late = if chance.percent(self.late) { chance.below(60) } else { 0 };
            arriving.push(Sent { at: packet.at + late, ..packet.clone() });
            if chance.percent(self.twice) {
                arriving.push(Sent { at: packet.at + chance.below(60), ..packet.clone() });
            }
        }
        arriving.sort_by_key(|packet| packet.at);
        arriving
    }
}

/// The packet as one of the RTX stream (RFC 4588 §4).
pub(super) fn again(sent: &Sent, at: u64) -> Sent {
    let packet = Packet::parse(&sent.bytes).unwrap();
    let mut bytes = sent.bytes[..packet.payload_range().start].to_vec();
    bytes.extend(packet.sequence_number().0.to_be_bytes());
    bytes.extend_from_slice(packet.payload());
    // What padding there was is gone.
    bytes[0] &= !0x20;
    let payload_type = packet.payload_type() + 1;
    PacketMut::parse(&mut bytes).unwrap().set_payload_type(payload_type).unwrap();
    Sent { at, repairs: true, bytes, ..sent.clone() }
}
