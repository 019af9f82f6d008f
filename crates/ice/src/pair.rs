use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_wire::FlowId;

use crate::candidate::LocalId;
use crate::{CandidateKind, Role, Transport};

/// How long a pair that was left as dead is the last choice, at least.
pub(crate) const SHUN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PairId(pub(crate) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteId(pub(crate) u32);

/// A candidate of the peer, with an address.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) id: RemoteId,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) kind: CandidateKind,
    pub(crate) priority: u32,
    /// A hash of the foundation.
    pub(crate) foundation: u32,
}

/// RFC 8445 §6.1.2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairState {
    /// Waits for another pair of its foundation.
    Frozen,
    /// Waits for its turn.
    Waiting,
    /// Its check is on the way.
    InProgress,
    /// Its check was answered.
    Succeeded,
    /// Its check failed, or what had worked works no more.
    Failed,
}

/// Why a pair does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// No answer came. While no other pair works and patience lasts, it is checked again every 3 s.
    NoResponse,
    /// The answer came from, or to, another address than the check went (RFC 8445 §7.2.5.2.1).
    AsymmetricPath,
    /// The peer answered with this error code.
    Error(u16),
    /// The socket or stream is gone.
    FlowClosed,
    /// The TCP connection could not be opened.
    ConnectFailed,
    /// It worked, but the peer was silent for 30 s (RFC 7675 §5.1).
    ConsentExpired,
    /// It worked, but the peer forbade it with 403 (RFC 7675 §5.2).
    ConsentRevoked,
    /// It worked, but enough others are kept as spares. A check of the peer brings it back.
    Unused,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) local: LocalId,
    pub(crate) remote: RemoteId,
    /// `None` for TCP that is not connected.
    pub(crate) flow: Option<FlowId>,
    pub(crate) local_address: SocketAddr,
    pub(crate) remote_address: SocketAddr,
    pub(crate) priority: u64,
    /// The two foundations, hashed.
    pub(crate) foundation: u64,
    /// How many of its two candidates are relayed.
    pub(crate) relays: u8,
    pub(crate) state: PairState,
    pub(crate) failure: Option<Failure>,
    /// Whether data may be sent on it.
    pub(crate) valid: bool,
    /// The local address as the peer sees it.
    pub(crate) mapped: Option<SocketAddr>,
    /// Nominated, and with which value of renomination; 0 without.
    pub(crate) nomination: Option<u32>,
    /// When the peer said so last.
    pub(crate) nominated_at: Option<Instant>,
    /// The same, once our own check has succeeded (RFC 8445 §7.3.1.5).
    pub(crate) nominate_on_success: Option<u32>,
    pub(crate) started_at: Option<Instant>,
    /// When an authenticated datagram of the peer came last.
    pub(crate) heard_at: Option<Instant>,
    /// When the last answered check was answered: consent counts from here.
    pub(crate) confirmed_at: Option<Instant>,
    pub(crate) next_check_at: Option<Instant>,
    /// When the first of the checks was sent that are unanswered since.
    pub(crate) unanswered_since: Option<Instant>,
    /// A check in use was not answered in time: it is checked more often.
    pub(crate) suspected: bool,
    /// It was left as dead, and is the last choice until then.
    pub(crate) shunned_until: Option<Instant>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) checks_sent: u32,
    pub(crate) responses: u32,
    pub(crate) requests: u32,
}

impl Pair {
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.state = PairState::Failed;
        self.failure = Some(failure);
        self.valid = false;
        self.nomination = None;
        self.nominate_on_success = None;
        self.next_check_at = None;
        self.unanswered_since = None;
        self.suspected = false;
    }

    /// Consent was lost on it, so that RFC 7675 §5.1 forbids these credentials there. A lite agent never had any: its pair
    /// was silent, and may be heard again.
    pub(crate) fn has_lost_consent(&self) -> bool {
        match self.failure {
            Some(Failure::ConsentRevoked) => true,
            Some(Failure::ConsentExpired) => self.confirmed_at.is_some(),
            _ => false,
        }
    }

    /// It has failed because no answer came: one may come yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.state == PairState::Failed && self.failure == Some(Failure::NoResponse)
    }

    /// The last sign of life.
    pub(crate) fn alive_at(&self) -> Option<Instant> {
        self.heard_at.max(self.confirmed_at)
    }

    /// It was left as dead not long ago, or has not answered since.
    pub(crate) fn is_shunned(&self, now: Instant) -> bool {
        let silent = |until: Instant| self.unanswered_since.is_some_and(|since| since + SHUN < until);
        self.shunned_until.is_some_and(|until| now < until || silent(until))
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.state, PairState::Frozen | PairState::Waiting)
    }

    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, PairState::Frozen | PairState::Waiting | PairState::InProgress)
    }
}

/// RFC 8445 §6.1.2.3.
pub(crate) fn pair_priority(role: Role, local: u32, remote: u32) -> u64 {
    let (controlling, controlled) = match role {
        Role::Controlling => (local, remote),
        Role::Controlled => (remote, local),
    };
    let (low, high) = (controlling.min(controlled), controlling.max(controlled));
    // Priorities beyond 2^31 - 1 are no one's right, but anyone can send them.
    (u64::from(low) << 32).saturating_add(2 * u64::from(high) + u64::from(controlling > controlled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_give_a_pair_the_same_priority() {
        for (one, two) in [(5, 9), (9, 5), (7, 7), (u32::MAX, 0), (u32::MAX, u32::MAX)] {
            let here = pair_priority(Role::Controlling, one, two);
            assert_eq!(here, pair_priority(Role::Controlled, two, one));
        }
        assert_eq!(pair_priority(Role::Controlling, 9, 5), (5 << 32) + 18 + 1);
        assert_eq!(pair_priority(Role::Controlled, 9, 5), (5 << 32) + 18);
    }
}
