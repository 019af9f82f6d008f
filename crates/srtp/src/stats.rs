use crate::DropReason;

/// What a [`Receiver`](crate::Receiver) has done since it was made. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// RTP packets unprotected.
    pub rtp_packets: u64,
    /// RTCP packets unprotected.
    pub rtcp_packets: u64,
    /// SSRCs that left because another needed their room.
    pub ssrcs_evicted: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// Packets dropped for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Packets dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) const fn count(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        let mut stats = Stats::default();
        for (times, reason) in DropReason::ALL.into_iter().enumerate() {
            for _ in 0..times {
                stats.count(reason);
            }
        }
        for (times, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(stats.dropped(reason), times as u64);
        }
        assert_eq!(stats.dropped_total(), 21);
    }
}
