use std::time::Duration;

use crate::Probability;

/// What keeps a queue short before it is full: active queue management, in the words of RFC 7567.
///
/// It looks at a packet when that leaves for the transmitter: what it has waited until then is its queue delay. What it
/// drops is counted as [`DropReason::Aqm`](crate::DropReason::Aqm), what it marks in
/// [`LinkCounters::marked`](crate::LinkCounters::marked). None of them draws from chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aqm {
    /// Nothing does: only a full queue drops.
    #[default]
    DropTail,
    /// Marks packets with ECT(0) or ECT(1) that have waited this long or longer, and drops none before the queue is
    /// full.
    Mark(Duration),
    /// Controlled delay, RFC 8289.
    CoDel(CoDel),
    /// Two coupled queues, for L4S and for the others, RFC 9332.
    DualPi2(DualPi2),
}

/// CoDel, RFC 8289: it begins to drop at the head when all packets of an interval have waited longer than the target,
/// and drops faster until one has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDel {
    /// The queue delay that may stand. Default: 5 ms.
    pub target: Duration,
    /// For how long it may be more: about the largest round-trip time. Default: 100 ms.
    pub interval: Duration,
    /// Whether packets with ECT are marked instead. Default: yes.
    pub ecn: bool,
}

impl Default for CoDel {
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true }
    }
}

/// DualPI2, RFC 9332 appendix A with the edge cases of A.2.
///
/// Packets with ECT(1) or CE wait in a queue of low latency, and are marked by a ramp of their own delay; the others in
/// the Classic queue, dropped (or marked, with ECT(0)) by the square of a probability that a controller raises until
/// they wait for the target. That probability, times the coupling factor, marks the first queue too, so that flows in
/// both get equal shares. When marking no longer helps, both are dropped from. [`LinkConfig::queue`] limits both
/// together.
///
/// As in Linux the controller leaves packets alone while less than two MTU wait.
///
/// [`LinkConfig::queue`]: crate::LinkConfig::queue
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualPi2 {
    /// Delay of the Classic queue. Default: 15 ms.
    pub target: Duration,
    /// How often the controller acts, every microsecond at most. Default: 16 ms.
    pub update: Duration,
    /// Its integral gain, in probability for each second of delay, in thousandths. Default: 160.
    pub alpha_millihertz: u32,
    /// Its proportional gain, likewise. Default: 3200.
    pub beta_millihertz: u32,
    /// The coupling factor, k. Default: 2.
    pub coupling: u32,
    /// From which delay of its own on the queue of low latency marks, if more than one packet waits. Default: 800 µs.
    pub threshold: Duration,
    /// Above that, until it marks all: zero is a step. Default: 400 µs.
    pub range: Duration,
    /// Which share of bytes the Classic queue gets at least while both have some (weighted round robin). Default: 1/16.
    pub classic_share: Probability,
}

impl Default for DualPi2 {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(15),
            update: Duration::from_millis(16),
            alpha_millihertz: 160,
            beta_millihertz: 3_200,
            coupling: 2,
            threshold: Duration::from_micros(800),
            range: Duration::from_micros(400),
            classic_share: Probability::from_ppm(62_500),
        }
    }
}
