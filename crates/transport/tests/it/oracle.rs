//! The oracle matrix of `plenary-ice` with whole transports in place of agents, and with the server and the client of
//! `plenary-turn` in place of the relays that its laboratory has. What must come of it is found as there, by probers
//! and relays that have no line of these crates. See the front pages of `plenary-ice` and of this crate.

mod peer;
pub(crate) mod server;
mod tap;

// The files of the matrix, as they are: what `ice` is held against, this is.
#[path = "../../../ice/tests/it/oracle/matrix/matrix.rs"]
pub(crate) mod matrix;

use matrix::cast::{Cast, Seat, Serves};
use matrix::cell::{self, STACKS};
use matrix::figures::{a_dead_pair_is_left, relays_are_usable};
use matrix::server::Sockets;
use matrix::station::{Brain, Host, Station};
use matrix::{Sample, sweep};
use peer::Peer;
use plenary_netsim::Simulation;
use server::Served;

use crate::lab::ms;

/// Transports, with real relays.
struct Transports;

impl Cast for Transports {
    fn server(&self, sockets: Sockets, sim: &mut Simulation<Host>) -> Box<dyn Serves> {
        Box::new(Served::new(sockets, sim.entropy(), sim.now()))
    }

    fn station(&self, seat: Seat, sim: &mut Simulation<Host>) -> Station {
        let peer = Peer::new(seat, [sim.entropy(), sim.entropy()], sim.now());
        Station::new(Brain::Subject(Box::new(peer)), None)
    }

    /// Until a client gives its server up (RFC 8489 §6.2.1).
    fn gathers_within(&self) -> std::time::Duration {
        ms(39_500)
    }
}

const APART: Sample = Sample { rounds: 2, share: 1, conditions: 12 };

#[test]
fn apart_even() {
    sweep(&Transports, &cell::apart(), APART, 0);
}

#[test]
fn apart_odd() {
    sweep(&Transports, &cell::apart(), APART, 1);
}

#[test]
fn families() {
    for shard in [0, 1] {
        sweep(&Transports, &cell::families(), Sample { rounds: 3, share: 12, conditions: 3 }, shard);
    }
}

#[test]
fn together() {
    for shard in [0, 1] {
        sweep(&Transports, &cell::together(&STACKS), Sample { rounds: 1, share: 4, conditions: 2 }, shard);
    }
}

#[test]
fn nested() {
    for shard in [0, 1] {
        sweep(&Transports, &cell::nested(), Sample { rounds: 1, share: 2, conditions: 2 }, shard);
    }
}

/// Permissions cost nothing: they are asked for ahead of the first check, on both sides.
#[test]
fn usable_after_one_round_trip_and_25_ms_where_only_relays_work() {
    relays_are_usable(&Transports);
}

#[test]
fn a_dead_pair_is_left_within_one_and_a_half_seconds() {
    a_dead_pair_is_left(&Transports);
}
