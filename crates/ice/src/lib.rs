#![doc = include_str!("../README.md")]

mod agent;
mod candidate;
mod check;
mod checklist;
mod config;
mod consent;
mod description;
mod entropy;
mod error;
mod event;
mod explain;
mod gather;
mod mux;
mod nominate;
mod pair;
mod request;
mod response;
mod role;
mod signalling;
mod stun;
mod tcp;

pub use agent::{Agent, Handled};
pub use candidate::{Address, Candidate, CandidateKind, LocalCandidate, Network, TcpType, Transport};
pub use config::{Config, Mode, Policy, Role};
pub use description::{Attribute, Credentials, Parameters};
pub use error::{ConfigError, DropReason, Error, ParseError};
pub use event::{Event, Failed, Request, Selected, State, Taken};
pub use explain::{Mapping, PairReport, Reason, Remedy, Report};
pub use mux::{AgentKey, Mux, UfragTaken};
pub use pair::{Failure, PairState};
pub use signalling::Change;
pub use tcp::{Deframer, FrameTooLong, write_frame};

// Promises kept at compile time: an agent crosses threads, and is small enough for a crowd of them.
const _: () = {
    const fn send<T: Send>() {}
    send::<Agent>();
    send::<Mux>();
    assert!(size_of::<Agent>() <= 1024);
};
