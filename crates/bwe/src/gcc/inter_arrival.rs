//! Groups of packets that left together, and how far apart two groups left and arrived.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/inter_arrival_delta.cc`, signalapp/webrtc bd635df347.

use super::number::{Time, millis};
use crate::ArrivalTime;

/// Packets that left within it are one group: what a pacer lets go at once.
const GROUP: i64 = 5_000;
/// Packets that a link held back and then let go at once arrive no further apart than this.
const BURST_GAP: i64 = 5_000;
/// Beyond it a burst is more than one group.
const BURST_MAX: i64 = 100_000;
/// So many groups that arrived before their predecessor mean that the receiver's clock has jumped.
const REORDERED_MAX: u32 = 3;
/// So much more time between arrivals than between feedback means the same.
const CLOCK_JUMP: i64 = 3_000_000;

/// How far one group is from the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Deltas {
    /// Between their departures, in milliseconds.
    pub(crate) sent: f64,
    /// Between their arrivals, in milliseconds.
    pub(crate) arrived: f64,
    /// By how many bytes the later is the larger.
    pub(crate) size: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct InterArrival {
    current: Option<Group>,
    previous: Option<Group>,
    reordered: u32,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Time,
    last_sent: Time,
    first_arrival: ArrivalTime,
    last_arrival: ArrivalTime,
    reported: Time,
    size: i64,
}

impl InterArrival {
    /// A packet of `size` bytes arrived, as feedback at `reported` tells. Completes a group if it begins another.
    pub(crate) fn add(&mut self, sent: Time, arrival: ArrivalTime, size: i64, reported: Time) -> Option<Deltas> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrival, size, reported));
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if !current.is_over(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = arrival;
            current.reported = reported;
            current.size = current.size.saturating_add(size);
            return None;
        }
        let current = *current;
        let deltas = match self.previous {
            Some(previous) => Some(self.deltas(&current, &previous)?),
            None => None,
        };
        self.previous = Some(current);
        self.current = Some(Group::new(sent, arrival, size, reported));
        deltas
    }

    /// `None` if the arrivals make no sense: then nothing else of the packet is used.
    fn deltas(&mut self, current: &Group, previous: &Group) -> Option<Deltas> {
        let sent = current.last_sent.since(previous.last_sent);
        let arrived = current.last_arrival.micros_since(previous.last_arrival);
        if arrived.saturating_sub(current.reported.since(previous.reported)) >= CLOCK_JUMP {
            *self = Self::default();
            return None;
        }
        if arrived < 0 {
            self.reordered += 1;
            if self.reordered >= REORDERED_MAX {
                *self = Self::default();
            }
            return None;
        }
        self.reordered = 0;
        let size = current.size.saturating_sub(previous.size);
        Some(Deltas { sent: millis(sent), arrived: millis(arrived), size })
    }
}

impl Group {
    const fn new(sent: Time, arrival: ArrivalTime, size: i64, reported: Time) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrival: arrival, last_arrival: arrival, reported, size }
    }

    fn is_over(&self, sent: Time, arrival: ArrivalTime) -> bool {
        !self.is_burst(sent, arrival) && sent.since(self.first_sent) > GROUP
    }

    /// Whether it arrives with the group, sooner than it should have: the link has let go what it held back.
    fn is_burst(&self, sent: Time, arrival: ArrivalTime) -> bool {
        let departed = sent.since(self.last_sent);
        let arrived = arrival.micros_since(self.last_arrival);
        departed == 0
            || arrived < departed && arrived <= BURST_GAP && arrival.micros_since(self.first_arrival) < BURST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(inter_arrival: &mut InterArrival, sent_ms: i64, arrival_ms: i64) -> Option<Deltas> {
        let reported = Time::from_micros(arrival_ms * 1_000 + 50_000);
        let arrival = ArrivalTime::from_micros(arrival_ms * 1_000);
        inter_arrival.add(Time::from_micros(sent_ms * 1_000), arrival, 1_000 + sent_ms, reported)
    }

    #[test]
    fn groups_are_told_apart_by_their_departure() {
        let mut groups = InterArrival::default();
        // Two groups of two packets, 20 ms apart; the second takes 3 ms longer. A third one completes it.
        for (sent, arrival) in [(0, 100), (4, 106), (20, 120), (24, 129)] {
            assert_eq!(add(&mut groups, sent, arrival), None);
        }
        assert_eq!(add(&mut groups, 40, 150), Some(Deltas { sent: 20.0, arrived: 23.0, size: 40 }));
        // Sent before the group began: ignored.
        assert_eq!(add(&mut groups, 39, 151), None);
        assert_eq!(add(&mut groups, 60, 170), Some(Deltas { sent: 16.0, arrived: 21.0, size: -1_004 }));
    }

    #[test]
    fn a_burst_is_one_group() {
        let mut groups = InterArrival::default();
        add(&mut groups, 0, 100);
        // Sent 10 ms apart each, they come within 1 ms each: one group, until one does not.
        for packet in 1..5 {
            assert_eq!(add(&mut groups, packet * 10, 140 + packet), None);
        }
        // The burst ended with what left at 40 and arrived at 144.
        assert_eq!(add(&mut groups, 50, 151), Some(Deltas { sent: 40.0, arrived: 44.0, size: 3_100 }));
        assert_eq!(add(&mut groups, 60, 161), Some(Deltas { sent: 10.0, arrived: 7.0, size: -3_050 }));
    }

    #[test]
    fn a_burst_ends_after_100_ms() {
        let mut groups = InterArrival::default();
        add(&mut groups, 0, 100);
        for packet in 1..40 {
            let deltas = add(&mut groups, packet * 6, 100 + packet * 5);
            // Arrivals of 100 to 195 ms are the first burst; what completes the second is 200 ms of arrivals away.
            assert_eq!(deltas.is_some(), packet == 40, "{packet}");
        }
        assert_eq!(groups.previous.map(|group| group.last_arrival), Some(ArrivalTime::from_micros(195_000)));
    }

    #[test]
    fn a_clock_that_jumps_begins_anew() {
        let mut groups = InterArrival::default();
        for packet in 0..3 {
            add(&mut groups, packet * 10, packet * 10);
        }
        // 5 s on at the receiver, and nothing here.
        let sent = |ms: i64| Time::from_micros(ms * 1_000);
        groups.add(sent(30), ArrivalTime::from_micros(5_030_000), 0, sent(130));
        groups.add(sent(40), ArrivalTime::from_micros(5_040_000), 0, sent(140));
        assert!(groups.previous.is_none());
        // Back again: three groups that arrive before their predecessor.
        let mut groups = InterArrival::default();
        for (sent, arrival) in [(0, 1_000), (10, 1_010), (20, 100), (30, 110)] {
            add(&mut groups, sent, arrival);
        }
        assert_eq!(groups.reordered, 1);
        add(&mut groups, 40, 120);
        add(&mut groups, 50, 130);
        assert!(groups.previous.is_none());
        // Extremes do not panic, and no time between arrivals is negative or longer than the jump.
        let mut groups = InterArrival::default();
        for (packet, arrival) in [i64::MIN, i64::MAX, 0, i64::MIN, i64::MAX].into_iter().enumerate() {
            let at = sent(packet as i64 * 10);
            let deltas = groups.add(at, ArrivalTime::from_micros(arrival), i64::MAX, at);
            assert!(deltas.is_none_or(|deltas| (0.0..3_100.0).contains(&deltas.arrived)), "{deltas:?}");
        }
    }
}
