use std::time::Duration;

use super::chunk::{CHUNK_LEN, LARGE, LONG_LEN, LOST, RUN_MAX, SHORT_LEN, SMALL, StatusChunk};
use super::{FIXED_LEN, Twcc, pad};
use crate::rtcp::{frame, kind};
use crate::{Error, ExtendedSeqNo, Ssrc};

/// A packet that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// Its transport-wide sequence number.
    pub seq: ExtendedSeqNo,
    /// When, since an instant of the caller's that never changes.
    pub at: Duration,
}

/// Writes transport-wide feedback of the least bytes, over as many packets as it takes.
///
/// Which chunks tell the statuses in the fewest bytes is found by dynamic programming over all forms: runs, vectors of
/// one and of two bits, and small deltas written as large ones where that saves a chunk. Within a run of more than 8191
/// equal statuses it may miss the best by a byte.
///
/// It holds a buffer of two bytes for each status of the longest feedback so far (131 kB at most, after a gap of 65535
/// numbers; some hundred bytes commonly), so that only the first calls allocate.
///
/// ```
/// use std::time::Duration;
/// use plenary_rtp::rtcp::{Arrival, TwccWriter};
/// use plenary_rtp::{ExtendedSeqNo, Ssrc};
///
/// let at = Duration::from_millis;
/// let arrivals = [(70_000, 5), (70_002, 7)].map(|(seq, ms)| Arrival { seq: ExtendedSeqNo(seq), at: at(ms) });
/// let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
/// let (mut base, mut rest) = (ExtendedSeqNo(70_000), &arrivals[..]); // `base` is the number after the last that was reported
/// while !rest.is_empty() {
///     let mut out = Vec::new();
///     let taken = writer.write(base, rest, 1200, &mut out)?;
///     base = ExtendedSeqNo(rest[taken - 1].seq.0 + 1);
///     rest = &rest[taken..];
///     assert_eq!(out.len(), 24); // and is sent
/// }
/// assert_eq!(base.0, 70_003);
/// # Ok::<(), plenary_rtp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TwccWriter {
    sender_ssrc: Ssrc,
    media_ssrc: Ssrc,
    feedback_count: u8,
    choices: Vec<Choice>,
}

/// What one feedback packet will tell.
struct Plan {
    base: u64,
    /// Units of 64 ms.
    reference: i64,
    /// How many of the arrivals, at least one.
    arrivals: usize,
    statuses: usize,
}

impl TwccWriter {
    /// A writer of feedback on the transport that `media_ssrc` is a stream of.
    pub const fn new(sender_ssrc: Ssrc, media_ssrc: Ssrc) -> Self {
        Self { sender_ssrc, media_ssrc, feedback_count: 0, choices: Vec::new() }
    }

    /// Names another stream of the transport from now on. libwebrtc passes over what names none that it sends.
    pub const fn set_media_ssrc(&mut self, media_ssrc: Ssrc) {
        self.media_ssrc = media_ssrc;
    }

    /// Appends one feedback packet of `size_max` bytes at most on the packets from `base` on, and says how many of the
    /// `arrivals` are in it: as many as it can hold, at least one if there are any. The others belong into the next,
    /// whose base is the number behind the last that was taken.
    ///
    /// `arrivals` are in ascending order of their numbers; the times may be in any order. A packet ends where the next
    /// arrival is more than 8.19 s before or after the last. Numbers between `base` and the last arrival that are not
    /// there are reported as lost; where those before the first are more than 65534, only the last 65534 of them.
    /// Times are rounded down to 250 µs, and no error adds up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a number is not above the one before it, or is below `base`; [`Error::NoRoom`] if
    /// `size_max` can't hold the first arrival (44 bytes always can). Nothing is written then.
    pub fn write(
        &mut self,
        base: ExtendedSeqNo,
        arrivals: &[Arrival],
        size_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let Some(first) = arrivals.first() else { return Ok(0) };
        let plan = self.plan(base.0.max(first.seq.0.saturating_sub(STATUSES_MAX - 1)), arrivals, size_max)?;
        let taken = arrivals.get(..plan.arrivals).unwrap_or_default();
        let feedback = Twcc {
            sender_ssrc: self.sender_ssrc,
            media_ssrc: self.media_ssrc,
            base_seq: ExtendedSeqNo(plan.base).seq_no(),
            reference_time: plan.reference as i32,
            feedback_count: self.feedback_count,
            status_count: plan.statuses as u16,
            chunks: &[],
            deltas: &[],
        };
        frame::write(out, kind::RTPFB, usize::from(kind::RTPFB_TWCC), |out| {
            feedback.write_fixed(out);
            self.write_statuses(&plan, taken, out);
            Ok(())
        })?;
        self.feedback_count = self.feedback_count.wrapping_add(1);
        Ok(plan.arrivals)
    }

    /// Takes arrivals as long as they fit, and leaves the chunks to be written in `choices`, each at its position.
    fn plan(&mut self, base: u64, arrivals: &[Arrival], size_max: usize) -> Result<Plan, Error> {
        self.choices.clear();
        self.choices.push(Choice::NONE);
        let reference = arrivals.first().map_or(0, |first| ticks(first.at) / TICKS_PER_REFERENCE);
        let mut plan = Plan { base, reference, arrivals: 0, statuses: 0 };
        let mut search = Search::new();
        let mut found = search;
        let mut deltas_len = 0;
        let mut last = reference * TICKS_PER_REFERENCE;
        for arrival in arrivals {
            let offset = arrival.seq.0.checked_sub(base).ok_or(Error::OutOfRange)?;
            let lost = offset.checked_sub(search.position as u64).ok_or(Error::OutOfRange)?;
            let Ok(delta) = i16::try_from(ticks(arrival.at) - last) else { break };
            if offset >= STATUSES_MAX {
                break;
            }
            self.push_lost(&mut search, lost as usize);
            let symbol = symbol(delta);
            self.choices.push(search.push(symbol));
            deltas_len += usize::from(symbol);
            let fits = |cost: u32| (FIXED_LEN + deltas_len + cost as usize).next_multiple_of(4) <= size_max;
            if !fits(search.cost()) && !fits(search.last_chunk().0) {
                break;
            }
            found = search;
            last += i64::from(delta);
            plan.arrivals += 1;
        }
        if plan.arrivals == 0 {
            return Err(Error::NoRoom);
        }
        plan.statuses = found.position;
        self.choices.truncate(found.position + 1);
        if let Some(choice) = found.last_chunk().1 {
            self.choices[found.position] = choice;
        }
        Ok(plan)
    }

    /// Adds `left` symbols of packets that are lost. A peer can make gaps as long as it likes: so the middle of a long one
    /// costs no search.
    fn push_lost(&mut self, search: &mut Search, mut left: usize) {
        while left > 0 {
            let skip = if left > COSTS { search.skippable().min(left - COSTS) } else { 0 };
            if skip > 0 {
                search.position += skip;
                self.choices.resize(search.position + 1, Choice::NONE);
                left -= skip;
            } else {
                self.choices.push(search.push(LOST));
                left -= 1;
            }
        }
    }

    /// Turns the chain of choices, each of which leads to the one before it, so that each stands where its chunk begins.
    /// Says how many there are.
    fn turn_choices(&mut self) -> usize {
        let mut end = self.choices.len() - 1;
        let mut choice = self.choices[end];
        let mut count = 0;
        while end > 0 {
            let start = end - usize::from(choice.len());
            choice = std::mem::replace(&mut self.choices[start], choice);
            end = start;
            count += 1;
        }
        count
    }

    fn write_statuses(&mut self, plan: &Plan, arrivals: &[Arrival], out: &mut Vec<u8>) {
        let chunks_len = self.turn_choices() * CHUNK_LEN;
        let start = out.len();
        out.resize(start + chunks_len, 0);
        let mut chunk_at = start;
        let mut arrivals = arrivals.iter().peekable();
        let mut last = plan.reference * TICKS_PER_REFERENCE;
        let mut position = 0;
        while position < plan.statuses {
            let choice = self.choices[position];
            let mut chunk = choice.chunk();
            let chunk_start = position;
            position += usize::from(choice.len());
            while let Some(arrival) = arrivals.next_if(|arrival| arrival.seq.0 - plan.base < position as u64) {
                let delta = (ticks(arrival.at) - last) as i16;
                last += i64::from(delta);
                if symbol(delta) == LARGE || choice.form() == Choice::RUN_LARGE {
                    out.extend_from_slice(&delta.to_be_bytes());
                } else {
                    out.push(delta as u8);
                }
                let index = (arrival.seq.0 - plan.base) as usize - chunk_start;
                chunk.set_symbol(index as u16, symbol(delta));
            }
            out[chunk_at..chunk_at + CHUNK_LEN].copy_from_slice(&chunk.to_word().to_be_bytes());
            chunk_at += CHUNK_LEN;
        }
        pad(out, out.len() - start);
    }
}

/// What the status count can say.
const STATUSES_MAX: u64 = u16::MAX as u64;

const TICKS_PER_REFERENCE: i64 = 256;

/// Units of 250 µs, rounded down.
fn ticks(at: Duration) -> i64 {
    let ticks = at.as_secs().saturating_mul(4_000).saturating_add(u64::from(at.subsec_micros() / 250));
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

const fn symbol(delta: i16) -> u8 {
    if 0 <= delta && delta <= u8::MAX as i16 { SMALL } else { LARGE }
}

/// The last chunk of the best way to a position: its form, and how many statuses it tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice(u16);

impl Choice {
    const NONE: Self = Self(0);
    /// The forms: runs by their symbol, then vectors.
    const RUN_LARGE: u8 = LARGE;
    const SHORT: u8 = 3;
    const LONG: u8 = 4;

    const fn new(form: u8, len: u16) -> Self {
        Self((form as u16) << 13 | len)
    }

    const fn form(self) -> u8 {
        (self.0 >> 13) as u8
    }

    const fn len(self) -> u16 {
        self.0 & RUN_MAX
    }

    /// The chunk, without the symbols of a vector.
    const fn chunk(self) -> StatusChunk {
        match self.form() {
            Self::SHORT => StatusChunk::Short(0),
            Self::LONG => StatusChunk::Long(0),
            symbol => StatusChunk::Run { symbol, len: self.len() },
        }
    }
}

/// Costs of past positions that are kept: a power of two above the longest vector.
const COSTS: usize = 16;
const CHUNK_COST: u32 = CHUNK_LEN as u32;
const NEVER: u32 = u32::MAX / 2;

/// Finds the cheapest chunks for a growing row of symbols.
///
/// `cost(n)` is the least for the first `n` symbols with a chunk that ends there: that of the last chunk (two bytes, and
/// one for each small delta in a run of large ones) and `cost(start of that chunk)`. Vectors have one start each; of the
/// starts of a run only the best so far can win, as all go on at the same price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    position: usize,
    /// By position modulo their number.
    costs: [u32; COSTS],
    /// The best open run of each symbol.
    runs: [Run; 3],
    /// Behind the last symbol that a vector of one bit can't tell.
    after_large: usize,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    cost: u32,
    start: usize,
}

impl Search {
    pub(super) const fn new() -> Self {
        let mut costs = [NEVER; COSTS];
        costs[0] = 0;
        Self { position: 0, costs, runs: [Run { cost: NEVER, start: 0 }; 3], after_large: 0 }
    }

    /// Of the symbols so far, in whole chunks.
    const fn cost(&self) -> u32 {
        self.cost_at(self.position)
    }

    const fn cost_at(&self, position: usize) -> u32 {
        self.costs[position % COSTS]
    }

    /// Adds a symbol: gives the last chunk of the best way to here.
    pub(super) fn push(&mut self, symbol: u8) -> Choice {
        let before = self.cost();
        let mut best = (NEVER, Choice::NONE);
        for form in LOST..=LARGE {
            let run = &mut self.runs[usize::from(form)];
            let extra = match (symbol, form) {
                (SMALL, LARGE) => 1,
                _ if symbol == form => 0,
                _ => {
                    run.cost = NEVER;
                    continue;
                }
            };
            let full = self.position - run.start >= usize::from(RUN_MAX);
            if full || run.cost >= before + CHUNK_COST {
                *run = Run { cost: before + CHUNK_COST, start: self.position };
            }
            run.cost += extra;
            if run.cost < best.0 {
                best = (run.cost, Choice::new(form, (self.position + 1 - run.start) as u16));
            }
        }
        self.position += 1;
        if symbol == LARGE {
            self.after_large = self.position;
        }
        for (form, len) in [(Choice::SHORT, SHORT_LEN), (Choice::LONG, LONG_LEN)] {
            if let Some(cost) = self.vector(form, usize::from(len)).filter(|&cost| cost < best.0) {
                best = (cost, Choice::new(form, len));
            }
        }
        self.costs[self.position % COSTS] = best.0;
        best.1
    }

    /// How many more lost packets change nothing but the position: where the run of them is the best way to all positions
    /// that are kept, until shortly before it is full. What follows within [`COSTS`] of the next other symbol has to be
    /// pushed, as a vector may begin there.
    fn skippable(&self) -> usize {
        let run = self.runs[usize::from(LOST)];
        if self.costs.iter().any(|&cost| cost != run.cost) {
            return 0;
        }
        (usize::from(RUN_MAX) - COSTS).saturating_sub(self.position - run.start)
    }

    /// The cost of ending with a vector of the last `len` symbols, if it can tell them.
    fn vector(&self, form: u8, len: usize) -> Option<u32> {
        let start = self.position.checked_sub(len)?;
        let can = form == Choice::LONG || self.after_large <= start;
        can.then(|| self.cost_at(start) + CHUNK_COST)
    }

    /// The least cost if these symbols are all, and the last chunk where it is not that of the best way in whole chunks:
    /// only the last vector may be partly filled.
    pub(super) fn last_chunk(&self) -> (u32, Option<Choice>) {
        let mut best = (self.cost(), None);
        for (form, len_max) in [(Choice::SHORT, SHORT_LEN), (Choice::LONG, LONG_LEN)] {
            for len in 1..len_max {
                if let Some(cost) = self.vector(form, usize::from(len)).filter(|&cost| cost < best.0) {
                    best = (cost, Some(Choice::new(form, len)));
                }
            }
        }
        best
    }
}
