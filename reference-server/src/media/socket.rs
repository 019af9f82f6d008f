//! One UDP socket: batches in (`recvmmsg` and GRO), runs of equal datagrams out (GSO).

use std::array;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};

use crate::options::Place;

/// The one flow of an engine.
pub(crate) const FLOW: FlowId = FlowId(0);

/// What GRO hands over at once is no longer than a datagram can be.
const BUFFER_BYTES: usize = 65_535;

/// What the kernel keeps in each direction while the thread is busy; it may allow less.
const KERNEL_BYTES: usize = 4 << 20;

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
    /// There may be more.
    pub(crate) is_full: bool,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Whole,
    /// Nothing of it: there is no room.
    Blocked,
    /// Not as one run: so many of its datagrams were refused.
    Singly {
        refused: u64,
    },
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

    /// Sends a run. Where the kernel does not take it as one, its datagrams go singly.
    pub(crate) fn send(&self, transmit: &Transmit, out: &[u8]) -> Sent {
        let contents = transmit.bytes(out);
        match self.send_to(transmit, contents, transmit.segment) {
            Ok(()) => Sent::Whole,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
            Err(_) if contents.len() <= transmit.segment => Sent::Singly { refused: 1 },
            Err(_) => {
                let refused = |bytes: &&[u8]| self.send_to(transmit, bytes, transmit.segment).is_err();
                Sent::Singly { refused: transmit.datagrams(out).filter(refused).count() as u64 }
            }
        }
    }

    fn send_to(&self, transmit: &Transmit, contents: &[u8], segment: usize) -> io::Result<()> {
        let run = quinn_udp::Transmit {
            destination: transmit.remote,
            ecn: EcnCodepoint::from_bits(transmit.ecn.bits()),
            contents,
            segment_size: (contents.len() > segment).then_some(segment),
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

    #[test]
    fn a_run_comes_out_as_the_datagrams_that_it_is_of() {
        let (one, mut other) = (socket(), socket());
        let remote = SocketAddr::new("127.0.0.1".parse().unwrap(), other.told().port());
        let out = vec![7; 250];
        assert_eq!(one.send(&transmit(&one, remote, 250, 100), &out), Sent::Whole);
        let told = other.told();
        assert_eq!(told.ip().to_string(), "192.0.2.1");
        assert_eq!(received(&mut other, 3), [(told, 100), (told, 100), (told, 50)]);
        assert_eq!(other.receive(|_| {}).unwrap(), Batch::default());
    }

    #[test]
    fn what_the_kernel_refuses_is_counted() {
        let one = socket();
        let out = vec![0; 300];
        // From a loopback address there is no way to it.
        let remote = "192.0.2.1:5000".parse().unwrap();
        assert_eq!(one.send(&transmit(&one, remote, 300, 100), &out), Sent::Singly { refused: 3 });
        assert_eq!(one.send(&transmit(&one, remote, 100, 100), &out), Sent::Singly { refused: 1 });
    }
}
