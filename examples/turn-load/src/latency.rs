//! A fixed rate, whatever becomes of the packets: each carries the time at which it left.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures;
use crate::line::Line;
use crate::options::Latency;
use crate::relay::Lines;
use crate::{Failure, Result};

/// Before what is measured.
const WARMUP: Duration = Duration::from_millis(100);

/// After the last packet has left.
const REST: Duration = Duration::from_millis(50);

/// Says how long packets took, as percentiles, and how much of the time the server was at work.
pub(crate) fn run(options: &Latency) -> Result<Value> {
    let open = |peer| if options.direct { Line::direct(peer) } else { Line::open(&options.target, peer) };
    let mut lines = Lines::open(&options.load, open)?;
    let clock = Instant::now();
    let time = WARMUP + Duration::from_millis(options.millis);
    let (mut next, mut sent, mut cpu) = (Duration::ZERO, 0_u64, None);
    let mut took = Vec::new();
    loop {
        let now = clock.elapsed();
        if now >= WARMUP && cpu.is_none() {
            cpu = Some((figures::cpu_ns(options.target.pid)?, now));
        } else if now >= next && next < time {
            let packets = lines.send(Some(now))?;
            if now >= WARMUP {
                sent += packets as u64;
            }
            // Who was kept from sending does not make up for it all at once.
            let interval = Duration::from_secs(1) * packets.max(1) as u32 / options.rate;
            next = next.max(now.saturating_sub(interval * 4)) + interval;
        }
        lines.receive(|payload| {
            let sent_at = payload.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp));
            if sent_at >= WARMUP.as_nanos() as u64 {
                took.push((clock.elapsed().as_nanos() as u64).saturating_sub(sent_at));
            }
        })?;
        if now > time + REST {
            break;
        }
    }
    let (before, since) = cpu.expect("the warm-up is over");
    let cpu = figures::cpu_ns(options.target.pid)?.saturating_sub(before);
    let busy = cpu as f64 / (clock.elapsed() - since - REST).as_nanos() as f64;
    lines.close()?;
    if took.is_empty() {
        return Err(Failure::NothingArrived(sent));
    }
    took.sort_unstable();
    let micros = |part: usize| took[(took.len() - 1) * part / 1000] as f64 / 1000.0;
    let lost = sent.saturating_sub(took.len() as u64);
    Ok(json!({
        "sent": sent, "received": took.len(), "lost": lost, "busy": busy,
        "p50_us": micros(500), "p99_us": micros(990), "p999_us": micros(999),
    }))
}
