use std::time::Duration;

use plenary_wire::{Bitrate, DataSize};

use crate::case::Case;
use crate::details::Details;

/// What is counted together: the grain of all rates.
pub(crate) const BIN: Duration = Duration::from_millis(100);

/// What was seen in one run.
#[derive(Clone, Debug)]
pub struct Record {
    /// Of each flow.
    pub(crate) flows: Vec<FlowRecord>,
    /// Of each link, in each bin, the longest that a packet waited of those that came then.
    pub(crate) queues: Vec<Vec<Duration>>,
    /// Of each source of TCP, in each bin, what arrived in order and once.
    pub(crate) tcp: Vec<Vec<DataSize>>,
    /// Each packet and decision, if they were asked for.
    pub details: Option<Details>,
}

/// What became of one flow.
#[derive(Clone, Debug)]
pub(crate) struct FlowRecord {
    pub(crate) bins: Vec<Bin>,
    /// In the order of arrival: when, and how long it waited in queues on the way.
    pub(crate) waits: Vec<(Duration, Duration)>,
    /// When each frame was complete, and how old it was then.
    pub(crate) frames: Vec<(Duration, Duration)>,
    pub(crate) feedback: DataSize,
}

/// A tenth of a second of a flow. Sizes are with all headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bin {
    pub(crate) sent: DataSize,
    pub(crate) received: DataSize,
    /// Of what was received, what was not padding.
    pub(crate) useful: DataSize,
    pub(crate) packets_sent: u32,
    pub(crate) packets_lost: u32,
    /// The longest that media which arrived were on the way beyond what the path takes: in the pacer, in queues, by jitter.
    pub(crate) late: Duration,
    /// At its end.
    pub(crate) target: Bitrate,
}

impl Record {
    pub(crate) fn new(case: &Case) -> Self {
        let bins = case.length.as_nanos().div_ceil(BIN.as_nanos()) as usize;
        let flow = FlowRecord {
            bins: vec![Bin::default(); bins],
            waits: Vec::new(),
            frames: Vec::new(),
            feedback: DataSize::ZERO,
        };
        Self {
            flows: vec![flow; case.flows.len()],
            queues: vec![vec![Duration::ZERO; bins]; case.links.len()],
            tcp: vec![vec![DataSize::ZERO; bins]; case.tcp.len()],
            details: None,
        }
    }

    pub(crate) fn bin(&mut self, flow: usize, now: Duration) -> &mut Bin {
        let bins = &mut self.flows[flow].bins;
        let last = bins.len() - 1;
        &mut bins[index_of(now).min(last)]
    }

    pub(crate) fn tcp(&mut self, source: usize, now: Duration) -> &mut DataSize {
        let bins = &mut self.tcp[source];
        let last = bins.len() - 1;
        &mut bins[index_of(now).min(last)]
    }

    pub(crate) fn queue(&mut self, link: usize, wait: Duration, now: Duration) {
        // What belongs to one flow alone has no queue.
        let Some(bins) = self.queues.get_mut(link) else { return };
        let last = bins.len() - 1;
        let bin = &mut bins[index_of(now).min(last)];
        *bin = wait.max(*bin);
    }
}

pub(crate) const fn index_of(at: Duration) -> usize {
    (at.as_nanos() / BIN.as_nanos()) as usize
}
