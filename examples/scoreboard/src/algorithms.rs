//! The algorithms that take part. A new one is a line in [`ALGORITHMS`].

mod interceptor;

use std::time::Instant;

use plenary_bwe::{Controller, Fixed, Oracle, Streams};
use plenary_wire::Bitrate;

use interceptor::Interceptor;

/// An algorithm that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm {
    /// In tables and plots, and for `--algorithms`.
    pub name: &'static str,
    /// A controller for one flow.
    pub make: fn(&Setup) -> Box<dyn Controller>,
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
    Algorithm { name: "rtc-interceptor", make: |setup| Box::new(Interceptor::new(setup)) },
    Algorithm { name: "fixed", make: |_| Box::new(Fixed::new(Bitrate::from_mbps(1))) },
    Algorithm { name: "oracle", make: |setup| Box::new(Oracle::new(setup.schedule.clone())) },
];
