use std::fmt;
use std::ops::Index;

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The link's loss model took it.
    Lost,
    /// The link's queue had no room.
    QueueFull,
    /// It is larger than the link's MTU.
    Mtu,
    /// The link holds [`packets_max`](crate::LinkConfig::packets_max) packets.
    LinkFull,
    /// No site on the way knows the destination.
    NoRoute,
    /// It arrived, and no socket is bound there.
    NoSocket,
    /// The sending node does not own the source address, it is of another family than the destination's, or the flow is
    /// not open.
    BadSource,
    /// No NAT mapping stands at this external address (any longer).
    NoMapping,
    /// A mapping stands there, but its filter lets nothing in from this source.
    Filtered,
    /// The NAT has no more room in its table, or no more ports.
    NatFull,
    /// It wants to come back into the NAT that it left by, which does not hairpin.
    Hairpin,
    /// The firewall forbids its protocol or port.
    Blocked,
    /// The link's queue management, [`Aqm`](crate::Aqm), dropped it before the queue was full.
    Aqm,
}

impl DropReason {
    const COUNT: usize = Self::Aqm as usize + 1;
}

impl fmt::Display for DropReason {
    /// One word, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::QueueFull => "queue-full",
            Self::Mtu => "mtu",
            Self::LinkFull => "link-full",
            Self::NoRoute => "no-route",
            Self::NoSocket => "no-socket",
            Self::BadSource => "bad-source",
            Self::NoMapping => "no-mapping",
            Self::Filtered => "filtered",
            Self::NatFull => "nat-full",
            Self::Hairpin => "hairpin",
            Self::Blocked => "blocked",
            Self::Aqm => "aqm",
        })
    }
}

/// How many packets were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    counts: [u64; DropReason::COUNT],
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        self.counts[reason as usize] += 1;
    }
}

impl Index<DropReason> for Drops {
    type Output = u64;

    fn index(&self, reason: DropReason) -> &u64 {
        &self.counts[reason as usize]
    }
}
