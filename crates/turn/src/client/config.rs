use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_wire::FlowId;

use super::ConfigError;

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// By datagrams: UDP, or DTLS that the caller does. Requests are sent again until they are answered.
    Datagrams,
    /// By a byte stream: TCP, or TLS that the caller does. What comes in goes through a [`Deframer`](super::Deframer).
    Stream,
}

/// Which relayed addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Families {
    /// An IPv4 address.
    V4,
    /// An IPv6 address (RFC 8656 §18.6).
    V6,
    /// One of each, or IPv4 alone if the server has no IPv6 (RFC 8656 §18.11).
    Both,
}

/// Where to, who, and what a client may hold.
///
/// With the limits as they are by default, a client holds less than 40 kB at worst: 64 permissions and 64 channels of
/// 0.2 kB, and 16 requests of up to 1.5 kB.
#[derive(Clone)]
pub struct Config {
    /// 32 bytes from the operating system's random source, for this client alone: transaction ids are drawn from it.
    pub entropy: [u8; 32],
    /// The server. Nobody else is believed. Must be given.
    pub server: SocketAddr,
    /// The socket, association or stream by which it is reached.
    pub flow: FlowId,
    /// The address to send from; of the server's family.
    pub local: SocketAddr,
    /// What the flow is. Datagrams by default.
    pub transport: Transport,
    /// The name, as OpaqueString (RFC 8265 §4.2) leaves it: ASCII is left alone. 1 to 508 bytes.
    pub username: String,
    /// The password, likewise. Not empty.
    pub password: String,
    /// The realm, if the credentials are for one alone: another ends the client. Any by default.
    pub realm: Option<String>,
    /// Which addresses to ask for. IPv4 by default.
    pub families: Families,
    /// The lifetime to ask for, from 1 minute to 1 day; the server decides. 10 minutes by default (RFC 8656 §3.2).
    pub lifetime: Duration,
    /// Whether to ask that datagrams to peers are not fragmented, where the server can do that. Off by default. It holds
    /// for peers without a channel (RFC 8656 §14).
    pub dont_fragment: bool,
    /// Whether to ask for a ticket to [`migrate`](super::Client::migrate) with (RFC 8016). Off by default, as a server
    /// that forbids it costs a round trip.
    pub mobility: bool,
    /// RTO: how long after the first time a request is sent again, and then twice as long each time; 7 times in all
    /// (RFC 8489 §6.2.1). From 50 ms to 3 s; 500 ms by default.
    pub retransmit: Duration,
    /// How long nothing may be sent to the server before something is, so that NATs keep the way open; from 1 s to 10
    /// minutes. 15 s by default, as RFC 8445 §11 has it. Not used on streams.
    pub keep_alive: Option<Duration>,
    /// How long after the last datagram to a peer its permission and channel are kept alive; from 1 minute to 1 day.
    /// 5 minutes by default.
    pub idle_after: Duration,
    /// How long the release of an allocation is tried; from 100 ms to 40 s. 5 s by default.
    pub close_within: Duration,
    /// After how many Send indications a peer gets a channel, which saves 32 bytes or more of each datagram; 0 for the first.
    /// 8 by default, as most of a peer's candidates see no more than a few checks.
    pub channel_after: u16,
    /// Addresses of peers with a permission; 1 to 1000. 64 by default, as an ICE agent takes so many candidates.
    pub permissions_max: u16,
    /// Peers with a channel, or counted to get one; 1 to 1000. 64 by default.
    pub channels_max: u16,
    /// Requests on the way; 1 to 100. 16 by default: what goes beyond waits.
    pub transactions_max: u16,
    /// How often one request is tried again, because of a new nonce or less of what is asked for; 1 to 10. 3 by default.
    pub retries_max: u8,
    /// How often the server may send the client to another (RFC 8489 §10); 0 to 10. 3 by default.
    pub redirects_max: u8,
}

impl Default for Config {
    /// Without server, address, name, password and entropy: these must be given.
    fn default() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            entropy: [0; 32],
            server: nowhere,
            flow: FlowId(0),
            local: nowhere,
            transport: Transport::Datagrams,
            username: String::new(),
            password: String::new(),
            realm: None,
            families: Families::V4,
            lifetime: Duration::from_secs(600),
            dont_fragment: false,
            mobility: false,
            retransmit: Duration::from_millis(500),
            keep_alive: Some(Duration::from_secs(15)),
            idle_after: Duration::from_secs(300),
            close_within: Duration::from_secs(5),
            channel_after: 8,
            permissions_max: 64,
            channels_max: 64,
            transactions_max: 16,
            retries_max: 3,
            redirects_max: 3,
        }
    }
}

/// Without entropy and password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("server", &self.server)
            .field("flow", &self.flow)
            .field("local", &self.local)
            .field("transport", &self.transport)
            .field("username", &self.username)
            .field("families", &self.families)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |value: Duration, low: u64, high: u64| {
            (Duration::from_millis(low)..=Duration::from_millis(high)).contains(&value)
        };
        if !is_sendable(self.server) || self.server.is_ipv4() != self.local.is_ipv4() {
            return Err(ConfigError::Server);
        }
        let realm_is_bad = self.realm.as_ref().is_some_and(|realm| realm.is_empty() || realm.len() > TEXT_MAX);
        if !(1..=508).contains(&self.username.len()) || self.password.is_empty() || realm_is_bad {
            return Err(ConfigError::Credentials);
        }
        if !within(self.lifetime, 60_000, 86_400_000) {
            return Err(ConfigError::Lifetime);
        }
        if !within(self.retransmit, 50, 3_000) {
            return Err(ConfigError::Retransmit);
        }
        let keep_alive_is_bad = self.keep_alive.is_some_and(|it| !within(it, 1_000, 600_000));
        if keep_alive_is_bad || !within(self.idle_after, 60_000, 86_400_000) || !within(self.close_within, 100, 40_000)
        {
            return Err(ConfigError::Time);
        }
        let limits = [
            (self.permissions_max, 1, 1000),
            (self.channels_max, 1, 1000),
            (self.transactions_max, 1, 100),
            (self.retries_max.into(), 1, 10),
            (self.redirects_max.into(), 0, 10),
        ];
        if limits.iter().any(|(limit, least, most)| !(least..=most).contains(&limit)) {
            return Err(ConfigError::Limit);
        }
        Ok(())
    }
}

/// Bytes of a realm or nonce at most (RFC 8489 §14.9, §14.10).
pub(crate) const TEXT_MAX: usize = 763;

/// Whether a datagram can be sent there.
pub(crate) fn is_sendable(address: SocketAddr) -> bool {
    let broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast() && !broadcast
}
