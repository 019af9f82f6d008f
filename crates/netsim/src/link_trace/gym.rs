use std::time::Duration;

use plenary_wire::Bitrate;
use serde_json::Value;

use super::{LinkTrace, Place, TRACE_BYTES_MAX, TRACE_RATE_MAX, TRACE_STEPS_MAX, TraceProblem, TraceStep};
use crate::{Condition, Probability, TIME_MAX, TraceError};

/// Which half of a gym's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `uplink`.
    Up,
    /// `downlink`.
    Down,
}

impl LinkTrace {
    /// Reads the JSON of AlphaRTC and its gym: a list `trace_pattern` in `uplink` or `downlink`, of steps with
    /// `duration` (ms), `capacity` (kb/s), and perhaps `rtt` (ms; half of it is the delay), `jitter` (ms) and `loss` (a
    /// part of one). What else there is, is ignored; steps without duration are skipped. It begins anew at its end.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn from_gym(text: &str, direction: Direction) -> Result<Self, TraceError> {
        let last_line = text.lines().count().max(1);
        if text.len() > TRACE_BYTES_MAX {
            return Err(TraceProblem::TooLong.in_line(last_line));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| TraceProblem::Json.in_line(error.line().max(1)))?;
        let half = match direction {
            Direction::Up => &value["uplink"],
            Direction::Down => &value["downlink"],
        };
        let empty = TraceProblem::Empty.in_line(last_line);
        let pattern = half["trace_pattern"].as_array().ok_or(empty)?;
        let mut steps: Vec<TraceStep> = vec![];
        let mut now = Duration::ZERO;
        for (number, step) in (1..).zip(pattern) {
            let wrong = |problem| TraceError { place: Place::Step(number), problem };
            let (duration, rate, condition) = read(step).map_err(wrong)?;
            if duration.is_zero() {
                continue;
            }
            if steps.len() == TRACE_STEPS_MAX {
                return Err(wrong(TraceProblem::TooManySteps));
            }
            steps.push(TraceStep { at: now, rate, condition });
            now = now.saturating_add(duration);
            if now > TIME_MAX {
                return Err(wrong(TraceProblem::Range));
            }
        }
        if steps.is_empty() { Err(empty) } else { Ok(Self { steps, period: Some(now) }) }
    }
}

fn read(step: &Value) -> Result<(Duration, Bitrate, Condition), TraceProblem> {
    let duration = time(step, "duration")?.ok_or(TraceProblem::Number)?;
    let rate = number(step, "capacity", 1_000.0, TRACE_RATE_MAX.as_bps())?.ok_or(TraceProblem::Number)?;
    let condition = Condition {
        delay: time(step, "rtt")?.map(|time| time / 2),
        jitter: time(step, "jitter")?,
        loss: number(step, "loss", 1e6, Probability::ONE.as_ppm().into())?.map(|ppm| Probability::from_ppm(ppm as u32)),
    };
    Ok((duration, Bitrate::from_bps(rate), condition))
}

fn time(step: &Value, name: &str) -> Result<Option<Duration>, TraceProblem> {
    let max = u64::try_from(TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
    Ok(number(step, name, 1e6, max)?.map(Duration::from_nanos))
}

/// A number in smaller units, so many of which are one of the trace's, rounded.
fn number(step: &Value, name: &str, units: f64, max: u64) -> Result<Option<u64>, TraceProblem> {
    let value = match &step[name] {
        Value::Null => return Ok(None),
        value => value.as_f64().ok_or(TraceProblem::Number)?,
    };
    let scaled = libm::floor(value * units + 0.5);
    if scaled < 0.0 {
        return Err(TraceProblem::Number);
    }
    // Of what is too large for the type the cast makes the largest.
    let whole = scaled as u64;
    if whole > max { Err(TraceProblem::Range) } else { Ok(Some(whole)) }
}
