use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A server, and what its clients and their peers have.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub server: SocketAddr,
    /// What clients speak.
    pub transport: Transport,
    /// A user that the server knows.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// The realm, if the server must have a certain one.
    pub realm: Option<String>,
    /// Name and password of a second user.
    pub other: Option<(String, String)>,
    /// The local address of peers, which the server must permit for data to flow.
    pub peer_bind: IpAddr,
    /// How long an answer may take. A request over UDP is sent three times.
    pub patience: Duration,
}

impl Target {
    /// The same by a stream.
    pub(crate) fn by_stream(&self) -> Self {
        let transport = if self.transport == Transport::Tls { Transport::Tls } else { Transport::Tcp };
        Self { transport, ..self.clone() }
    }

    /// How long something that must not come is waited for, once the server has answered what was sent after it.
    pub(crate) fn grace(&self) -> Duration {
        self.patience / 5
    }
}

/// Between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A message a datagram.
    Udp,
    /// Messages behind each other.
    Tcp,
    /// The same in TLS, whoever the server is: its certificate is not looked at. RFC 7443's `stun.turn` is offered.
    Tls,
}
