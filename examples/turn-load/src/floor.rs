//! Relays that know nothing of TURN: they take four bytes from the front of what clients send, and put them in front of
//! what the peer sends. What a relay costs beside that is its own.
//!
//! A client of a floor registers by `[0, 0, port of the peer]`, and is answered with `[0, 0, port that the peer sends to]`.
//! There is one peer, and what it sends goes to the last client that has registered.

mod batch;
mod call;
mod segments;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::socket::sockopt::{RcvBuf, UdpGroSegment};
use nix::sys::socket::{RecvMsg, SockaddrIn, setsockopt};

use crate::Result;
use crate::line::{PEER, socket, v4};
use crate::options::Kind;

/// What the kernel keeps for a socket, as a server would have it.
const KERNEL_BYTES: usize = 4 << 20;

/// Serves until it is ended.
pub(crate) fn run(kind: Kind) -> Result<()> {
    let (address, ends) = start(kind)?;
    println!("{address}");
    for end in ends {
        end.join().map_err(|_| io::Error::other("a thread has ended"))??;
    }
    Ok(())
}

type End = thread::JoinHandle<Result<()>>;

/// Goes on until something fails.
type Work = fn(Ends) -> Result<()>;

/// A thread for each way; and where clients send to.
fn start(kind: Kind) -> Result<(SocketAddrV4, [End; 2])> {
    let [listen, relay] = [socket()?, socket()?];
    for socket in [&listen, &relay] {
        setsockopt(socket, RcvBuf, &KERNEL_BYTES)?;
        if kind == Kind::Segments {
            setsockopt(socket, UdpGroSegment, &true)?;
        }
    }
    let address = v4(listen.local_addr()?);
    let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
    let outward = Ends { listen, relay, client: Arc::new(Mutex::new(nobody)), peer: nobody };
    let inward = outward.try_clone()?;
    let (out, into): (Work, Work) = match kind {
        Kind::Call => (call::outward, call::inward),
        Kind::Batch => (batch::outward, batch::inward),
        Kind::Segments => (segments::outward, segments::inward),
    };
    Ok((address, [thread::spawn(move || out(outward)), thread::spawn(move || into(inward))]))
}

/// The two sockets, and who is behind them.
struct Ends {
    listen: UdpSocket,
    relay: UdpSocket,
    client: Arc<Mutex<SocketAddrV4>>,
    peer: SocketAddrV4,
}

impl Ends {
    fn try_clone(&self) -> io::Result<Self> {
        let [listen, relay] = [self.listen.try_clone()?, self.relay.try_clone()?];
        Ok(Self { listen, relay, client: Arc::clone(&self.client), peer: self.peer })
    }

    fn client(&self) -> SocketAddrV4 {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&mut self, Registration { peer, client }: Registration) -> Result<()> {
        self.peer = peer;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        let [high, low] = v4(self.relay.local_addr()?).port().to_be_bytes();
        self.listen.send_to(&[0, 0, high, low], client)?;
        Ok(())
    }
}

/// Who is there from now on.
struct Registration {
    peer: SocketAddrV4,
    client: SocketAddrV4,
}

impl Registration {
    /// Whether this is not for the peer, but for the floor: nothing else is as short.
    fn read(bytes: &[u8], client: SocketAddrV4) -> Option<Self> {
        let &[0, _, high, low] = bytes else { return None };
        let peer = SocketAddrV4::new(PEER, u16::from_be_bytes([high, low]));
        Some(Self { peer, client })
    }

    /// The same, of a message of several.
    fn of(message: &RecvMsg<'_, '_, SockaddrIn>) -> Option<Self> {
        let from = message.address?;
        Self::read(message.iovs().next()?, SocketAddrV4::new(from.ip(), from.port()))
    }
}

/// What stands in front of what a client is sent.
fn head(length: usize) -> [u8; 4] {
    let [high, low] = (length as u16).to_be_bytes();
    [0x40, 0, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Load, Relay, Send, Target, Way};

    /// By a floor of this kind, for a moment: it fails if nothing arrives that is as long as what was sent.
    fn measure(kind: Kind, load: Load) {
        let (address, _ends) = start(kind).unwrap();
        let target = Target { server: address.into(), user: None, pid: std::process::id() };
        let told = crate::relay::run(&Relay { target, load, window: 64, warmup: 0, millis: 30 });
        let told = told.unwrap_or_else(|error| panic!("{kind:?}, {load:?}: {error}"));
        assert!(told["received"].as_u64() > Some(0), "{told}");
    }

    #[test]
    fn floors_relay_both_ways() {
        let load =
            Load { clients: 1, bytes: 200, burst: 1, media: false, send: Send::Plain, way: Way::Out, gro: false };
        for kind in [Kind::Call, Kind::Batch, Kind::Segments] {
            for way in [Way::Out, Way::In, Way::Both] {
                measure(kind, Load { way, ..load });
                let runs = Load { way, burst: 9, bytes: 1000, send: Send::Segments, gro: true, ..load };
                measure(kind, runs);
            }
            let media = Load { media: true, send: Send::Segments, way: Way::Both, ..load };
            measure(kind, media);
            let many = Load { clients: 8, burst: 3, send: Send::Batch, ..load };
            measure(kind, many);
        }
    }
}
