//! The cases, by the RFC that has them.

mod rfc8867_5;

use std::time::Duration;

use plenary_netsim::{Loss, QueueLimit};
use plenary_wire::Bitrate;

use crate::Case;
use crate::case::Bottleneck;

/// All of them.
#[must_use]
pub fn all() -> Vec<Case> {
    rfc8867_5::cases()
}

/// RFC 8868 §4.5.3.
const JITTER: Duration = Duration::from_millis(5);

/// RFC 8867 §4: a reference of 1 Mbit/s; each step is the second and hundredths of the reference.
fn capacity(steps: &[(u64, u64)]) -> Vec<(Duration, Bitrate)> {
    steps.iter().map(|(second, hundredths)| (seconds(*second), Bitrate::from_kbps(10 * hundredths))).collect()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// RFC 8867 §4: drop tail of 300 ms, jitter, no loss.
fn bottleneck(capacity: Vec<(Duration, Bitrate)>, delay: Duration) -> Bottleneck {
    Bottleneck { capacity, is_trace: false, delay, jitter: JITTER, queue: QueueLimit::ms(300), loss: Loss::None }
}

/// A link that is wide enough for all.
fn wide(delay: Duration) -> Bottleneck {
    bottleneck(capacity(&[(0, 10_000)]), delay)
}
