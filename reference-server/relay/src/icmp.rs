//! What routers and hosts say of datagrams that relays have sent (RFC 8656 §11.5).

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, recvmsg};
use plenary_turn::Icmp;
use plenary_wire::FlowId;

use crate::udp::Udp;

/// Errors of one turn: a socket's queue holds what fits in its buffer.
const ERRORS_MAX: usize = 16;

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of Linux.
const ORIGINS: [u8; 2] = [2, 3];

/// What comes with an error: the address and the class of the datagram, as with any other, and the error (at most 16 bytes
/// and an address of 28), each with a head of 16.
const CONTROL_BYTES: usize = 256;

/// Hands over what there is.
pub(crate) fn read(udp: &Udp, flow: FlowId, mut tell: impl FnMut(Icmp)) {
    for _ in 0..ERRORS_MAX {
        let told = if udp.local.is_ipv4() {
            next::<SockaddrIn>(udp).map(|(address, told)| (address.map(SocketAddr::from), told))
        } else {
            next::<SockaddrIn6>(udp).map(|(address, told)| (address.map(SocketAddr::from), told))
        };
        match told {
            Some((Some(peer), Some((kind, code, data)))) => tell(Icmp { flow, peer, kind, code, data }),
            Some(_) => {}
            None => break,
        }
    }
}

/// Type, code, and the 4 bytes behind.
type Told = (u8, u8, [u8; 4]);

/// The next one: where the datagram went to, and what is said of it. What the kernel itself says is not for clients.
fn next<A: SockaddrLike + Copy>(udp: &Udp) -> Option<(Option<A>, Option<Told>)> {
    let mut control = nix::cmsg_space!([u8; CONTROL_BYTES]);
    // The datagram itself is nobody's.
    let mut slices = [IoSliceMut::new(&mut [])];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<A>(udp.as_raw_fd(), &mut slices, Some(&mut control), flags).ok()?;
    let address = message.address;
    let told = message.cmsgs().ok()?.find_map(|control| {
        let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = control else {
            return None;
        };
        let is_icmp = ORIGINS.contains(&error.ee_origin);
        is_icmp.then_some((error.ee_type, error.ee_code, error.ee_info.to_be_bytes()))
    });
    Some((address, told))
}
