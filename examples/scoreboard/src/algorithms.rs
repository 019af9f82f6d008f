//! The algorithms that take part. A new one is a line in [`ALGORITHMS`].

#[cfg(feature = "peers")]
mod interceptor;

use std::time::Instant;

use plenary_bwe::{Controller, Fixed, Gcc, Nada, Oracle, Scream, Streams};
use plenary_wire::{Bitrate, Ecn};

use crate::external::{Command, External, Failure};
use crate::feedback::Format;
#[cfg(feature = "peers")]
use interceptor::Interceptor;

/// An algorithm that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm {
    /// In tables and plots, and for `--algorithms`.
    pub name: &'static str,
    /// A controller for one flow.
    pub make: fn(&Setup) -> Box<dyn Controller>,
    /// What it wants of sender and receiver.
    pub transport: Transport,
}

/// What an algorithm wants of sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// How it is told of arrivals.
    pub format: Format,
    /// How it marks packets where the case has ECN.
    pub ecn: Ecn,
}

impl Transport {
    /// Transport-wide feedback, and no ECN: what WebRTC has today.
    pub const TWCC: Self = Self { format: Format::Twcc, ecn: Ecn::NotEct };

    /// Feedback of RFC 8888, which can tell of ECN.
    #[must_use]
    pub const fn ccfb(ecn: Ecn) -> Self {
        Self { format: Format::Ccfb, ecn }
    }
}

impl Algorithm {
    /// With transport-wide feedback and without ECN.
    const fn new(name: &'static str, make: fn(&Setup) -> Box<dyn Controller>) -> Self {
        Self { name, make, transport: Transport::TWCC }
    }

    /// With this feedback.
    const fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }
}

/// What takes part in a sweep.
#[derive(Clone, Debug)]
pub enum Entrant {
    /// An algorithm of the table.
    BuiltIn(Algorithm),
    /// A program.
    External(Command),
}

impl Entrant {
    /// In tables and plots.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(algorithm) => algorithm.name,
            Self::External(command) => &command.name,
        }
    }

    pub(crate) const fn transport(&self) -> Transport {
        match self {
            Self::BuiltIn(algorithm) => algorithm.transport,
            Self::External(_) => Transport::TWCC,
        }
    }

    pub(crate) fn make(&self, setup: &Setup, failure: &Failure) -> Box<dyn Controller> {
        match self {
            Self::BuiltIn(algorithm) => (algorithm.make)(setup),
            Self::External(command) => Box::new(External::new(command, setup, failure)),
        }
    }
}

/// What a controller may know at its start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The start of the case.
    pub now: Instant,
    /// What the flow may send.
    pub streams: Streams,
    /// From when on the flow has how much, if all share fairly: for the oracle alone.
    pub schedule: Vec<(Instant, Bitrate)>,
}

/// All of them, in the order of the table.
pub const ALGORITHMS: &[Algorithm] = &[
    Algorithm::new("gcc", |_| Box::new(Gcc::default())),
    Algorithm::new("nada", |_| Box::new(Nada::default())).over(Transport::ccfb(Ecn::Ect0)),
    Algorithm::new("scream", |_| Box::new(Scream::default())).over(Transport::ccfb(Ecn::Ect1)),
    #[cfg(feature = "peers")]
    Algorithm::new("rtc-interceptor", |setup| Box::new(Interceptor::new(setup))),
    Algorithm::new("fixed", |_| Box::new(Fixed::new(Bitrate::from_mbps(1)))),
    Algorithm::new("oracle", |setup| Box::new(Oracle::new(setup.schedule.clone()))),
];
