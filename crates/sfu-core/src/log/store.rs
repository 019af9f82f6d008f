//! Bytes of packets, each in one piece, in chunks that are used again.

use std::collections::VecDeque;

/// Where a packet's bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: u64,
    start: u32,
    len: u32,
}

impl Place {
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }
}

/// Chunks of one size, oldest first. One that is done with is kept for the next, so that a log in its steady state
/// allocates nothing.
#[derive(Debug)]
pub(super) struct Store {
    chunk_bytes: usize,
    chunks: VecDeque<Vec<u8>>,
    /// The number of the first chunk.
    first: u64,
    spare: Option<Vec<u8>>,
}

impl Store {
    pub(super) const fn new(chunk_bytes: usize) -> Self {
        Self { chunk_bytes, chunks: VecDeque::new(), first: 0, spare: None }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Place {
        let fits = self.chunks.back().is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes.len());
        if !fits {
            let spare = self.spare.take().filter(|spare| spare.capacity() >= bytes.len());
            let size = self.chunk_bytes.max(bytes.len());
            self.chunks.push_back(spare.unwrap_or_else(|| Vec::with_capacity(size)));
        }
        let number = self.first + self.chunks.len() as u64 - 1;
        let chunk = self.chunks.back_mut().expect("one was just added if there was none");
        let start = chunk.len() as u32;
        chunk.extend_from_slice(bytes);
        Place { chunk: number, start, len: bytes.len() as u32 }
    }

    pub(super) fn get(&self, place: &Place) -> &[u8] {
        let chunk = &self.chunks[(place.chunk - self.first) as usize];
        &chunk[place.start as usize..][..place.len as usize]
    }

    /// Gives back what is before the oldest packet, or all of it.
    pub(super) fn keep_from(&mut self, oldest: Option<&Place>) {
        let keep = oldest.map_or(self.first + self.chunks.len() as u64, |place| place.chunk);
        while self.first < keep
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            self.first += 1;
            chunk.clear();
            self.spare = Some(chunk);
        }
    }
}

#[cfg(test)]
impl Store {
    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
