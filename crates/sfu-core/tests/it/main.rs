//! Scenarios: an engine, its peers with real transports, and time that is a variable.

mod allocation;
mod forward;
mod lab;
mod limits;
mod signalling;
mod transports;
