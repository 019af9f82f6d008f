use std::collections::VecDeque;
use std::ops::Range;

use plenary_wire::{Ecn, FlowId, Limit, Transmit};

use crate::DropReason;
use crate::tuple::FiveTuple;

/// Bytes that an answer has, with a long realm, on the average at most.
const ANSWER_BYTES: usize = 512;

/// Answers that wait for `poll_transmit`.
pub(crate) struct Outbox {
    /// Their bytes, one behind the other. Emptied when all are sent, so that its memory is used again.
    bytes: Vec<u8>,
    waiting: VecDeque<(FiveTuple, Range<u32>)>,
    answers_max: usize,
}

impl Outbox {
    pub(crate) const fn new(answers_max: usize) -> Self {
        Self { bytes: Vec::new(), waiting: VecDeque::new(), answers_max }
    }

    pub(crate) fn check(&self) -> Result<(), DropReason> {
        let is_full = self.waiting.len() >= self.answers_max || self.bytes.len() >= self.answers_max * ANSWER_BYTES;
        if is_full { Err(DropReason::AnswersLimit) } else { Ok(()) }
    }

    /// Lets a message be written for a client.
    pub(crate) fn write(&mut self, to: FiveTuple, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), DropReason> {
        self.check()?;
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        self.waiting.push_back((to, start..self.bytes.len() as u32));
        Ok(())
    }

    pub(crate) fn poll(&mut self, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let (to, range) = self.waiting.front()?;
        let answer = &self.bytes[range.start as usize..range.end as usize];
        if limit.segments == 0 || limit.bytes < answer.len() {
            return None;
        }
        let start = out.len();
        out.extend_from_slice(answer);
        let transmit = Transmit {
            flow: to.flow,
            local: to.local,
            remote: to.remote,
            range: start..out.len(),
            segment: answer.len(),
            ecn: Ecn::NotEct,
        };
        self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.bytes.clear();
        }
        Some(transmit)
    }

    /// Forgets what waits for a connection that is gone.
    pub(crate) fn forget(&mut self, flow: FlowId) {
        self.waiting.retain(|(to, _)| to.flow != flow);
        if self.waiting.is_empty() {
            self.bytes.clear();
        }
    }
}
