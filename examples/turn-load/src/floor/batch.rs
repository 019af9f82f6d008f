use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use super::{Ends, Registration, head};
use crate::Result;

/// Datagrams of one call.
const TOGETHER: usize = 64;

const DATAGRAM_MAX: usize = 2048;

pub(super) fn outward(mut ends: Ends) -> Result<()> {
    let mut batch = Batch::new();
    loop {
        let (slices, registrations) = batch.receive(&ends.listen)?;
        let slices: Vec<_> = slices.into_iter().map(|it| [IoSlice::new(it.get(4..).unwrap_or_default())]).collect();
        send(&ends.relay, &slices, ends.peer)?;
        registrations.into_iter().try_for_each(|it| ends.register(it))?;
    }
}

pub(super) fn inward(ends: Ends) -> Result<()> {
    let mut batch = Batch::new();
    loop {
        let (slices, _) = batch.receive(&ends.relay)?;
        let heads: Vec<_> = slices.iter().map(|it| head(it.len())).collect();
        let slices: Vec<_> =
            heads.iter().zip(slices).map(|(head, bytes)| [IoSlice::new(head), IoSlice::new(bytes)]).collect();
        send(&ends.listen, &slices, ends.client())?;
    }
}

struct Batch {
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Batch {
    fn new() -> Self {
        Self { bytes: vec![0; TOGETHER * DATAGRAM_MAX], headers: MultiHeaders::preallocate(TOGETHER, None) }
    }

    /// Waits for datagrams: what is to be relayed, and what registers.
    fn receive(&mut self, socket: &UdpSocket) -> Result<(Vec<&[u8]>, Vec<Registration>)> {
        let mut registrations = Vec::new();
        let mut lengths = [0; TOGETHER];
        let mut count = 0;
        let mut slices: Vec<_> = self.bytes.chunks_mut(DATAGRAM_MAX).map(|it| [IoSliceMut::new(it)]).collect();
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        for message in recvmmsg(fd, &mut self.headers, &mut slices, flags, None)? {
            lengths[count] = message.bytes;
            count += 1;
            registrations.extend(Registration::of(&message));
        }
        let received = self.bytes.chunks(DATAGRAM_MAX).zip(&lengths[..count]).map(|(bytes, length)| &bytes[..*length]);
        Ok((received.filter(|bytes| !matches!(bytes, [0, _, _, _])).collect(), registrations))
    }
}

fn send<const N: usize>(socket: &UdpSocket, slices: &[[IoSlice<'_>; N]], to: SocketAddrV4) -> Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    let mut headers = MultiHeaders::preallocate(slices.len(), None);
    let addresses = [Some(SockaddrIn::from(to)); TOGETHER];
    sendmmsg(socket.as_raw_fd(), &mut headers, slices, addresses, [], MsgFlags::empty())?;
    Ok(())
}
