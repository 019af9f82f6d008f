//! One UDP socket for all peers: batches in (`recvmmsg` and GRO), runs of equal datagrams out (GSO).

use std::array;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The one flow.
pub(crate) const FLOW: FlowId = FlowId(0);

/// What GRO hands over at once is no longer than a datagram can be.
const BUFFER_BYTES: usize = 65_535;

pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// A buffer for each message of a batch: 2 MB.
    buffers: Vec<u8>,
    unsent: u64,
}

impl Socket {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        let buffers = vec![0; BUFFER_BYTES * BATCH_SIZE];
        Ok(Self { socket: UdpSocket::from_std(socket)?, state, local, buffers, unsent: 0 })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Datagrams in a run that the kernel cuts into pieces; 1 if it can't.
    pub(crate) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// How often the kernel refused to send: what it does not take is as lost as what the network loses.
    pub(crate) const fn unsent(&self) -> u64 {
        self.unsent
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Hands over what has come in, one batch at most.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(Datagram<'_>)) -> io::Result<()> {
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER_BYTES);
        let mut buffers: [_; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().expect("one for each message")));
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let received =
            self.socket.try_io(Interest::READABLE, || self.state.recv((&self.socket).into(), &mut buffers, &mut metas));
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
            let ip = meta.dst_ip.unwrap_or_else(|| self.local.ip());
            for bytes in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                handle(Datagram {
                    flow: FLOW,
                    local: SocketAddr::new(ip, self.local.port()),
                    remote: meta.addr,
                    ecn: meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8)),
                    bytes,
                });
            }
        }
        Ok(())
    }

    /// Sends all, and empties it.
    pub(crate) async fn send(&mut self, outbox: &mut Outbox) {
        for transmit in &outbox.transmits {
            let run = quinn_udp::Transmit {
                destination: transmit.remote,
                ecn: EcnCodepoint::from_bits(transmit.ecn.bits()),
                contents: transmit.bytes(&outbox.bytes),
                segment_size: Some(transmit.segment),
                src_ip: Some(transmit.local.ip()),
            };
            let sent =
                self.socket.async_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &run)).await;
            self.unsent += u64::from(sent.is_err());
        }
        outbox.bytes.clear();
        outbox.transmits.clear();
        outbox.segments_max = self.segments_max();
    }
}

/// What is to be sent: bytes, and where each part of them goes.
pub(crate) struct Outbox {
    pub(crate) bytes: Vec<u8>,
    pub(crate) transmits: Vec<Transmit>,
    segments_max: usize,
}

impl Outbox {
    pub(crate) const fn new(segments_max: usize) -> Self {
        Self { bytes: Vec::new(), transmits: Vec::new(), segments_max }
    }

    /// Takes a part of [`bytes`](Self::bytes); joins it to the one before if the kernel can send both in one call.
    pub(crate) fn push(&mut self, transmit: Transmit) {
        let segments_max = self.segments_max;
        match self.transmits.last_mut().filter(|last| continues(last, &transmit, segments_max)) {
            Some(last) => last.range.end = transmit.range.end,
            None => self.transmits.push(transmit),
        }
    }
}

/// Whether `next` can follow: equal sizes to one destination, of which only the last may be smaller.
fn continues(run: &Transmit, next: &Transmit, segments_max: usize) -> bool {
    let bytes = next.range.end - run.range.start;
    run.range.end == next.range.start
        && (run.remote, run.local, run.ecn) == (next.remote, next.local, next.ecn)
        && run.range.len().is_multiple_of(run.segment)
        && next.range.len() <= run.segment
        && bytes.div_ceil(run.segment) <= segments_max.min(Limit::GSO.segments)
        && bytes <= Limit::GSO.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes datagrams of these sizes to these ports, and says what runs they make: bytes, segment.
    fn runs(datagrams: &[(u16, usize)], segments_max: usize) -> Vec<(usize, usize)> {
        let mut outbox = Outbox::new(segments_max);
        for &(port, size) in datagrams {
            let range = outbox.bytes.len()..outbox.bytes.len() + size;
            outbox.bytes.resize(range.end, 0);
            let (local, remote) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], port)));
            outbox.push(Transmit { flow: FLOW, local, remote, range, segment: size, ecn: Ecn::NotEct });
        }
        outbox.transmits.iter().map(|transmit| (transmit.range.len(), transmit.segment)).collect()
    }

    #[test]
    fn equal_datagrams_to_one_peer_are_one_run() {
        assert_eq!(runs(&[(5, 100), (5, 100), (5, 40)], 64), [(240, 100)]);
        assert_eq!(runs(&[(5, 100), (5, 40), (5, 40)], 64), [(140, 100), (40, 40)], "only the last is smaller");
        assert_eq!(runs(&[(5, 100), (5, 101)], 64), [(100, 100), (101, 101)], "none is larger");
        assert_eq!(runs(&[(5, 100), (6, 100)], 64), [(100, 100), (100, 100)], "one peer each");
    }

    #[test]
    fn a_run_is_no_longer_than_the_kernel_takes() {
        assert_eq!(runs(&[(5, 100); 5], 2), [(200, 100), (200, 100), (100, 100)]);
        assert_eq!(runs(&[(5, 100); 2], 1), [(100, 100), (100, 100)]);
        assert_eq!(runs(&[(5, 1400); 47], 64), [(46 * 1400, 1400), (1400, 1400)], "65,507 bytes");
    }
}
