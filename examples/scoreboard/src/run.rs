use std::time::Duration;

use plenary_netsim::base;
use plenary_wire::Bitrate;

use crate::algorithms::{Entrant, Setup};
use crate::case::Case;
use crate::external::{self, Failure};
use crate::ideal::Ideal;
use crate::media::ENCODER_REACTION;
use crate::record::Record;
use crate::sender::streams_of;
use crate::world::World;

/// One case, one algorithm on all its flows, one seed: the same comes out each time.
///
/// # Errors
///
/// What went wrong with an external estimator.
pub fn run(case: &Case, entrant: &Entrant, seed: u64) -> Result<Record, external::Error> {
    run_world(case, entrant, seed, World::run)
}

/// The same, with every packet and decision.
///
/// # Errors
///
/// As [`run`].
pub fn run_in_detail(case: &Case, entrant: &Entrant, seed: u64) -> Result<Record, external::Error> {
    run_world(case, entrant, seed, |world| world.in_detail().run())
}

fn run_world(
    case: &Case,
    entrant: &Entrant,
    seed: u64,
    go: impl FnOnce(World) -> Record,
) -> Result<Record, external::Error> {
    let now = base();
    let failure = Failure::default();
    let ideal = Ideal::of(case);
    let controllers = case.flows.iter().enumerate().map(|(index, flow)| {
        // The oracle speaks early enough for the encoder to follow in time.
        let early = |at: Duration| now + at.saturating_sub(ENCODER_REACTION);
        // While nothing is to be sent, what is left goes on as before.
        let schedule = ideal.schedule(index).filter(|(_, rate)| *rate > Bitrate::ZERO);
        let schedule = schedule.map(|(at, rate)| (early(at), rate)).collect();
        entrant.make(&Setup { now, streams: streams_of(flow, Duration::ZERO), schedule }, &failure)
    });
    let record = go(World::new(case, controllers.collect(), entrant.transport(), now, seed));
    failure.take().map_or(Ok(record), Err)
}
