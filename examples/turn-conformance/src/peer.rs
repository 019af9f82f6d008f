use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::outcome::Stop;

/// A socket that a client's data is relayed to.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: UdpSocket,
    pub(crate) address: SocketAddr,
}

impl Peer {
    pub(crate) fn bind(ip: IpAddr) -> Result<Self, Stop> {
        let cannot = |error| Stop::Skipped(format!("no peer can be bound to {ip}: {error}"));
        let socket = UdpSocket::bind((ip, 0)).map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        Ok(Self { socket, address })
    }

    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr) {
        // ICMP's answer to an earlier datagram is told by this call.
        let _ = self.socket.send_to(bytes, to).or_else(|_| self.socket.send_to(bytes, to));
    }

    pub(crate) fn receive(&self, within: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let deadline = Instant::now() + within;
        let mut chunk = vec![0; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a millisecond and more is a timeout");
            if let Ok((len, from)) = self.socket.recv_from(&mut chunk) {
                return Some((chunk[..len].to_vec(), from));
            }
            if Instant::now() >= deadline {
                return None;
            }
        }
    }
}
