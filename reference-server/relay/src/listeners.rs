//! Where clients come in: a socket of each kind for each thread.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::{SocketType, bind, listen};

use crate::config::StartError;
use crate::identity::Identity;
use crate::udp::{self, Kind, Udp};

/// Connections that wait to be accepted: with 128, which is usual, others of a crowd that comes at once wait a second.
const BACKLOG: i32 = 1024;

/// How often a port is drawn that is to be free for datagrams and connections.
const TRIES: usize = 16;

/// An address that is listened at, by each thread.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<Sockets>,
}

/// Of one thread.
pub(crate) struct Sockets {
    pub(crate) datagrams: Option<Udp>,
    pub(crate) clients: TcpListener,
    /// Who the relay is to those who come in: to anybody, without.
    pub(crate) identity: Option<Identity>,
}

/// Listens at each of these addresses, for so many threads.
pub(crate) fn open(
    addresses: &[SocketAddr],
    identity: Option<&Identity>,
    threads: usize,
) -> Result<Vec<Listener>, StartError> {
    let listen = |address: &SocketAddr| {
        let mut listener = listener(*address, identity, threads);
        // A port that is free for datagrams may not be so for connections.
        for _ in 1..TRIES {
            if address.port() != 0 || listener.is_ok() {
                break;
            }
            listener = self::listener(*address, identity, threads);
        }
        listener.map_err(|error| StartError::Listen(*address, error))
    };
    addresses.iter().map(listen).collect()
}

fn listener(mut address: SocketAddr, identity: Option<&Identity>, threads: usize) -> io::Result<Listener> {
    // Whether others have it already: those of the threads may.
    for kind in [SocketType::DGRAM, SocketType::STREAM] {
        bind(&udp::open(address, kind, false)?, &address)?;
    }
    let mut sockets = Vec::new();
    let kind = match identity {
        None => Some(Kind::Listener),
        Some(identity) => identity.speaks_dtls().then_some(Kind::SealedListener),
    };
    for _ in 0..threads {
        let datagrams = kind.map(|kind| Udp::bind(address, kind)).transpose()?;
        address = datagrams.as_ref().map_or(address, |udp| udp.local);
        let clients = clients(address)?;
        address = clients.local_addr()?;
        sockets.push(Sockets { datagrams, clients, identity: identity.cloned() });
    }
    Ok(Listener { address, sockets })
}

fn clients(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = udp::open(address, SocketType::STREAM, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}
