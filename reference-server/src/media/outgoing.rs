//! What was polled and is to be sent. Its bytes are spent, and its numbers with them: it is kept until there is room.

use plenary_wire::Transmit;

use super::counters::Counters;
use super::socket::{Sent, Socket};

/// The buffer that is written to, and the run in it that found no room.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    held: Option<Transmit>,
}

impl Outgoing {
    /// Whether nothing is held: only then may something be polled.
    pub(super) const fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// Where the next run is written to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        assert!(self.is_empty(), "what is held would be lost");
        self.bytes.clear();
        &mut self.bytes
    }

    /// Sends the run that was written, or holds it; says whether there is room for more.
    pub(super) fn send(&mut self, transmit: Transmit, socket: &Socket, counters: &Counters) -> bool {
        let segments = transmit.range.len().div_ceil(transmit.segment.max(1));
        match socket.send(&transmit, &self.bytes) {
            Sent::Whole => counters.add_run(segments, transmit.range.len()),
            Sent::Singly { refused } => counters.add_single(segments, refused, transmit.range.len()),
            Sent::Blocked => {
                counters.add_blocked();
                self.held = Some(transmit);
            }
        }
        self.is_empty()
    }

    /// Tries again to send what is held; says whether there is room for more.
    pub(super) fn send_held(&mut self, socket: &Socket, counters: &Counters) -> bool {
        self.held.take().is_none_or(|transmit| self.send(transmit, socket, counters))
    }
}
