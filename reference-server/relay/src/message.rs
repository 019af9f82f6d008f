//! What is to be sent, to whom.

use std::io::IoSlice;
use std::net::SocketAddr;

use arrayvec::ArrayVec;
use plenary_turn::Relay;
use plenary_wire::{Ecn, Transmit};

/// Parts of a message at most.
pub(crate) const PARTS_MAX: usize = 3;

/// One datagram, or as many bytes of a stream, in the parts of which it consists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Ecn,
    pub(crate) dont_fragment: bool,
    parts: [&'a [u8]; PARTS_MAX],
}

impl<'a> Message<'a> {
    pub(crate) fn of_relay(relay: &'a Relay<'_>, to: SocketAddr) -> Self {
        let padding = &[0; 3][..usize::from(relay.padding.min(3))];
        let parts = [relay.head.as_bytes(), relay.bytes, padding];
        Self { to, ecn: relay.ecn, dont_fragment: relay.dont_fragment, parts }
    }

    /// Answers are datagrams by themselves.
    pub(crate) fn of_transmit(transmit: &Transmit, out: &'a [u8]) -> Self {
        let parts = [transmit.bytes(out), &[], &[]];
        Self { to: transmit.remote, ecn: transmit.ecn, dont_fragment: false, parts }
    }

    /// What is encrypted goes to a client.
    pub(crate) fn sealed(to: SocketAddr, ecn: Ecn, bytes: &'a [u8]) -> Self {
        Self { to, ecn, dont_fragment: false, parts: [bytes, &[], &[]] }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// The parts that are not empty.
    pub(crate) fn slices(&self) -> ArrayVec<IoSlice<'a>, PARTS_MAX> {
        self.parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect()
    }

    /// Appends what comes behind so many bytes.
    pub(crate) fn write_from(&self, mut skip: usize, mut write: impl FnMut(&[u8])) {
        for part in self.parts {
            write(&part[skip.min(part.len())..]);
            skip = skip.saturating_sub(part.len());
        }
    }

    #[cfg(test)]
    pub(crate) fn plain(to: SocketAddr, bytes: &'a [u8]) -> Self {
        Self { to, ecn: Ecn::NotEct, dont_fragment: false, parts: [bytes, &[], &[]] }
    }

    #[cfg(test)]
    pub(crate) fn of_parts(to: SocketAddr, parts: [&'a [u8]; PARTS_MAX]) -> Self {
        Self { to, ecn: Ecn::NotEct, dont_fragment: false, parts }
    }
}
