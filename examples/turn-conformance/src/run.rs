use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Status};
use crate::report::Row;
use crate::{Probe, Target};

/// Runs probes, so many at the same time; none begins once the time is over. The rows are in the order of the probes.
#[must_use]
pub fn run(target: &Target, probes: &[Probe], together: usize, within: Duration) -> Vec<Row> {
    let deadline = Instant::now() + within;
    let next = AtomicUsize::new(0);
    let rows: Mutex<Vec<(usize, Row)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..together {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(probe) = probes.get(at)
                {
                    let outcome = if Instant::now() < deadline {
                        probe.run(target)
                    } else {
                        Outcome { status: Status::Unreached, seen: format!("{} s are over", within.as_secs()) }
                    };
                    rows.lock().unwrap_or_else(PoisonError::into_inner).push((at, Row::new(probe, outcome)));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}
