use std::fmt::Write as _;
use std::time::Duration;

use crate::case::Case;
use crate::record::{BIN, Record};

/// The cases whose curves are kept, by name, with the first seed.
pub const GOLDEN_CASES: [&str; 6] =
    ["8867-5.1-50ms", "8867-5.3", "8867-5.4", "8868-loss-5", "application-unmute", "mobile-lte"];

const STEP: Duration = Duration::from_secs(5);

/// Targets each 5 s in kbit/s, a line for each flow.
#[must_use]
pub fn curve(case: &Case, record: &Record) -> String {
    let bins = (STEP.as_nanos() / BIN.as_nanos()) as usize;
    let mut out = String::new();
    for (flow, seen) in record.flows.iter().enumerate() {
        let _ = write!(out, "{} {flow}:", case.name);
        for bin in seen.bins.chunks_exact(bins).filter_map(<[_]>::last) {
            let _ = write!(out, " {}", bin.target.as_bps() / 1_000);
        }
        out.push('\n');
    }
    out
}

/// All targets, each tenth of a second, in bit/s: for platforms that are to agree in the last bit.
#[must_use]
pub fn exact_curve(record: &Record) -> Vec<u64> {
    let bins = record.flows.iter().flat_map(|flow| &flow.bins);
    bins.flat_map(|bin| [bin.target.as_bps(), bin.received.as_bytes(), bin.late.as_nanos() as u64]).collect()
}
