//! One UDP socket: batches in (`recvmmsg` and GRO), runs of equal datagrams out (GSO), and single ones together.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};

use super::messages;
use crate::options::Place;

/// The one flow of an engine.
pub(crate) const FLOW: FlowId = FlowId(0);

/// What GRO hands over at once is no longer than a datagram can be.
const BUFFER_BYTES: usize = 65_535;

/// What the kernel keeps in each direction while the thread is busy; it may allow less.
const KERNEL_BYTES: usize = 4 << 20;

/// Datagrams of a run are no longer: what Ethernet takes, less a tunnel's 80 bytes and the headers of IPv6 and UDP. A kernel
/// that is to cut off more than the link takes refuses the run, an older one by the error (`EINVAL`) of one that can cut
/// none, and `quinn-udp` then tries no run again, for nobody: a publisher's long packets are not to bring that about.
const RUN_SEGMENT_MAX: usize = 1500 - 80 - 48;

#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    told: SocketAddr,
    /// A buffer for each message of a batch: 2 MB.
    buffers: Vec<u8>,
}

/// How a batch was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    /// What came from port 0, beside them.
    pub(crate) unanswerable: u64,
    /// There may be more.
    pub(crate) is_full: bool,
}

/// What became of the first of what was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// So many have left, each as it was.
    Whole(usize),
    /// None: there is no room.
    Blocked,
    /// Of the first, so many of the first datagrams are seen to, by themselves; some were refused.
    Singly { datagrams: usize, refused: usize },
}

impl Socket {
    pub(crate) fn bind(place: &Place) -> io::Result<Self> {
        let socket = UdpSocket::bind(place.bind)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), KERNEL_BYTES)?;
        state.set_send_buffer_size((&socket).into(), KERNEL_BYTES)?;
        let told = SocketAddr::new(place.told, socket.local_addr()?.port());
        Ok(Self { socket, state, told, buffers: vec![0; BUFFER_BYTES * BATCH_SIZE] })
    }

    /// The address that clients are told.
    pub(crate) const fn told(&self) -> SocketAddr {
        self.told
    }

    /// What the kernel cuts into pieces: one datagram, if it can't.
    pub(crate) fn limit(&self) -> Limit {
        Limit { segments: self.state.max_gso_segments().clamp(1, Limit::GSO.segments), ..Limit::GSO }
    }

    /// Hands over what has come in, one batch at most.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(Datagram<'_>)) -> io::Result<Batch> {
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER_BYTES);
        let mut buffers: [_; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().expect("one for each message")));
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let count = match self.state.recv((&self.socket).into(), &mut buffers, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let mut batch = Batch { is_full: count == BATCH_SIZE, ..Batch::default() };
        for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
            // Nobody can be answered there: the kernel would refuse it, and not try runs again.
            if meta.addr.port() == 0 {
                batch.unanswerable += 1;
                continue;
            }
            for bytes in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                batch.datagrams += 1;
                batch.bytes += bytes.len() as u64;
                let ecn = meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
                // The engine knows this socket by the address that it tells.
                handle(Datagram { flow: FLOW, local: self.told, remote: meta.addr, ecn, bytes });
            }
        }
        Ok(batch)
    }

    /// Sends the first of these: single datagrams together, a run by itself.
    pub(crate) fn send(&self, transmits: &[Transmit], out: &[u8]) -> Sent {
        let singles = messages::singles(transmits);
        if singles < 2 {
            return self.send_one(&transmits[0], out);
        }
        match messages::send(&self.socket, &transmits[..singles], out) {
            Ok(count) => Sent::Whole(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
            // It was of the first: what is wrong with that is seen again without the others.
            Err(_) => self.send_one(&transmits[0], out),
        }
    }

    /// Where the kernel does not take a run as one, its datagrams go singly.
    fn send_one(&self, transmit: &Transmit, out: &[u8]) -> Sent {
        if transmit.segment > RUN_SEGMENT_MAX && transmit.range.len() > transmit.segment {
            return self.send_singly(transmit, out);
        }
        match self.send_to(transmit, transmit.bytes(out)) {
            Ok(()) => Sent::Whole(1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
            Err(_) if transmit.range.len() <= transmit.segment => Sent::Singly { datagrams: 1, refused: 1 },
            Err(_) => self.send_singly(transmit, out),
        }
    }

    fn send_singly(&self, transmit: &Transmit, out: &[u8]) -> Sent {
        let (mut datagrams, mut refused) = (0, 0);
        for datagram in transmit.datagrams(out) {
            match self.send_to(transmit, datagram) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => refused += 1,
            }
            datagrams += 1;
        }
        if datagrams == 0 { Sent::Blocked } else { Sent::Singly { datagrams, refused } }
    }

    fn send_to(&self, transmit: &Transmit, contents: &[u8]) -> io::Result<()> {
        let run = quinn_udp::Transmit {
            destination: transmit.remote,
            ecn: EcnCodepoint::from_bits(transmit.ecn.bits()),
            contents,
            segment_size: (contents.len() > transmit.segment).then_some(transmit.segment),
            src_ip: None,
        };
        self.state.try_send((&self.socket).into(), &run)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Socket {
        let (bind, told) = ("127.0.0.1:0".parse().unwrap(), "192.0.2.1".parse().unwrap());
        Socket::bind(&Place { bind, told }).unwrap()
    }

    fn transmit(socket: &Socket, remote: SocketAddr, bytes: usize, segment: usize) -> Transmit {
        Transmit { flow: FLOW, local: socket.told(), remote, range: 0..bytes, segment, ecn: Ecn::NotEct }
    }

    /// Receives so many datagrams.
    fn received(socket: &mut Socket, count: u64) -> Vec<(SocketAddr, usize)> {
        let mut seen = Vec::new();
        for _ in 0..1000 {
            let batch = socket.receive(|datagram| seen.push((datagram.local, datagram.bytes.len()))).unwrap();
            if batch.datagrams == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            if seen.len() as u64 >= count {
                break;
            }
        }
        seen
    }

    fn remote(socket: &Socket) -> SocketAddr {
        SocketAddr::new("127.0.0.1".parse().unwrap(), socket.told().port())
    }

    #[test]
    fn a_run_comes_out_as_the_datagrams_that_it_is_of() {
        let (one, mut other) = (socket(), socket());
        let out = vec![7; 250];
        assert_eq!(one.send(&[transmit(&one, remote(&other), 250, 100)], &out), Sent::Whole(1));
        let told = other.told();
        assert_eq!(told.ip().to_string(), "192.0.2.1");
        assert_eq!(received(&mut other, 3), [(told, 100), (told, 100), (told, 50)]);
        assert_eq!(other.receive(|_| {}).unwrap(), Batch::default());
    }

    /// Datagrams and runs of so many bytes, each to its own peer, one behind the other in one buffer.
    fn several(one: &Socket, to: &[(SocketAddr, usize)]) -> (Vec<Transmit>, Vec<u8>) {
        let mut out = Vec::new();
        let write = |(remote, bytes): &(SocketAddr, usize)| {
            let start = out.len();
            out.resize(start + bytes, out.len() as u8);
            Transmit { range: start..out.len(), ..transmit(one, *remote, 0, 100) }
        };
        (to.iter().map(write).collect(), out)
    }

    #[test]
    fn single_datagrams_leave_together_and_a_run_by_itself() {
        let (one, mut others) = (socket(), [socket(), socket(), socket()]);
        let [a, b, c] = [0, 1, 2].map(|index| remote(&others[index]));
        let (transmits, out) = several(&one, &[(a, 10), (b, 100), (c, 30), (a, 40), (b, 200), (a, 50)]);
        assert_eq!(one.send(&transmits, &out), Sent::Whole(4));
        assert_eq!(one.send(&transmits[4..], &out), Sent::Whole(1));
        assert_eq!(one.send(&transmits[5..], &out), Sent::Whole(1));
        let mut sizes = |index: usize, count| received(&mut others[index], count).into_iter().map(|it| it.1).collect();
        let sizes: [Vec<usize>; 3] = [sizes(0, 3), sizes(1, 3), sizes(2, 1)];
        assert_eq!(sizes, [vec![10, 40, 50], vec![100, 100, 100], vec![30]]);
    }

    #[test]
    fn what_port_0_sends_is_counted_and_not_handed_over() {
        use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket as open};
        let Ok(raw) = open(AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP)) else {
            eprintln!("not tested: only root may send from port 0");
            return;
        };
        let mut other = socket();
        let to = remote(&other);
        let [high, low] = to.port().to_be_bytes();
        // From port 0, to that port, 9 bytes in all, without a checksum (RFC 768).
        sendto(&raw, &[0, 0, high, low, 0, 9, 0, 0, 7], SendFlags::empty(), &to).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[1, 2, 3], to).unwrap();
        let (mut seen, mut unanswerable) = (Vec::new(), 0);
        for _ in 0..1000 {
            unanswerable += other.receive(|datagram| seen.push(datagram.bytes.to_vec())).unwrap().unanswerable;
            if !seen.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!((seen, unanswerable), (vec![vec![1, 2, 3]], 1));
    }

    #[test]
    fn long_datagrams_are_no_run() {
        let (one, mut other) = (socket(), socket());
        let out = vec![7; 3 * (RUN_SEGMENT_MAX + 1)];
        let long = transmit(&one, remote(&other), out.len(), RUN_SEGMENT_MAX + 1);
        assert_eq!(one.send(std::slice::from_ref(&long), &out), Sent::Singly { datagrams: 3, refused: 0 });
        let fit = transmit(&one, remote(&other), 2 * RUN_SEGMENT_MAX, RUN_SEGMENT_MAX);
        assert_eq!(one.send(&[fit], &out), Sent::Whole(1));
        let sizes: Vec<_> = received(&mut other, 5).into_iter().map(|it| it.1).collect();
        assert_eq!(sizes, [vec![RUN_SEGMENT_MAX + 1; 3], vec![RUN_SEGMENT_MAX; 2]].concat());
    }

    #[test]
    fn one_that_is_refused_costs_none_of_the_others() {
        let (one, mut other) = (socket(), socket());
        let good = remote(&other);
        // From a loopback address there is no way to it.
        let bad = "192.0.2.1:5000".parse().unwrap();
        let (transmits, out) = several(&one, &[(good, 10), (good, 20), (bad, 30), (bad, 40), (good, 50), (good, 60)]);
        let mut rest = &transmits[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let sent = one.send(rest, &out);
            seen.push(sent);
            rest = &rest[if let Sent::Whole(count) = sent { count } else { 1 }..];
        }
        let refused = Sent::Singly { datagrams: 1, refused: 1 };
        assert_eq!(seen, [Sent::Whole(2), refused, refused, Sent::Whole(2)]);
        let sizes: Vec<_> = received(&mut other, 4).into_iter().map(|it| it.1).collect();
        assert_eq!(sizes, [10, 20, 50, 60]);
    }

    #[test]
    fn what_the_kernel_refuses_is_counted() {
        let one = socket();
        let out = vec![0; 300];
        let remote = "192.0.2.1:5000".parse().unwrap();
        let refused = |count| Sent::Singly { datagrams: count, refused: count };
        assert_eq!(one.send(&[transmit(&one, remote, 300, 100)], &out), refused(3));
        assert_eq!(one.send(&[transmit(&one, remote, 100, 100)], &out), refused(1));
    }
}
