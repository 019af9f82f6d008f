use std::net::SocketAddr;

use plenary_wire::{Ecn, FlowId};

use crate::DropReason;

/// What became of a datagram, or of a message in a stream.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is to be relayed is handed back here, and nowhere else"]
pub enum Handled<'d> {
    /// The server took it in. There may be an answer to send, or an event.
    Consumed,
    /// Nothing came of it. It is counted under this reason: [`Server::dropped`](crate::Server::dropped).
    Dropped(DropReason),
    /// To be sent on.
    Relay(Relay<'d>),
}

/// A part of what came in, to be sent on at once: `head`, then `bytes`, then `padding` zeros, as one datagram or as the
/// next bytes of a stream. With a scattered write nothing is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay<'d> {
    /// The socket or stream to send on.
    pub flow: FlowId,
    /// The address to send from.
    pub local: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// What comes before the bytes: nothing towards peers.
    pub head: Head,
    /// A part of the caller's bytes.
    pub bytes: &'d [u8],
    /// Zeros behind them: 0 to 3.
    pub padding: u8,
    /// The ECN bits to send with (RFC 8656 §14).
    pub ecn: Ecn,
    /// Whether the client asks that no router fragments it (DONT-FRAGMENT).
    pub dont_fragment: bool,
}

impl Relay<'_> {
    /// Bytes of all of it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.as_bytes().len() + self.bytes.len() + usize::from(self.padding)
    }

    /// Whether there is nothing in it: an empty datagram, which is sent all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all of it to a buffer.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(self.bytes);
        out.extend_from_slice(&[0; 3][..usize::from(self.padding.min(3))]);
    }
}

/// What comes before relayed bytes: nothing, the 4 bytes of ChannelData, or the beginning of a Data indication.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Head {
    /// Bytes at most: an indication's header, the address of an IPv6 peer, DONT-FRAGMENT, and the head of DATA.
    pub const MAX: usize = 52;

    pub(crate) const NONE: Self = Self { bytes: [0; Self::MAX], len: 0 };

    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut head = Self::NONE;
        parts.iter().for_each(|part| head.push(part));
        head
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Head").field(&self.as_bytes()).finish()
    }
}
