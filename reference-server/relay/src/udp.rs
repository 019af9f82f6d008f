//! A UDP socket: batches in (`recvmmsg` and GRO), and what it takes to hear of errors.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use arrayvec::ArrayVec;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use rustix::net::sockopt as options;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// What the kernel keeps in each direction while the thread is busy; it may allow less.
const LISTENER_BYTES: usize = 4 << 20;
const RELAY_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    /// What it is bound to.
    pub(crate) local: SocketAddr,
    pub(crate) kind: Kind,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Clients come in by it. Each thread has one at the same address.
    Listener,
    /// Clients come in by it, by DTLS. Likewise.
    SealedListener,
    /// It belongs to an allocation, or is reserved for one.
    Relay,
}

impl Udp {
    pub(crate) fn bind(address: SocketAddr, kind: Kind) -> io::Result<Self> {
        let socket = open(address, SocketType::DGRAM, kind != Kind::Relay)?;
        bind(&socket, &address)?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        // What nobody reads here costs time for each datagram, and leaves no room for the ECN of a run.
        setsockopt(&socket, sockopt::ReceiveTimestampns, &false)?;
        let bytes = if kind == Kind::Relay { RELAY_BYTES } else { LISTENER_BYTES };
        state.set_recv_buffer_size((&socket).into(), bytes)?;
        state.set_send_buffer_size((&socket).into(), bytes)?;
        let local = socket.local_addr()?;
        let udp = Self { socket, state, local, kind };
        udp.set_dont_fragment(false)?;
        if kind == Kind::Relay {
            udp.hear_of_errors()?;
        }
        Ok(udp)
    }

    /// RFC 8656 §11.5: a client is told what ICMP says of its datagrams.
    fn hear_of_errors(&self) -> io::Result<()> {
        if self.local.is_ipv4() {
            setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&self.socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(())
    }

    /// Whether no router may fragment what is sent from now on. Otherwise it is fragmented where it has to be, and the kernel
    /// keeps no path's MTU: RFC 8656 §14.
    pub(crate) fn set_dont_fragment(&self, dont_fragment: bool) -> io::Result<()> {
        if self.local.is_ipv4() {
            let mode =
                if dont_fragment { options::Ipv4PathMtuDiscovery::DO } else { options::Ipv4PathMtuDiscovery::DONT };
            options::set_ip_mtu_discover(&self.socket, mode)?;
        } else {
            let mode =
                if dont_fragment { options::Ipv6PathMtuDiscovery::DO } else { options::Ipv6PathMtuDiscovery::DONT };
            options::set_ipv6_mtu_discover(&self.socket, mode)?;
            setsockopt(&self.socket, sockopt::Ipv6DontFrag, &dont_fragment)?;
        }
        Ok(())
    }

    /// Receives into the first of these buffers, one message each; says how many. Each may hold several datagrams, each of
    /// `stride` bytes but for the last.
    pub(crate) fn receive<'b, const N: usize>(
        &self,
        buffers: impl Iterator<Item = &'b mut [u8; N]>,
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let mut slices: ArrayVec<IoSliceMut<'_>, BATCH_SIZE> =
            buffers.take(BATCH_SIZE).map(|buffer| IoSliceMut::new(buffer)).collect();
        match self.state.recv((&self.socket).into(), &mut slices, metas) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            received => received,
        }
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// A socket that does not block. Others may have its address too if it is shared: those of the other threads.
pub(crate) fn open(address: SocketAddr, kind: SocketType, shared: bool) -> io::Result<std::os::fd::OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if address.is_ipv6() {
        options::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        options::set_socket_reuseaddr(&socket, true)?;
    }
    if shared {
        options::set_socket_reuseport(&socket, true)?;
    }
    Ok(socket)
}
