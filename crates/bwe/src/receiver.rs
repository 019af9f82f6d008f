//! What a receiver tells the sender: when packets arrived, and which did not.
//!
//! A generator is told of each packet that arrives, and writes feedback when it is due. It has no clock and no socket: the
//! caller asks [`poll_timeout`](TwccGenerator::poll_timeout) when to call [`write`](TwccGenerator::write), and sends what
//! was written in its RTCP.

mod ccfb;
mod clusters;
mod incoming_rate;
mod overuse_estimator;
mod remb;
mod restart;
mod tracker;
mod twcc;

pub use self::ccfb::{CcfbConfig, CcfbGenerator, Received};
pub use self::remb::{RembConfig, RembGenerator};
pub use self::twcc::{TwccConfig, TwccGenerator};

/// Packets that a generator does not tell of, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Came once more.
    pub duplicate: u64,
    /// Came so late, or so far ahead, that they are not reported on.
    pub out_of_range: u64,
    /// Came, and were let go before feedback could be written: a limit.
    pub forgotten: u64,
    /// Numbers that began anew.
    pub restarts: u64,
}
