//! One socket with many addresses: as many clients as one likes, for a single file.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, RcvBuf};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt};
use std::io::{IoSlice, IoSliceMut};

use crate::Result;
use crate::line::v4;

/// What the kernel keeps of answers.
const KERNEL_BYTES: usize = 4 << 20;

/// Networks (/24) that neighbours in the count are spread over: servers limit what each is answered.
const NETWORKS: u32 = 16_384;

#[derive(Debug)]
pub(crate) struct Fleet {
    socket: UdpSocket,
    server: SockaddrIn,
    port: u16,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Fleet {
    pub(crate) fn new(server: SocketAddrV4) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        setsockopt(&socket, RcvBuf, &KERNEL_BYTES)?;
        let port = v4(socket.local_addr()?).port();
        let server = SockaddrIn::from(server);
        Ok(Self { socket, server, port, buffer: vec![0; 2048], control: cmsg_space!(in_pktinfo) })
    }

    /// The address of one of many.
    pub(crate) fn address(&self, number: u32) -> SocketAddrV4 {
        let [_, _, high, low] = (number % NETWORKS).to_be_bytes();
        let host = 1 + (number / NETWORKS % 250) as u8;
        SocketAddrV4::new(Ipv4Addr::new(127, 64 + high, low, host), self.port)
    }

    pub(crate) fn send(&self, from: SocketAddrV4, bytes: &[u8]) -> Result<()> {
        let source = in_addr { s_addr: u32::from_ne_bytes(from.ip().octets()) };
        let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: in_addr { s_addr: 0 } };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let slices = [IoSlice::new(bytes)];
        sendmsg(self.socket.as_raw_fd(), &slices, &control, MsgFlags::empty(), Some(&self.server))?;
        Ok(())
    }

    /// What has come, and to which address; waits so long for it.
    pub(crate) fn receive(&mut self, wait: Duration) -> Result<Option<(SocketAddrV4, &mut [u8])>> {
        let fd = self.socket.as_raw_fd();
        loop {
            let mut slices = [IoSliceMut::new(&mut self.buffer)];
            match recvmsg::<()>(fd, &mut slices, Some(&mut self.control), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => {
                    let length = message.bytes;
                    let to = message.cmsgs()?.find_map(|it| match it {
                        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info.ipi_addr.s_addr.to_ne_bytes()),
                        _ => None,
                    });
                    let to = to.map(|ip| SocketAddrV4::new(Ipv4Addr::from(ip), self.port));
                    return Ok(to.map(|to| (to, &mut self.buffer[..length])));
                }
                Err(Errno::EAGAIN) => {
                    let mut waiting = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                    let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
                    if poll(&mut waiting, wait)? == 0 {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_address_and_is_answered_there() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut fleet = Fleet::new(v4(server.local_addr().unwrap())).unwrap();
        let addresses = [0, 1, 16_384].map(|number| fleet.address(number));
        let ips = ["127.64.0.1", "127.64.1.1", "127.64.0.2"];
        assert_eq!(addresses.map(|it| it.ip().to_string()), ips);
        assert_eq!(fleet.address(99_999).ip().to_string(), "127.70.159.7");
        for address in addresses {
            fleet.send(address, b"here").unwrap();
            let mut buffer = [0; 10];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&b"here"[..], address.into()));
            server.send_to(b"seen", from).unwrap();
            let (to, bytes) = fleet.receive(Duration::from_secs(5)).unwrap().unwrap();
            assert_eq!((to, &*bytes), (address, &b"seen"[..]));
        }
        assert!(fleet.receive(Duration::ZERO).unwrap().is_none());
    }
}
