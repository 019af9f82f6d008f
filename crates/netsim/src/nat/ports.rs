use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::{NatConfig, Pooling, PortPolicy};
use crate::Random;

/// Chooses external addresses and ports.
#[derive(Debug)]
pub(super) struct PortChoice {
    random: Random,
    /// The last port of [`PortPolicy::Sequential`].
    last: Option<u16>,
    /// Paired pooling: the external address of each internal one, IPv4 or not. Bounded by the addresses there are inside.
    paired: BTreeMap<(IpAddr, bool), IpAddr>,
}

/// Ports in the order in which they are wanted: from one on by a stride, around the range once.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    first: u32,
    range: RangeInclusive<u16>,
    stride: u32,
}

impl Wanted {
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> + use<> {
        let (low, high) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let (first, stride) = (self.first, self.stride);
        // A stride of two keeps parity: going around must begin with the lowest port of the same parity.
        let lowest = low + (first + low) % stride;
        let above = (first..=high).step_by(stride as usize);
        let below = (lowest..first).step_by(stride as usize);
        above.chain(below).map(|port| port as u16)
    }
}

impl PortChoice {
    pub(super) const fn new(random: Random) -> Self {
        Self { random, last: None, paired: BTreeMap::new() }
    }

    /// An external address, IPv4 or not, for an internal one. There is one.
    pub(super) fn address(&mut self, config: &NatConfig, internal: IpAddr, ipv4: bool) -> IpAddr {
        let family = |address: &&IpAddr| address.is_ipv4() == ipv4;
        let count = config.external.iter().filter(family).count();
        let index = match config.pooling {
            Pooling::Paired => {
                if let Some(external) = self.paired.get(&(internal, ipv4)) {
                    return *external;
                }
                self.paired.keys().filter(|(_, known)| *known == ipv4).count() % count
            }
            Pooling::Arbitrary => self.random.below(count as u32) as usize,
        };
        let external = *config.external.iter().filter(family).nth(index).expect("the index is below the count");
        if config.pooling == Pooling::Paired {
            self.paired.insert((internal, ipv4), external);
        }
        external
    }

    /// The ports for a new mapping, the best first.
    pub(super) fn wanted(&mut self, config: &NatConfig, internal: u16) -> Wanted {
        let range = &config.port_range;
        let (low, high) = (*range.start(), *range.end());
        let (first, stride) = match config.ports {
            PortPolicy::Preserve if range.contains(&internal) => (internal, 1),
            PortPolicy::Preserve | PortPolicy::Random => return self.any(range),
            PortPolicy::Sequential => {
                let next = self.last.filter(|last| (low..high).contains(last)).map_or(low, |last| last + 1);
                self.last = Some(next);
                (next, 1)
            }
            PortPolicy::Parity => {
                let any = self.pick(range);
                let other = if any < high { any + 1 } else { any.saturating_sub(1).max(low) };
                (if any % 2 == internal % 2 { any } else { other }, 2)
            }
        };
        Wanted { first: u32::from(first), range: range.clone(), stride }
    }

    /// Any port of the range.
    pub(super) fn any(&mut self, range: &RangeInclusive<u16>) -> Wanted {
        Wanted { first: u32::from(self.pick(range)), range: range.clone(), stride: 1 }
    }

    fn pick(&mut self, range: &RangeInclusive<u16>) -> u16 {
        let count = u32::from(*range.end()) - u32::from(*range.start()) + 1;
        range.start() + self.random.below(count) as u16
    }
}
