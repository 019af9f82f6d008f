use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg};

use super::{Ends, Registration, head};
use crate::Result;
use crate::receiver::segment;

/// Runs of one call, and of each the bytes at most.
const TOGETHER: usize = 32;
const RUN_MAX: usize = 65_536;

/// What the kernel cuts one call into: so many, of so many bytes in all.
const SEGMENTS_MAX: usize = 64;
const BYTES_MAX: usize = 65_000;

pub(super) fn outward(mut ends: Ends) -> Result<()> {
    let mut runs = Runs::new();
    loop {
        let registrations = runs.receive(&ends.listen)?;
        let mut out = Run::new(&ends.relay, ends.peer);
        for datagram in runs.datagrams() {
            out.push(None, datagram.get(4..).unwrap_or_default())?;
        }
        out.send()?;
        registrations.into_iter().try_for_each(|it| ends.register(it))?;
    }
}

pub(super) fn inward(ends: Ends) -> Result<()> {
    let mut runs = Runs::new();
    loop {
        runs.receive(&ends.relay)?;
        let heads: Vec<_> = runs.datagrams().map(|it| head(it.len())).collect();
        let mut out = Run::new(&ends.listen, ends.client());
        for (head, datagram) in heads.iter().zip(runs.datagrams()) {
            out.push(Some(head), datagram)?;
        }
        out.send()?;
    }
}

/// What one call has received.
struct Runs {
    bytes: Vec<u8>,
    /// Of each run the bytes, and those of its datagrams.
    lengths: Vec<(usize, usize)>,
}

impl Runs {
    fn new() -> Self {
        Self { bytes: vec![0; TOGETHER * RUN_MAX], lengths: Vec::new() }
    }

    /// Waits for some; answers what registers.
    fn receive(&mut self, socket: &UdpSocket) -> Result<Vec<Registration>> {
        let mut registrations = Vec::new();
        self.lengths.clear();
        let mut slices: Vec<_> = self.bytes.chunks_mut(RUN_MAX).map(|it| [IoSliceMut::new(it)]).collect();
        // A message without control data would leave no room for that of the next: nix keeps the length.
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(TOGETHER, Some(cmsg_space!(i32)));
        for message in recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)? {
            let registration = Registration::of(&message);
            let length = if registration.is_some() { 0 } else { message.bytes };
            registrations.extend(registration);
            self.lengths.push((length, segment(message.cmsgs()?).unwrap_or(length).max(1)));
        }
        Ok(registrations)
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let runs = self.bytes.chunks(RUN_MAX).zip(&self.lengths);
        runs.flat_map(|(bytes, (length, segment))| bytes[..*length].chunks(*segment))
    }
}

/// Datagrams that leave in one call: all as long as the first, but perhaps the last.
struct Run<'r> {
    socket: &'r UdpSocket,
    to: SockaddrIn,
    slices: Vec<IoSlice<'r>>,
    segment: usize,
    count: usize,
    bytes: usize,
}

impl<'r> Run<'r> {
    fn new(socket: &'r UdpSocket, to: SocketAddrV4) -> Self {
        Self { socket, to: to.into(), slices: Vec::new(), segment: 0, count: 0, bytes: 0 }
    }

    fn push(&mut self, head: Option<&'r [u8; 4]>, datagram: &'r [u8]) -> Result<()> {
        let length = head.map_or(0, |it| it.len()) + datagram.len();
        let was_shorter = self.bytes < self.count * self.segment;
        if self.count == SEGMENTS_MAX || was_shorter || length > self.segment || self.bytes + length > BYTES_MAX {
            self.send()?;
            self.segment = length;
        }
        self.slices.extend(head.map(|head| IoSlice::new(head)));
        self.slices.push(IoSlice::new(datagram));
        (self.count, self.bytes) = (self.count + 1, self.bytes + length);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        if self.count > 0 {
            let segment = self.segment as u16;
            let control = [ControlMessage::UdpGsoSegments(&segment)];
            let control = if self.count > 1 { &control[..] } else { &[] };
            sendmsg(self.socket.as_raw_fd(), &self.slices, control, MsgFlags::empty(), Some(&self.to))?;
        }
        self.slices.clear();
        (self.count, self.bytes) = (0, 0);
        Ok(())
    }
}
