use proptest::prelude::*;

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two ends over a wire of 10 ms each way that loses what the test says.
struct Pair {
    ends: [Connection; 2],
    wire: Vec<(Duration, usize, Segment)>,
    now: Duration,
    lose: Box<dyn FnMut(&Segment) -> bool>,
    received: [Vec<u8>; 2],
    told: [Vec<StreamEvent>; 2],
}

impl Pair {
    fn new(lose: impl FnMut(&Segment) -> bool + 'static) -> Self {
        let config = StreamConfig::default();
        Self {
            ends: [Connection::connect(config), Connection::accept(config)],
            wire: vec![],
            now: ms(0),
            lose: Box::new(lose),
            received: Default::default(),
            told: Default::default(),
        }
    }

    fn drain(&mut self) {
        for from in 0..2 {
            while let Some(segment) = self.ends[from].poll_segment(self.now) {
                if !(self.lose)(&segment) {
                    self.wire.push((self.now + ms(10), 1 - from, segment));
                }
            }
            while let Some(event) = self.ends[from].poll_event() {
                match event {
                    StreamEvent::Data(data) => self.received[from].extend(data),
                    event => self.told[from].push(event),
                }
            }
        }
    }

    /// Runs until nothing is left to happen, at most until `end`.
    fn run(&mut self, end: Duration) {
        // The accepting end was made by a SYN that is not on this wire: it answers when the connector has spoken.
        loop {
            self.drain();
            let arrival = self.wire.iter().map(|(at, ..)| *at).min();
            let timers = self.ends.iter().filter_map(Connection::poll_timeout);
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(index) = self.wire.iter().position(|(at, ..)| *at <= self.now) {
                let (_, to, segment) = self.wire.remove(index);
                self.ends[to].handle_segment(segment, self.now);
                self.drain();
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
    }
}

#[test]
fn a_stream_opens_carries_and_closes() {
    let mut pair = Pair::new(|_| false);
    assert_eq!(pair.ends[0].write(b"early"), 5);
    pair.run(ms(100));
    assert_eq!(pair.told, [vec![StreamEvent::Connected], vec![StreamEvent::Accepted]]);
    assert_eq!(pair.received[1], b"early");
    assert_eq!(pair.ends[1].write(b"answer"), 6);
    pair.ends[1].close();
    pair.run(ms(500));
    assert_eq!(pair.received[0], b"answer");
    assert_eq!(pair.told[0][1], StreamEvent::Closed(Closed::Ended));
    assert!(pair.ends.iter().all(Connection::is_done));
    assert_eq!(pair.ends[0].write(b"late"), 0);
}

#[test]
fn an_abort_is_a_reset() {
    let mut pair = Pair::new(|_| false);
    pair.run(ms(100));
    pair.ends[0].abort();
    pair.run(ms(200));
    assert_eq!(pair.told[1], [StreamEvent::Accepted, StreamEvent::Closed(Closed::Reset)]);
    assert!(pair.ends.iter().all(Connection::is_done));
}

#[test]
fn nobody_there_is_a_timeout() {
    let mut pair = Pair::new(|_| true);
    pair.run(Duration::from_secs(100));
    assert_eq!(pair.told[0], [StreamEvent::Closed(Closed::TimedOut)]);
    // Waits of 1, 2, and fourteen times 4 seconds.
    assert_eq!(pair.now, Duration::from_secs(59));
}

#[test]
fn a_single_loss_costs_a_round_trip_not_a_timeout() {
    let mut count = 0;
    let mut pair = Pair::new(move |segment| {
        count += usize::from(!segment.data.is_empty());
        count == 3 && !segment.data.is_empty()
    });
    pair.run(ms(100));
    pair.ends[0].write(&[7; 10 * STREAM_SEGMENT]);
    let start = pair.now;
    pair.run(start + ms(60));
    assert_eq!(pair.received[1].len(), 10 * STREAM_SEGMENT);
}

/// A burst is lost, and the first of it again when it is repeated: no timer is waited for.
#[test]
fn a_burst_of_losses_costs_round_trips_not_a_timeout() {
    let (mut count, mut again) = (0, 0);
    let mut pair = Pair::new(move |segment| {
        count += usize::from(!segment.data.is_empty());
        again += usize::from(segment.seq == 1 + 4 * STREAM_SEGMENT as u64 && !segment.data.is_empty());
        (5..=8).contains(&count) || (again == 2 && segment.seq == 1 + 4 * STREAM_SEGMENT as u64)
    });
    pair.run(ms(100));
    pair.ends[0].write(&[7; 40 * STREAM_SEGMENT]);
    let start = pair.now;
    pair.run(start + ms(200));
    assert_eq!(pair.received[1].len(), 40 * STREAM_SEGMENT);
    let counters = pair.ends[0].counters();
    assert_eq!((counters.timeouts, counters.resent), (0, 5));
}

#[test]
fn the_send_buffer_is_bounded() {
    let mut pair = Pair::new(|_| true);
    assert_eq!(pair.ends[0].write(&[0; STREAM_BUFFER_MAX + 1]), STREAM_BUFFER_MAX);
    assert_eq!(pair.ends[0].room(), 0);
}

proptest! {
    #[test]
    fn what_was_written_arrives_once_and_in_order(seed: u64, percent in 0..20u32, length in 0..200_000usize) {
        let mut random = crate::Random::new(seed, 0);
        let mut pair = Pair::new(move |_| random.chance(crate::Probability::from_percent(percent)));
        let bytes: Vec<u8> = (0..length).map(|index| (index * 7 % 251) as u8).collect();
        let mut written = 0;
        while written < length {
            written += pair.ends[0].write(&bytes[written..]);
            let until = pair.now + ms(100);
            pair.run(until);
            pair.now = until;
            prop_assert!(pair.now < Duration::from_secs(3_000));
        }
        pair.ends[0].close();
        let until = pair.now + Duration::from_secs(300);
        pair.run(until);
        prop_assert!(pair.received[1] == bytes);
    }
}
