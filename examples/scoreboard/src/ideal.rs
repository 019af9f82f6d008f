use std::time::Duration;

use plenary_wire::Bitrate;

use crate::Case;
use crate::case::{Kind, is_within, step_at};

/// What each flow would have if all was shared fairly: max-min by priority over all links, no more than it wants.
#[derive(Clone, Debug)]
pub struct Ideal {
    /// From when on, how much each.
    steps: Vec<(Duration, Vec<f64>)>,
}

/// The priority of an ordinary flow.
const ORDINARY: u16 = 256;

impl Ideal {
    /// Of a case.
    #[must_use]
    pub fn of(case: &Case) -> Self {
        let steps = case.breakpoints().into_iter().map(|at| (at, shares(case, at))).collect();
        Self { steps }
    }

    /// Of one flow, from when on.
    pub(crate) fn schedule(&self, flow: usize) -> impl Iterator<Item = (Duration, Bitrate)> {
        self.steps.iter().map(move |(at, shares)| (*at, Bitrate::from_bps(shares[flow] as u64)))
    }

    /// Of one flow, on average from one instant to another, in bits per second.
    pub(crate) fn mean(&self, flow: usize, from: Duration, to: Duration) -> f64 {
        let mut bits = 0.0;
        for (index, (start, shares)) in self.steps.iter().enumerate() {
            let end = self.steps.get(index + 1).map_or(to, |next| next.0);
            let time = end.min(to).saturating_sub((*start).max(from));
            bits += shares[flow] * time.as_secs_f64();
        }
        bits / to.saturating_sub(from).as_secs_f64()
    }
}

/// A flow that still rises: of media, or a long one of TCP, which wants all that there is.
struct Rising<'a> {
    index: usize,
    links: &'a [usize],
    weight: f64,
    demand: f64,
}

fn shares(case: &Case, at: Duration) -> Vec<f64> {
    let mut free = free_capacity(case, at);
    let mut shares = vec![0.0; case.flows.len() + case.tcp.len()];
    let mut rising: Vec<_> = media(case, at).chain(tcp(case, at)).collect();
    // All rise by their weights until one has what it wants or a link is full; those rest, and the others rise on.
    while !rising.is_empty() {
        let weight_on =
            |link: usize| -> f64 { rising.iter().filter(|one| one.links.contains(&link)).map(|one| one.weight).sum() };
        let weights: Vec<_> = (0..free.len()).map(weight_on).collect();
        let by_link = (0..free.len()).filter(|link| weights[*link] > 0.0).map(|link| free[link] / weights[link]);
        let by_demand = rising.iter().map(|one| (one.demand - shares[one.index]) / one.weight);
        let step = by_link.chain(by_demand).fold(f64::INFINITY, f64::min);
        for one in &rising {
            shares[one.index] += step * one.weight;
        }
        for (free, weight) in free.iter_mut().zip(&weights) {
            *free -= step * weight;
        }
        rising.retain(|one| {
            let is_free = one.links.iter().all(|link| free[*link] > 1.0);
            is_free && shares[one.index] < one.demand - 1.0
        });
    }
    shares.truncate(case.flows.len());
    shares
}

fn media(case: &Case, at: Duration) -> impl Iterator<Item = Rising<'_>> {
    let all = case.flows.iter().enumerate().map(move |(index, flow)| Rising {
        index,
        links: &flow.forward,
        weight: f64::from(flow.priority),
        demand: flow.demand(at).as_bps() as f64,
    });
    all.filter(|one| one.demand > 0.0)
}

fn tcp(case: &Case, at: Duration) -> impl Iterator<Item = Rising<'_>> {
    let long =
        case.tcp.iter().enumerate().filter(move |(_, tcp)| {
            matches!(tcp.kind, Kind::Long(_)) && is_within(std::slice::from_ref(&tcp.span), at)
        });
    let first = case.flows.len();
    long.map(move |(index, tcp)| Rising {
        index: first + index,
        links: &tcp.forward,
        weight: f64::from(ORDINARY),
        demand: f64::INFINITY,
    })
}

fn free_capacity(case: &Case, at: Duration) -> Vec<f64> {
    let capacity = |steps: &[(Duration, Bitrate)]| step_at(steps, at).unwrap_or(Bitrate::ZERO).as_bps() as f64;
    let mut free: Vec<_> = case.links.iter().map(|link| capacity(&link.capacity)).collect();
    for cross in &case.background {
        for link in &cross.links {
            free[*link] = (free[*link] - capacity(&cross.rate)).max(0.0);
        }
    }
    for tcp in &case.tcp {
        if let Kind::Short(short) = tcp.kind {
            // What its files are on average, by the pauses between them.
            let [least, most] = short.file.map(|size| size.as_bytes() as f64 * 8.0);
            let load = (least + most) / 2.0 / short.idle.as_secs_f64();
            tcp.forward.iter().for_each(|link| free[*link] = (free[*link] - load).max(0.0));
        }
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Background, Flow};
    use crate::cases;

    #[test]
    fn links_are_shared_max_min_by_priority_and_demand() {
        let mut case = cases().swap_remove(0);
        let kbps = |kbps| vec![(Duration::ZERO, Bitrate::from_kbps(kbps))];
        case.links[0].capacity = kbps(1_500);
        case.links[1].capacity = kbps(1_000);
        // One over both links, one over each.
        let over = |forward: &[usize]| Flow { forward: forward.to_vec(), ..Flow::of(0, 10) };
        case.flows = vec![over(&[0, 1]), over(&[0]), over(&[1])];
        assert_eq!(shares(&case, Duration::ZERO), [500e3, 1_000e3, 500e3]);
        case.flows[0].priority = 512;
        let rounded = shares(&case, Duration::ZERO).iter().map(|share| share.round() as u64).collect::<Vec<_>>();
        assert_eq!(rounded, [666_667, 833_333, 333_333]);
        // Background goes first; who wants no more leaves the rest to others.
        case.flows = vec![over(&[0]), Flow { video: Vec::new(), ..over(&[0]) }];
        case.background = vec![Background { links: vec![0], rate: kbps(500) }];
        assert_eq!(shares(&case, Duration::ZERO), [960_800.0, 39_200.0]);
        assert_eq!(shares(&case, Duration::from_secs(10)), [0.0, 0.0]);
    }
}
