//! A moment of each load, for the test command: that all works, and what is held. Nothing here is about speed.

use super::holding::grown;
use super::relaying::numbers;
use super::{Kind, Place};
use crate::workspace::Workspace;

const RELAYS: [&str; 4] = [
    "relay --millis 200 --warmup 0",
    "relay --millis 200 --warmup 0 --bytes 1000 --burst 32 --send segments --gro",
    "relay --millis 200 --warmup 0 --bytes 1000 --burst 8 --send batch --way in --clients 4",
    "relay --millis 200 --warmup 0 --media --send segments --way both --clients 4",
];

/// Bytes of an allocation: the tables of the server grow by steps, and this one is not optimized.
const ALLOCATION_BYTES: f64 = 2500.0;

/// Of 3,000 strangers: a few pages that were not used before, but less than an address of each.
const STRANGERS_BYTES: f64 = 16_384.0;

/// What the allocator may keep of what has gone.
const LEFT_BYTES: f64 = 512_000.0;

/// By programs of the debug build; says what it has seen.
pub(crate) fn run(workspace: &Workspace) -> Result<String, String> {
    let place = Place::new(workspace, "debug");
    let (packets, lost) = relays(&place)?;
    strangers(&place)?;
    idle(&place)?;
    churn(&place)?;
    Ok(format!("{packets:.0} packets relayed, {lost:.0} lost"))
}

fn relays(place: &Place) -> Result<(f64, f64), String> {
    let server = place.start(Kind::Plenary)?;
    let mut sums = (0.0, 0.0);
    for load in RELAYS {
        let [received, lost, cpu] = numbers(&server.measure(load)?, ["received", "lost", "cpu_ns"])?;
        expect(cpu > 0.0, || format!("`{load}` cost nothing"))?;
        sums = (sums.0 + received, sums.1 + lost);
    }
    let told = server.measure("latency --rate 2000 --millis 200 --burst 2")?;
    let [received, p50, p999] = numbers(&told, ["received", "p50_us", "p999_us"])?;
    expect(received > 0.0 && p50 > 0.0 && p50 <= p999, || format!("the latency: {told}"))?;
    Ok((sums.0 + received, sums.1))
}

fn strangers(place: &Place) -> Result<(), String> {
    let told = place.start(Kind::Plenary)?.measure("strangers --sources 3000 --requests 4000")?;
    let [answers, asked, answered] = numbers(&told, ["answers", "request_bytes", "answer_bytes"])?;
    expect(answers > 3900.0 && answered <= 2.0 * asked, || format!("strangers: {told}"))?;
    expect(grown(&told, "memory_bytes", "after")? <= STRANGERS_BYTES, || format!("strangers are remembered: {told}"))
}

fn idle(place: &Place) -> Result<(), String> {
    let told = place.start(Kind::Plenary)?.measure("idle --allocations 500")?;
    let (memory, ports) = (grown(&told, "memory_bytes", "with")?, grown(&told, "ports", "with")?);
    expect(memory <= 500.0 * ALLOCATION_BYTES && ports >= 500.0, || format!("allocations hold too much: {told}"))?;
    nothing_is_left(&told)
}

fn churn(place: &Place) -> Result<(), String> {
    nothing_is_left(&place.start(Kind::Plenary)?.measure("churn --allocations 2000")?)
}

fn nothing_is_left(told: &serde_json::Value) -> Result<(), String> {
    let left = [grown(told, "files", "after")?, grown(told, "ports", "after")?];
    let memory = if told.get("with").is_none() { grown(told, "memory_bytes", "after")? } else { 0.0 };
    expect(left == [0.0; 2] && memory <= LEFT_BYTES, || format!("something is left: {told}"))
}

fn expect(is_so: bool, otherwise: impl Fn() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}
