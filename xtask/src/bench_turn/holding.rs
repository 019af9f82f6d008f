//! What is held of clients, and what strangers leave. Each has a new server.

use serde_json::Value;

use super::relaying::numbers;
use super::{Kind, Place, Verdict};

/// Microseconds for a request without credentials, with its answer.
const STRANGER_MICROS: f64 = 8.0;

/// Megabytes of 10,000 allocations.
const IDLE_MEGABYTES: f64 = 20.0;

/// What a churn may leave, in megabytes: the allocator rounds, but nothing is to grow by the number of allocations.
const CHURN_MEGABYTES: f64 = 1.0;

pub(super) fn strangers(place: &Place) -> Result<Vec<Verdict>, String> {
    println!("\nrequests without credentials:\n");
    let mut of_plenary = [f64::NAN; 2];
    for kind in [Kind::Coturn, Kind::Plenary] {
        let told = place.start(kind)?.measure("strangers --sources 20000 --requests 100000")?;
        let names = ["cpu_ns", "requests", "sources", "answers", "request_bytes", "answer_bytes"];
        let [cpu, requests, sources, answers, asked, answered] = numbers(&told, names)?;
        let (micros, memory) = (cpu / requests / 1000.0, grown(&told, "memory_bytes", "after")?);
        println!(
            "{:10}{micros:6.2} µs each; {answers} of {requests} answered, with {answered} bytes for {asked}; \
             {sources} sources hold {memory} bytes",
            kind.name(),
        );
        of_plenary = [micros, memory];
    }
    let [micros, memory] = of_plenary;
    Ok(vec![
        Verdict::at_most("strangers: µs a request", micros, STRANGER_MICROS),
        Verdict::at_most("strangers: bytes that 20,000 sources hold", memory, 0.0),
    ])
}

pub(super) fn idle(place: &Place) -> Result<Vec<Verdict>, String> {
    println!("\nallocations with a channel each, which do nothing:\n");
    let mut megabytes = f64::NAN;
    for (kind, count) in [(Kind::Coturn, 2000), (Kind::Plenary, 10_000)] {
        let told = place.start(kind)?.measure(&format!("idle --allocations {count}"))?;
        let memory = grown(&told, "memory_bytes", "with")?;
        let files = grown(&told, "files", "after")?;
        println!(
            "{:10}{count:6} hold {:6.2} MB, {:.0} bytes each; when they are released, {files} files more than before",
            kind.name(),
            memory / 1e6,
            memory / f64::from(count),
        );
        megabytes = memory / 1e6;
    }
    Ok(vec![Verdict::at_most("idle: MB of 10,000 allocations", megabytes, IDLE_MEGABYTES)])
}

pub(super) fn churn(place: &Place) -> Result<Vec<Verdict>, String> {
    println!("\nallocations that are released at once:\n");
    let mut left = [f64::NAN; 3];
    for (kind, count) in [(Kind::Coturn, 10_000), (Kind::Plenary, 100_000)] {
        let told = place.start(kind)?.measure(&format!("churn --allocations {count}"))?;
        let [cpu, seconds] = numbers(&told, ["cpu_ns", "seconds"])?;
        let count = f64::from(count);
        left = [
            grown(&told, "memory_bytes", "after")? / 1e6,
            grown(&told, "files", "after")?,
            grown(&told, "ports", "after")?,
        ];
        let [memory, files, ports] = left;
        println!(
            "{:10}{count:6} cost {:5.1} µs each, {:5.0} a second; they leave {memory:.2} MB, {files} files, {ports} ports",
            kind.name(),
            cpu / count / 1000.0,
            count / seconds,
        );
    }
    let [memory, files, ports] = left;
    Ok(vec![
        Verdict::at_most("churn: MB that 100,000 allocations leave", memory, CHURN_MEGABYTES),
        Verdict::at_most("churn: files", files, 0.0),
        Verdict::at_most("churn: ports", ports, 0.0),
    ])
}

/// How much more of something there is than before.
pub(super) fn grown(told: &Value, what: &str, when: &str) -> Result<f64, String> {
    let [before, after] = numbers(told, [&format!("before.{what}"), &format!("{when}.{what}")])?;
    Ok(after - before)
}
