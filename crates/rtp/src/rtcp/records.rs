use std::fmt;

use crate::Ssrc;

/// An entry of fixed size in a list of an RTCP packet.
pub trait Record: Copy {
    /// Bytes of each.
    const LEN: usize;

    /// Reads one from exactly [`LEN`](Self::LEN) bytes.
    fn read(bytes: &[u8]) -> Self;

    /// Appends one: exactly [`LEN`](Self::LEN) bytes.
    fn append(&self, out: &mut Vec<u8>);
}

/// A list of entries of fixed size: those of a packet from the network, where they stand, or a slice of the caller's.
#[derive(Clone, Copy)]
pub struct Records<'a, T> {
    source: Source<'a, T>,
}

/// Iterates over [`Records`].
#[derive(Clone, Debug)]
pub struct RecordsIter<'a, T> {
    source: Source<'a, T>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a, T> {
    /// A whole number of records.
    Wire(&'a [u8]),
    Slice(&'a [T]),
}

impl<'a, T: Record> Records<'a, T> {
    /// The records that `bytes` hold. A part of one at the end is left out.
    pub(super) fn from_wire(bytes: &'a [u8]) -> Self {
        let whole = bytes.len() - bytes.len() % T::LEN;
        Self { source: Source::Wire(bytes.get(..whole).unwrap_or_default()) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self.source {
            Source::Wire(bytes) => bytes.len() / T::LEN,
            Source::Slice(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each, in the order of the packet.
    pub fn iter(&self) -> RecordsIter<'a, T> {
        RecordsIter { source: self.source }
    }

    pub(super) fn append(&self, out: &mut Vec<u8>) {
        match self.source {
            Source::Wire(bytes) => out.extend_from_slice(bytes),
            Source::Slice(items) => items.iter().for_each(|item| item.append(out)),
        }
    }
}

impl<T: Record> Iterator for RecordsIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.source {
            Source::Wire(bytes) => {
                let (head, rest) = bytes.split_at_checked(T::LEN)?;
                *bytes = rest;
                Some(T::read(head))
            }
            Source::Slice(items) => {
                let (head, rest) = items.split_first()?;
                *items = rest;
                Some(*head)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = Records { source: self.source }.len();
        (len, Some(len))
    }
}

impl<T: Record> ExactSizeIterator for RecordsIter<'_, T> {}

impl<'a, T: Record> IntoIterator for Records<'a, T> {
    type Item = T;
    type IntoIter = RecordsIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> From<&'a [T]> for Records<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self { source: Source::Slice(items) }
    }
}

impl<T> Default for Records<'_, T> {
    fn default() -> Self {
        Self { source: Source::Slice(&[]) }
    }
}

impl<T: Record + PartialEq> PartialEq for Records<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Record + Eq> Eq for Records<'_, T> {}

impl<T: Record + fmt::Debug> fmt::Debug for Records<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Record for Ssrc {
    const LEN: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        Self(word(bytes, 0))
    }

    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// The 32-bit number at `offset` of a record, which is long enough.
#[inline]
pub(super) fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes)
}
