//! Congestion controllers on public test cases, in virtual time.

mod algorithms;
mod case;
mod cases;
mod details;
mod download;
pub mod external;
mod feedback;
mod golden;
mod ideal;
mod media;
mod metrics;
mod outbox;
mod page;
mod record;
mod run;
mod sender;
mod sweep;
mod table;
mod world;

pub use algorithms::{ALGORITHMS, Algorithm, Entrant, Setup, Transport};
pub use case::{Background, Bottleneck, Case, CrossTcp, Flow, Kind, Span};
pub use cases::{all as cases, recorded};
pub use details::Details;
pub use feedback::Format;
pub use golden::{GOLDEN_CASES, curve, exact_curve};
pub use ideal::Ideal;
pub use metrics::Score;
pub use page::page;
pub use record::Record;
pub use run::{run, run_in_detail};
pub use sweep::{Entry, Outcome, Sweep};
pub use table::markdown;
