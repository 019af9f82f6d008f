use std::time::Duration;

use plenary_wire::Bitrate;

use super::{LinkTrace, TRACE_BYTES_MAX, TRACE_RATE_MAX, TRACE_STEPS_MAX, TraceProblem, TraceStep, decimal};
use crate::{Condition, TIME_MAX, TraceError};

/// Bytes of one opportunity: mahimahi's packet with its Ethernet-like header.
const OPPORTUNITY: u64 = 1_504;

impl LinkTrace {
    /// Reads a trace of [mahimahi](http://mahimahi.mit.edu): a line for each opportunity to deliver 1504 bytes, with
    /// its time in whole milliseconds; empty lines are skipped. It begins anew after the last of them.
    ///
    /// What can be delivered in each `bin` (a millisecond or more, rounded down to whole ones) becomes its rate: an
    /// opportunity is one of the millisecond that ends at its time. With bins of a millisecond the link
    /// delivers as mahimahi does, but byte by byte, and its queue should be limited in bytes: a rate that comes and goes
    /// says little of how long a queue takes. With bins of 100 ms or more it may be limited in time.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line.
    pub fn from_mahimahi(text: &str, bin: Duration) -> Result<Self, TraceError> {
        let bin = u64::try_from(bin.as_millis()).unwrap_or(u64::MAX).max(1);
        let last_line = text.lines().count().max(1);
        if text.len() > TRACE_BYTES_MAX {
            return Err(TraceProblem::TooLong.in_line(last_line));
        }
        let mut bins: Vec<(u64, u64)> = vec![];
        let mut last = 0;
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let at = if text.contains('.') { Err(TraceProblem::Number) } else { decimal::parse(text.trim(), 0) };
            let at = at.map_err(|problem| problem.in_line(line))?;
            if at < last {
                return Err(TraceProblem::Order.in_line(line));
            }
            last = at;
            // The millisecond that ends then; the very first begins then.
            let index = at.saturating_sub(1) / bin;
            match bins.last_mut() {
                Some((of, count)) if *of == index => *count += 1,
                _ => bins.push((index, 1)),
            }
            if bins.len() > TRACE_STEPS_MAX / 2 {
                return Err(TraceProblem::TooManySteps.in_line(line));
            }
        }
        if last == 0 {
            return Err(TraceProblem::Empty.in_line(last_line));
        }
        let period = Duration::from_millis(last);
        let steps = (period <= TIME_MAX).then(|| steps(&bins, bin, last)).ok_or(TraceProblem::Range);
        let steps = steps.and_then(|steps| {
            let possible = steps.iter().all(|step| step.rate <= TRACE_RATE_MAX);
            possible.then_some(steps).ok_or(TraceProblem::Range)
        });
        Ok(Self { steps: steps.map_err(|problem| problem.in_line(last_line))?, period: Some(period) })
    }
}

/// Bins that hold something, and pauses between them. The last bin ends with the trace.
fn steps(bins: &[(u64, u64)], bin: u64, end: u64) -> Vec<TraceStep> {
    let mut steps: Vec<TraceStep> = vec![];
    let mut add = |at: u64, rate| {
        if steps.last().is_none_or(|last| last.rate != rate) {
            let condition = Condition::default();
            steps.push(TraceStep { at: Duration::from_millis(at), rate, condition });
        }
    };
    let mut now = 0;
    for &(index, count) in bins {
        let start = index * bin;
        if start > now {
            add(now, Bitrate::ZERO);
        }
        now = start.saturating_add(bin).min(end);
        let bits = u128::from(count) * u128::from(OPPORTUNITY * 8);
        add(start, Bitrate::from_bps((bits * 1_000 / u128::from(now - start)) as u64));
    }
    steps
}
