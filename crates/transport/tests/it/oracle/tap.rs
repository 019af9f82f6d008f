//! What a client and its server say to each other, as a bystander reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use plenary_stun::{Attribute, Class, Message, Method};

#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// The addresses that permissions were asked for.
    pub(crate) asked: BTreeSet<IpAddr>,
    /// Channels that were asked for.
    channels: BTreeMap<u16, SocketAddr>,
    /// From where data came that nobody had asked for.
    pub(crate) strays: BTreeSet<SocketAddr>,
}

impl Tap {
    /// What goes to the server: if it is data, to whom.
    pub(crate) fn hear_client(&mut self, bytes: &[u8]) -> Option<SocketAddr> {
        if let [0x40..=0x4f, ..] = bytes {
            let number = number(bytes);
            let peer = self.channels.get(&number);
            return Some(*peer.unwrap_or_else(|| panic!("channel {number:#x} was not asked for")));
        }
        let message = Message::parse(bytes).expect("a client speaks STUN");
        let peers = || {
            let of = message.attributes().filter(|(kind, _)| *kind == Attribute::XOR_PEER_ADDRESS);
            of.map(|(kind, value)| message.xor_address(kind, value).expect("an address"))
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => return peers().next(),
            (Class::Request, Method::CREATE_PERMISSION) => self.asked.extend(peers().map(|peer| peer.ip())),
            (Class::Request, Method::CHANNEL_BIND) => {
                let value = message.get(Attribute::CHANNEL_NUMBER).expect("it has a number");
                self.channels.insert(number(value), peers().next().expect("it has a peer"));
            }
            _ => {}
        }
        None
    }

    /// What comes from the server: if it is data, from whom, and what.
    pub(crate) fn hear_server<'d>(&mut self, bytes: &'d [u8]) -> Option<(SocketAddr, &'d [u8])> {
        let (peer, data) = if let [0x40..=0x4f, _, high, low, data @ ..] = bytes {
            let data = &data[..usize::from(u16::from_be_bytes([*high, *low]))];
            (*self.channels.get(&number(bytes))?, data)
        } else {
            let message = Message::parse(bytes).expect("a server speaks STUN");
            if (message.class(), message.method()) != (Class::Indication, Method::DATA) {
                return None;
            }
            let peer = message.get_xor_address(Attribute::XOR_PEER_ADDRESS).expect("an address");
            (peer.expect("it has a peer"), message.get(Attribute::DATA).expect("it has data"))
        };
        if !self.asked.contains(&peer.ip()) {
            self.strays.insert(peer);
        }
        Some((peer, data))
    }
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}
