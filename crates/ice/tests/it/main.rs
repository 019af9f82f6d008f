//! Two agents, a simulated wire, and what may happen on it.

mod alone;
mod answers;
mod connect;
mod crowd;
mod hostile;
mod lab;
mod life;
mod obligations;
mod operations;
mod oracle;
mod paths;
mod raw;
mod retry;
mod rules;
mod signalled;
