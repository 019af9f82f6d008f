use serde_json::{Value, json};

use crate::case::{Case, step_at};
use crate::ideal::Ideal;
use crate::record::{BIN, Bin, FlowRecord, Record};
use crate::sweep::{Outcome, Sweep};
use crate::table::{COLUMNS, rows};

/// So many bins make one point of a curve.
const POINT: usize = 5;

/// One page with the curves of the first seed and the tables of all, that needs nothing else.
#[must_use]
pub fn page(sweep: &Sweep<'_>, outcomes: &[Vec<Outcome>]) -> String {
    let cases = sweep.cases.iter().zip(outcomes).map(|(case, outcomes)| case_value(sweep, case, outcomes));
    let data = json!({
        "seeds": sweep.seeds,
        "step": POINT as f64 * BIN.as_secs_f64(),
        "algorithms": sweep.entrants.iter().map(|one| one.name()).collect::<Vec<_>>(),
        "columns": COLUMNS,
        "cases": cases.collect::<Vec<_>>(),
    });
    // Within a script nothing may look like its end.
    let data = data.to_string().replace("</", "<\\/");
    include_str!("page/page.html")
        .replace("/*STYLE*/", include_str!("page/page.css"))
        .replace("/*SCRIPT*/", include_str!("page/page.js"))
        .replace("/*DATA*/null", &data)
}

fn case_value(sweep: &Sweep<'_>, case: &Case, outcomes: &[Outcome]) -> Value {
    let ideal = Ideal::of(case);
    let count = case.length.as_nanos().div_ceil(BIN.as_nanos() * POINT as u128) as u32;
    let time = BIN * POINT as u32;
    let share =
        |flow| (0..count).map(|point| (ideal.mean(flow, time * point, time * (point + 1)) / 1e3) as u64).collect();
    let shares: Vec<Vec<u64>> = (0..case.flows.len()).map(share).collect();
    let capacity: Vec<_> = (0..count).map(|point| free(case, time * point)).collect();
    json!({
        "name": case.name,
        "title": case.title,
        "shares": shares,
        "capacity": capacity,
        "runs": outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|entry| run_value(&entry.first))).collect::<Vec<_>>(),
        "rows": rows(sweep, outcomes).collect::<Vec<_>>(),
    })
}

/// What the first link has for media, kbit/s.
fn free(case: &Case, now: std::time::Duration) -> u64 {
    let at = |steps| step_at(steps, now).map_or(0, plenary_wire::Bitrate::as_bps);
    let background = case.background.iter().filter(|cross| cross.links.contains(&0));
    let taken: u64 = background.map(|cross| at(&cross.rate)).sum();
    at(&case.links[0].capacity).saturating_sub(taken) / 1_000
}

fn run_value(record: &Record) -> Value {
    let bins = record.queues.first().map_or(0, Vec::len);
    let worst = |bin: usize| record.queues.iter().map(|link| link[bin]).max().unwrap_or_default();
    let queue: Vec<_> = (0..bins).map(worst).collect();
    let queue: Vec<_> =
        queue.chunks(POINT).map(|part| part.iter().max().map_or(0, |wait| wait.as_millis() as u64)).collect();
    json!({
        "flows": record.flows.iter().map(flow_value).collect::<Vec<_>>(),
        "queue": queue,
        "tcp": tcp_points(record),
    })
}

/// All sources together, kbit/s; nothing if there are none.
fn tcp_points(record: &Record) -> Vec<u64> {
    let bins = record.tcp.first().map_or(0, Vec::len);
    let bits = |bin: usize| record.tcp.iter().map(|source| source[bin].as_bytes() * 8).sum::<u64>();
    let bits: Vec<_> = (0..bins).map(bits).collect();
    bits.chunks(POINT).map(|part| part.iter().sum::<u64>() / (part.len() as u64 * BIN.as_millis() as u64)).collect()
}

fn flow_value(flow: &FlowRecord) -> Value {
    let points = |value: fn(&[Bin]) -> u64| flow.bins.chunks(POINT).map(value).collect::<Vec<_>>();
    json!({
        "received": points(|part| kbps(part, |bin| bin.received)),
        "sent": points(|part| kbps(part, |bin| bin.sent)),
        "target": points(|part| part.last().map_or(0, |bin| bin.target.as_bps() / 1_000)),
        "late": points(|part| part.iter().map(|bin| bin.late.as_millis() as u64).max().unwrap_or(0)),
        "loss": points(loss),
    })
}

fn kbps(part: &[Bin], size: fn(&Bin) -> plenary_wire::DataSize) -> u64 {
    let bits: u64 = part.iter().map(|bin| size(bin).as_bytes() * 8).sum();
    bits / (part.len() as u64 * BIN.as_millis() as u64)
}

/// Percent of what was sent.
fn loss(part: &[Bin]) -> u64 {
    let [lost, sent] =
        [|bin: &Bin| bin.packets_lost, |bin: &Bin| bin.packets_sent].map(|of| part.iter().map(of).sum::<u32>());
    u64::from(100 * lost / sent.max(1)).min(100)
}
