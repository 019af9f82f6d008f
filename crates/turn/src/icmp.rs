//! What routers say of datagrams that were sent to peers (RFC 8656 §11.5).

use std::net::SocketAddr;

use plenary_stun::{Attribute, Class, Method, TransactionId, Writer};
use plenary_wire::FlowId;

use std::time::Instant;

use crate::DropReason;
use crate::bind::Family;
use crate::handled::Handled;
use crate::server::{Flow, Server};
use crate::tuple::canonical;

/// An ICMP message about a datagram of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The socket that has sent the datagram.
    pub flow: FlowId,
    /// Where it went to.
    pub peer: SocketAddr,
    /// The type: of ICMPv4 3 and 11 are told, of ICMPv6 1, 2 and 3.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The 4 bytes behind: of "too big" the next hop's MTU.
    pub data: [u8; 4],
}

impl Server {
    /// Tells a client what became of its datagram.
    pub fn handle_icmp(&mut self, icmp: Icmp, now: Instant) -> Handled<'static> {
        let done = self.tell_icmp(icmp, now);
        self.handled(done.map(|()| Handled::Consumed))
    }

    fn tell_icmp(&mut self, icmp: Icmp, now: Instant) -> Result<(), DropReason> {
        let Some(&Flow::Relay(key, _)) = self.flows.get(&icmp.flow) else { return Err(DropReason::UnknownFlow) };
        let peer = canonical(icmp.peer);
        let is_told = match Family::of(peer.ip()) {
            Family::V4 => matches!(icmp.kind, 3 | 11),
            Family::V6 => matches!(icmp.kind, 1..=3),
        };
        if !is_told {
            return Err(DropReason::Icmp);
        }
        let allocation = &self.allocations[key];
        if !allocation.permissions.allow(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        if allocation.is_away {
            return Err(DropReason::Away);
        }
        let (to, transaction) = (allocation.tuple, TransactionId(self.entropy.transaction()));
        // RFC 8656 §18.13: 16 bits of nothing, 7 of the type, 9 of the code.
        let kind_and_code = u16::from(icmp.kind) << 9 | u16::from(icmp.code);
        self.outbox.write(to, |out| {
            let mut writer = Writer::new(Class::Indication, Method::DATA, transaction, out);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            writer.attribute(Attribute::ICMP, &[&[0, 0], &kind_and_code.to_be_bytes(), &icmp.data]);
        })
    }
}
