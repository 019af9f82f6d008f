//! Requests on the way (RFC 8489 §6.2).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Algorithm, Key, Method, TransactionId};

use super::{Path, Transport};

/// Rc of RFC 8489 §6.2.1: how often a request is sent.
const SENDS: u8 = 7;
/// Rm: how many RTOs after the last time a request is given up.
const LAST_WAIT: u32 = 16;
/// Ti of RFC 8489 §6.2.2: how long an answer is awaited on a stream.
const STREAM_WAIT: Duration = Duration::from_millis(39_500);

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Allocate,
    Refresh,
    /// A refresh from another address (RFC 8016).
    Migrate,
    /// A refresh to nothing.
    Release,
    Permit(Vec<IpAddr>),
    /// The number of a channel.
    Bind(u16),
}

impl Purpose {
    pub(crate) const fn method(&self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Migrate | Self::Release => Method::REFRESH,
            Self::Permit(_) => Method::CREATE_PERMISSION,
            Self::Bind(_) => Method::CHANNEL_BIND,
        }
    }
}

/// What a request was signed with, and its answer must be.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) key: Key<'static>,
    pub(crate) mac: Algorithm,
}

pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) purpose: Purpose,
    pub(crate) path: Path,
    pub(crate) bytes: Vec<u8>,
    pub(crate) signature: Option<Signature>,
    /// How often the request was made anew.
    pub(crate) retries: u8,
    sends: u8,
    /// Whether it is to be sent; else when something is due.
    pub(crate) is_queued: bool,
    due_at: Instant,
    pub(crate) first_sent_at: Instant,
}

impl Transaction {
    pub(crate) const fn new(id: TransactionId, purpose: Purpose, path: Path, retries: u8, now: Instant) -> Self {
        Self {
            id,
            purpose,
            path,
            bytes: Vec::new(),
            signature: None,
            retries,
            sends: 0,
            is_queued: true,
            due_at: now,
            first_sent_at: now,
        }
    }

    pub(crate) fn due_at(&self) -> Option<Instant> {
        (!self.is_queued).then_some(self.due_at)
    }

    /// Once more from elsewhere.
    pub(crate) const fn restart(&mut self, path: Path) {
        (self.path, self.sends, self.is_queued) = (path, 0, true);
    }

    pub(crate) fn sent(&mut self, transport: Transport, rto: Duration, now: Instant) {
        if self.sends == 0 {
            self.first_sent_at = now;
        }
        self.sends += 1;
        self.is_queued = false;
        self.due_at = now
            + match transport {
                Transport::Stream => STREAM_WAIT,
                Transport::Datagrams if self.sends < SENDS => rto * (1 << (self.sends - 1)),
                Transport::Datagrams => rto * LAST_WAIT,
            };
    }

    /// Its time has come: whether it is over, without an answer.
    pub(crate) const fn is_over(&mut self, transport: Transport) -> bool {
        let last = match transport {
            Transport::Stream => 1,
            Transport::Datagrams => SENDS,
        };
        self.is_queued = self.sends < last;
        !self.is_queued
    }
}
