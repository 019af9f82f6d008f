//! What a media thread counts. It alone writes; anybody may read.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use plenary_sfu_core::{DropReason, Sfu};
use plenary_wire::{Limit, Transmit};

use super::socket::Batch;

/// Reasons for which the engine drops datagrams, and their names in metrics.
pub(crate) const REASONS: [(DropReason, &str); 9] = [
    (DropReason::Stranger, "stranger"),
    // One of all: each session knows its own.
    (DropReason::Transport(plenary_transport::DropReason::NoKeys), "transport"),
    (DropReason::Malformed, "malformed"),
    (DropReason::UnknownSource, "unknown-source"),
    (DropReason::PayloadType, "payload-type"),
    (DropReason::Payload, "payload"),
    (DropReason::Duplicate, "duplicate"),
    (DropReason::Jump, "jump"),
    (DropReason::Probe, "probe"),
];

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) receive_errors: AtomicU64,
    pub(crate) dropped: [AtomicU64; REASONS.len()],
    pub(crate) sent: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    /// Calls of the kernel that sent.
    pub(crate) calls: AtomicU64,
    /// What they sent to one destination each, by how many datagrams it was of.
    pub(crate) runs: [AtomicU64; Limit::GSO.segments + 1],
    /// Datagrams that the kernel refused.
    pub(crate) refused: AtomicU64,
    /// How often there was no room in the socket.
    pub(crate) blocked: AtomicU64,
    pub(crate) meetings: AtomicU64,
    pub(crate) sessions: AtomicU64,
}

impl Counters {
    pub(super) fn add_batch(&self, batch: Batch) {
        add(&self.received, batch.datagrams);
        add(&self.received_bytes, batch.bytes);
        add(&self.receive_errors, batch.unanswerable);
    }

    pub(super) fn add_receive_error(&self) {
        add(&self.receive_errors, 1);
    }

    /// What the kernel took in one call, as it was given.
    pub(super) fn add_call(&self, sent: &[Transmit]) {
        add(&self.calls, 1);
        for transmit in sent {
            let segments = transmit.range.len().div_ceil(transmit.segment.max(1));
            add(&self.sent, segments as u64);
            add(&self.sent_bytes, transmit.range.len() as u64);
            add(&self.runs[segments.min(Limit::GSO.segments)], 1);
        }
    }

    /// So many datagrams of a run, each by itself.
    pub(super) fn add_singly(&self, datagrams: usize, refused: usize, bytes: usize) {
        let sent = datagrams.saturating_sub(refused) as u64;
        add(&self.refused, refused as u64);
        add(&self.calls, sent);
        add(&self.sent, sent);
        add(&self.runs[1], sent);
        if refused == 0 {
            add(&self.sent_bytes, bytes as u64);
        }
    }

    pub(super) fn add_blocked(&self) {
        add(&self.blocked, 1);
    }

    /// What others count.
    pub(super) fn note(&self, sfu: &Sfu, meetings: usize, sessions: usize) {
        for ((reason, _), counter) in REASONS.iter().zip(&self.dropped) {
            counter.store(sfu.dropped(*reason), Ordering::Relaxed);
        }
        self.meetings.store(meetings as u64, Ordering::Relaxed);
        self.sessions.store(sessions as u64, Ordering::Relaxed);
    }
}

/// There is one writer: no atomic addition is needed.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

impl Default for Counters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            received: zero(),
            received_bytes: zero(),
            receive_errors: zero(),
            dropped: array::from_fn(|_| zero()),
            sent: zero(),
            sent_bytes: zero(),
            calls: zero(),
            runs: array::from_fn(|_| zero()),
            refused: zero(),
            blocked: zero(),
            meetings: zero(),
            sessions: zero(),
        }
    }
}
