use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::secure::Stream;
use crate::{Target, Transport};

/// A client's socket.
#[derive(Debug)]
pub(crate) enum Link {
    Udp(UdpSocket),
    Tcp { stream: Stream, buffer: Vec<u8>, is_closed: bool },
}

#[derive(Debug)]
pub(crate) enum Received {
    /// A datagram, or a whole message or ChannelData of the stream, without padding of ChannelData.
    Message(Vec<u8>),
    Nothing,
    /// The server ended the stream.
    Closed,
}

impl Link {
    pub(crate) fn open(target: &Target, transport: Transport) -> io::Result<Self> {
        let any: SocketAddr = if target.server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 8], 0).into() };
        match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind(any)?;
                socket.connect(target.server)?;
                Ok(Self::Udp(socket))
            }
            Transport::Tcp | Transport::Tls => {
                let within = 3 * target.patience;
                let socket = TcpStream::connect_timeout(&target.server, within)?;
                socket.set_nodelay(true)?;
                socket.set_write_timeout(Some(within))?;
                let is_tls = transport == Transport::Tls;
                let stream = if is_tls { Stream::tls(socket, within)? } else { Stream::Plain(socket) };
                Ok(Self::Tcp { stream, buffer: Vec::new(), is_closed: false })
            }
        }
    }

    pub(crate) const fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp { stream, .. } => stream.socket().local_addr(),
        }
    }

    /// Sends what is one message, or anything else. What can't be sent is lost, as if on its way.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self {
            // ICMP's answer to an earlier datagram is told by this one's call: the next try is sent.
            Self::Udp(socket) => {
                let _ = socket.send(bytes).or_else(|_| socket.send(bytes));
            }
            Self::Tcp { stream, is_closed, .. } => *is_closed |= stream.write_all(bytes).is_err(),
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        if let Self::Tcp { stream, .. } = self {
            stream.finish();
        }
    }

    pub(crate) fn receive(&mut self, within: Duration) -> Received {
        let deadline = Instant::now() + within;
        let mut chunk = vec![0; 65_536];
        loop {
            if let Self::Tcp { buffer, is_closed, .. } = self {
                if let Some(message) = cut(buffer) {
                    return Received::Message(message);
                }
                if *is_closed {
                    return Received::Closed;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            match self.read(left, &mut chunk) {
                Ok(len) => match self {
                    Self::Udp(_) => return Received::Message(chunk[..len].to_vec()),
                    Self::Tcp { is_closed, .. } if len == 0 => *is_closed = true,
                    Self::Tcp { buffer, .. } => buffer.extend_from_slice(&chunk[..len]),
                },
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => match self {
                    // ICMP says that no one is there: perhaps soon.
                    Self::Udp(_) => std::thread::sleep(left.min(Duration::from_millis(20))),
                    Self::Tcp { is_closed, .. } => *is_closed = true,
                },
            }
        }
    }

    fn read(&mut self, within: Duration, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => {
                socket.set_read_timeout(Some(within))?;
                socket.recv(chunk)
            }
            Self::Tcp { stream, .. } => {
                stream.socket().set_read_timeout(Some(within))?;
                stream.read(chunk)
            }
        }
    }
}

/// The first whole message of a stream (RFC 8489 §6.2.2, RFC 8656 §12.5).
fn cut(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let stated = usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]));
    let (len, padded) = match buffer[0] >> 6 {
        1 => (4 + stated, (4 + stated).next_multiple_of(4)),
        _ => (20 + stated, 20 + stated),
    };
    if buffer.len() < padded {
        return None;
    }
    let rest = buffer.split_off(padded);
    let mut message = std::mem::replace(buffer, rest);
    message.truncate(len);
    Some(message)
}
