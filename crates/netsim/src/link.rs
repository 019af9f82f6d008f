//! A one-way link: queue, transmitter, wire.

mod aqm;
mod codel;
mod conditions;
mod dualpi2;
mod fifo;
mod loss;
mod queue;
mod rate;

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use plenary_wire::{Bitrate, DataSize, Ecn};

pub use aqm::{Aqm, CoDel, DualPi2};
pub use conditions::{Condition, Conditions};
pub use loss::{GilbertElliott, Loss};
pub use queue::QueueLimit;
pub use rate::RateSchedule;
pub(crate) use rate::Work;

use crate::{DropReason, Drops, Probability, Random};
use fifo::Waiting;
use loss::LossState;
use queue::Queue;

/// How many dropped packets a link keeps for [`Link::poll_dropped`] when the next is sent: 1.5 MB of packets of 1500
/// bytes.
pub const DROPPED_KEPT_MAX: usize = 1_024;

/// What a one-way link is like. The default is a perfect one of 1500 bytes MTU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// How fast packets are put on the wire, when. Default: no limit.
    pub rate: RateSchedule,
    /// From the wire's one end to the other. Default: none.
    pub delay: Duration,
    /// Standard deviation of what each packet is delayed more, without reordering: NR-BPDV of RFC 8868 §4.5,
    /// |N(0, σ)| but 3σ at most, and a packet arrives no earlier than the one before it and its own serialisation
    /// time. Default: none.
    pub jitter: Duration,
    /// Which packets are lost on the wire. Default: none.
    pub loss: Loss,
    /// What of the last three changes with time. Default: nothing.
    pub conditions: Conditions,
    /// How many packets arrive twice, both at the same instant. Default: none.
    pub duplicate: Probability,
    /// Which packets are overtaken. Default: none.
    pub reorder: Reorder,
    /// How much waits before the transmitter. Default: 300 ms, as RFC 8867 has it.
    pub queue: QueueLimit,
    /// What keeps it shorter than that. Default: nothing.
    pub aqm: Aqm,
    /// The largest packet that passes, with its IP and UDP headers. Default: 1500 bytes.
    pub mtu: DataSize,
    /// How many packets the link holds at most, waiting and on the way. Default: 65,536, which is 98 MB of packets of
    /// 1500 bytes: so that a sender gone wild ends in counted drops rather than without memory.
    pub packets_max: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            rate: RateSchedule::from(Bitrate::MAX),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            conditions: Conditions::default(),
            duplicate: Probability::ZERO,
            reorder: Reorder::default(),
            queue: QueueLimit::ms(300),
            aqm: Aqm::DropTail,
            mtu: DataSize::from_bytes(1_500),
            packets_max: 65_536,
        }
    }
}

impl LinkConfig {
    /// A link of this delay, and otherwise perfect.
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// Reordering: some packets take longer, and those that follow meanwhile overtake them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reorder {
    /// How many packets are held back.
    pub fraction: Probability,
    /// For how long.
    pub extra: Duration,
}

/// What a link carries. `P` is the caller's: the bytes, or the name of a packet that is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<P> {
    /// Its size with its IP header: what takes time and room.
    pub size: DataSize,
    /// Its ECN bits.
    pub ecn: Ecn,
    /// Whatever else it is.
    pub payload: P,
}

/// A packet at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<P> {
    /// When it arrived: not later than the instant that it was asked for.
    pub at: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// How long it waited in the queue, until the transmitter began with it.
    pub waited: Duration,
    /// The packet.
    pub packet: Packet<P>,
    /// Whether this is a duplicate. It comes right before the packet that it is a copy of, at the same instant.
    pub copy: bool,
}

/// A packet that was taken and did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped<P> {
    /// When.
    pub at: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// How long it waited in the queue.
    pub waited: Duration,
    /// [`DropReason::Lost`] on the wire, or [`DropReason::Aqm`] before it.
    pub reason: DropReason,
    /// The packet.
    pub packet: Packet<P>,
}

/// What a link did so far. `offered + duplicated = delivered + drops.total() + Link::in_flight()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets given to the link.
    pub offered: u64,
    /// Copies that the link made.
    pub duplicated: u64,
    /// Packets that left at the far end, copies too.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_size: DataSize,
    /// Packets that the queue marked with CE.
    pub marked: u64,
    /// Those that did not arrive.
    pub drops: Drops,
}

/// A one-way link: a queue, a transmitter of a rate that may change, and a wire with delay, jitter, loss, duplication
/// and reordering.
///
/// Like all here it is sans-I/O, and it is a machine of its own: give it packets with [`send`](Self::send), take them
/// with [`poll_arrival`](Self::poll_arrival), wake at [`poll_timeout`](Self::poll_timeout). Instants are durations
/// since the caller's start and must not go back. Being called late moves nothing: each packet's times follow from
/// when it was sent, so that the model is as exact on a real clock as on a virtual one.
#[derive(Debug)]
pub struct Link<P> {
    config: LinkConfig,
    queue: Queue<P>,
    sending: Option<Sending<P>>,
    /// On the wire, the first to arrive on top.
    flying: BinaryHeap<Reverse<Flying<P>>>,
    sequence: u64,
    /// The latest arrival of a packet that was not held back.
    last_arrival: Duration,
    /// The latest rate above zero: it measures queues of time in outages.
    last_rate: Bitrate,
    counters: LinkCounters,
    /// What the queue dropped and the wire lost, until it is asked for.
    dropped: VecDeque<Dropped<P>>,
    loss: LossState,
    // Streams of their own: with the same seed the same packets are lost, with or without jitter.
    jitter: Random,
    duplicate: Random,
    reorder: Random,
}

#[derive(Debug)]
struct Sending<P> {
    packet: Packet<P>,
    sent: Duration,
    waited: Duration,
    /// What was left to do at `since`.
    left: Work,
    since: Duration,
    /// `None` if the rate stays zero.
    finish: Option<Duration>,
}

#[derive(Debug)]
struct Flying<P> {
    sequence: u64,
    arrival: Arrival<P>,
}

impl<P: Clone> Link<P> {
    /// An idle link. `seed` and `label` name its streams of chance.
    pub fn new(config: LinkConfig, seed: u64, label: u64) -> Self {
        let stream = |number: u64| Random::new(seed, label.wrapping_mul(4).wrapping_add(number));
        Self {
            queue: Queue::new(&config.aqm),
            config,
            sending: None,
            flying: BinaryHeap::new(),
            sequence: 0,
            last_arrival: Duration::ZERO,
            last_rate: Bitrate::ZERO,
            counters: LinkCounters::default(),
            dropped: VecDeque::new(),
            loss: LossState::new(stream(0)),
            jitter: stream(1),
            duplicate: stream(2),
            reorder: stream(3),
        }
    }

    /// How the link is.
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Changes how the link is from `now` on: what is on the transmitter goes on at the new rate; what is on the wire
    /// arrives when it would have. A changed loss model or queue management starts from its beginning.
    pub fn update(&mut self, now: Duration, change: impl FnOnce(&mut LinkConfig)) {
        self.advance(now);
        if let Some(sending) = &mut self.sending {
            sending.left = sending.left_at(now, &self.config.rate);
            sending.since = now;
        }
        self.note_rate(now);
        let (loss, aqm) = (self.config.loss.clone(), self.config.aqm);
        change(&mut self.config);
        if self.config.loss != loss {
            self.loss.restart();
        }
        if self.config.aqm != aqm {
            self.queue.manage(&self.config.aqm, now);
        }
        if let Some(sending) = &mut self.sending {
            sending.finish = self.config.rate.finish(now, sending.left);
        }
    }

    /// What the link did so far.
    pub const fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    /// Packets inside: in the queue, on the transmitter and on the wire.
    pub fn in_flight(&self) -> usize {
        self.queue.len() + usize::from(self.sending.is_some()) + self.flying.len()
    }

    /// Bytes that wait, without what is on the transmitter. It is true for the instant of the last call.
    pub const fn queued(&self) -> DataSize {
        self.queue.size()
    }

    /// Puts a packet into the queue, or says why not.
    ///
    /// # Errors
    ///
    /// The reason, [`DropReason::Mtu`], [`DropReason::LinkFull`] or [`DropReason::QueueFull`], and the packet. It is
    /// counted already.
    pub fn send(&mut self, packet: Packet<P>, now: Duration) -> Result<(), (DropReason, Packet<P>)> {
        // Here alone, and not where packets are lost: at the end of an outage many may be, before anyone can ask.
        let forgotten = self.dropped.len().saturating_sub(DROPPED_KEPT_MAX);
        self.dropped.drain(..forgotten);
        self.advance(now);
        self.counters.offered += 1;
        let refused = if packet.size > self.config.mtu {
            Some((DropReason::Mtu, packet))
        } else if self.in_flight() >= self.config.packets_max {
            Some((DropReason::LinkFull, packet))
        } else {
            self.enqueue(packet, now).err().map(|packet| (DropReason::QueueFull, packet))
        };
        if let Some(refused) = refused {
            self.counters.drops.add(refused.0);
            return Err(refused);
        }
        self.advance(now);
        Ok(())
    }

    fn enqueue(&mut self, packet: Packet<P>, now: Duration) -> Result<(), Packet<P>> {
        self.note_rate(now);
        let sending = self.sending.as_ref().map_or(Work(0), |sending| sending.left_at(now, &self.config.rate));
        self.queue.push(packet, now, &self.config, (self.last_rate, sending))?;
        if self.sending.is_none() {
            self.start(now);
        }
        Ok(())
    }

    fn note_rate(&mut self, now: Duration) {
        self.last_rate = self.config.rate.latest_above_zero(now).unwrap_or(self.last_rate);
    }

    /// The next packet that has arrived by `now`, in the order of arrival.
    ///
    /// A packet that was dropped after it was taken is found only in the counters and in
    /// [`poll_dropped`](Self::poll_dropped).
    pub fn poll_arrival(&mut self, now: Duration) -> Option<Arrival<P>> {
        self.advance(now);
        if self.flying.peek()?.0.arrival.at > now {
            return None;
        }
        let Reverse(Flying { arrival, .. }) = self.flying.pop()?;
        self.counters.delivered += 1;
        self.counters.delivered_size = self.counters.delivered_size.saturating_add(arrival.packet.size);
        Some(arrival)
    }

    /// A packet that was taken and then dropped, by the queue or on the wire, the earliest first: for those who want
    /// its buffer back. Those not asked for are forgotten, but for the latest [`DROPPED_KEPT_MAX`], when another is
    /// sent.
    pub fn poll_dropped(&mut self) -> Option<Dropped<P>> {
        self.dropped.pop_front()
    }

    /// When the link next has something to do; `None` until a packet is sent, or in an outage without end.
    ///
    /// It changes with [`send`](Self::send), [`poll_arrival`](Self::poll_arrival) and [`update`](Self::update).
    pub fn poll_timeout(&self) -> Option<Duration> {
        let finish = self.sending.as_ref().and_then(|sending| sending.finish);
        let arrival = self.flying.peek().map(|flying| flying.0.arrival.at);
        finish.into_iter().chain(arrival).min()
    }

    /// Puts on the wire what the transmitter has done by `now`.
    fn advance(&mut self, now: Duration) {
        while let Some((finish, sending)) = self.finished(now) {
            self.start(finish);
            self.launch(sending, finish);
        }
    }

    fn finished(&mut self, now: Duration) -> Option<(Duration, Sending<P>)> {
        let finish = self.sending.as_ref()?.finish.filter(|finish| *finish <= now)?;
        self.sending.take().map(|sending| (finish, sending))
    }

    fn start(&mut self, now: Duration) {
        let (dropped, drops) = (&mut self.dropped, &mut self.counters.drops);
        let mut refuse = |refused: Waiting<P>| {
            let (waited, reason) = (refused.waited(now), DropReason::Aqm);
            drops.add(reason);
            dropped.push_back(Dropped { at: now, sent: refused.since, waited, reason, packet: refused.packet });
        };
        self.sending = self.queue.pop(now, &self.config, &mut refuse).map(|next| {
            self.counters.marked += u64::from(next.marked);
            let waited = next.waited(now);
            let left = Work::of(next.packet.size);
            let finish = self.config.rate.finish(now, left);
            Sending { packet: next.packet, sent: next.since, waited, left, since: now, finish }
        });
    }

    fn launch(&mut self, Sending { packet, sent, waited, .. }: Sending<P>, now: Duration) {
        let condition = self.config.conditions.at(now);
        let lost = match condition.loss {
            Some(probability) => self.loss.loses(&Loss::Random(probability)),
            None => self.loss.loses(&self.config.loss),
        };
        if lost {
            let reason = DropReason::Lost;
            self.counters.drops.add(reason);
            self.dropped.push_back(Dropped { at: now, sent, waited, reason, packet });
            return;
        }
        let jitter = condition.jitter.unwrap_or(self.config.jitter);
        let mut at = now.saturating_add(condition.delay.unwrap_or(self.config.delay));
        if !jitter.is_zero() {
            at = at.saturating_add(self.jitter.half_normal(jitter));
        }
        if at < self.last_arrival || !jitter.is_zero() {
            // RFC 8868 §4.5.2: a later packet follows an earlier one when that is serialised. There the times are
            // those of first bits, here of last ones: so it is the later packet's own serialisation that counts.
            let rate = self.config.rate.at(now);
            let serialisation = if rate == Bitrate::MAX { None } else { rate.time_for(packet.size) };
            at = at.max(self.last_arrival.saturating_add(serialisation.unwrap_or(Duration::ZERO)));
        }
        if self.reorder.chance(self.config.reorder.fraction) {
            at = at.saturating_add(self.config.reorder.extra);
        } else {
            self.last_arrival = at;
        }
        // The packet itself is in neither the queue nor the air at this moment.
        if self.duplicate.chance(self.config.duplicate) && self.in_flight() + 1 < self.config.packets_max {
            self.counters.duplicated += 1;
            self.fly(Arrival { at, sent, waited, packet: packet.clone(), copy: true });
        }
        self.fly(Arrival { at, sent, waited, packet, copy: false });
    }

    fn fly(&mut self, arrival: Arrival<P>) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.flying.push(Reverse(Flying { sequence, arrival }));
    }
}

impl<P> Sending<P> {
    fn left_at(&self, now: Duration, rate: &RateSchedule) -> Work {
        Work(self.left.0.saturating_sub(rate.done(self.since, now).0))
    }
}

impl<P> PartialEq for Flying<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Flying<P> {}

impl<P> PartialOrd for Flying<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Flying<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.arrival.at, self.sequence).cmp(&(other.arrival.at, other.sequence))
    }
}
