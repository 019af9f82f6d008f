//! What a run is worth, in numbers. Each is defined where it is computed, and in the README.

use std::time::Duration;

use crate::case::{Case, Span};
use crate::ideal::Ideal;
use crate::record::{BIN, Bin, FlowRecord, Record, index_of};

/// A phase is steady from here on.
const STEADY_AFTER: Duration = Duration::from_secs(3);
/// A flow has converged if what it sent in this time is as near as [`CONVERGED`] to its share.
const CONVERGED_WINDOW: usize = 5;
const CONVERGED: f64 = 0.1;
/// The rate at which a second is worth ln 2: the least of video.
const UTILITY_RATE: f64 = 150_000.0;
/// How late is worth half: between what ITU-T G.114 finds acceptable to most, and what to none.
const UTILITY_LATE: f64 = 0.2;

/// The numbers of one run. Shares are of 1, times in seconds, rates in bits per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Of each phase: what all flows received, of what they would have if all was shared fairly.
    pub utilisation: Vec<f64>,
    /// Of each phase, but for traces: when the last flow had converged, since its start; `None` if one had not by its end.
    pub convergence: Vec<Option<f64>>,
    /// What packets that arrived waited in queues: 50th, 95th and 99th percentile.
    pub wait: [f64; 3],
    /// The 95th percentile of a frame's age when it was complete.
    pub frame: f64,
    /// Packets that did not arrive.
    pub loss: f64,
    /// How much what is sent in a second varies within steady phases: deviation by mean.
    pub variation: f64,
    /// Jain's index of what flows received by what they should, in steady phases; `None` if there never were two.
    pub jain: Option<f64>,
    /// What media had of what media and TCP received, in steady phases; `None` without TCP.
    pub beside_tcp: Option<f64>,
    /// Feedback, of what was sent.
    pub feedback: f64,
    /// What it was worth: see the README.
    pub utility: f64,
}

impl Score {
    /// Of a run of a case.
    #[must_use]
    pub fn of(case: &Case, record: &Record) -> Self {
        let ideal = Ideal::of(case);
        let phases = case.phases();
        let mut waits: Vec<_> = record.flows.iter().flat_map(|flow| flow.waits.iter().map(|wait| wait.1)).collect();
        let mut frames: Vec<_> = record.flows.iter().flat_map(|flow| flow.frames.iter().map(|age| age.1)).collect();
        let wait = percentiles(&mut waits, [50, 95, 99]);
        let [frame] = percentiles(&mut frames, [95]);
        let bins = || record.flows.iter().flat_map(|flow| &flow.bins);
        let sent: u64 = bins().map(|bin| bin.sent.as_bytes()).sum();
        let feedback: u64 = record.flows.iter().map(|flow| flow.feedback.as_bytes()).sum();
        Self {
            utilisation: phases.iter().map(|phase| utilisation(record, &ideal, *phase)).collect(),
            convergence: settled(case, &phases).iter().map(|phase| convergence(record, &ideal, *phase)).collect(),
            wait,
            frame,
            loss: share(bins().map(|bin| f64::from(bin.packets_lost)), bins().map(|bin| f64::from(bin.packets_sent))),
            variation: variation(record, &ideal, &phases),
            jain: jain(record, &ideal, &phases),
            beside_tcp: beside_tcp(record, &ideal, &phases),
            feedback: feedback as f64 / sent.max(1) as f64,
            utility: record.flows.iter().map(utility).sum(),
        }
    }
}

fn share(part: impl Iterator<Item = f64>, whole: impl Iterator<Item = f64>) -> f64 {
    part.sum::<f64>() / whole.sum::<f64>().max(1.0)
}

/// By nearest rank; of nothing, zero. In seconds.
fn percentiles<const N: usize>(values: &mut [Duration], percents: [usize; N]) -> [f64; N] {
    values.sort_unstable();
    percents.map(|percent| {
        let rank = (values.len() * percent).div_ceil(100).max(1);
        values.get(rank - 1).map_or(0.0, Duration::as_secs_f64)
    })
}

fn bins_of(flow: &FlowRecord, (from, to): Span) -> &[Bin] {
    let end = index_of(to).min(flow.bins.len());
    &flow.bins[index_of(from).min(end)..end]
}

fn bits(bins: &[Bin], size: impl Fn(&Bin) -> plenary_wire::DataSize) -> f64 {
    bins.iter().map(|bin| size(bin).as_bytes() as f64 * 8.0).sum()
}

fn utilisation(record: &Record, ideal: &Ideal, phase: Span) -> f64 {
    let seconds = (phase.1 - phase.0).as_secs_f64();
    let received = record.flows.iter().map(|flow| bits(bins_of(flow, phase), |bin| bin.received));
    let possible = (0..record.flows.len()).map(|flow| ideal.mean(flow, phase.0, phase.1) * seconds);
    share(received, possible)
}

/// The phases in which there is something to settle on: none of a trace.
fn settled<'a>(case: &Case, phases: &'a [Span]) -> &'a [Span] {
    if case.links.iter().any(|link| link.is_trace) { &[] } else { phases }
}

fn convergence(record: &Record, ideal: &Ideal, phase: Span) -> Option<f64> {
    let mut last = 0.0;
    for (index, flow) in record.flows.iter().enumerate() {
        let should = ideal.mean(index, phase.0, phase.1);
        if should > 0.0 {
            last = converged(bins_of(flow, phase), should)?.max(last);
        }
    }
    Some(last)
}

/// The end of the first window in which as much was sent as should be.
fn converged(bins: &[Bin], should: f64) -> Option<f64> {
    let seconds = CONVERGED_WINDOW as f64 * BIN.as_secs_f64();
    let is_near = |window: &[Bin]| (bits(window, |bin| bin.sent) / seconds / should - 1.0).abs() <= CONVERGED;
    let first = bins.windows(CONVERGED_WINDOW).position(is_near)?;
    Some((first + CONVERGED_WINDOW) as f64 * BIN.as_secs_f64())
}

/// The steady parts of phases, for each flow that should have something there.
fn steady<'a>(
    flows: usize,
    ideal: &'a Ideal,
    phases: &'a [Span],
) -> impl Iterator<Item = (Span, Vec<(usize, f64)>)> + 'a {
    let parts = phases.iter().map(|(from, to)| (*from + STEADY_AFTER, *to)).filter(|(from, to)| from < to);
    parts.map(move |(from, to)| {
        let shares = (0..flows).map(|flow| (flow, ideal.mean(flow, from, to)));
        ((from, to), shares.filter(|(_, share)| *share > 0.0).collect())
    })
}

fn variation(record: &Record, ideal: &Ideal, phases: &[Span]) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (span, flows) in steady(record.flows.len(), ideal, phases) {
        for (flow, _) in flows {
            let seconds = bins_of(&record.flows[flow], span).chunks_exact(10);
            let rates: Vec<_> = seconds.map(|second| bits(second, |bin| bin.sent)).collect();
            if let Some(variation) = deviation_by_mean(&rates) {
                sum += variation * rates.len() as f64;
                weight += rates.len() as f64;
            }
        }
    }
    if weight > 0.0 { sum / weight } else { 0.0 }
}

fn deviation_by_mean(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean > 0.0).then(|| libm::sqrt(variance) / mean)
}

fn jain(record: &Record, ideal: &Ideal, phases: &[Span]) -> Option<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (span, flows) in steady(record.flows.len(), ideal, phases) {
        if flows.len() > 1 {
            let received = |flow: usize| bits(bins_of(&record.flows[flow], span), |bin| bin.received);
            let ratios: Vec<_> = flows.iter().map(|(flow, share)| received(*flow) / share).collect();
            let seconds = (span.1 - span.0).as_secs_f64();
            sum += jains_index(&ratios) * seconds;
            weight += seconds;
        }
    }
    (weight > 0.0).then(|| sum / weight)
}

fn beside_tcp(record: &Record, ideal: &Ideal, phases: &[Span]) -> Option<f64> {
    let (mut media, mut tcp) = (0.0, 0.0);
    for (span, _) in steady(record.flows.len(), ideal, phases) {
        media += record.flows.iter().map(|flow| bits(bins_of(flow, span), |bin| bin.received)).sum::<f64>();
        let bins = record.tcp.iter().flat_map(|bins| bins.get(index_of(span.0)..index_of(span.1)).unwrap_or_default());
        tcp += bins.map(|bin| bin.as_bytes() as f64 * 8.0).sum::<f64>();
    }
    (!record.tcp.is_empty() && tcp > 0.0).then(|| media / (media + tcp))
}

/// RFC 8868 §3.2 and Jain's report of 1984: one if all are equal, 1/n if one has all.
fn jains_index(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    if squares > 0.0 { sum * sum / (values.len() as f64 * squares) } else { 0.0 }
}

/// Each second is worth ln(1 + r / 150 kbit/s) × (1 − l) / (1 + (d / 200 ms)²): what arrived and was not padding, the share
/// that was lost, the longest that it was late.
fn utility(flow: &FlowRecord) -> f64 {
    flow.bins
        .chunks(10)
        .map(|second| {
            let rate = bits(second, |bin| bin.useful) / (second.len() as f64 * BIN.as_secs_f64());
            let late = second.iter().map(|bin| bin.late).max().unwrap_or_default().as_secs_f64();
            let lost = |bin: &Bin| f64::from(bin.packets_lost);
            let loss = share(second.iter().map(lost), second.iter().map(|bin| f64::from(bin.packets_sent)));
            let late = late / UTILITY_LATE;
            libm::log(1.0 + rate / UTILITY_RATE) * (1.0 - loss).max(0.0) / (1.0 + late * late)
        })
        .sum()
}

#[cfg(test)]
mod tests;
