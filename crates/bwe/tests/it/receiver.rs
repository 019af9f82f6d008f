//! What a receiver tells of the packets that came.

mod allocation;
mod ccfb;
mod remb;
mod truth;
mod twcc;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{Packet, ReferenceClock, packets};

static START: LazyLock<Instant> = LazyLock::new(plenary_netsim::base);

fn ms(after: u64) -> Instant {
    *START + Duration::from_millis(after)
}

/// One status: of a packet's number, and when it came, in microseconds of the receiver's clock.
type Status = (u16, Option<i64>);

/// What transport-wide feedback says, packet by packet.
fn statuses(bytes: &[u8], clock: &mut ReferenceClock) -> Vec<Status> {
    let mut statuses = Vec::new();
    for packet in packets(bytes) {
        let Ok(Packet::Twcc(twcc)) = packet else { panic!("{packet:?}") };
        let mut micros = clock.micros(twcc.reference_time);
        for (seq, delta) in twcc.statuses() {
            micros += delta.map_or(0, |delta| i64::from(delta.as_micros()));
            statuses.push((seq.0, delta.map(|_| micros)));
        }
    }
    statuses
}
