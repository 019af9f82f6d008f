use std::fmt;

use super::frame::{self, take_ssrc};
use super::{Entry, List, RawPacket, Record, kind};
use crate::{Error, ParseError, Ssrc};

/// SDES: who the sources are (RFC 3550 §6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sdes<'a> {
    /// One for each source; 31 at most when written.
    pub chunks: List<'a, Chunk<'a>>,
}

/// What is said of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// What is said.
    pub items: Items<'a>,
}

/// The items of a [`Chunk`]: those of a packet, or a slice of the caller's.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    source: ItemSource<'a>,
}

#[derive(Clone, Copy)]
enum ItemSource<'a> {
    /// Whole items, without the null bytes behind them.
    Wire(&'a [u8]),
    Slice(&'a [Item<'a>]),
}

/// One thing that is said of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item<'a> {
    /// The item type: [`Item::CNAME`] or another; never 0, which ends a list.
    pub kind: u8,
    /// Its text, in UTF-8 that nobody has checked; 255 bytes at most when written.
    pub text: &'a [u8],
}

impl Item<'_> {
    /// The one item that every source sends: a name for the endpoint, the same for all streams that share its clock.
    pub const CNAME: u8 = 1;
}

impl<'a> Sdes<'a> {
    pub(super) const fn parse(raw: RawPacket<'a>) -> Self {
        Self { chunks: List::from_wire(raw.body, Some(raw.count)) }
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] with more than 31 chunks or a text of more than 255 bytes; [`Error::OutOfRange`] for an item
    /// of type 0, and where a packet that was read turns out to be malformed.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::SDES, self.chunks.announced(), |out| {
            self.chunks.iter().try_for_each(|chunk| chunk.map_err(|_| Error::OutOfRange)?.append(out))
        })
    }
}

impl<'a> Entry<'a> for Chunk<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Self, ParseError> {
        // Nobody knows where a chunk begins that follows a malformed one.
        let mut rest = std::mem::take(bytes);
        let ssrc = take_ssrc(&mut rest)?;
        let list = rest;
        loop {
            let (&kind, behind) = rest.split_first().ok_or(ParseError::Truncated)?;
            if kind == 0 {
                break;
            }
            let (&len, behind) = behind.split_first().ok_or(ParseError::Truncated)?;
            rest = behind.get(usize::from(len)..).ok_or(ParseError::Overrun)?;
        }
        let len = list.len() - rest.len();
        let items = Items { source: ItemSource::Wire(list.get(..len).unwrap_or_default()) };
        // RFC 3550 §6.5: at least one null byte, and more up to a whole word.
        *bytes = list.get((len + 1).next_multiple_of(4)..).ok_or(ParseError::Truncated)?;
        Ok(Self { ssrc, items })
    }
}

impl<'a> Chunk<'a> {
    /// The text of the first CNAME item.
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items.iter().find(|item| item.kind == Item::CNAME).map(|item| item.text)
    }

    fn append(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.ssrc.append(out);
        let start = out.len();
        for item in self.items.iter() {
            if item.kind == 0 {
                return Err(Error::OutOfRange);
            }
            out.push(item.kind);
            out.push(u8::try_from(item.text.len()).map_err(|_| Error::TooLong)?);
            out.extend_from_slice(item.text);
        }
        let len = out.len() - start;
        let padding = (len + 1).next_multiple_of(4) - len;
        out.extend_from_slice(&[0; 4][..padding]);
        Ok(())
    }
}

impl<'a> Items<'a> {
    /// Each item.
    pub fn iter(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut source = self.source;
        std::iter::from_fn(move || match &mut source {
            ItemSource::Wire(bytes) => {
                let (&[kind, len], rest) = bytes.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(usize::from(len))?;
                *bytes = rest;
                Some(Item { kind, text })
            }
            ItemSource::Slice(items) => {
                let (item, rest) = items.split_first()?;
                *items = rest;
                Some(*item)
            }
        })
    }
}

impl<'a> From<&'a [Item<'a>]> for Items<'a> {
    fn from(items: &'a [Item<'a>]) -> Self {
        Self { source: ItemSource::Slice(items) }
    }
}

impl Default for Items<'_> {
    fn default() -> Self {
        Self { source: ItemSource::Slice(&[]) }
    }
}

impl PartialEq for Items<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Items<'_> {}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
