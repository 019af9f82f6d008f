//! Whoever takes what has arrived, by as few calls as the kernel has for it.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::UdpGroSegment;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, recvmsg, setsockopt};

use crate::Result;

/// Datagrams that one call takes.
const TOGETHER: usize = 64;

/// No datagram here is as long.
const DATAGRAM_MAX: usize = 2048;

/// A run of datagrams at most.
const RUN_MAX: usize = 65_536;

/// Buffers for any of several sockets.
#[derive(Debug)]
pub(crate) struct Receiver {
    gro: bool,
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
    control: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new(gro: bool) -> Self {
        let bytes = vec![0; if gro { RUN_MAX } else { TOGETHER * DATAGRAM_MAX }];
        Self { gro, bytes, headers: MultiHeaders::preallocate(TOGETHER, None), control: cmsg_space!(i32) }
    }

    /// Makes a socket one that this takes from.
    pub(crate) fn prepare(&self, socket: &UdpSocket) -> Result<()> {
        socket.set_nonblocking(true)?;
        if self.gro {
            setsockopt(socket, UdpGroSegment, &true)?;
        }
        Ok(())
    }

    /// Hands out what is there, each datagram by itself, and says how many were taken.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, take: impl FnMut(&[u8]) -> bool) -> Result<usize> {
        let received = if self.gro { self.receive_run(socket, take) } else { self.receive_batch(socket, take) };
        match received {
            Err(Errno::EAGAIN) => Ok(0),
            other => Ok(other?),
        }
    }

    fn receive_batch(&mut self, socket: &UdpSocket, mut take: impl FnMut(&[u8]) -> bool) -> nix::Result<usize> {
        let mut slices: Vec<_> = self.bytes.chunks_mut(DATAGRAM_MAX).map(|it| [IoSliceMut::new(it)]).collect();
        let fd = socket.as_raw_fd();
        let messages = recvmmsg(fd, &mut self.headers, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
        Ok(messages.filter(|message| message.iovs().next().is_some_and(&mut take)).count())
    }

    fn receive_run(&mut self, socket: &UdpSocket, mut take: impl FnMut(&[u8]) -> bool) -> nix::Result<usize> {
        let mut slices = [IoSliceMut::new(&mut self.bytes)];
        let control = Some(&mut self.control[..]);
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, control, MsgFlags::MSG_DONTWAIT)?;
        let (length, segment) = (message.bytes, segment(message.cmsgs()?).unwrap_or(message.bytes));
        let datagrams = self.bytes[..length].chunks(segment.max(1));
        Ok(datagrams.filter(|datagram| take(datagram)).count())
    }
}

/// How long the datagrams of a run are.
pub(crate) fn segment(control: impl IntoIterator<Item = ControlMessageOwned>) -> Option<usize> {
    control.into_iter().find_map(|it| match it {
        ControlMessageOwned::UdpGroSegments(bytes) => usize::try_from(bytes).ok().filter(|bytes| *bytes > 0),
        _ => None,
    })
}
