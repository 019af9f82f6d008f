use std::collections::BTreeSet;
use std::time::Duration;

use plenary_netsim::{Aqm, Conditions, Loss, QueueLimit, ShortTcp, Tcp};
use plenary_wire::Bitrate;

use crate::media::{AUDIO_RATE, VIDEO_RATE_MAX};

/// A test case: who sends what over which links, and when. Nothing in it depends on the algorithm.
#[derive(Clone, Debug)]
pub struct Case {
    /// The RFC's number first, as `8867-5.1-50ms`.
    pub name: String,
    /// What it is about, in a few words.
    pub title: String,
    /// How long it lasts.
    pub length: Duration,
    /// What flows share.
    pub links: Vec<Bottleneck>,
    /// Whether packets may be marked as ECN-capable: each algorithm does it in its own way.
    pub is_ecn: bool,
    /// The media that are measured.
    pub flows: Vec<Flow>,
    /// Constant traffic in their way.
    pub background: Vec<Background>,
    /// TCP in their way.
    pub tcp: Vec<CrossTcp>,
}

/// A link that flows share, one way.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// From when on it carries how much: the first from zero on.
    pub capacity: Vec<(Duration, Bitrate)>,
    /// Its steps are a trace's: too many to be told apart in a table.
    pub is_trace: bool,
    /// From one end to the other.
    pub delay: Duration,
    /// The deviation of what packets are delayed more (RFC 8868 §4.5).
    pub jitter: Duration,
    /// What waits at most.
    pub queue: QueueLimit,
    /// What a recording tells of delay, jitter and loss over time; where it does, it counts.
    pub conditions: Conditions,
    /// What keeps the queue short before it is full.
    pub aqm: Aqm,
    /// What the wire loses.
    pub loss: Loss,
}

/// From one instant to another.
pub type Span = (Duration, Duration);

/// One sender of audio and video, its receiver, and their path.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The links on the way there, by index.
    pub forward: Vec<usize>,
    /// The links on the way back.
    pub backward: Vec<usize>,
    /// Delay of its own, each way.
    pub access: Duration,
    /// When there is audio.
    pub audio: Vec<Span>,
    /// When there is video.
    pub video: Vec<Span>,
    /// Its share when several share a link: [`plenary_bwe::Streams::priority`].
    pub priority: u16,
}

/// Constant traffic over UDP that yields to nobody.
#[derive(Clone, Debug)]
pub struct Background {
    /// The links that it takes.
    pub links: Vec<usize>,
    /// From when on how much.
    pub rate: Vec<(Duration, Bitrate)>,
}

/// Downloads over TCP.
#[derive(Clone, Debug)]
pub struct CrossTcp {
    /// The links that data take.
    pub forward: Vec<usize>,
    /// The links that acknowledgements take.
    pub backward: Vec<usize>,
    /// From when to when.
    pub span: Span,
    /// Of which kind.
    pub kind: Kind,
}

/// What TCP is in the way.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One flow that never has sent everything.
    Long(Tcp),
    /// File after file, with pauses.
    Short(ShortTcp),
}

impl Case {
    /// All instants at which something is different from then on, with the start and the end.
    pub(crate) fn breakpoints(&self) -> Vec<Duration> {
        self.instants(true)
    }

    /// The phases that a table tells apart: from each of the breakpoints, but for traces, to the next.
    pub(crate) fn phases(&self) -> Vec<Span> {
        let instants = self.instants(false);
        let phases = instants.windows(2).map(|pair| (pair[0], pair[1]));
        phases.filter(|phase| self.flows.iter().any(|flow| flow.demand(phase.0) > Bitrate::ZERO)).collect()
    }

    /// What a packet takes at least.
    pub(crate) fn path_of(&self, flow: &Flow) -> Duration {
        flow.access + flow.forward.iter().map(|link| self.links[*link].delay).sum::<Duration>()
    }

    fn instants(&self, with_traces: bool) -> Vec<Duration> {
        let mut instants = BTreeSet::from([Duration::ZERO, self.length]);
        let links = self.links.iter().filter(|link| with_traces || !link.is_trace);
        instants.extend(links.flat_map(|link| link.capacity.iter().map(|step| step.0)));
        instants.extend(self.background.iter().flat_map(|cross| cross.rate.iter().map(|step| step.0)));
        let long = self.tcp.iter().filter(|tcp| matches!(tcp.kind, Kind::Long(_)));
        instants.extend(long.flat_map(|tcp| [tcp.span.0, tcp.span.1]));
        for flow in &self.flows {
            instants.extend(flow.audio.iter().chain(&flow.video).flat_map(|span| [span.0, span.1]));
        }
        instants.into_iter().filter(|at| *at <= self.length).collect()
    }
}

impl Flow {
    /// Audio and video over the first link, back over the second, at all times within the span.
    #[must_use]
    pub fn of(start: u64, end: u64) -> Self {
        let span = (Duration::from_secs(start), Duration::from_secs(end));
        Self {
            forward: vec![0],
            backward: vec![1],
            access: Duration::ZERO,
            audio: vec![span],
            video: vec![span],
            priority: 256,
        }
    }

    /// All that it would send at an instant if it could, with headers.
    pub(crate) fn demand(&self, now: Duration) -> Bitrate {
        let audio = if is_within(&self.audio, now) { AUDIO_RATE } else { Bitrate::ZERO };
        let video = if is_within(&self.video, now) { VIDEO_RATE_MAX } else { Bitrate::ZERO };
        audio + video
    }
}

pub(crate) fn is_within(spans: &[Span], now: Duration) -> bool {
    spans.iter().any(|(from, to)| (*from..*to).contains(&now))
}

/// What of a list of steps holds at an instant; before the first, the first.
pub(crate) fn step_at<T: Copy>(steps: &[(Duration, T)], now: Duration) -> Option<T> {
    let after = steps.partition_point(|step| step.0 <= now);
    steps.get(after.saturating_sub(1)).map(|step| step.1)
}
