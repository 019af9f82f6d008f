//! A UDP socket that a test waits at, with runs (GSO, GRO) and ECN.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use plenary_wire::Ecn;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{self as options, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};

use crate::start::PATIENCE;

#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    arrived: VecDeque<Arrived>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) from: SocketAddr,
    pub(crate) ecn: Ecn,
    pub(crate) bytes: Vec<u8>,
}

impl Socket {
    pub(crate) fn bind(ip: &str) -> Self {
        Self::bind_at(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap()
    }

    pub(crate) fn bind_at(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        if address.is_ipv4() {
            options::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT)?;
        } else {
            options::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DONT)?;
            setsockopt(&socket, sockopt::Ipv6DontFrag, &false)?;
        }
        // With it there is no room left for ECN.
        setsockopt(&socket, sockopt::ReceiveTimestampns, &false)?;
        state.set_recv_buffer_size((&socket).into(), 4 << 20)?;
        Ok(Self { socket, state, arrived: VecDeque::new() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.address().ip()
    }

    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        self.send_run(to, bytes, None, Ecn::NotEct);
    }

    /// Sends one datagram, or as many as there are segments, by one call.
    pub(crate) fn send_run(&self, destination: SocketAddr, contents: &[u8], segment: Option<usize>, ecn: Ecn) {
        let ecn = EcnCodepoint::from_bits(ecn.bits());
        let transmit = Transmit { destination, ecn, contents, segment_size: segment, src_ip: None };
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.state.try_send((&self.socket).into(), &transmit) {
            assert!(Instant::now() < deadline, "{} bytes to {destination}: {error}", contents.len());
            wait(&self.socket, PollFlags::OUT, Duration::from_millis(10));
        }
    }

    /// The next datagram that comes until then.
    pub(crate) fn next(&mut self, until: Instant) -> Option<Arrived> {
        while self.arrived.is_empty() {
            let left = until.checked_duration_since(Instant::now())?;
            wait(&self.socket, PollFlags::IN, left);
            self.read();
        }
        self.arrived.pop_front()
    }

    pub(crate) fn expect(&mut self) -> Arrived {
        self.next(Instant::now() + PATIENCE).expect("a datagram")
    }

    fn read(&mut self) {
        let mut buffers = vec![[0; 65_535]; BATCH_SIZE];
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| std::io::IoSliceMut::new(buffer)).collect();
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        // What ICMP says of what was sent is an error too.
        let Ok(count) = self.state.recv((&self.socket).into(), &mut slices, &mut metas) else { return };
        for (meta, buffer) in metas[..count].iter().zip(&buffers) {
            let ecn = meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
            let mut add = |bytes: &[u8]| {
                self.arrived.push_back(Arrived { from: meta.addr, ecn, bytes: bytes.to_vec() });
            };
            match meta.len {
                0 => add(&[]),
                len => buffer[..len].chunks(meta.stride).for_each(add),
            }
        }
    }
}

/// Waits at a socket for no longer than that.
pub(crate) fn wait(socket: impl AsFd, flags: PollFlags, most: Duration) {
    let timeout = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
    poll(&mut [PollFd::new(&socket, flags)], Some(&timeout)).unwrap();
}
