//! Requests without credentials, as a browser's first: what an answer costs, and what is kept of who asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, Class, Method, TransactionId, Writer};
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::fleet::Fleet;
use crate::line::v4;
use crate::options::Strangers;
use crate::{Failure, Result};

/// Requests that wait for an answer at most.
const WINDOW: usize = 64;

/// What is not answered by then is not counted.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sources before those that are counted, so that all is where it is used.
const WARMUP: u32 = 2000;

/// UDP, as REQUESTED-TRANSPORT has it (RFC 8656 §18.8).
const UDP: [u8; 4] = [17, 0, 0, 0];

/// Says how many requests were answered, by how many bytes, what CPU it cost, and the server's figures before and after.
pub(crate) fn run(options: &Strangers) -> Result<Value> {
    let (pid, sources) = (options.target.pid, options.sources);
    let mut fleet = Fleet::new(v4(options.target.server))?;
    ask(&mut fleet, sources..sources + WARMUP.min(sources), |number| number)?;
    let before = Figures::of(pid)?;
    let start = Instant::now();
    let asked = ask(&mut fleet, 0..options.requests, |number| number % sources)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = Figures::of(pid)?;
    if asked.answers == 0 {
        return Err(Failure::Silent(options.target.server));
    }
    Ok(json!({
        "requests": options.requests, "sources": sources.min(options.requests), "answers": asked.answers,
        "request_bytes": asked.request_bytes, "answer_bytes": asked.bytes / asked.answers,
        "cpu_ns": after.cpu_ns.saturating_sub(before.cpu_ns), "seconds": seconds,
        "before": before.told(), "after": after.told(),
    }))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    answers: u64,
    /// Of all answers.
    bytes: u64,
    request_bytes: usize,
}

fn ask(fleet: &mut Fleet, numbers: std::ops::Range<u32>, source: impl Fn(u32) -> u32) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut waiting = VecDeque::new();
    let mut request = Vec::new();
    for number in numbers {
        request.clear();
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&number.to_be_bytes());
        let mut writer = Writer::new(Class::Request, Method::ALLOCATE, TransactionId(transaction), &mut request);
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&UDP]);
        let from = fleet.address(source(number));
        fleet.send(from, &request)?;
        waiting.push_back(from);
        if waiting.len() >= WINDOW {
            take(fleet, &mut waiting, &mut asked)?;
        }
    }
    while !waiting.is_empty() {
        take(fleet, &mut waiting, &mut asked)?;
    }
    Ok(Asked { request_bytes: request.len(), ..asked })
}

/// Takes an answer, or gives up all that wait.
fn take(fleet: &mut Fleet, waiting: &mut VecDeque<std::net::SocketAddrV4>, asked: &mut Asked) -> Result<()> {
    match fleet.receive(PATIENCE)? {
        Some((to, bytes)) => {
            if let Some(index) = waiting.iter().position(|it| *it == to) {
                waiting.remove(index);
                asked.answers += 1;
                asked.bytes += bytes.len() as u64;
            }
        }
        None => waiting.clear(),
    }
    Ok(())
}
