//! What was sent, joined with what feedback says of it.

mod allocation;
mod ccfb;
mod limits;
mod model;
mod twcc;
mod wire;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use plenary_bwe::history::{Config, Departure, History};
use plenary_bwe::{Feedback, PacketReport, Purpose};
use plenary_netsim::base;
use plenary_rtp::{SeqNo, Ssrc};
use plenary_wire::{DataSize, Ecn};

static START: LazyLock<Instant> = LazyLock::new(base);

fn ms(after: u64) -> Instant {
    *START + Duration::from_millis(after)
}

fn bytes(bytes: u64) -> DataSize {
    DataSize::from_bytes(bytes)
}

/// 1000 bytes of picture, by transport-wide number.
fn departure() -> Departure {
    Departure { size: bytes(1000), purpose: Purpose::Video, probe: None, ecn: Ecn::NotEct, rtp: None }
}

/// The same, by a number of its stream.
fn of_stream(ssrc: u32, seq: u16) -> Departure {
    Departure { rtp: Some((Ssrc(ssrc), SeqNo(seq))), ..departure() }
}

/// A history, and the packets of this number that left, one each millisecond, from the first.
fn sent(first: u16, count: u64) -> History {
    let mut history = History::new(Config { first: SeqNo(first), ..Config::default() }).unwrap();
    for index in 0..count {
        history.handle_sent(departure(), ms(index));
    }
    history
}

/// The low bits of a packet's number, when it arrived in milliseconds, and whether it was told lost before.
type Told = (u16, Option<i64>, bool);

fn told(feedback: Option<Feedback<'_>>) -> Vec<Told> {
    let short = |report: &PacketReport| {
        let at = report.arrived.map(|at| at.as_micros() / 1000);
        (report.sent.number as u16, at, report.is_recovered)
    };
    feedback.iter().flat_map(|feedback| feedback.packets).map(short).collect()
}
