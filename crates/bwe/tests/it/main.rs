//! What the crate promises, seen from outside: of every controller, and of what it is told by.

mod allocation;
mod duplicates;
mod gcc;
mod history;
mod hostile;
mod receiver;

use plenary_bwe::{Controller, Fixed, Gcc, Nada, Oracle, Scream};
use plenary_wire::Bitrate;

/// All of them, with their names.
fn controllers() -> Vec<(&'static str, Box<dyn Controller>)> {
    let schedule = vec![(plenary_netsim::base(), Bitrate::from_mbps(1))];
    vec![
        ("fixed", Box::new(Fixed::new(Bitrate::from_mbps(1)))),
        ("oracle", Box::new(Oracle::new(schedule))),
        ("gcc", Box::new(Gcc::default())),
        ("nada", Box::new(Nada::default())),
        ("scream", Box::new(Scream::default())),
    ]
}
