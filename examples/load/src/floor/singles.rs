//! Single datagrams to several peers, which leave in one system call (`sendmmsg`).

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

use arrayvec::ArrayVec;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

/// No call takes more of them.
const TOGETHER_MAX: usize = 64;

pub(super) struct Singles {
    together: usize,
    bytes: Vec<u8>,
    waiting: ArrayVec<(SocketAddr, Range<usize>), TOGETHER_MAX>,
}

/// What came of those that waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) calls: u64,
    pub(super) sent: u64,
    pub(super) refused: u64,
}

impl Singles {
    pub(super) fn new(together: usize) -> Self {
        Self { together: together.clamp(1, TOGETHER_MAX), bytes: Vec::new(), waiting: ArrayVec::new() }
    }

    /// Where the next one is written to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes what was written from there on; says whether they are as many as leave together.
    pub(super) fn push(&mut self, remote: SocketAddr, start: usize) -> bool {
        self.waiting.push((remote, start..self.bytes.len()));
        self.waiting.len() >= self.together
    }

    /// Sends what waits; what the kernel does not take is refused, whatever the reason.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Told {
        if self.waiting.is_empty() {
            return Told::default();
        }
        let sent = self.call(socket) as u64;
        let refused = self.waiting.len() as u64 - sent;
        self.waiting.clear();
        self.bytes.clear();
        Told { calls: 1, sent, refused }
    }

    fn call(&self, socket: &UdpSocket) -> usize {
        let addresses: ArrayVec<SocketAddrAny, TOGETHER_MAX> = self.waiting.iter().map(|it| it.0.as_any()).collect();
        let contents: ArrayVec<[IoSlice<'_>; 1], TOGETHER_MAX> =
            self.waiting.iter().map(|it| [IoSlice::new(&self.bytes[it.1.clone()])]).collect();
        let mut controls: ArrayVec<SendAncillaryBuffer<'_, '_, '_>, TOGETHER_MAX> =
            self.waiting.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let parts = addresses.iter().zip(&contents).zip(&mut controls);
        let mut messages: ArrayVec<MMsgHdr<'_>, TOGETHER_MAX> =
            parts.map(|((address, contents), control)| MMsgHdr::new_with_addr(address, contents, control)).collect();
        sendmmsg(socket, &mut messages, SendFlags::empty()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_to_its_own_peer() {
        let [one, a, b] = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut singles = Singles::new(3);
        let push = |singles: &mut Singles, to: &UdpSocket, byte: u8| {
            let start = singles.buffer().len();
            singles.buffer().extend([byte; 100]);
            singles.push(to.local_addr().unwrap(), start)
        };
        assert!(!push(&mut singles, &a, 1));
        assert!(!push(&mut singles, &b, 2));
        assert!(push(&mut singles, &a, 3), "as many as leave together");
        assert_eq!(singles.send(&one), Told { calls: 1, sent: 3, refused: 0 });
        assert_eq!(singles.send(&one), Told::default());
        let received = |socket: &UdpSocket| {
            let mut buffer = [0; 200];
            (socket.recv(&mut buffer).unwrap(), buffer[0])
        };
        assert_eq!([received(&a), received(&a), received(&b)], [(100, 1), (100, 3), (100, 2)]);
    }
}
