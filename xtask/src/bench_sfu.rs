//! What a forwarded packet costs the whole server, beside the least that sending it costs.

mod baseline;
mod metrics;
mod point;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::{Child, bounded};
use crate::process;
use crate::workspace::Workspace;
use baseline::Other;
use metrics::Metrics;
use point::{POINTS, Point};

/// Until a server that was started says where it is.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Until all clients receive: they enter within a minute, or give up.
const ENTER_WITHIN: Duration = Duration::from_secs(70);

/// The server ends after so long, whatever becomes of this program.
const SERVER_SECONDS: u64 = 110;

/// What is measured at each point, after two seconds of media.
const SECONDS: u64 = 8;

/// How many times the floor a packet of a livestream may cost.
const RATIO_MAX: f64 = 1.5;

/// Where points are of three runs or more: load of others makes single ones worthless.
const RUNS: usize = 3;

/// One run at a point.
#[derive(Debug)]
struct Run {
    /// Microseconds of CPU of the server for each RTP packet that a subscriber received.
    server: f64,
    /// Of the sending thread for each packet, with the same runs.
    floor: f64,
    /// Datagrams of a call, in the middle.
    datagrams_per_call: f64,
    call: Value,
}

/// Runs the points that are named, or all; says whether each packet costs no more than it may: 1.5 times the floor
/// in a livestream, a third of what it costs others where that is known.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<bool, String> {
    let points = point::named(names)?;
    let mut build = Command::new(process::cargo());
    build.current_dir(&workspace.root).args([
        "build",
        "--locked",
        "--release",
        "-p",
        "plenary-server",
        "-p",
        "plenary-load",
    ]);
    if !process::watched(&mut build)? {
        return Ok(false);
    }
    let programs = workspace.target.join("release");
    let mut good = true;
    for point in points {
        println!("\n{}: {}", point.name, point.what);
        let runs = (0..RUNS).map(|_| measure(&programs, point)).collect::<Result<Vec<_>, _>>()?;
        good &= tell(point, &runs);
    }
    Ok(good)
}

/// One run: a new server and a new meeting, then the floor with the runs that the server has sent.
fn measure(programs: &Path, point: &Point) -> Result<Run, String> {
    let server = start_server(programs)?;
    let http = server.line(START_WITHIN)?;
    let http = http.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut call = Command::new(programs.join("plenary-load"));
    call.args(["call", "--light", "--server", &http, "--seconds", &SECONDS.to_string()]).args(point.arguments());
    let mut load = Child::start(&mut call)?;
    load.line(ENTER_WITHIN)?;
    let (cpu, metrics) = (server.cpu_ns()?, Metrics::read(&http)?);
    let end = load.line(Duration::from_secs(SECONDS + 10))?;
    let (cpu, metrics) = (server.cpu_ns()? - cpu, Metrics::read(&http)?.since(&metrics));
    let call: Value = serde_json::from_str(&end).map_err(|error| format!("{end}: {error}"))?;
    load.end_by_itself()?;
    drop(server);
    let received = call["received"].as_f64().filter(|count| *count > 0.0).ok_or("nothing was received")?;
    let server = cpu as f64 / received / 1000.0;
    let floor = measure_floor(programs, point, &metrics)?;
    println!(
        "  {server:6.2} µs a packet, floor {floor:5.2}: {:.2} times; {received:.0} received, {} lost; \
         latency {} µs (50, 90, 99 %); {}",
        server / floor,
        call["lost"],
        call["latency_us"],
        metrics.histogram(),
    );
    Ok(Run { server, floor, datagrams_per_call: metrics.datagrams_per_call(), call })
}

/// One media thread.
fn start_server(programs: &Path) -> Result<Child, String> {
    let mut command = bounded(SERVER_SECONDS, programs.join("plenary-server"));
    Child::start(command.args(["--http", "127.0.0.1:0", "--threads", "1", "--participants", "1000"]))
}

fn measure_floor(programs: &Path, point: &Point, metrics: &Metrics) -> Result<f64, String> {
    let mut command = Command::new(programs.join("plenary-load"));
    command.args(["floor", "--runs", &metrics.runs(), "--datagram", &metrics.datagram_bytes().to_string()]);
    command.args(["--subscribers", &point.subscribers.to_string(), "--seconds", &SECONDS.to_string()]);
    command.args(["--tick", &point.tick_ms().to_string(), "--together", &metrics.together().to_string()]);
    let mut floor = Child::start(&mut command)?;
    let told = floor.line(Duration::from_secs(SECONDS + 20))?;
    let told: Value = serde_json::from_str(&told).map_err(|error| format!("{told}: {error}"))?;
    floor.end_by_itself()?;
    let (cpu, packets) = (told["cpu_ns"].as_f64(), told["packets"].as_f64());
    cpu.zip(packets).map(|(cpu, packets)| cpu / packets / 1000.0).ok_or_else(|| format!("the floor says {told}"))
}

/// The middle of the runs, beside what others cost.
fn tell(point: &Point, runs: &[Run]) -> bool {
    let (server, floor) = (middle(runs, |it| it.server), middle(runs, |it| it.floor));
    let ratio = middle(runs, |it| it.server / it.floor);
    let calls = middle(runs, |it| it.datagrams_per_call);
    let lost = runs.iter().filter_map(|it| it.call["lost"].as_i64()).sum::<i64>();
    let limit = if point.is_livestream() { format!(" (at most {RATIO_MAX})") } else { String::new() };
    println!("  median of {}: {server:.2} µs, floor {floor:.2} µs, ratio {ratio:.2}{limit}", runs.len());
    println!("  {calls:.1} datagrams a call; {lost} packets lost in all runs");
    let is_cheap = baseline::of(point.name).is_none_or(|Other { who, micros }| {
        println!("  {who}: {micros} µs at this load on {}; here {:.2} of it", baseline::MACHINE, server / micros);
        server <= micros * baseline::PART_MAX
    });
    is_cheap && (!point.is_livestream() || ratio <= RATIO_MAX)
}

fn middle(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    crate::child::middle(runs.iter().map(of))
}

/// What is listed with the usage.
pub(crate) fn points() -> String {
    POINTS.iter().map(|point| point.name).collect::<Vec<_>>().join(", ")
}
