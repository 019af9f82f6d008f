use plenary_netsim::base;

use crate::algorithms::{Algorithm, Setup};
use crate::case::Case;
use crate::ideal::Ideal;
use crate::media::ENCODER_REACTION;
use crate::record::Record;
use crate::sender::streams_of;
use crate::world::World;

/// One case, one algorithm on all its flows, one seed: the same comes out each time.
#[must_use]
pub fn run(case: &Case, algorithm: &Algorithm, seed: u64) -> Record {
    let now = base();
    let ideal = Ideal::of(case);
    let controllers = case.flows.iter().enumerate().map(|(index, flow)| {
        // The oracle speaks early enough for the encoder to follow in time.
        let early = |at: std::time::Duration| now + at.saturating_sub(ENCODER_REACTION);
        let schedule = ideal.schedule(index).map(|(at, rate)| (early(at), rate)).collect();
        (algorithm.make)(&Setup { now, streams: streams_of(flow, std::time::Duration::ZERO), schedule })
    });
    let controllers = controllers.collect();
    World::new(case, controllers, now, seed).run()
}
