//! What is told, and what is replied: times in microseconds since the start, sizes in bytes, rates in bits per second.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use plenary_bwe::{Feedback, ProbeCluster, ProbeId, Route, SentPacket, Streams};
use plenary_wire::{Bitrate, DataSize, Ecn};
use serde_json::{Map, Value, json};

use super::Error;
use crate::details::name_of;

/// More probes than this in one reply are refused.
const PROBES_MAX: usize = 16;

/// How fast to send, as the program says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) target: Bitrate,
    pub(super) pacing: Option<Bitrate>,
    pub(super) padding: Bitrate,
    pub(super) window: Option<DataSize>,
    pub(super) probes: Vec<ProbeCluster>,
    pub(super) timeout: Option<u64>,
}

impl Reply {
    pub(super) const fn target(target: Bitrate) -> Self {
        Self { target, pacing: None, padding: Bitrate::ZERO, window: None, probes: Vec::new(), timeout: None }
    }

    pub(super) fn parse(line: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(line).map_err(|_| Error::NotJson)?;
        let members = value.as_object().ok_or(Error::NotJson)?;
        let target = number(members, "target")?.ok_or(Error::Member("target"))?;
        Ok(Self {
            target: Bitrate::from_bps(target),
            pacing: number(members, "pacing")?.map(Bitrate::from_bps),
            padding: number(members, "padding")?.map_or(Bitrate::ZERO, Bitrate::from_bps),
            window: number(members, "window")?.map(DataSize::from_bytes),
            probes: probes(members)?,
            timeout: number(members, "timeout")?,
        })
    }
}

/// A number that is not negative, rounded down; `None` if it is missing or null.
fn number(members: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, Error> {
    // Up to here whole numbers are themselves in a double, and no sum of them overflows.
    const MAX: f64 = (1u64 << 53) as f64;
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number));
            number.map(|number| Some(number as u64)).ok_or(Error::Member(name))
        }
    }
}

fn probes(members: &Map<String, Value>) -> Result<Vec<ProbeCluster>, Error> {
    let list = match members.get("probes") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array().filter(|list| list.len() <= PROBES_MAX),
    };
    list.ok_or(Error::Member("probes"))?.iter().map(probe).collect()
}

fn probe(value: &Value) -> Result<ProbeCluster, Error> {
    let members = value.as_object().ok_or(Error::Member("probes"))?;
    let needed = |name| number(members, name)?.filter(|number| *number > 0).ok_or(Error::Member(name));
    Ok(ProbeCluster {
        id: ProbeId(0),
        rate: Bitrate::from_bps(needed("rate")?),
        // A second is more than any probe needs.
        duration: Duration::from_micros(needed("duration")?.min(1_000_000)),
        packets_min: number(members, "packets")?.unwrap_or(0).min(1_000) as u32,
        interval: Duration::from_micros(number(members, "interval")?.unwrap_or(5_000)),
    })
}

pub(super) fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

pub(super) fn hello(streams: &Streams) -> String {
    json!({"type": "hello", "version": 1, "now": 0, "streams": streams_value(streams)}).to_string()
}

pub(super) fn streams(streams: &Streams, now: u64) -> String {
    json!({"type": "streams", "now": now, "streams": streams_value(streams)}).to_string()
}

fn streams_value(streams: &Streams) -> Value {
    json!({
        "min": streams.min.as_bps(),
        "max": streams.max.as_bps(),
        "start": streams.start.as_bps(),
        "demand": streams.demand.as_bps(),
        "padding_max": streams.padding_max.as_bps(),
        "is_application_limited": streams.is_application_limited,
        "priority": streams.priority,
    })
}

pub(super) fn round_trip(sample: Duration, now: u64) -> String {
    json!({"type": "round_trip", "now": now, "round_trip": micros(sample)}).to_string()
}

pub(super) fn route(route: &Route, now: u64) -> String {
    let known = route.known.map(Bitrate::as_bps);
    json!({"type": "route", "now": now, "route": route.id, "known": known}).to_string()
}

pub(super) fn timeout(now: u64) -> String {
    json!({"type": "timeout", "now": now}).to_string()
}

/// Written by hand, as is [`feedback`]: there are thousands of them each second.
pub(super) fn sent(packet: &SentPacket, now: u64) -> String {
    let mut line = format!(r#"{{"type":"sent","now":{now},"in_flight":{},"#, packet.in_flight.as_bytes());
    packet_members(&mut line, packet, now);
    line.push('}');
    line
}

pub(super) fn feedback(feedback: &Feedback<'_>, now: u64, since: impl Fn(Instant) -> u64) -> String {
    let mut line = format!(r#"{{"type":"feedback","now":{now},"in_flight":{},"#, feedback.in_flight.as_bytes());
    if let Some(round_trip) = feedback.round_trip {
        let _ = write!(line, r#""round_trip":{},"#, micros(round_trip));
    }
    line.push_str(r#""packets":["#);
    for (index, packet) in feedback.packets.iter().enumerate() {
        line.push_str(if index > 0 { ",{" } else { "{" });
        packet_members(&mut line, &packet.sent, since(packet.sent.at));
        match packet.arrived {
            Some(arrived) => drop(write!(line, r#","arrived":{}"#, arrived.as_micros())),
            None => line.push_str(r#","arrived":null"#),
        }
        let ecn = match packet.ecn {
            Ecn::NotEct => "not-ect",
            Ecn::Ect0 => "ect0",
            Ecn::Ect1 => "ect1",
            Ecn::Ce => "ce",
        };
        let _ = write!(line, r#","ecn":"{ecn}","is_recovered":{}}}"#, packet.is_recovered);
    }
    line.push_str("]}");
    line
}

fn packet_members(line: &mut String, packet: &SentPacket, sent: u64) {
    let purpose = name_of(packet.purpose);
    let (number, size) = (packet.number, packet.size.as_bytes());
    let _ = write!(line, r#""number":{number},"sent":{sent},"size":{size},"purpose":"{purpose}","probe":"#);
    match packet.probe {
        Some(probe) => drop(write!(line, "{}", probe.0)),
        None => line.push_str("null"),
    }
}
