use std::fmt;

use crate::ParseError;

/// An entry of a [`List`], which finds its own end.
pub trait Entry<'a>: Copy {
    /// Takes an entry off the front of the bytes of a list. Leaves what follows it; nothing where a malformed entry
    /// hides where the next begins.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the entry is malformed.
    fn take(bytes: &mut &'a [u8]) -> Result<Self, ParseError>;
}

/// A list of entries that differ in length: those of a packet from the network, checked only as they are walked, or a
/// slice of the caller's.
#[derive(Clone, Copy)]
pub struct List<'a, T> {
    source: Source<'a, T>,
}

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Wire {
        bytes: &'a [u8],
        /// How many the packet announces, if it does.
        left: Option<u8>,
    },
    Slice(&'a [T]),
}

impl<'a, T: Entry<'a>> List<'a, T> {
    /// As many entries as the bytes hold, or as are announced: what follows those is none.
    pub(super) const fn from_wire(bytes: &'a [u8], announced: Option<u8>) -> Self {
        Self { source: Source::Wire { bytes, left: announced } }
    }

    /// How many entries the header has to announce.
    pub(super) fn announced(&self) -> usize {
        match self.source {
            Source::Wire { left, .. } => left.unwrap_or_default().into(),
            Source::Slice(entries) => entries.len(),
        }
    }

    /// Each entry. A malformed one is given as an error; the walk goes on behind it where its end is known.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, ParseError>> + use<'a, T> {
        let mut source = self.source;
        std::iter::from_fn(move || match &mut source {
            Source::Wire { left: Some(0), .. } | Source::Wire { bytes: [], left: None } => None,
            Source::Wire { bytes, left } => {
                let entry = T::take(bytes);
                *left = match *left {
                    Some(_) if entry.is_err() && bytes.is_empty() => Some(0),
                    left => left.map(|left| left - 1),
                };
                Some(entry)
            }
            Source::Slice(entries) => {
                let (entry, rest) = entries.split_first()?;
                *entries = rest;
                Some(Ok(*entry))
            }
        })
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(entries: &'a [T]) -> Self {
        Self { source: Source::Slice(entries) }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self { source: Source::Slice(&[]) }
    }
}

impl<'a, T: Entry<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Entry<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Entry<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
