//! Datagrams out of one socket: runs of equal ones to one address as one (GSO), and single ones together (`sendmmsg`).
//! Nothing is copied: their bytes lie where they came in.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use plenary_wire::{Ecn, Limit};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto};

use crate::message::{Message, PARTS_MAX};
use crate::udp::Udp;

/// Datagrams of one `sendmmsg`: more of them would save less than a hundredth of what they cost.
const SINGLES_MAX: usize = 64;

/// Datagrams of a run.
const RUN_MAX: usize = Limit::GSO.segments;

/// Datagrams of a run are no longer: what Ethernet takes, less a tunnel's 80 bytes and the headers of IPv6 and UDP. A run of
/// longer ones the kernel may refuse where it would fragment single ones.
const RUN_SEGMENT_MAX: usize = 1500 - 80 - 48;

/// Bytes of a run: what one datagram could have.
const RUN_BYTES_MAX: usize = 65_000;

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Those that the kernel took.
    pub(crate) datagrams: u64,
    /// The system calls that took them.
    pub(crate) calls: u64,
    /// Those for which there was no room.
    pub(crate) blocked: u64,
    /// Those that the kernel refused: there is no way to their address, or they are too long.
    pub(crate) refused: u64,
}

impl Sent {
    pub(crate) const fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.calls += other.calls;
        self.blocked += other.blocked;
        self.refused += other.refused;
    }

    fn lose(&mut self, count: usize, error: Errno) {
        // The second is said of the queue of an interface.
        if matches!(error, Errno::EAGAIN | Errno::ENOBUFS) {
            self.blocked += count as u64;
        } else {
            self.refused += count as u64;
        }
    }
}

/// How datagrams leave.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Whether the kernel takes runs.
    takes_runs: bool,
}

impl Default for Sender {
    fn default() -> Self {
        Self { takes_runs: true }
    }
}

impl Sender {
    /// Sends all of these from one socket. What there is no room for is lost, as datagrams are.
    pub(crate) fn send(&mut self, udp: &Udp, messages: &[Message<'_>]) -> Sent {
        let mut sent = Sent::default();
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let run = if self.takes_runs { run(rest) } else { 1 };
            let taken = match run {
                1 if is_plain(first) => {
                    let singles = singles(rest, self.takes_runs);
                    send_singles(udp, &rest[..singles], &mut sent)
                }
                1 => {
                    sent.add(send_one(udp, first));
                    1
                }
                run => {
                    self.send_run(udp, &rest[..run], &mut sent);
                    run
                }
            };
            rest = &rest[taken..];
        }
        sent
    }

    fn send_run(&mut self, udp: &Udp, run: &[Message<'_>], sent: &mut Sent) {
        let mut slices = ArrayVec::<IoSlice<'_>, { RUN_MAX * PARTS_MAX }>::new();
        slices.extend(run.iter().flat_map(Message::slices));
        let segment = run[0].len() as u16;
        match call(udp, &run[0], &slices, Some(segment)) {
            Ok(()) => {
                sent.calls += 1;
                sent.datagrams += run.len() as u64;
            }
            Err(error @ (Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE)) => {
                // An interface that can't cut says so; others refuse to cut these.
                self.takes_runs &= error != Errno::EIO;
                run.iter().for_each(|message| sent.add(send_one(udp, message)));
            }
            Err(error) => sent.lose(run.len(), error),
        }
    }
}

/// How many of the first of these are a run: to one address, alike, and as long as the first, but for the last.
fn run(messages: &[Message<'_>]) -> usize {
    let first = &messages[0];
    let segment = first.len();
    if segment == 0 || segment > RUN_SEGMENT_MAX || first.dont_fragment {
        return 1;
    }
    let most = RUN_MAX.min(RUN_BYTES_MAX / segment);
    let mut count = 1;
    for message in messages.iter().take(most).skip(1) {
        let len = message.len();
        let is_alike = message.to == first.to && message.ecn == first.ecn && !message.dont_fragment;
        if !is_alike || len == 0 || len > segment {
            break;
        }
        count += 1;
        if len < segment {
            break;
        }
    }
    count
}

/// Whether it needs no ancillary data, which `sendmmsg` is not given.
fn is_plain(message: &Message<'_>) -> bool {
    message.ecn == Ecn::NotEct && !message.dont_fragment
}

/// How many of the first of these go together: plain ones that begin no run.
fn singles(messages: &[Message<'_>], takes_runs: bool) -> usize {
    let mut count = 1;
    while count < messages.len().min(SINGLES_MAX)
        && is_plain(&messages[count])
        && !(takes_runs && run(&messages[count..]) > 1)
    {
        count += 1;
    }
    count
}

/// Sends these by one call; says how many of them are seen to.
fn send_singles(udp: &Udp, messages: &[Message<'_>], sent: &mut Sent) -> usize {
    if let [message] = messages {
        sent.add(send_one(udp, message));
        return 1;
    }
    let mut addresses = ArrayVec::<SocketAddrAny, SINGLES_MAX>::new();
    let mut contents = ArrayVec::<ArrayVec<IoSlice<'_>, PARTS_MAX>, SINGLES_MAX>::new();
    let mut controls = ArrayVec::<SendAncillaryBuffer<'_, '_, '_>, SINGLES_MAX>::new();
    let mut headers = ArrayVec::<MMsgHdr<'_>, SINGLES_MAX>::new();
    addresses.extend(messages.iter().map(|it| it.to.as_any()));
    contents.extend(messages.iter().map(Message::slices));
    controls.extend(messages.iter().map(|_| SendAncillaryBuffer::default()));
    let parts = addresses.iter().zip(&contents).zip(&mut controls);
    headers.extend(parts.map(|((address, contents), control)| MMsgHdr::new_with_addr(address, contents, control)));
    match sendmmsg(udp, &mut headers, SendFlags::empty()) {
        Ok(count) => {
            sent.calls += 1;
            sent.datagrams += count as u64;
            count
        }
        Err(error) if [rustix::io::Errno::AGAIN, rustix::io::Errno::NOBUFS].contains(&error) => {
            sent.blocked += messages.len() as u64;
            messages.len()
        }
        // It was of the first: what is wrong with that is seen again without the others.
        Err(_) => {
            sent.add(send_one(udp, &messages[0]));
            1
        }
    }
}

fn send_one(udp: &Udp, message: &Message<'_>) -> Sent {
    // The next one may be fragmented again. If it can't be told to be so, what follows is as this one.
    let is_set = message.dont_fragment && udp.set_dont_fragment(true).is_ok();
    let slices = message.slices();
    let done = match slices[..] {
        [bytes] if message.ecn == Ecn::NotEct => call_plain(udp, message.to, &bytes),
        _ => call(udp, message, &slices, None),
    };
    if is_set {
        let _ = udp.set_dont_fragment(false);
    }
    let mut sent = Sent::default();
    match done {
        Ok(()) => (sent.datagrams, sent.calls) = (1, 1),
        Err(error) => sent.lose(1, error),
    }
    sent
}

/// Errors that ICMP may have told of an earlier datagram: they are told once, by the next call.
const OF_EARLIER: [Errno; 6] = [
    Errno::ECONNREFUSED,
    Errno::EHOSTUNREACH,
    Errno::ENETUNREACH,
    Errno::EHOSTDOWN,
    Errno::ENOPROTOOPT,
    Errno::EOPNOTSUPP,
];

fn call(udp: &Udp, message: &Message<'_>, slices: &[IoSlice<'_>], segment: Option<u16>) -> Result<(), Errno> {
    let (tos, class) = (message.ecn.bits(), i32::from(message.ecn.bits()));
    let mut controls = ArrayVec::<ControlMessage<'_>, 2>::new();
    if message.ecn != Ecn::NotEct {
        let is_v4 = message.to.is_ipv4();
        controls.push(if is_v4 { ControlMessage::Ipv4Tos(&tos) } else { ControlMessage::Ipv6TClass(&class) });
    }
    if let Some(segment) = &segment {
        controls.push(ControlMessage::UdpGsoSegments(segment));
    }
    let to = SockaddrStorage::from(message.to);
    again(|| sendmsg(udp.as_raw_fd(), slices, &controls, MsgFlags::empty(), Some(&to)).map(|_| ()))
}

/// A plain one, of which the kernel has less to read.
fn call_plain(udp: &Udp, to: SocketAddr, bytes: &[u8]) -> Result<(), Errno> {
    let errno = |error: rustix::io::Errno| Errno::from_raw(error.raw_os_error());
    again(|| sendto(udp, bytes, SendFlags::empty(), &to).map(|_| ()).map_err(errno))
}

fn again(send: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    send().or_else(|error| if OF_EARLIER.contains(&error) { send() } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;
    use std::net::UdpSocket;

    use nix::sys::socket::{ControlMessageOwned, SockaddrIn, recvmsg, setsockopt, sockopt};

    use super::*;
    use crate::udp::Kind;

    /// RFC 8656 §14, the alternate behaviour: of the traffic class ECN alone is carried over, and DSCP is 0.
    #[test]
    fn datagrams_leave_without_a_class() {
        let udp = Udp::bind("127.0.0.1:0".parse().unwrap(), Kind::Relay).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
        let to = peer.local_addr().unwrap();
        for ecn in [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce] {
            let sent = Sender::default().send(&udp, &[Message::sealed(to, ecn, b"x")]);
            assert_eq!((sent.datagrams, sent.calls), (1, 1));
            let (mut bytes, mut control) = ([0; 4], nix::cmsg_space!(u8, i32));
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::empty();
            let message = recvmsg::<SockaddrIn>(peer.as_raw_fd(), &mut slices, Some(&mut control), flags).unwrap();
            let class = message.cmsgs().unwrap().find_map(|control| match control {
                ControlMessageOwned::Ipv4Tos(class) => Some(class),
                _ => None,
            });
            assert_eq!(class, Some(ecn.bits()));
        }
    }
}
