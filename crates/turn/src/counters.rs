use plenary_stun::ErrorCode;

use crate::DropReason;

/// What has happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams and messages that were dropped.
    pub dropped: u64,
    /// Requests that were answered with success.
    pub succeeded: u64,
    /// Requests that were refused with an error.
    pub refused: u64,
    /// Allocations that came to be.
    pub allocated: u64,
    /// Datagrams that went from clients to peers.
    pub to_peers: u64,
    /// Their bytes, without the heads of TURN.
    pub to_peers_bytes: u64,
    /// Datagrams that went from peers to clients.
    pub to_clients: u64,
    /// Their bytes, likewise.
    pub to_clients_bytes: u64,
}

/// The codes that are counted one by one.
const CODES: [ErrorCode; 16] = [
    ErrorCode::TRY_ALTERNATE,
    ErrorCode::BAD_REQUEST,
    ErrorCode::UNAUTHENTICATED,
    ErrorCode::FORBIDDEN,
    ErrorCode::MOBILITY_FORBIDDEN,
    ErrorCode::UNKNOWN_ATTRIBUTE,
    ErrorCode::ALLOCATION_MISMATCH,
    ErrorCode::STALE_NONCE,
    ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
    ErrorCode::WRONG_CREDENTIALS,
    ErrorCode::UNSUPPORTED_TRANSPORT,
    ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH,
    ErrorCode::CONNECTION_ALREADY_EXISTS,
    ErrorCode::CONNECTION_TIMEOUT,
    ErrorCode::ALLOCATION_QUOTA_REACHED,
    ErrorCode::INSUFFICIENT_CAPACITY,
];

#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) all: Counters,
    dropped: [u64; DropReason::COUNT],
    refused: [u64; CODES.len()],
}

impl Counted {
    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.all.dropped += 1;
        self.dropped[reason as usize] += 1;
    }

    pub(crate) fn refuse(&mut self, code: ErrorCode) {
        self.all.refused += 1;
        if let Some(at) = CODES.iter().position(|known| *known == code) {
            self.refused[at] += 1;
        }
    }

    pub(crate) const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    pub(crate) fn refused(&self, code: u16) -> u64 {
        CODES.iter().position(|known| known.0 == code).map_or(0, |at| self.refused[at])
    }
}
