//! Datagrams that leave together.

use std::io::{ErrorKind, IoSlice};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, sendmsg};

use crate::Result;
use crate::options::{Load, Send};

/// Bytes before the payload, of ChannelData.
pub(crate) const HEAD: usize = 4;

/// One after the other in one buffer, all as long as the first but perhaps the last, which is shorter.
#[derive(Clone, Debug)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    segment: usize,
    head: usize,
}

/// Sound and pictures as they leave a client, as packets, their bytes and those of the last: of each ten bursts one key
/// frame, four other pictures, and sound between them.
const MEDIA: [(u16, u16, u16); 10] = [
    (30, 1000, 700),
    (1, 120, 120),
    (5, 1000, 400),
    (1, 120, 120),
    (7, 1000, 300),
    (1, 120, 120),
    (4, 1000, 650),
    (1, 120, 120),
    (6, 1000, 200),
    (1, 120, 120),
];

impl Burst {
    /// What one client sends by turns, in this channel, or its peer without one.
    pub(crate) fn all(load: &Load, channel: Option<[u8; 2]>) -> Vec<Self> {
        if load.media {
            MEDIA.iter().map(|&(packets, bytes, last)| Self::new(packets, bytes, last, channel)).collect()
        } else {
            vec![Self::new(load.burst, load.bytes, load.bytes, channel)]
        }
    }

    fn new(packets: u16, payload: u16, last: u16, channel: Option<[u8; 2]>) -> Self {
        let mut bytes = Vec::new();
        for number in 1..=packets {
            let payload = if number == packets { last } else { payload };
            if let Some(channel) = channel {
                bytes.extend_from_slice(&channel);
                bytes.extend_from_slice(&payload.to_be_bytes());
            }
            bytes.resize(bytes.len() + usize::from(payload), number as u8);
        }
        let head = if channel.is_some() { HEAD } else { 0 };
        let first = if packets == 1 { last } else { payload };
        Self { bytes, segment: head + usize::from(first), head }
    }

    pub(crate) fn packets(&self) -> usize {
        self.bytes.len().div_ceil(self.segment)
    }

    /// Writes a time into the payload of each.
    pub(crate) fn stamp(&mut self, time: Duration) {
        let stamp = (time.as_nanos() as u64).to_be_bytes();
        for datagram in self.bytes.chunks_mut(self.segment) {
            datagram[self.head..self.head + stamp.len()].copy_from_slice(&stamp);
        }
    }

    /// Sends them; answers how many of them the kernel has taken.
    pub(crate) fn send(&self, socket: &UdpSocket, to: SocketAddrV4, how: Send) -> Result<usize> {
        match how {
            Send::Plain => self.send_each(socket, to),
            Send::Batch => self.send_batch(socket, to),
            Send::Segments => self.send_segments(socket, to),
        }
    }

    fn send_each(&self, socket: &UdpSocket, to: SocketAddrV4) -> Result<usize> {
        let mut sent = 0;
        for datagram in self.bytes.chunks(self.segment) {
            match socket.send_to(datagram, to) {
                Ok(_) => sent += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn send_batch(&self, socket: &UdpSocket, to: SocketAddrV4) -> Result<usize> {
        let slices: Vec<_> = self.bytes.chunks(self.segment).map(|it| [IoSlice::new(it)]).collect();
        let addresses = vec![Some(SockaddrIn::from(to)); slices.len()];
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        taken(
            sendmmsg(socket.as_raw_fd(), &mut headers, &slices, addresses, [], MsgFlags::empty()).map(Iterator::count),
        )
    }

    fn send_segments(&self, socket: &UdpSocket, to: SocketAddrV4) -> Result<usize> {
        let segment = self.segment as u16;
        let control = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if self.packets() > 1 { &control[..] } else { &[] };
        let (to, slices) = (SockaddrIn::from(to), [IoSlice::new(&self.bytes)]);
        let sent = sendmsg(socket.as_raw_fd(), &slices, control, MsgFlags::empty(), Some(&to));
        taken(sent.map(|_| self.packets()))
    }
}

/// What has no room is lost, and is counted as not sent.
fn taken(sent: nix::Result<usize>) -> Result<usize> {
    match sent {
        Err(Errno::EAGAIN) => Ok(0),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of this.
    fn arrives(burst: &Burst, how: Send) -> Vec<Vec<u8>> {
        let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let std::net::SocketAddr::V4(address) = to.local_addr().unwrap() else { panic!("IPv4") };
        assert_eq!(burst.send(&from, address, how).unwrap(), burst.packets());
        let receive = |_| {
            let mut buffer = [0; 2000];
            let length = to.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        };
        (0..burst.packets()).map(receive).collect()
    }

    #[test]
    fn a_burst_is_the_same_however_it_is_sent() {
        let mut burst = Burst::new(3, 100, 60, Some([0x40, 7]));
        burst.stamp(Duration::from_nanos(0x0102));
        let plain = arrives(&burst, Send::Plain);
        assert_eq!(plain.iter().map(Vec::len).collect::<Vec<_>>(), [104, 104, 64]);
        assert_eq!(plain[2][..14], [0x40, 7, 0, 60, 0, 0, 0, 0, 0, 0, 1, 2, 3, 3]);
        assert_eq!(arrives(&burst, Send::Batch), plain);
        assert_eq!(arrives(&burst, Send::Segments), plain);
    }

    #[test]
    fn media_fits_what_a_call_takes() {
        let load = Load {
            clients: 1,
            bytes: 16,
            burst: 1,
            media: true,
            send: Send::Segments,
            way: crate::options::Way::In,
            gro: false,
        };
        let bursts = Burst::all(&load, None);
        assert_eq!(bursts.iter().map(Burst::packets).collect::<Vec<_>>(), [30, 1, 5, 1, 7, 1, 4, 1, 6, 1]);
        assert_eq!(arrives(&bursts[0], Send::Segments)[29].len(), 700);
        assert_eq!(arrives(&bursts[1], Send::Segments)[0].len(), 120);
    }
}
