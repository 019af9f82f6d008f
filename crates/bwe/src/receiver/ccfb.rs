use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{Ccfb, CcfbBlock, Metric};
use plenary_rtp::{NtpTime, SeqNo, Ssrc};
use plenary_wire::{Bitrate, DataSize, Ecn};

use super::Counters;
use super::tracker::{Noted, Tracker};

/// How often feedback of RFC 8888 is sent, and on how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CcfbConfig {
    /// Who reports.
    pub sender_ssrc: Ssrc,
    /// The least time between two messages, and how long one waits for the end of a frame. Default: 25 ms.
    pub interval_min: Duration,
    /// The longest that the rate may make it. Default: 500 ms.
    pub interval_max: Duration,
    /// Feedback takes no more than this, and no more than 5 % of what [`CcfbGenerator::set_rate`] was told. Default:
    /// 500 kb/s.
    pub rate_max: Bitrate,
    /// Streams at most; the one that was silent for longest makes room. Default: 256, of some 2 kB each.
    pub streams_max: usize,
    /// Statuses that are kept at most, of all streams together: of one it is 16,384 (RFC 8888 §3.1). Default: 32,768, of 24
    /// bytes.
    pub statuses_max: usize,
}

impl Default for CcfbConfig {
    fn default() -> Self {
        Self {
            sender_ssrc: Ssrc(0),
            interval_min: Duration::from_millis(25),
            interval_max: Duration::from_millis(500),
            rate_max: Bitrate::from_kbps(500),
            streams_max: 256,
            statuses_max: 32_768,
        }
    }
}

/// A packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its stream.
    pub ssrc: Ssrc,
    /// Its number in the stream.
    pub seq: SeqNo,
    /// The ECN bits that it came with.
    pub ecn: Ecn,
    /// Its marker bit: the last packet of a frame.
    pub marker: bool,
}

/// Writes congestion control feedback (RFC 8888): when packets arrived and how they were marked, by stream.
///
/// The rules are those of libwebrtc's `modules/remote_bitrate_estimator/congestion_control_feedback_generator.cc` (revision
/// bd635df347): feedback leaves at the end of a frame, or 25 ms after the first packet that it is on; no more than one
/// each 25 ms, and the less often the larger they are, so that all take 500 kb/s at most.
#[derive(Clone, Debug)]
pub struct CcfbGenerator {
    config: CcfbConfig,
    rate_max: Bitrate,
    /// By SSRC.
    trackers: Vec<Tracker>,
    /// The stream whose turn it is to be reported first.
    turn: usize,
    /// Statuses of all trackers.
    statuses: usize,
    /// When the first packet came that is not reported.
    pending_since: Option<Instant>,
    is_frame_whole: bool,
    /// What was sent above the rate.
    debt: DataSize,
    last: Option<Instant>,
    /// No feedback leaves before.
    next: Option<Instant>,
    metrics: Vec<Metric>,
    counters: Counters,
}

/// Blocks in one message at most.
const BLOCKS_MAX: usize = 32;
/// Bytes of a message at most, however much the caller has room for.
const MESSAGE_MAX: usize = 65_000;
/// Bytes of a message beside its blocks, and of a block beside its metrics.
const MESSAGE_LEN: usize = 12;
const BLOCK_LEN: usize = 8;
/// 5 % of the rate are for feedback.
const SHARE: u64 = 20;

impl CcfbGenerator {
    /// A generator that knows of no packet.
    #[must_use]
    pub fn new(config: CcfbConfig) -> Self {
        Self {
            config,
            rate_max: config.rate_max,
            trackers: Vec::new(),
            turn: 0,
            statuses: 0,
            pending_since: None,
            is_frame_whole: false,
            debt: DataSize::ZERO,
            last: None,
            next: None,
            metrics: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// A packet came. May change when feedback is due.
    pub fn handle_packet(&mut self, packet: &Received, now: Instant) {
        let Some(index) = self.tracker(packet.ssrc, now) else {
            self.counters.out_of_range += 1;
            return;
        };
        let Some(tracker) = self.trackers.get_mut(index) else { return };
        let before = tracker.len();
        let room = self.config.statuses_max.saturating_sub(self.statuses);
        let noted = tracker.note(packet.seq, packet.ecn, room, now);
        self.statuses = self.statuses - before + tracker.len();
        match noted {
            Noted::New => {}
            Noted::Restarted => self.counters.restarts += 1,
            Noted::Duplicate => {
                self.counters.duplicate += 1;
                return;
            }
            Noted::OutOfRange => {
                self.counters.out_of_range += 1;
                return;
            }
        }
        self.pending_since.get_or_insert(now);
        self.is_frame_whole |= packet.marker;
    }

    /// The rate at which this end may send: feedback takes no more than 5 % of it.
    pub fn set_rate(&mut self, rate: Bitrate) {
        self.rate_max = self.config.rate_max.min(Bitrate::from_bps(rate.as_bps() / SHARE));
    }

    /// When feedback is due. Every call may change it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let since = self.pending_since?;
        let ready = if self.is_frame_whole { since } else { since + self.config.interval_min };
        Some(self.next.map_or(ready, |next| next.max(ready)))
    }

    /// Appends a message of `size_max` bytes at most, if one is due: to be called until it answers `false`. `ntp` is `now`
    /// on the clock of this end's sender reports. It needs 24 bytes; what does not fit waits, and is due.
    pub fn write(&mut self, now: Instant, ntp: NtpTime, size_max: usize, out: &mut Vec<u8>) -> bool {
        if size_max < MESSAGE_LEN + BLOCK_LEN + 4 || self.poll_timeout().is_none_or(|due| due > now) {
            return false;
        }
        self.metrics.clear();
        // Of each: the SSRC, the first number, and where its metrics end.
        let mut blocks = [(Ssrc(0), SeqNo(0), 0); BLOCKS_MAX];
        let count = self.take_blocks(size_max, now, &mut blocks);
        let start = out.len();
        let is_written = self.write_blocks(blocks.get(..count).unwrap_or_default(), ntp, out);
        self.pay(DataSize::from_bytes((out.len() - start) as u64), now);
        if self.trackers.iter().all(|tracker| tracker.pending() == 0) {
            self.pending_since = None;
            self.is_frame_whole = false;
            self.next = Some(now + self.pause());
        }
        is_written
    }

    /// What is not told of, and why.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where the stream's tracker is, made if there is none.
    fn tracker(&mut self, ssrc: Ssrc, now: Instant) -> Option<usize> {
        if let Ok(index) = self.trackers.binary_search_by_key(&ssrc, |tracker| tracker.ssrc) {
            return Some(index);
        }
        if self.trackers.len() >= self.config.streams_max {
            let silent = self.trackers.iter().enumerate().min_by_key(|(_, tracker)| tracker.newest);
            let index = silent.map(|(index, _)| index)?;
            let tracker = self.trackers.remove(index);
            self.statuses -= tracker.len();
            self.counters.forgotten += tracker.pending() as u64;
        }
        let index = self.trackers.partition_point(|tracker| tracker.ssrc < ssrc);
        self.trackers.insert(index, Tracker::new(ssrc, now));
        Some(index)
    }

    /// Takes what is to be reported, stream by stream in turn, as far as it fits. Says how many blocks it makes.
    fn take_blocks(&mut self, size_max: usize, now: Instant, blocks: &mut [(Ssrc, SeqNo, usize); BLOCKS_MAX]) -> usize {
        let mut room = size_max.min(MESSAGE_MAX) - MESSAGE_LEN;
        let mut count = 0;
        let streams = self.trackers.len();
        for step in 0..streams {
            let index = (self.turn + step) % streams;
            let Some(tracker) = self.trackers.get_mut(index).filter(|tracker| tracker.pending() > 0) else { continue };
            let Some(block) = blocks.get_mut(count).filter(|_| room >= BLOCK_LEN + 4) else {
                self.turn = index;
                break;
            };
            // Metrics are padded to whole words.
            let metrics_max = ((room - BLOCK_LEN) / 4 * 2).min(CcfbBlock::METRICS_MAX);
            let before = (tracker.len(), self.metrics.len());
            let begin = tracker.report(metrics_max, now, &mut self.metrics);
            self.statuses = self.statuses - before.0 + tracker.len();
            *block = (tracker.ssrc, begin, self.metrics.len());
            room -= BLOCK_LEN + (2 * (self.metrics.len() - before.1)).next_multiple_of(4);
            count += 1;
            if tracker.pending() > 0 {
                self.turn = index;
                break;
            }
        }
        count
    }

    fn write_blocks(&self, taken: &[(Ssrc, SeqNo, usize)], ntp: NtpTime, out: &mut Vec<u8>) -> bool {
        let mut blocks = [CcfbBlock::default(); BLOCKS_MAX];
        let mut start = 0;
        for (block, &(ssrc, begin_seq, end)) in blocks.iter_mut().zip(taken) {
            let metrics = self.metrics.get(start..end).unwrap_or_default().into();
            *block = CcfbBlock { ssrc, begin_seq, metrics };
            start = end;
        }
        let blocks = blocks.get(..taken.len()).unwrap_or_default();
        if blocks.is_empty() {
            return false;
        }
        let packet = Ccfb { sender_ssrc: self.config.sender_ssrc, blocks: blocks.into(), timestamp: ntp.compact() };
        packet.write(out).is_ok()
    }

    /// So much leaves, and time has paid for what left before.
    fn pay(&mut self, size: DataSize, now: Instant) {
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.debt = self.debt.saturating_sub(self.rate_max.data_in(since)).saturating_add(size);
        self.last = Some(now);
    }

    /// How long the next message waits.
    fn pause(&self) -> Duration {
        let paid = self.rate_max.time_for(self.debt).unwrap_or(Duration::MAX);
        paid.min(self.config.interval_max).max(self.config.interval_min)
    }
}
