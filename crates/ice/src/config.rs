use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ConfigError;
use crate::candidate::is_sendable;

/// Whether the agent checks its pairs itself (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    Full,
    /// It answers checks and sends none: for servers that every peer can reach.
    Lite,
}

/// Who decides which pair is used (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// This agent: it nominates.
    Controlling,
    /// The peer.
    Controlled,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// Which local candidates are used and told to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// All.
    All,
    /// Relayed ones: the peer learns no address of the host.
    RelayedOnly,
}

/// How an agent behaves, and what it may hold.
///
/// With the limits as they are by default, a full agent under the worst of floods holds less than 160 kB: 100 pairs of
/// 0.4 kB, 256 transactions of 0.2 kB, 112 candidates of 0.2 kB, 64 answers of 0.2 kB, 100 paths without consent of
/// 0.1 kB. A lite agent with one peer holds 2 kB.
#[derive(Clone)]
pub struct Config {
    /// 32 bytes from the operating system's random source, for this agent alone. Credentials, tie-breaker, transaction
    /// ids and the jitter of timers are drawn from it; who knows it can forge them.
    pub entropy: [u8; 32],
    /// Full or lite. Full by default.
    pub mode: Mode,
    /// The role to begin with: controlling for who makes the offer, if both sides are full; a lite agent is controlled
    /// unless its peer is lite too (RFC 8445 §6.1.1). Wrong is repaired. Controlling by default.
    pub role: Role,
    /// Which local candidates are used. All by default.
    pub policy: Policy,
    /// Whether to offer renomination (draft-thatcher-ice-renomination). It is used if the peer offers it too: then a
    /// better pair is nominated as soon as it is valid. On by default.
    pub renomination: bool,
    /// STUN servers that tell server-reflexive addresses; 8 at most. None by default.
    pub stun_servers: Vec<SocketAddr>,
    /// Ta: the time between the starts of two transactions. From 5 ms (RFC 8445 §14.2) to 1 s; the peer's is taken if
    /// it states a longer one. 5 ms by default: RFC 8445 recommends 50 ms, with which the tenth pair waits half a second.
    pub pacing: Duration,
    /// How often a check is sent again while no pair is valid; from 10 ms to 3 s. 50 ms by default: RFC 8445 §14.3 wants
    /// 500 ms, with which each lost datagram costs half a second. All checks together still keep to `pacing`.
    pub retransmit: Duration,
    /// How often a full agent checks the pair in use; from 100 ms to 5 s. `None` leaves only the consent checks of
    /// RFC 7675 every 4 to 6 s. 500 ms by default, so that a dead path is left within 1.5 s.
    pub liveness: Option<Duration>,
    /// How long a check goes on without an answer before its pair has failed; from 1 to 60 s. 10 s by default. On streams,
    /// and for these to open, it is 39.5 s at least (RFC 8489 §6.2.2). While no pair works and `patience` lasts, a failed
    /// one is then checked every 3 s.
    pub check_timeout: Duration,
    /// The PAC timer of RFC 8863 §4: how long an agent without any valid pair waits for the peer's checks before it
    /// fails. Up to 10 minutes; 39.5 s by default, which is what the RFC takes from RFC 8445's timers.
    pub patience: Duration,
    /// How long a controlling agent waits for better pairs before its one nomination, where the peer offers no
    /// renomination; data flows meanwhile. 200 ms by default.
    pub nomination_wait: Duration,
    /// How long the pair in use may be silent before the state is `Disconnected`. 7 s by default, as a peer that sends
    /// nothing but consent checks leaves up to 6 s between them.
    pub disconnected_after: Duration,
    /// Local candidates; a host with 8 interfaces, two families, UDP and TCP and reflexive ones has 32 to 48.
    pub local_candidates_max: u16,
    /// Candidates that the peer signals; what comes beyond is refused. 64 by default, as browsers with VPNs send 30.
    pub remote_candidates_max: u16,
    /// Addresses of the peer that only its checks told; those out of use make room. 16 by default.
    pub peer_reflexive_max: u16,
    /// Pairs (RFC 8445 §6.1.2.5 recommends 100). The worst are left out, but for one between relays. About as many paths
    /// on which consent was lost are remembered besides, until a restart.
    pub pairs_max: u16,
    /// Requests of ours on the way at one time.
    pub transactions_max: u16,
    /// Answers that wait for `poll_transmit`.
    pub answers_max: u16,
    /// TCP streams, also those from strangers.
    pub streams_max: u16,
    /// Names of candidates that the caller is asked to resolve at one time; browsers send 2 to 4.
    pub resolutions_max: u16,
    /// Error responses per second to requests that are not authenticated, so that nobody can be flooded through us.
    pub errors_per_second: u16,
}

impl Default for Config {
    /// The entropy is all zeros, and must be replaced.
    fn default() -> Self {
        Self {
            entropy: [0; 32],
            mode: Mode::Full,
            role: Role::Controlling,
            policy: Policy::All,
            renomination: true,
            stun_servers: Vec::new(),
            pacing: Duration::from_millis(5),
            retransmit: Duration::from_millis(50),
            liveness: Some(Duration::from_millis(500)),
            check_timeout: Duration::from_secs(10),
            patience: Duration::from_millis(39_500),
            nomination_wait: Duration::from_millis(200),
            disconnected_after: Duration::from_secs(7),
            local_candidates_max: 48,
            remote_candidates_max: 64,
            peer_reflexive_max: 16,
            pairs_max: 100,
            transactions_max: 256,
            answers_max: 64,
            streams_max: 8,
            resolutions_max: 8,
            errors_per_second: 20,
        }
    }
}

/// Without the entropy, from which all secrets are drawn.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mode", &self.mode)
            .field("role", &self.role)
            .field("policy", &self.policy)
            .field("renomination", &self.renomination)
            .field("stun_servers", &self.stun_servers)
            .field("pacing", &self.pacing)
            .field("retransmit", &self.retransmit)
            .field("liveness", &self.liveness)
            .field("check_timeout", &self.check_timeout)
            .field("patience", &self.patience)
            .field("nomination_wait", &self.nomination_wait)
            .field("disconnected_after", &self.disconnected_after)
            .field("local_candidates_max", &self.local_candidates_max)
            .field("remote_candidates_max", &self.remote_candidates_max)
            .field("peer_reflexive_max", &self.peer_reflexive_max)
            .field("pairs_max", &self.pairs_max)
            .field("transactions_max", &self.transactions_max)
            .field("answers_max", &self.answers_max)
            .field("streams_max", &self.streams_max)
            .field("resolutions_max", &self.resolutions_max)
            .field("errors_per_second", &self.errors_per_second)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |value: Duration, low: u64, high: u64| {
            (Duration::from_millis(low)..=Duration::from_millis(high)).contains(&value)
        };
        if !within(self.pacing, 5, 1000) {
            return Err(ConfigError::Pacing);
        }
        if !within(self.retransmit, 10, 3000) {
            return Err(ConfigError::Retransmit);
        }
        if self.liveness.is_some_and(|liveness| !within(liveness, 100, 5000)) {
            return Err(ConfigError::Liveness);
        }
        if !within(self.check_timeout, 1000, 60_000) {
            return Err(ConfigError::CheckTimeout);
        }
        if [self.patience, self.nomination_wait, self.disconnected_after].iter().any(|it| !within(*it, 0, 600_000)) {
            return Err(ConfigError::Patience);
        }
        let limits = [
            self.local_candidates_max,
            self.remote_candidates_max,
            self.peer_reflexive_max,
            self.pairs_max,
            self.transactions_max,
            self.answers_max,
            self.streams_max,
            self.resolutions_max,
        ];
        if limits.iter().any(|limit| !(1..=1000).contains(limit)) {
            return Err(ConfigError::Limit);
        }
        if self.stun_servers.len() > 8 || !self.stun_servers.iter().all(|&server| is_sendable(server)) {
            return Err(ConfigError::StunServers);
        }
        if self.mode == Mode::Lite && !self.stun_servers.is_empty() {
            return Err(ConfigError::LiteStunServers);
        }
        Ok(())
    }
}
