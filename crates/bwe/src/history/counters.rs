/// What a [`History`](super::History) has ignored, and what it has missed. Packets, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Said to have arrived, and never sent.
    pub unsent: u64,
    /// Said to have arrived, and let go before: too late, or once more long after.
    pub forgotten: u64,
    /// Said to have arrived once more.
    pub again: u64,
    /// Said to have arrived, and sent before the route changed.
    pub other_route: u64,
    /// Let go, and no feedback ever told of them.
    pub unanswered: u64,
    /// Sent on more streams than are followed.
    pub streams_full: u64,
    /// Feedback messages of the transport-wide kind that did not come, or came late, by their own count.
    pub feedback_missing: u64,
    /// Feedback messages of the transport-wide kind that came twice, or after one that was made later.
    pub feedback_late: u64,
    /// Blocks of feedback of RFC 8888 that are not what they say.
    pub malformed_blocks: u64,
}
