use std::fmt;
use std::time::Duration;

use plenary_wire::Bitrate;

use crate::{ConfigError, Keys, PeerPolicy};

/// Each is tried with a request of a time-limited name.
pub(crate) const SECRETS_MAX: usize = 8;

/// How a server behaves, and what it may hold.
///
/// Nothing is held for who is not authenticated, but for the fixed table of `unauthenticated_per_second`. An idle
/// allocation holds about 1 kB, so that the defaults come to 10 MB in all when every allocation is taken, and as much
/// again for each 8 permissions and channels that all of them have.
#[derive(Clone)]
pub struct Config {
    /// 32 bytes from the operating system's random source, for this server alone. Tokens, the keys of hashes and, unless
    /// `nonce_keys` are given, those of nonces are drawn from it.
    pub entropy: [u8; 32],
    /// The realm: 1 to 127 characters of ASCII. `turn` by default. With more than 4 bytes a client that begins with a
    /// request of less than 32 bytes, as browsers do, gets a 400 instead of the 401 that it needs: see the README.
    pub realm: String,
    /// The time since 1970 at the `now` of `new`: nonces and time-limited names are about it.
    pub unix_time: Duration,
    /// The keys of nonces, shared by a fleet whose clients may go from one server to another. The first signs, all
    /// verify; 4 at most. Drawn from `entropy` if empty, the default.
    pub nonce_keys: Vec<[u8; 32]>,
    /// How long a nonce is good; from 10 s to 1 h (RFC 8656 §5). 10 minutes by default: a client asks again with the new
    /// one, which costs it a round trip.
    pub nonce_lifetime: Duration,
    /// Users with a password. None by default.
    pub users: Vec<User>,
    /// Secrets of time-limited names: the name is `expiry:user`, in seconds since 1970, and the password is
    /// base64(HMAC-SHA1(secret, name)). Each is tried, so that secrets can be rotated. None by default; 8 at most.
    pub secrets: Vec<Vec<u8>>,
    /// Whether to ask by `Event::Authenticate` for users that neither of the above knows. Off by default.
    pub asks: bool,
    /// Whether relays may have an IPv4 address. On by default.
    pub ipv4: bool,
    /// Whether relays may have an IPv6 address. Off by default.
    pub ipv6: bool,
    /// Whether the caller can keep datagrams from being fragmented, one by one. Without, DONT-FRAGMENT is refused with
    /// a 420 (RFC 8656 §7.2). Off by default.
    pub dont_fragment: bool,
    /// Who may be a peer.
    pub peers: PeerPolicy,
    /// How long an allocation lasts that asks for less, or for nothing; at least 60 s. 10 minutes by default, as
    /// RFC 8656 §3.2 has it.
    pub lifetime: Duration,
    /// How long an allocation may last between two refreshes; at most 1 day. 1 h by default (RFC 8656 §7.2).
    pub lifetime_max: Duration,
    /// How long the caller may take to answer `Event::Bind` and `Event::Authenticate`; from 100 ms to 60 s. 5 s by default:
    /// a client gives its request up after 39.5 s (RFC 8489 §6.2.1).
    pub answer_within: Duration,
    /// How long a client's connection stays open without an allocation; from 100 ms to 60 s. 10 s by default: a client that
    /// has connected asks at once.
    pub idle_connection: Duration,
    /// Whether an allocation may move with its client (RFC 8016). On by default.
    pub mobility: bool,
    /// Whether to relay TCP connections (RFC 6062), for which the caller can listen and connect. Off by default.
    pub tcp: bool,
    /// Allocations in all; up to 1,000,000. 10,000 by default.
    pub allocations_max: u32,
    /// Allocations of one user: the part of a time-limited name behind the colon, else the name. 16 by default: a
    /// browser makes one for each interface, transport and family.
    pub allocations_per_user_max: u32,
    /// Allocations of one client address, behind which a whole office may be; of IPv6 all of a /64 counts as one. 1,000 by
    /// default.
    pub allocations_per_address_max: u32,
    /// Permissions of one allocation. 64 by default, as an ICE agent has one for each address of its peer.
    pub permissions_max: u16,
    /// Channels of one allocation. 64 by default.
    pub channels_max: u16,
    /// TCP connections of one allocation with peers. 16 by default.
    pub connections_max: u16,
    /// Ports reserved for a second allocation, by EVEN-PORT. 1,000 by default.
    pub reservations_max: u32,
    /// Requests that wait for the caller's decision who their user is; each holds up to 2 kB. An eighth of them may be of one
    /// client address. 1,000 by default.
    pub pending_max: u32,
    /// Answers that wait for `poll_transmit`; about 0.1 kB each. 1,000 by default, as a caller drains after each batch.
    pub answers_max: u32,
    /// Listeners, and connections of clients, in all. 20,000 by default.
    pub flows_max: u32,
    /// Connections of clients from one address, likewise. 1,000 by default, as for allocations.
    pub connections_per_address_max: u32,
    /// What one allocation may relay in each direction, with bursts of one second; each datagram counts with the 28 bytes of
    /// its headers. No limit by default.
    pub allocation_bitrate: Option<Bitrate>,
    /// What all allocations may relay, both directions together, likewise. No limit by default.
    pub total_bitrate: Option<Bitrate>,
    /// Answers per second, and at once, to unauthenticated requests from one network (/24, /56): a spoofed source shall
    /// not be flooded through us. Up to 60,000; 200 by default. The table has 4,096 places for all networks (48 kB).
    pub unauthenticated_per_second: u16,
    /// Whether to tell by events of each permission and channel that comes and goes, for a fast path outside. Off by
    /// default.
    pub fast_path: bool,
}

/// A user that the configuration knows.
#[derive(Clone)]
pub struct User {
    /// The name, as OpaqueString (RFC 8265 §4.2) leaves it: ASCII is left alone. 1 to 508 bytes.
    pub name: Vec<u8>,
    /// What proves it.
    pub keys: Keys,
}

impl Default for Config {
    /// Entropy and `unix_time` are zero, and there is no user: these must be given.
    fn default() -> Self {
        Self {
            entropy: [0; 32],
            realm: "turn".to_owned(),
            unix_time: Duration::ZERO,
            nonce_keys: Vec::new(),
            nonce_lifetime: Duration::from_secs(600),
            users: Vec::new(),
            secrets: Vec::new(),
            asks: false,
            ipv4: true,
            ipv6: false,
            dont_fragment: false,
            peers: PeerPolicy::default(),
            lifetime: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3600),
            answer_within: Duration::from_secs(5),
            idle_connection: Duration::from_secs(10),
            mobility: true,
            tcp: false,
            allocations_max: 10_000,
            allocations_per_user_max: 16,
            allocations_per_address_max: 1_000,
            permissions_max: 64,
            channels_max: 64,
            connections_max: 16,
            reservations_max: 1_000,
            pending_max: 1_000,
            answers_max: 1_000,
            flows_max: 20_000,
            connections_per_address_max: 1_000,
            allocation_bitrate: None,
            total_bitrate: None,
            unauthenticated_per_second: 200,
            fast_path: false,
        }
    }
}

/// Without entropy, keys, users and secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("realm", &self.realm)
            .field("ipv4", &self.ipv4)
            .field("ipv6", &self.ipv6)
            .field("peers", &self.peers)
            .field("allocations_max", &self.allocations_max)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |value: Duration, low: u64, high: u64| {
            (Duration::from_millis(low)..=Duration::from_millis(high)).contains(&value)
        };
        let is_quotable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if !(1..=127).contains(&self.realm.len()) || !self.realm.bytes().all(is_quotable) {
            return Err(ConfigError::Realm);
        }
        // With room for the clock to go on.
        if !(1..=0xf000_0000).contains(&self.unix_time.as_secs()) {
            return Err(ConfigError::UnixTime);
        }
        if self.nonce_keys.len() > 4 {
            return Err(ConfigError::NonceKeys);
        }
        if self.secrets.len() > SECRETS_MAX {
            return Err(ConfigError::Secrets);
        }
        if !within(self.nonce_lifetime, 10_000, 3_600_000) {
            return Err(ConfigError::NonceLifetime);
        }
        let day = 86_400_000;
        if !within(self.lifetime, 60_000, day)
            || !within(self.lifetime_max, 60_000, day)
            || self.lifetime > self.lifetime_max
        {
            return Err(ConfigError::Lifetime);
        }
        if !within(self.answer_within, 100, 60_000) || !within(self.idle_connection, 100, 60_000) {
            return Err(ConfigError::AnswerWithin);
        }
        if !self.ipv4 && !self.ipv6 {
            return Err(ConfigError::Families);
        }
        if self.users.is_empty() && self.secrets.is_empty() && !self.asks {
            return Err(ConfigError::Credentials);
        }
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = [
            (self.allocations_max, 1_000_000),
            (self.allocations_per_user_max, 1_000_000),
            (self.allocations_per_address_max, 1_000_000),
            (self.permissions_max.into(), 1_000),
            (self.channels_max.into(), 1_000),
            (self.connections_max.into(), 1_000),
            (self.reservations_max, 1_000_000),
            (self.pending_max, 100_000),
            (self.answers_max, 100_000),
            (self.flows_max, 1_000_000),
            (self.connections_per_address_max, 1_000_000),
            (self.unauthenticated_per_second.into(), 60_000),
        ];
        let is_bad = limits.iter().any(|(limit, highest)| !(1..=*highest).contains(limit));
        let names = self.users.iter().any(|user| !(1..=508).contains(&user.name.len()));
        if is_bad || names { Err(ConfigError::Limit) } else { Ok(()) }
    }
}
