//! The algorithms that take part. A new one is a line in [`ALGORITHMS`].

mod interceptor;

use std::time::Instant;

use plenary_bwe::{Controller, Fixed, Nada, Oracle, Scream, Streams};
use plenary_wire::Bitrate;

use crate::external::{Command, External, Failure};
use interceptor::Interceptor;

/// An algorithm that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm {
    /// In tables and plots, and for `--algorithms`.
    pub name: &'static str,
    /// A controller for one flow.
    pub make: fn(&Setup) -> Box<dyn Controller>,
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
    Algorithm { name: "nada", make: |_| Box::new(Nada::default()) },
    Algorithm { name: "scream", make: |_| Box::new(Scream::default()) },
    Algorithm { name: "rtc-interceptor", make: |setup| Box::new(Interceptor::new(setup)) },
    Algorithm { name: "fixed", make: |_| Box::new(Fixed::new(Bitrate::from_mbps(1))) },
    Algorithm { name: "oracle", make: |setup| Box::new(Oracle::new(setup.schedule.clone())) },
];
