//! Packets that are missing: asked for, repaired, given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_rtp::{ExtendedSeqNo, SeqNo};

use super::reordering::Reordering;
use crate::{ConfigError, RoundTrip};

/// The longest time in a configuration: so that no sum of instants overflows.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// When missing packets are asked for, and for how long.
///
/// The defaults are those of a forwarder, which has to go on soon. An endpoint with a jitter buffer can be more patient:
/// as long as that holds the frames. No time may be above an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackConfig {
    /// The round-trip time until one is known. Default: 100 ms, a call across a continent.
    pub round_trip: Duration,
    /// A packet is asked for again after a round trip and this. Default: 10 ms, so that an answer that waits in the peer's
    /// pacer is not asked for twice.
    pub retry_margin: Duration,
    /// How often a packet is asked for. Default: 10, which only a round trip of a few milliseconds reaches. 1 or more.
    pub asks_max: u8,
    /// A packet is given up once so many asks could have been answered: after as many round trips with their
    /// `retry_margin`, and … Default: 2. Of the losses of a path that loses a twentieth each way, one is left for a tenth of
    /// the repairs, two for a hundredth; and a key frame, which is all that helps then, takes a round trip too and more
    /// packets.
    pub patience_asks: u8,
    /// … this. Default: 50 ms, a frame and a half at 30 per second.
    pub patience_margin: Duration,
    /// But after this at the latest. Default: 500 ms; whoever waits behind a hole is not held up longer.
    pub patience_max: Duration,
    /// How many missing packets are listed; older ones are given up, and a gap of more is not asked for at all: only a new
    /// picture helps. Default: 512, which is 24 kB, and in 200 ms a loss of all packets of 30 Mbit/s. From 1 to 32767.
    pub listed_max: u16,
    /// Where reordering is usual, the longest that a packet may come by itself. Default: 20 ms, which is one audio packet.
    pub reordering_wait_max: Duration,
    /// The least time between two NACKs. Default: 5 ms; it gathers losses and bounds the work that a peer can cause.
    pub interval_min: Duration,
}

impl Default for NackConfig {
    fn default() -> Self {
        Self {
            round_trip: Duration::from_millis(100),
            retry_margin: Duration::from_millis(10),
            asks_max: 10,
            patience_asks: 2,
            patience_margin: Duration::from_millis(50),
            patience_max: Duration::from_millis(500),
            listed_max: 512,
            reordering_wait_max: Duration::from_millis(20),
            interval_min: Duration::from_millis(5),
        }
    }
}

/// The list of missing packets, by sequence number and so by age.
#[derive(Debug)]
pub(crate) struct Missing {
    config: NackConfig,
    round_trip: Duration,
    list: VecDeque<Entry>,
    reordering: Reordering,
    /// No entry is due before; `None` if none will be, or some are already.
    due: Option<Instant>,
    /// Entries are due, and [`handle_timeout`](Self::handle_timeout) has seen it: it is no matter of time any more.
    waiting: bool,
    /// The newest number at which an entry has been waited for long enough to be due at once.
    due_at: Option<ExtendedSeqNo>,
    last_asked: Option<Instant>,
    asked: Vec<SeqNo>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: ExtendedSeqNo,
    noticed: Instant,
    due: Instant,
    asks: u8,
}

impl Missing {
    pub(crate) fn new(config: NackConfig) -> Result<Self, ConfigError> {
        if config.listed_max == 0 || config.listed_max > 32_767 {
            return Err(ConfigError::ListedMax(config.listed_max));
        }
        if config.asks_max == 0 {
            return Err(ConfigError::AsksMax);
        }
        let NackConfig { round_trip, retry_margin, patience_margin, patience_max, .. } = config;
        let times = [round_trip, retry_margin, patience_margin, patience_max, config.reordering_wait_max];
        if times.into_iter().chain([config.interval_min]).any(|time| time > TIME_MAX) {
            return Err(ConfigError::NackTime);
        }
        Ok(Self {
            round_trip,
            config,
            list: VecDeque::new(),
            reordering: Reordering::new(),
            due: None,
            waiting: false,
            due_at: None,
            last_asked: None,
            asked: Vec::new(),
        })
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(RoundTrip::SAMPLE_MAX);
    }

    /// The first number that is still waited for.
    pub(crate) fn first(&self) -> Option<ExtendedSeqNo> {
        self.list.front().map(|entry| entry.seq)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Lists `gap` numbers before `newest`, and says how many numbers were given up for them.
    pub(crate) fn note_gap(&mut self, newest: ExtendedSeqNo, gap: u16, now: Instant) -> usize {
        let listed_max = usize::from(self.config.listed_max);
        if usize::from(gap) > listed_max {
            return self.give_up(self.list.len()) + usize::from(gap);
        }
        let given_up = self.give_up((self.list.len() + usize::from(gap)).saturating_sub(listed_max));
        let wait = self.reordering.wait();
        let due = if wait == 0 { now } else { now + self.config.reordering_wait_max };
        let first = newest.0 - u64::from(gap);
        let entries = (first..newest.0).map(|seq| Entry { seq: ExtendedSeqNo(seq), noticed: now, due, asks: 0 });
        self.list.extend(entries);
        self.wake_at(due);
        if wait > 0 && self.due_at.is_none() {
            self.due_at = Some(ExtendedSeqNo(first + u64::from(wait) + 1));
        }
        given_up
    }

    /// The newest number went on.
    #[inline]
    pub(crate) fn note_newest(&mut self, newest: ExtendedSeqNo, now: Instant) {
        if self.due_at.is_some_and(|due_at| due_at <= newest) {
            self.due_at = None;
            self.wake_at(now);
        }
    }

    /// A packet came by itself, late. Says whether it was waited for.
    pub(crate) fn note_late(&mut self, seq: ExtendedSeqNo, newest: ExtendedSeqNo, now: Instant) -> bool {
        let Some(entry) = self.remove(seq) else { return false };
        // What comes after a round trip may be an answer: without RTX, retransmissions look like any other packet.
        if entry.asks == 0 || now.saturating_duration_since(entry.noticed) < self.round_trip {
            self.reordering.note_reordered(newest.0 - seq.0);
        } else {
            self.reordering.note_lost(1);
        }
        true
    }

    /// A packet was repaired. Says whether it was waited for.
    pub(crate) fn note_repaired(&mut self, seq: ExtendedSeqNo) -> bool {
        let listed = self.remove(seq).is_some();
        if listed {
            self.reordering.note_lost(1);
        }
        listed
    }

    fn remove(&mut self, seq: ExtendedSeqNo) -> Option<Entry> {
        let index = self.list.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        let entry = self.list.remove(index);
        self.rest();
        entry
    }

    fn rest(&mut self) {
        if self.list.is_empty() {
            self.due = None;
            self.due_at = None;
            self.waiting = false;
        }
    }

    /// Gives up all before a number; says how many.
    pub(crate) fn cut_off(&mut self, seq: ExtendedSeqNo) -> usize {
        let count = self.list.partition_point(|entry| entry.seq < seq);
        self.give_up(count)
    }

    /// Gives up what has waited long enough, and says how many; notes what is to be asked for.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> usize {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.waiting = true;
        }
        let patience = self.patience();
        let count = self.list.iter().take_while(|entry| entry.noticed + patience <= now).count();
        self.give_up(count)
    }

    fn give_up(&mut self, count: usize) -> usize {
        self.list.drain(..count);
        self.reordering.note_lost(count);
        self.rest();
        count
    }

    fn patience(&self) -> Duration {
        let NackConfig { retry_margin, patience_asks, patience_margin, patience_max, .. } = self.config;
        let answered = (self.round_trip + retry_margin) * patience_asks.into();
        (answered + patience_margin).min(patience_max)
    }

    /// When something will be due: to be asked for, or to be given up.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let given_up = self.list.front().map(|entry| entry.noticed + self.patience());
        self.due.into_iter().chain(given_up).min()
    }

    fn wake_at(&mut self, due: Instant) {
        let due = self.last_asked.map_or(due, |last| due.max(last + self.config.interval_min));
        self.due = Some(self.due.map_or(due, |already| already.min(due)));
    }

    /// Chooses what is asked for now, `count_max` numbers at most: [`asked`](Self::asked). If there are more, more are due
    /// at once.
    pub(crate) fn ask(&mut self, newest: ExtendedSeqNo, now: Instant, count_max: usize) {
        self.asked.clear();
        if !self.is_due(now) {
            return;
        }
        self.waiting = false;
        self.due = None;
        self.due_at = None;
        let wait = u64::from(self.reordering.wait());
        let retry = now + self.round_trip + self.config.retry_margin;
        let mut next: Option<Instant> = None;
        for entry in &mut self.list {
            if entry.asks == self.config.asks_max {
                continue;
            }
            if entry.due <= now || entry.asks == 0 && entry.seq.0 + wait < newest.0 {
                if self.asked.len() == count_max {
                    self.waiting = true;
                    return;
                }
                self.asked.push(entry.seq.seq_no());
                entry.asks += 1;
                entry.due = retry;
                if entry.asks == self.config.asks_max {
                    continue;
                }
            } else if entry.asks == 0 && self.due_at.is_none() {
                self.due_at = Some(ExtendedSeqNo(entry.seq.0 + wait + 1));
            }
            next = Some(next.map_or(entry.due, |next| next.min(entry.due)));
        }
        if !self.asked.is_empty() {
            self.last_asked = Some(now);
        }
        if let Some(next) = next {
            self.wake_at(next);
        }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.waiting || self.due.is_some_and(|due| due <= now)
    }

    /// What the last [`ask`](Self::ask) chose, in order.
    pub(crate) fn asked(&self) -> &[SeqNo] {
        &self.asked
    }
}
