use super::{Fragment, NalHeader, NalUnit, Payload};
use crate::payload::unfinished::Unfinished;
use crate::{ParseError, SeqNo};

const PREFIX_LEN: usize = 4;

/// What stands in front of each NAL unit that an [`Assembler`] appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// The start code 00 00 00 01 (ITU-T H.264 annex B), for decoders.
    StartCode,
    /// The unit's length in four bytes, for MP4 and Matroska.
    Length,
}

/// Puts NAL units together from the payloads of one stream, in order of sequence number.
///
/// It holds no bytes: a unit grows at the end of the caller's `Vec`, and is cut off again if it can't be completed.
/// Between two calls the caller may append to or clear the `Vec` only when no unit is [open](Self::is_open), else that
/// unit counts as lost.
#[derive(Clone, Debug)]
pub struct Assembler {
    framing: Framing,
    unit_bytes_max: usize,
    open: Option<Open>,
}

/// A unit of which some fragments are there.
#[derive(Clone, Debug)]
struct Open {
    header: NalHeader,
    /// Prefix, header, and what came.
    unit: Unfinished,
}

/// What one payload gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assembled {
    /// How many NAL units became whole, and were appended.
    pub units: usize,
    /// A unit that will never be whole. Nothing of it stays in the `Vec`.
    pub lost: Option<Lost>,
}

/// Why a NAL unit will never be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// A fragment came whose unit has no beginning: its first fragment, or one between, was lost. Said once per fragment.
    Start,
    /// An open unit has no end: what followed was not its next fragment.
    End,
    /// The unit is longer than the limit.
    TooLong,
}

impl Assembler {
    /// A longest unit for most uses: 1 MiB is 0.4 s of a stream of 20 Mbit/s, more than its key frames take.
    pub const UNIT_BYTES_MAX: usize = 1 << 20;

    /// An assembler of units of at most `unit_bytes_max` bytes (their framing not counted).
    #[must_use]
    pub const fn new(framing: Framing, unit_bytes_max: usize) -> Self {
        Self { framing, unit_bytes_max, open: None }
    }

    /// A unit has begun and not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Appends what a payload completes, or its part of a unit.
    ///
    /// # Errors
    ///
    /// [`ParseError`] as of [`Payload::parse`], and [`ParseError::Reserved`] for [`Payload::Unsupported`]. Nothing has
    /// changed then; if a unit is open, the next payload will find it lost.
    pub fn push(&mut self, sequence_number: SeqNo, payload: &[u8], out: &mut Vec<u8>) -> Result<Assembled, ParseError> {
        let payload = Payload::parse(payload)?;
        match payload {
            Payload::Unsupported(_) => Err(ParseError::Reserved),
            Payload::Fragment(fragment) => Ok(self.push_fragment(sequence_number, fragment, out)),
            Payload::Single(_) | Payload::Aggregate(_) => {
                let mut assembled = Assembled { units: 0, lost: self.abandon(out) };
                for unit in payload.units() {
                    if unit.as_bytes().len() > self.unit_bytes_max {
                        assembled.lost = Some(Lost::TooLong);
                    } else {
                        self.append(unit, out);
                        assembled.units += 1;
                    }
                }
                Ok(assembled)
            }
        }
    }

    /// Cuts off a unit that is still open, as at the end of a frame, and says if there was one.
    pub fn abandon(&mut self, out: &mut Vec<u8>) -> Option<Lost> {
        self.open.take()?.unit.cut_off(out);
        Some(Lost::End)
    }

    fn push_fragment(&mut self, sequence_number: SeqNo, fragment: Fragment<'_>, out: &mut Vec<u8>) -> Assembled {
        let mut lost = None;
        let continues = self.open.as_ref().is_some_and(|open| {
            !fragment.start
                && open.header.unit_type() == fragment.header.unit_type()
                && open.unit.goes_on(sequence_number, out)
        });
        if !continues {
            lost = self.abandon(out);
            if !fragment.start {
                return Assembled { units: 0, lost: lost.or(Some(Lost::Start)) };
            }
            self.begin(sequence_number, fragment.header, out);
        }
        let Some(Open { unit, .. }) = &mut self.open else {
            return Assembled { units: 0, lost };
        };
        if unit.len() - PREFIX_LEN + fragment.data.len() > self.unit_bytes_max {
            self.abandon(out);
            return Assembled { units: 0, lost: Some(Lost::TooLong) };
        }
        unit.append(sequence_number, fragment.data, out);
        if !fragment.end {
            return Assembled { units: 0, lost };
        }
        let start = unit.start;
        self.open = None;
        self.frame(start, out);
        Assembled { units: 1, lost }
    }

    fn begin(&mut self, sequence_number: SeqNo, header: NalHeader, out: &mut Vec<u8>) {
        let mut unit = Unfinished::begin(sequence_number, out);
        unit.append(sequence_number, &[0; PREFIX_LEN], out);
        unit.append(sequence_number, &[header.to_byte()], out);
        self.open = Some(Open { header, unit });
    }

    fn append(&self, unit: NalUnit<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; PREFIX_LEN]);
        out.extend_from_slice(unit.as_bytes());
        self.frame(start, out);
    }

    /// Fills the prefix of the unit that reaches from `start` to the end.
    fn frame(&self, start: usize, out: &mut [u8]) {
        let prefix = match self.framing {
            Framing::StartCode => 1,
            Framing::Length => (out.len() - start - PREFIX_LEN) as u32,
        };
        out[start..start + PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
    }
}
