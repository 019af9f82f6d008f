//! Estimators that are programs of their own: JSON lines over stdin and stdout, in the case's time. EXTERNAL.md says how.

mod agent;
mod message;

use std::fmt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plenary_bwe::{Controller, Feedback, ProbeCluster, Rates, Route, SentPacket, Streams};
use plenary_wire::Bitrate;
use thiserror::Error;

use crate::algorithms::Setup;
use agent::Agent;
use message::Reply;

/// How a program is run.
#[derive(Clone, Debug)]
pub struct Command {
    /// In tables and plots.
    pub name: String,
    /// The program and its arguments, between spaces.
    pub line: String,
    /// How long it may take for a reply, on the clock on the wall.
    pub reply_time_max: Duration,
}

/// A line of a reply is longer than this: it is refused.
pub const REPLY_BYTES_MAX: usize = 65_536;

/// Why an external estimator is out.
#[derive(Debug, Error)]
pub enum Error {
    /// The command is empty.
    #[error("there is no command")]
    NoCommand,
    /// It can't be started.
    #[error("it does not start: {0}")]
    Start(std::io::ErrorKind),
    /// It has ended, or closed its output, before the case was over.
    #[error("it has ended{}", .0.map(|status| format!(": {status}")).unwrap_or_default())]
    Ended(Option<ExitStatus>),
    /// It did not reply within [`Command::reply_time_max`].
    #[error("it did not reply in time")]
    Silent,
    /// What it replied is longer than [`REPLY_BYTES_MAX`].
    #[error("its reply is too long")]
    TooLong,
    /// What it replied is not a JSON object.
    #[error("its reply is not a JSON object")]
    NotJson,
    /// A member of its reply is missing, or not what it should be.
    #[error("its reply has no valid `{0}`")]
    Member(&'static str),
}

/// The first thing that went wrong with any estimator of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// One program for one flow.
///
/// A program can't be cloned: snapshots share it.
#[derive(Clone)]
pub(crate) struct External {
    agent: Arc<Mutex<Option<Agent>>>,
    failure: Failure,
    base: Instant,
    streams: Streams,
    reply: Reply,
    probes: Vec<ProbeCluster>,
    probes_told: u32,
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("reply", &self.reply).finish_non_exhaustive()
    }
}

impl External {
    /// Starts the program. What goes wrong then or later is told to `failure`; the rate is the least from there on.
    pub(crate) fn new(command: &Command, setup: &Setup, failure: &Failure) -> Self {
        let mut external = Self {
            agent: Arc::new(Mutex::new(None)),
            failure: failure.clone(),
            base: setup.now,
            streams: setup.streams,
            reply: Reply::target(setup.streams.min),
            probes: Vec::new(),
            probes_told: 0,
        };
        match Agent::start(command) {
            Ok(agent) => *external.agent() = Some(agent),
            Err(error) => external.failure.set(error),
        }
        external.ask(&message::hello(&setup.streams));
        external
    }

    fn agent(&self) -> MutexGuard<'_, Option<Agent>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self, now: Instant) -> u64 {
        message::micros(now.saturating_duration_since(self.base))
    }

    /// Tells and waits for the reply.
    fn ask(&mut self, message: &str) {
        let Some(reply) = self.agent().as_mut().map(|agent| agent.ask(message)) else {
            return;
        };
        match reply.and_then(|line| Reply::parse(&line)) {
            Ok(reply) => self.follow(reply),
            Err(error) => {
                *self.agent() = None;
                self.failure.set(error);
                self.follow(Reply::target(self.streams.min));
            }
        }
    }

    fn follow(&mut self, mut reply: Reply) {
        for mut probe in reply.probes.drain(..) {
            probe.id.0 = self.probes_told;
            self.probes_told += 1;
            self.probes.push(probe);
        }
        self.reply = reply;
    }
}

impl Controller for External {
    fn handle_sent(&mut self, packet: &SentPacket) {
        let line = message::sent(packet, self.since(packet.at));
        if let Some(agent) = self.agent().as_mut() {
            agent.tell(&line);
        }
    }

    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        self.ask(&message::feedback(feedback, self.since(now), |at| self.since(at)));
    }

    fn handle_round_trip(&mut self, sample: Duration, now: Instant) {
        self.ask(&message::round_trip(sample, self.since(now)));
    }

    fn handle_streams(&mut self, streams: &Streams, now: Instant) {
        self.streams = *streams;
        self.ask(&message::streams(streams, self.since(now)));
    }

    fn handle_route_change(&mut self, route: &Route, now: Instant) {
        self.ask(&message::route(route, self.since(now)));
    }

    fn handle_timeout(&mut self, now: Instant) {
        // It must name another, or none.
        self.reply.timeout = None;
        self.ask(&message::timeout(self.since(now)));
        let now = self.since(now);
        if self.reply.timeout.is_some_and(|at| at <= now) {
            self.reply.timeout = Some(now + 1_000);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.reply.timeout.map(|at| self.base + Duration::from_micros(at))
    }

    fn poll_probe(&mut self) -> Option<ProbeCluster> {
        if self.probes.is_empty() { None } else { Some(self.probes.remove(0)) }
    }

    fn rates(&self) -> Rates {
        let target = self.streams.clamp(self.reply.target);
        let pacing = self.reply.pacing.unwrap_or_else(|| Bitrate::from_bps(target.as_bps() + target.as_bps() / 10));
        Rates { target, pacing: pacing.max(target), padding: self.reply.padding, window: self.reply.window }
    }
}

#[cfg(test)]
mod tests;
