use std::time::Duration;

use plenary_wire::Bitrate;

/// One probe of one controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u32);

/// Packets that are to leave faster than usual, to learn whether the path takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCluster {
    /// Goes with each of its packets: [`SentPacket::probe`](crate::SentPacket::probe).
    pub id: ProbeId,
    /// How fast.
    pub rate: Bitrate,
    /// At least for so long.
    pub duration: Duration,
    /// At least so many.
    pub packets_min: u32,
    /// What leaves at once leaves within this: bursts of `rate` times it.
    pub interval: Duration,
}
