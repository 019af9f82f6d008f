use std::collections::VecDeque;

/// What is kept until it is acknowledged: bytes, or only how many, for cross traffic that says nothing.
#[derive(Debug)]
pub(super) enum Outbox {
    Bytes(VecDeque<u8>),
    Filler(u64),
}

impl Outbox {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Filler(count) => *count,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A piece of it: bytes, and how much filler.
    pub(super) fn read(&self, offset: u64, length: u64) -> (Vec<u8>, u64) {
        match self {
            Self::Bytes(bytes) => {
                let start = offset as usize;
                (bytes.range(start..start + length as usize).copied().collect(), 0)
            }
            Self::Filler(_) => (Vec::new(), length),
        }
    }

    pub(super) fn drop_front(&mut self, count: u64) {
        match self {
            Self::Bytes(bytes) => drop(bytes.drain(..count as usize)),
            Self::Filler(left) => *left -= count,
        }
    }

    /// Keeps the first bytes alone.
    pub(super) fn truncate(&mut self, length: u64) {
        match self {
            Self::Bytes(bytes) => bytes.truncate(length as usize),
            Self::Filler(left) => *left = length.min(*left),
        }
    }
}
