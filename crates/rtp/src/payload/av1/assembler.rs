use super::obu::add_size;
use super::{Element, ObuHeader, ObuType, Payload};
use crate::payload::unfinished::Unfinished;
use crate::{ParseError, SeqNo};

/// Puts OBUs together from the payloads of one stream, in order of sequence number, in the low-overhead format (AV1
/// specification §5.2: each with its size).
///
/// It holds no bytes: an OBU grows at the end of the caller's `Vec`, and is cut off again if it can't be completed. Between
/// two calls the caller may append to or clear the `Vec` only when no OBU is [open](Self::is_open), else that OBU counts
/// as lost. Temporal delimiters, tile lists and padding are left out; for a file, put a delimiter (12 00) in front of each
/// temporal unit.
#[derive(Clone, Debug)]
pub struct Assembler {
    obu_bytes_max: usize,
    /// An OBU of which some fragments are there.
    open: Option<Unfinished>,
}

/// What one payload gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assembled {
    /// How many OBUs became whole, and were appended.
    pub obus: usize,
    /// One that will never be whole. Nothing of it stays in the `Vec`.
    pub lost: Option<Lost>,
}

/// Why an OBU will never be whole. Where one payload has several reasons, the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// An element goes on with an OBU whose beginning was lost.
    Start,
    /// An open OBU has no end: what followed did not go on with it.
    End,
    /// The OBU is longer than the limit.
    TooLong,
    /// The OBU is complete, but not what its own header says.
    Malformed,
}

impl Assembler {
    /// A longest OBU for most uses: 1 MiB is 0.4 s of a stream of 20 Mbit/s, more than its key frames take.
    pub const OBU_BYTES_MAX: usize = 1 << 20;

    /// An assembler of OBUs of at most `obu_bytes_max` bytes.
    #[must_use]
    pub const fn new(obu_bytes_max: usize) -> Self {
        Self { obu_bytes_max, open: None }
    }

    /// An OBU has begun and not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Appends what a payload completes, or its part of an OBU.
    ///
    /// # Errors
    ///
    /// [`ParseError`] as of [`Payload::parse`]. Nothing has changed then; if an OBU is open, the next payload will find it
    /// lost.
    pub fn push(&mut self, sequence_number: SeqNo, payload: &[u8], out: &mut Vec<u8>) -> Result<Assembled, ParseError> {
        let payload = Payload::parse(payload)?;
        let mut assembled = Assembled::default();
        let goes_on = self.open.as_ref().is_some_and(|open| open.goes_on(sequence_number, out));
        if !(goes_on && payload.header.continues) {
            assembled.lost = self.abandon(out);
        }
        for element in payload.elements() {
            match self.push_element(sequence_number, element, out) {
                Ok(whole) => assembled.obus += usize::from(whole),
                Err(lost) => assembled.lost = assembled.lost.or(Some(lost)),
            }
        }
        Ok(assembled)
    }

    /// Cuts off an OBU that is still open, as at the end of a temporal unit, and says if there was one.
    pub fn abandon(&mut self, out: &mut Vec<u8>) -> Option<Lost> {
        self.open.take()?.cut_off(out);
        Some(Lost::End)
    }

    /// Whether an OBU is whole now.
    fn push_element(&mut self, sequence_number: SeqNo, element: Element<'_>, out: &mut Vec<u8>) -> Result<bool, Lost> {
        if element.begins {
            self.open = Some(Unfinished::begin(sequence_number, out));
        }
        let open = self.open.as_mut().ok_or(Lost::Start)?;
        if open.len() + element.bytes.len() > self.obu_bytes_max {
            self.abandon(out);
            return Err(Lost::TooLong);
        }
        open.append(sequence_number, element.bytes, out);
        if !element.ends {
            return Ok(false);
        }
        let start = open.start;
        self.open = None;
        match add_size(start, out) {
            Ok(header) if is_kept(header) => Ok(true),
            Ok(_) => {
                out.truncate(start);
                Ok(false)
            }
            Err(_) => {
                out.truncate(start);
                Err(Lost::Malformed)
            }
        }
    }
}

const fn is_kept(header: ObuHeader) -> bool {
    !matches!(header.obu_type, ObuType::TemporalDelimiter | ObuType::TileList | ObuType::Padding)
}
