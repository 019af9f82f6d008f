//! Datagrams to several peers that leave in one system call (`sendmmsg`).

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use arrayvec::ArrayVec;
use plenary_wire::{Ecn, Transmit};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

/// Datagrams of one call: more of them would save less than a hundredth of what they cost.
pub(super) const MESSAGES_MAX: usize = 64;

/// Whether it goes together with others: it is one datagram without marks. Runs and marks need control messages, which
/// `quinn-udp` writes.
pub(super) fn is_single(transmit: &Transmit) -> bool {
    transmit.range.len() <= transmit.segment && transmit.ecn == Ecn::NotEct
}

/// How many of the first of these go together.
pub(super) fn singles(transmits: &[Transmit]) -> usize {
    transmits.iter().take(MESSAGES_MAX).take_while(|transmit| is_single(transmit)).count()
}

/// Sends [`singles`], and says how many the kernel took. If it refuses one, it took those before; the error is told
/// by the call that begins with it.
pub(super) fn send(socket: impl AsFd, transmits: &[Transmit], out: &[u8]) -> io::Result<usize> {
    let addresses: ArrayVec<SocketAddrAny, MESSAGES_MAX> = transmits.iter().map(|it| it.remote.as_any()).collect();
    let contents: ArrayVec<[IoSlice<'_>; 1], MESSAGES_MAX> =
        transmits.iter().map(|it| [IoSlice::new(it.bytes(out))]).collect();
    let mut controls: ArrayVec<SendAncillaryBuffer<'_, '_, '_>, MESSAGES_MAX> =
        transmits.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = addresses.iter().zip(&contents).zip(&mut controls);
    let mut messages: ArrayVec<MMsgHdr<'_>, MESSAGES_MAX> =
        parts.map(|((address, contents), control)| MMsgHdr::new_with_addr(address, contents, control)).collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
}
