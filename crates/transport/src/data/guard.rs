//! What is looked at before `sctp-proto` sees it: it bounds bytes, and neither streams, pieces, answers nor resets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::DataDropReason;
use super::wire::{chunks, is_after, kind, parts, u16_at, u32_at};

/// Chunks that ask for an answer, until answers are taken to be sent.
const ANSWERS_MAX: u32 = 32;

/// TSNs that the gap blocks of one SACK may name: they are looked up one by one.
const GAPS_MAX: u32 = 65_536;

/// Bytes that a piece of a message holds, however small it is.
pub(super) const PIECE_BYTES: usize = 512;

/// When a reset that was asked for is taken to be over, if nothing was heard of it.
const RESET_MAX: Duration = Duration::from_secs(10);

/// How often a packet is let through though there is no room: its answer says how much there is.
const PROBE: Duration = Duration::from_secs(1);

/// What is to become of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Drop(DataDropReason),
    /// It breaks a rule: the association ends.
    Violation,
}

/// What was seen of the peer's packets.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Whether the handshake is over.
    pub(super) established: bool,
    /// Whether the peer has sent an ABORT.
    pub(super) aborted: bool,
    /// Whether our INIT was answered.
    pub(super) answered: bool,
    /// Streams that the peer takes from us.
    pub(super) streams_max: u16,
    /// Pieces of messages that SCTP holds or may come to hold: one for each TSN up to the highest.
    pub(super) pieces: usize,
    /// The highest TSN that was let through.
    highest: u32,
    pieces_max: usize,
    probed: Option<Instant>,
    answers: u32,
    /// Streams that the peer resets, until that is over.
    resetting: BTreeMap<u16, Reset>,
    /// The newest request of a reset.
    newest: Option<u32>,
}

#[derive(Debug)]
struct Reset {
    request: u32,
    /// The last TSN before it.
    last: u32,
    since: Instant,
}

/// The streams that SCTP has.
pub(super) trait Streams {
    fn has(&mut self, stream: u16) -> bool;
    /// Whether there may be so many more.
    fn has_room(&self, more: usize) -> bool;
    fn all(&self) -> Vec<u16>;
}

impl Guard {
    pub(super) fn new(receive_buffer_bytes_max: usize) -> Self {
        Self { pieces_max: receive_buffer_bytes_max / PIECE_BYTES + 64, ..Self::default() }
    }

    pub(super) fn judge(&mut self, packet: &[u8], streams: &mut impl Streams, now: Instant) -> Verdict {
        self.resetting.retain(|_, reset| now.saturating_duration_since(reset.since) < RESET_MAX);
        let (mut highest, mut opened, mut asked) = (self.highest, Vec::new(), 0);
        for (kind, value) in chunks(packet) {
            let drop = match kind {
                kind::DATA => {
                    // RFC 9260 §6.2: DATA without any is answered by ABORT.
                    if value.len() <= 12 {
                        return Verdict::Violation;
                    }
                    let tsn = u32_at(value, 0).unwrap_or_default();
                    if is_after(tsn, highest) {
                        highest = tsn;
                    }
                    self.judge_data(value, streams, &mut opened)
                }
                kind::INIT | kind::COOKIE_ECHO | kind::HEARTBEAT => {
                    asked += 1;
                    // Once ours is answered there is no need for another.
                    // RFC 9260 §5.2.2 has an answer to a peer that has started anew; there is none such below DTLS.
                    (kind == kind::INIT && (self.established || self.answered)).then_some(DataDropReason::Unexpected)
                }
                kind::SACK => (gaps(value) > GAPS_MAX).then_some(DataDropReason::Malformed),
                kind::RE_CONFIG => {
                    asked += 1;
                    self.judge_reset(value)
                }
                kind::FORWARD_TSN => {
                    asked += 1;
                    self.judge_forward(value)
                }
                // Neither ends an association by itself (RFC 9260 §3.3.10), nor is the other negotiated.
                kind::ERROR | kind::I_FORWARD_TSN => Some(DataDropReason::Unexpected),
                _ => None,
            };
            if let Some(reason) = drop {
                return Verdict::Drop(reason);
            }
        }
        if asked > 0 && self.answers + asked > ANSWERS_MAX {
            return Verdict::Drop(DataDropReason::Answers);
        }
        if !opened.is_empty() && !streams.has_room(opened.len()) {
            return Verdict::Drop(DataDropReason::Streams);
        }
        // What fills a gap has room: that was counted when the gap was made.
        let pieces = self.pieces + highest.wrapping_sub(self.highest) as usize;
        let is_too_much = pieces > 2 * self.pieces_max;
        if highest != self.highest && pieces > self.pieces_max && (is_too_much || !self.may_probe(now)) {
            return Verdict::Drop(DataDropReason::ReceiveBuffer);
        }
        (self.pieces, self.highest) = (pieces, highest);
        self.answers += asked;
        self.note(packet, streams, now);
        Verdict::Pass
    }

    fn judge_data(&self, value: &[u8], streams: &mut impl Streams, opened: &mut Vec<u16>) -> Option<DataDropReason> {
        let (tsn, stream) = (u32_at(value, 0)?, u16_at(value, 4)?);
        // RFC 8831 §6.7: a stream is used again when both directions are reset.
        if self.resetting.get(&stream).is_some_and(|reset| is_after(tsn, reset.last)) {
            return Some(DataDropReason::Resetting);
        }
        if !opened.contains(&stream) && !streams.has(stream) {
            opened.push(stream);
        }
        None
    }

    fn judge_reset(&self, value: &[u8]) -> Option<DataDropReason> {
        let other = requests(value).any(|request| {
            let is_other = |reset: &Reset| reset.request != request.number;
            match request.streams {
                [] => self.resetting.values().any(is_other),
                ids => ids
                    .as_chunks()
                    .0
                    .iter()
                    .any(|id| self.resetting.get(&u16::from_be_bytes(*id)).is_some_and(is_other)),
            }
        });
        (other && !requests(value).all(|request| self.is_old(request.number))).then_some(DataDropReason::Resetting)
    }

    fn judge_forward(&self, value: &[u8]) -> Option<DataDropReason> {
        let tsn = u32_at(value, 0)?;
        let pairs = value.get(4..)?.as_chunks::<4>().0;
        let is_beyond = |pair: &[u8; 4]| {
            let stream = u16::from_be_bytes([pair[0], pair[1]]);
            self.resetting.get(&stream).is_some_and(|reset| is_after(tsn, reset.last))
        };
        pairs.iter().any(is_beyond).then_some(DataDropReason::Resetting)
    }

    /// Whether a request was seen before, so that it begins nothing.
    fn is_old(&self, number: u32) -> bool {
        self.newest.is_some_and(|newest| !is_after(number, newest))
    }

    fn may_probe(&mut self, now: Instant) -> bool {
        let may = self.probed.is_none_or(|at| now.saturating_duration_since(at) >= PROBE);
        if may {
            self.probed = Some(now);
        }
        may
    }

    /// Takes note of a packet that is let through.
    fn note(&mut self, packet: &[u8], streams: &mut impl Streams, since: Instant) {
        for (kind, value) in chunks(packet) {
            match kind {
                kind::ABORT => self.aborted = true,
                kind::INIT | kind::INIT_ACK if !self.established => {
                    self.streams_max = u16_at(value, 10).unwrap_or_default();
                    self.highest = u32_at(value, 12).unwrap_or_default().wrapping_sub(1);
                }
                kind::RE_CONFIG => {
                    for Request { number: request, last, streams: ids } in requests(value) {
                        if self.is_old(request) {
                            continue;
                        }
                        self.newest = Some(request);
                        let ids = match ids {
                            [] => streams.all(),
                            ids => ids.as_chunks().0.iter().map(|id| u16::from_be_bytes(*id)).collect(),
                        };
                        for id in ids {
                            if streams.has(id) {
                                self.resetting.insert(id, Reset { request, last, since });
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A SACK says up to where all has come, and how many bytes SCTP holds: no more pieces than those, and than what may
    /// still come to fill gaps.
    pub(super) fn settle(&mut self, tsn: u32, bytes: usize) {
        let beyond = if is_after(self.highest, tsn) { self.highest.wrapping_sub(tsn) as usize } else { 0 };
        self.pieces = self.pieces.min(bytes + beyond);
    }

    /// The reset of a stream is over.
    pub(super) fn reset(&mut self, stream: u16) {
        self.resetting.remove(&stream);
    }

    /// Answers were taken to be sent.
    pub(super) const fn taken(&mut self) {
        self.answers = 0;
    }
}

/// RFC 6525 §4.1: an Outgoing SSN Reset Request.
struct Request<'a> {
    number: u32,
    last: u32,
    /// Two bytes each; all, if there are none.
    streams: &'a [u8],
}

fn requests(value: &[u8]) -> impl Iterator<Item = Request<'_>> {
    parts(value).filter(|(kind, _)| *kind == [0, 13]).filter_map(|(_, value)| {
        Some(Request { number: u32_at(value, 0)?, last: u32_at(value, 8)?, streams: value.get(12..)? })
    })
}

/// TSNs that the gap blocks of a SACK name.
fn gaps(value: &[u8]) -> u32 {
    let count = usize::from(u16_at(value, 8).unwrap_or_default());
    let blocks = value.get(12..).unwrap_or_default().as_chunks::<4>().0;
    blocks.iter().take(count).fold(0, |sum: u32, &[s0, s1, e0, e1]| {
        let (start, end) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1]));
        sum.saturating_add(u32::from(end.saturating_sub(start)) + 1)
    })
}
