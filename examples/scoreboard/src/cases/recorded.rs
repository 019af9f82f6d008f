//! Links as they were recorded: one flow over each.

use std::path::Path;
use std::time::Duration;

use plenary_netsim::{Direction, LinkTrace, QueueLimit, TraceError};

use super::{DELAY, ms, seconds, shared};
use crate::case::{Case, Flow};

/// What mahimahi's opportunities are gathered in.
const BIN: Duration = Duration::from_millis(100);
const LENGTH_MIN: Duration = Duration::from_secs(30);
const LENGTH_MAX: Duration = Duration::from_secs(300);

/// A case of a recorded link: JSON of AlphaRTC's gym (its uplink), CSV, or mahimahi's opportunities, by the name's ending. A
/// queue of 800 ms, and 50 ms each way where the trace says nothing of that.
///
/// # Errors
///
/// What is wrong with the text, and where.
pub fn recorded(path: &Path, text: &str) -> Result<Case, TraceError> {
    let trace = match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => LinkTrace::from_gym(text, Direction::Up)?,
        Some("csv") => LinkTrace::from_csv(text)?,
        _ => LinkTrace::from_mahimahi(text, BIN)?,
    };
    let last = trace.steps().last().map_or(Duration::ZERO, |step| step.at);
    let length = trace.period().unwrap_or(last + seconds(10)).clamp(LENGTH_MIN, LENGTH_MAX);
    let length = seconds(length.as_secs());
    let name = path.file_name().map_or_else(|| "trace".into(), |name| name.to_string_lossy());
    let title = format!("as recorded in {name}");
    let flows = vec![Flow::of(0, length.as_secs() - 1)];
    let mut case = shared(&format!("recorded-{name}"), &title, length.as_secs(), capacity(&trace, length), flows);
    case.links[0].is_trace = true;
    case.links[0].queue = QueueLimit::ms(800);
    case.links[0].conditions = trace.conditions();
    case.links[0].jitter = ms(0);
    case.links[1].delay = DELAY;
    Ok(case)
}

/// As often as it takes.
fn capacity(trace: &LinkTrace, length: Duration) -> Vec<(Duration, plenary_wire::Bitrate)> {
    let mut steps = Vec::new();
    let mut start = Duration::ZERO;
    loop {
        steps.extend(trace.steps().iter().map(|step| (start + step.at, step.rate)).filter(|step| step.0 < length));
        match trace.period() {
            Some(period) if start + period < length => start += period,
            _ => return steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use plenary_wire::Bitrate;

    use super::*;
    use crate::{ALGORITHMS, Entrant, Score, run};

    fn utilisation(case: &Case) -> f64 {
        let oracle = ALGORITHMS.iter().find(|one| one.name == "oracle").unwrap();
        Score::of(case, &run(case, &Entrant::BuiltIn(*oracle), 1).unwrap()).utilisation[0]
    }

    #[test]
    fn each_format_becomes_a_case() {
        // An opportunity each 12 ms are 1.003 Mbit/s; it begins anew.
        let mahimahi: String = (1..=1_000).map(|index| format!("{}\n", 12 * index)).collect();
        let case = recorded(Path::new("some/slow.up"), &mahimahi).unwrap();
        assert_eq!((case.name.as_str(), case.length), ("recorded-slow.up", seconds(30)));
        let used = utilisation(&case);
        assert!((0.9..1.0).contains(&used), "{used}");

        let csv = "time_s,rate_kbps,delay_ms\n0,500,20\n30,1500,40\n";
        let case = recorded(Path::new("a.csv"), csv).unwrap();
        let steps = [(seconds(0), Bitrate::from_kbps(500)), (seconds(30), Bitrate::from_kbps(1_500))];
        assert_eq!((case.length, &case.links[0].capacity[..]), (seconds(40), &steps[..]));

        let gym = r#"{"uplink": {"trace_pattern": [{"duration": 60000, "capacity": 700, "loss": 0.1}]}}"#;
        let case = recorded(Path::new("b.json"), gym).unwrap();
        let used = utilisation(&case);
        assert!((0.8..0.9).contains(&used), "{used} with a tenth lost");
        assert!(recorded(Path::new("c.json"), "{}").is_err());
    }
}
