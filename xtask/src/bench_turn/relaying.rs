//! CPU for each packet.

use serde_json::Value;

use super::point::{Measure, Point};
use super::{Kind, Place, ROUNDS, Server, Verdict};
use crate::child::middle;

/// How many more packets than coturn a core is to relay, one by one.
const TIMES_COTURN: f64 = 1.3;

/// What a packet of a burst may cost, in microseconds, where loopback cuts the burst on the server's account.
const BURST_32_MICROS: f64 = 1.6;
const BURST_8_MICROS: f64 = 2.3;

/// One run.
struct Run {
    /// Microseconds of CPU of the server for each packet.
    micros: f64,
    /// Packets a second, by the clock on the wall.
    rate: f64,
    lost: f64,
}

/// Each point by all servers, and that several times, one after the other.
pub(super) fn run(place: &Place, points: &[&Point]) -> Result<Vec<Verdict>, String> {
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let servers = Kind::ALL.into_iter().map(|kind| place.start(kind)).collect::<Result<Vec<_>, _>>()?;
    println!("\nmicroseconds of the server's CPU for each packet, median of {ROUNDS} rounds:\n");
    let names: String = servers.iter().map(|it| format!("{:>9}", it.kind.name())).collect();
    println!("{:42}{names}  coturn/plenary  plenary/segments  kpackets/s  lost", "");
    let mut verdicts = Vec::new();
    for point in points {
        let Measure::Relaying { load } = point.measure else { continue };
        let mut runs: Vec<_> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (server, runs) in servers.iter().zip(&mut runs) {
                runs.push(measure(server, load)?);
            }
        }
        let micros: Vec<_> = runs.iter().map(|runs| middle(runs.iter().map(|run| run.micros))).collect();
        let [plenary, coturn, .., segments] = micros[..] else { return Err("servers are missing".to_owned()) };
        let (rate, lost) =
            (middle(runs[0].iter().map(|run| run.rate)), runs[0].iter().map(|run| run.lost).sum::<f64>());
        let row: String = micros.iter().map(|micros| format!("{micros:9.2}")).collect();
        println!(
            "{:9} {:32}{row}  {:14.2}  {:16.2}  {:10.0}  {lost:4.0}",
            point.name,
            point.what,
            coturn / plenary,
            plenary / segments,
            rate / 1000.0,
        );
        verdicts.extend(verdict(point, plenary, coturn));
    }
    Ok(verdicts)
}

fn measure(server: &Server, load: &str) -> Result<Run, String> {
    let told = server.measure(&format!("relay --millis 700 --warmup 150 {load}"))?;
    let [cpu, received, lost, seconds] = numbers(&told, ["cpu_ns", "received", "lost", "seconds"])?;
    Ok(Run { micros: cpu / received / 1000.0, rate: received / seconds, lost })
}

fn verdict(point: &Point, plenary: f64, coturn: f64) -> Option<Verdict> {
    let what = format!("{}: ", point.name);
    match point.name {
        "p200" => Some(Verdict::at_least(what + "packets per core beside coturn", coturn / plenary, TIMES_COTURN)),
        "b32" => Some(Verdict::at_most(what + "µs a packet", plenary, BURST_32_MICROS)),
        "b8" => Some(Verdict::at_most(what + "µs a packet", plenary, BURST_8_MICROS)),
        _ => None,
    }
}

/// What the load has told under these names.
pub(super) fn numbers<const N: usize>(told: &Value, names: [&str; N]) -> Result<[f64; N], String> {
    let mut numbers = [0.0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        let pointer = format!("/{}", name.replace('.', "/"));
        *number = told.pointer(&pointer).and_then(Value::as_f64).ok_or_else(|| format!("no {name} in {told}"))?;
    }
    Ok(numbers)
}
