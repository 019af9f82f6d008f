use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;

use crate::identity::Identity;

/// Threads at most: each has a socket for each listener, and 2 MB of buffers.
pub const THREADS_MAX: usize = 256;

/// What a relay listens at, and how it relays.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients come in, by UDP and by TCP. With port 0 each is given a free one, the same for both. At least one, or one
    /// of the next.
    pub listen: Vec<SocketAddr>,
    /// Where clients come in by TLS, and by DTLS if the identity [speaks it](Identity::speaks_dtls).
    pub listen_tls: Vec<SocketAddr>,
    /// Who the relay is to these.
    pub identity: Option<Identity>,
    /// The address that clients are told of those above that are of its family, if it is not theirs: that of a NAT which keeps
    /// ports.
    pub told: Option<IpAddr>,
    /// Addresses on which relays are bound: at most one of each family, and at least one.
    pub relays: Vec<RelayAddress>,
    /// The ports of relays. 49152 to 65535 by default (RFC 8656 §7.2); each thread has an equal part of them.
    pub ports: RangeInclusive<u16>,
    /// Threads, each with sockets and a server of its own. One for each core by default.
    pub threads: Option<NonZeroUsize>,
    /// What the servers are told. Entropy, the time, families, `dont_fragment`, and this host's addresses are filled in; limits
    /// in all are shared out among the threads, those of a user or an address hold for each thread. Mobility, reservations and
    /// TCP allocations need a client's next five-tuple to come to the thread of the first: with more than one, the first is off,
    /// the second is found by chance, and the third is refused at the start.
    pub turn: plenary_turn::Config,
}

/// An address on which relays are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// The address of this host; unspecified for all of them.
    pub bind: IpAddr,
    /// The address by which peers reach it: the same, or that of a NAT which keeps ports.
    pub told: IpAddr,
}

/// Why a relay could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no listener.
    #[error("no address to listen at")]
    NoListener,
    /// There are addresses to listen at by TLS, and nobody to be there.
    #[error("TLS needs an identity: a certificate and a key")]
    NoIdentity,
    /// There is none to relay from, or more than one of a family, or peers can't send to it.
    #[error("relays need one address of each family at most, to which peers can send")]
    RelayAddress,
    /// There are fewer than two for each thread, or 0 is one.
    #[error("ports {first} to {last} are too few for {threads} threads", first = .0.start(), last = .0.end(), threads = .1)]
    Ports(RangeInclusive<u16>, usize),
    /// More than [`THREADS_MAX`].
    #[error("{0} threads: at most {THREADS_MAX}")]
    Threads(usize),
    /// TCP allocations (RFC 6062) with more than one thread.
    #[error("TCP allocations need one thread, not {0}: a client's second connection must come to that of the first")]
    Tcp(usize),
    /// Of the server.
    #[error(transparent)]
    Turn(#[from] plenary_turn::ConfigError),
    /// An address that can't be listened at, or at which no relay can be bound.
    #[error("{0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// No descriptor, no thread.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.listen.is_empty() && self.listen_tls.is_empty() {
            return Err(StartError::NoListener);
        }
        if !self.listen_tls.is_empty() && self.identity.is_none() {
            return Err(StartError::NoIdentity);
        }
        let is_bad = |address: &RelayAddress| {
            let is_reached = !address.told.is_unspecified() && !address.told.is_multicast();
            !is_reached || address.bind.is_multicast() || address.bind.is_ipv4() != address.told.is_ipv4()
        };
        let of_v4 = self.relays.iter().filter(|address| address.bind.is_ipv4()).count();
        if self.relays.is_empty() || of_v4 > 1 || self.relays.len() - of_v4 > 1 || self.relays.iter().any(is_bad) {
            return Err(StartError::RelayAddress);
        }
        let threads = self.threads();
        if threads > THREADS_MAX {
            return Err(StartError::Threads(threads));
        }
        if *self.ports.start() == 0 || self.ports.len() < 2 * threads {
            return Err(StartError::Ports(self.ports.clone(), threads));
        }
        Ok(())
    }

    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
        self.threads.map_or_else(cores, NonZeroUsize::get)
    }
}
