//! A real link between two real namespaces: needs root, `/dev/net/tun`, iproute2 and iputils-ping.
//!
//! It has no harness, because it is also what runs inside: `measure` as the command of netsim-tun, which runs `sink`
//! and `blast` in the namespaces.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["measure"] => measure(),
        ["sink"] => sink(),
        ["blast", packets, interval] => blast(number(packets), Duration::from_micros(number(interval))),
        _ => match missing() {
            Some(reason) => println!("skipped: {reason}"),
            None => {
                names_are_taken_once();
                what_was_left_behind_is_ended();
                two_percent_fifty_milliseconds_one_megabit();
            }
        },
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// Why the test can't run here.
fn missing() -> Option<&'static str> {
    let runs = |program: &str, argument| Command::new(program).arg(argument).output().is_ok();
    let uid = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = uid.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        Some("needs root")
    } else if !Path::new("/dev/net/tun").exists() {
        Some("needs /dev/net/tun")
    } else if !runs("ip", "-V") {
        Some("needs ip, of the package iproute2")
    } else if !runs("ping", "-V") {
        Some("needs ping, of the package iputils-ping")
    } else if !Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success()) {
        Some("may not make network namespaces")
    } else {
        None
    }
}

fn names() -> [String; 2] {
    ["left", "right"].map(|side| format!("netsim-test-{}-{side}", std::process::id()))
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_netsim-tun");

/// The program with the names of this test; its command follows.
fn netsim_tun(options: &[&str]) -> Command {
    let [left, right] = names();
    let mut command = Command::new(PROGRAM);
    command.args(options).args(["--left", &left, "--right", &right, "--"]);
    command
}

fn assert_gone() {
    let left_over = text(&Command::new("ip").args(["netns", "list"]).output().expect("ip runs"));
    assert!(names().iter().all(|name| !left_over.contains(name)), "its namespaces are gone: {left_over}");
}

/// A second run with the names of the first says what to do, and takes nothing away from it.
fn names_are_taken_once() {
    let [left, right] = names();
    let mut nested = netsim_tun(&[]);
    let script = "\"$0\" --left \"$1\" --right \"$2\" -- true; ip netns exec \"$1\" true && exit 7";
    let output = nested.args(["sh", "-c", script, PROGRAM, &left, &right]).output().expect("netsim-tun runs");
    assert!(text(&output).contains(&format!("a namespace {left} exists already")), "{}", text(&output));
    assert_eq!(output.status.code(), Some(7), "the exit code is the command's");
    assert_gone();
    let output = Command::new(PROGRAM).args(["--left", &left, "--right", &left]).output().expect("netsim-tun runs");
    assert!(text(&output).contains("they need two names") && !output.status.success(), "{}", text(&output));
}

/// By the end of the command, and by a signal. As long as one lives, it holds the pipe that `output` reads.
fn what_was_left_behind_is_ended() {
    let start = Instant::now();
    let behind = "ip netns exec $NETSIM_LEFT sleep 60 & ";
    for (then, code) in
        [("sleep 0.3; exit 3", 3), ("sleep 0.3; kill -TERM $PPID; exec ip netns exec $NETSIM_LEFT sleep 60", 1)]
    {
        let script = format!("{behind}{then}");
        let output = netsim_tun(&[]).args(["sh", "-c", &script]).output().expect("netsim-tun runs");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert_gone();
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

fn two_percent_fifty_milliseconds_one_megabit() {
    let names = names();
    let output = netsim_tun(&["--loss", "2%", "--delay", "50ms", "--rate", "1mbit", "--queue", "300ms", "--seed", "1"])
        .arg(env::current_exe().expect("the path of this program"))
        .arg("measure")
        .output()
        .expect("netsim-tun runs");
    println!("{}", text(&output));
    assert!(output.status.success());
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains(&format!("{} -> {}: ", names[0], names[1])), "it reports its counters");
    assert_gone();
    println!("ok");
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn inside(side: &str) -> Command {
    let namespace = env::var(side).expect("netsim-tun names its namespaces");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace]);
    command
}

fn measure() {
    ping();
    let this = env::current_exe().expect("the path of this program");
    // Below the rate: only the wire loses. Packets of 528 bytes each 10 ms are 422 kb/s.
    let [packets, ..] = flow(&this, 1_000, 10_000);
    println!("{packets} of 1,000 packets one way");
    // 2 % are 20, with a standard deviation of 4.4.
    assert!((962..=998).contains(&packets), "about 2 % are lost one way");
    // Above it, by half: packets of 528 bytes each 2.8 ms.
    let [_, bytes, micros] = flow(&this, 2_000, 2_800);
    let rate = bytes * 8_000_000 / micros;
    println!("{rate} b/s through");
    // 1 Mb/s of IP packets, of which 500 of 528 bytes are payload, and 98 % arrive: 928 kb/s; with headers 980.
    let on_the_wire = rate * 528 / 500;
    assert!((945_000..=1_005_000).contains(&on_the_wire), "{on_the_wire} b/s of packets of 1 Mb/s");
}

/// Round trips: 100 ms, and 3.96 % lost of two ways of 2 %.
fn ping() {
    let command = ["ping", "-q", "-i", "0.005", "-c", "600", "-W", "1", "10.77.0.2"];
    let said = text(&inside("NETSIM_LEFT").args(command).output().expect("ping runs"));
    println!("{said}");
    let received = said.lines().find_map(|line| line.split_once(" received")?.0.rsplit(' ').next()?.parse().ok());
    let received: u32 = received.expect("ping says how many it received");
    // 23.8 of 600 are lost, with a standard deviation of 4.8.
    assert!((557..=595).contains(&received), "{received} of 600 received");
    let times = said.lines().find_map(|line| line.split_once("mdev = ")).expect("ping says its times").1;
    let times: Vec<f64> = times.split([' ', '/']).map_while(|time| time.parse().ok()).collect();
    let [least, average, ..] = times[..] else { panic!("ping says its times: {times:?}") };
    assert!((100.0..110.0).contains(&least), "at least {least} ms");
    assert!((100.0..110.0).contains(&average), "on average {average} ms");
}

/// Packets and bytes that came of a flow, and microseconds from its first to its last.
fn flow(this: &Path, packets: u64, interval_micros: u64) -> [u64; 3] {
    let sink: Child =
        inside("NETSIM_RIGHT").arg(this).arg("sink").stdout(Stdio::piped()).spawn().expect("the sink starts");
    thread::sleep(Duration::from_millis(300));
    let arguments = [packets, interval_micros].map(|number| number.to_string());
    let blast = inside("NETSIM_LEFT").arg(this).arg("blast").args(arguments).status();
    assert!(blast.expect("the blaster runs").success());
    let output = sink.wait_with_output().expect("the sink ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = said.split_whitespace().map(number).collect();
    numbers.try_into().expect("three numbers")
}

const SINK: &str = "10.77.0.2:9000";

fn blast(packets: u64, interval: Duration) {
    let socket = UdpSocket::bind("10.77.0.1:0").expect("the address of the left namespace");
    let start = Instant::now();
    for number in 0..packets {
        let due = interval * number as u32;
        thread::sleep(due.saturating_sub(start.elapsed()));
        socket.send_to(&[0; 500], SINK).expect("the device takes it");
    }
}

/// Counts until a second without packets.
fn sink() {
    let socket = UdpSocket::bind(SINK).expect("the address of the right namespace");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time above zero");
    let mut buffer = [0; 2_048];
    let (mut packets, mut bytes) = (0, 0);
    let mut span: Option<(Instant, Instant)> = None;
    while let Ok(length) = socket.recv(&mut buffer) {
        let now = Instant::now();
        let first = span.map_or(now, |(first, _)| first);
        // The first begins the time: it does not count as what passed in it.
        packets += 1;
        bytes += if span.is_some() { length } else { 0 };
        span = Some((first, now));
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time above zero");
    }
    let time = span.map_or(Duration::ZERO, |(first, last)| last - first);
    println!("{packets} {bytes} {}", time.as_micros());
}
