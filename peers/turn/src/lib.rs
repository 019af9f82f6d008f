//! coturn as the server of a [`Client`](plenary_turn::client::Client), for the tests in this package.
//!
//! It needs the program `turnserver`, of Debian's package `coturn`.

mod coturn;
mod link;

pub use coturn::Coturn;
pub use link::{Heard, Link, Session};
