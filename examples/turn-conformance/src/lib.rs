#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod draft;
mod link;
mod mac;
mod outcome;
mod peer;
mod probe;
mod probes;
mod report;
mod run;
mod secure;
mod target;
mod want;

pub use outcome::{Outcome, Status};
pub use probe::{Probe, Rule};
pub use probes::all;
pub use report::{Row, json, markdown, summary};
pub use run::run;
pub use target::{Target, Transport};
