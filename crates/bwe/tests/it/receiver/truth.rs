//! What is generated tells the truth, and both ends together know what became of each packet.

use std::collections::BTreeMap;
use std::time::Duration;

use plenary_bwe::history::{Config, Departure, History};
use plenary_bwe::receiver::{CcfbConfig, CcfbGenerator, Received, TwccConfig, TwccGenerator};
use plenary_bwe::{Feedback, Purpose};
use plenary_rtp::rtcp::{Packet, ReferenceClock, packets};
use plenary_rtp::{NtpTime, SeqNo, Ssrc};
use plenary_wire::{DataSize, Ecn};
use proptest::prelude::*;

use super::{ms, statuses};

/// What happens to one packet: after which delay in milliseconds it arrives, and whether once more.
#[derive(Clone, Copy, Debug)]
struct Fate {
    gap: u64,
    delay: Option<u64>,
    copy: Option<u64>,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let delay = || prop_oneof![6 => 20..25u64, 1 => 20..150u64];
    let fate = (0..15u64, prop::option::weighted(0.9, delay()), prop::option::weighted(0.05, delay()));
    prop::collection::vec(fate.prop_map(|(gap, delay, copy)| Fate { gap, delay, copy }), 1..300)
}

/// Arrivals in the order of time: when, and the packet's place.
fn arrivals(fates: &[Fate]) -> (Vec<u64>, Vec<(u64, usize)>) {
    let mut at = 0;
    let mut left = Vec::new();
    let mut arrivals = Vec::new();
    for (place, fate) in fates.iter().enumerate() {
        at += fate.gap;
        left.push(at);
        arrivals.extend(fate.delay.map(|delay| (at + delay, place)));
        arrivals.extend(fate.copy.map(|delay| (at + delay, place)));
    }
    arrivals.sort_unstable();
    (left, arrivals)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn transport_wide_feedback_tells_when_each_packet_came_and_which_had_not(
        first: u16,
        size_max in 44..200usize,
        fates in fates(),
    ) {
        let mut generator = TwccGenerator::new(TwccConfig::default());
        let (_, arrivals) = arrivals(&fates);
        let Some((zero, _)) = arrivals.first().copied() else { return Ok(()) };
        let mut came: BTreeMap<usize, u64> = BTreeMap::new();
        let mut told: BTreeMap<usize, i64> = BTreeMap::new();
        let mut clock = ReferenceClock::default();
        let mut arrivals = arrivals.into_iter().peekable();
        for now in 0..6_000 {
            while let Some((_, place)) = arrivals.next_if(|(at, _)| *at == now) {
                came.entry(place).or_insert(now);
                generator.handle_packet(Ssrc(7), SeqNo(first.wrapping_add(place as u16)), ms(now));
            }
            let mut out = Vec::new();
            while generator.write(ms(now), size_max, &mut out) {
                prop_assert!(out.len() <= size_max);
                for (seq, at) in statuses(&out, &mut clock) {
                    let place = usize::from(seq.wrapping_sub(first));
                    prop_assert_eq!(at.is_some(), came.contains_key(&place), "{} at {}", place, now);
                    if let Some(at) = at {
                        prop_assert_eq!(at, (came[&place] - zero) as i64 * 1000);
                        told.insert(place, at);
                    }
                }
                out.clear();
            }
        }
        prop_assert_eq!(told.len(), came.len());
        prop_assert_eq!(generator.poll_timeout(), None);
    }

    /// Nothing but the sum of what is told counts: feedback may be lost, doubled and reordered.
    #[test]
    fn both_ends_agree_on_what_arrived(by_stream: bool, first: u16, fates in fates(), feedback in fates()) {
        let mut path = Path::new(by_stream, first);
        let (left, arrivals) = arrivals(&fates);
        let mut left = left.into_iter().peekable();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut messages: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut feedback = feedback.into_iter().cycle();
        let mut feedback_lost = false;
        for now in 0..6_000 {
            while left.next_if_eq(&now).is_some() {
                path.send(now);
            }
            while let Some((_, place)) = arrivals.next_if(|(at, _)| *at == now) {
                path.arrive(place, now);
            }
            for bytes in path.feedback(now) {
                let fate = feedback.next().unwrap();
                feedback_lost |= fate.delay.is_none() && fate.copy.is_none();
                messages.extend([fate.delay, fate.copy].into_iter().flatten().map(|delay| (now + delay, bytes.clone())));
            }
            let due: Vec<_> = messages.extract_if(.., |(at, _)| *at == now).collect();
            for (_, bytes) in due {
                path.told(&bytes, now);
            }
        }
        // Everything that is said to have arrived has; and all that has is said to, if all feedback came.
        for (place, fates) in &path.fates {
            let arrived = fates.iter().filter(|arrived| **arrived).count();
            prop_assert!(arrived <= 1 && fates.len() - arrived <= 1, "{} {:?}", place, fates);
            prop_assert!(arrived == 0 || path.came.contains_key(place));
            prop_assert!(fates.last() != Some(&false) || !path.came.contains_key(place) || feedback_lost);
        }
        if !feedback_lost {
            let arrived = path.fates.values().filter(|fates| fates.contains(&true)).count();
            prop_assert_eq!(arrived, path.came.len());
        }
    }
}

/// Both ends of a path.
struct Path {
    by_stream: bool,
    first: u16,
    history: History,
    twcc: TwccGenerator,
    ccfb: CcfbGenerator,
    came: BTreeMap<usize, u64>,
    /// By place: whether it arrived, each time that it was told.
    fates: BTreeMap<usize, Vec<bool>>,
    number: u64,
}

impl Path {
    fn new(by_stream: bool, first: u16) -> Self {
        let history = History::new(Config { first: SeqNo(first), ..Config::default() }).unwrap();
        Self {
            by_stream,
            first,
            number: history.next_number(),
            history,
            twcc: TwccGenerator::new(TwccConfig::default()),
            ccfb: CcfbGenerator::new(CcfbConfig::default()),
            came: BTreeMap::new(),
            fates: BTreeMap::new(),
        }
    }

    /// Three streams of packets, one after the other.
    fn stream(&self, place: usize) -> (Ssrc, SeqNo) {
        (Ssrc(place as u32 % 3), SeqNo(self.first.wrapping_add(place as u16 / 3)))
    }

    fn send(&mut self, now: u64) {
        let place = (self.history.next_number() - self.number) as usize;
        let departure = Departure {
            size: DataSize::from_bytes(1000),
            purpose: Purpose::Video,
            probe: None,
            ecn: Ecn::NotEct,
            rtp: self.by_stream.then(|| self.stream(place)),
        };
        self.history.handle_sent(departure, ms(now));
    }

    fn arrive(&mut self, place: usize, now: u64) {
        self.came.entry(place).or_insert(now);
        if self.by_stream {
            let (ssrc, seq) = self.stream(place);
            let packet = Received { ssrc, seq, ecn: Ecn::NotEct, marker: place.is_multiple_of(5) };
            self.ccfb.handle_packet(&packet, ms(now));
        } else {
            self.twcc.handle_packet(Ssrc(7), SeqNo(self.first.wrapping_add(place as u16)), ms(now));
        }
    }

    fn feedback(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut out = Vec::new();
        let ntp = NtpTime::from_unix(Duration::from_millis(now));
        while self.twcc.write(ms(now), 200, &mut out) || self.ccfb.write(ms(now), ntp, 200, &mut out) {
            messages.push(std::mem::take(&mut out));
        }
        messages
    }

    fn told(&mut self, bytes: &[u8], now: u64) {
        let joined = match packets(bytes).next() {
            Some(Ok(Packet::Twcc(twcc))) => self.history.handle_twcc(&twcc, ms(now)),
            Some(Ok(Packet::Ccfb(ccfb))) => self.history.handle_ccfb(&ccfb, ms(now)),
            other => panic!("{other:?}"),
        };
        for report in joined.as_ref().map_or(&[][..], |joined: &Feedback<'_>| joined.packets) {
            let place = (report.sent.number - self.number) as usize;
            self.fates.entry(place).or_default().push(report.arrived.is_some());
        }
        if let Some(trip) = joined.and_then(|joined| joined.round_trip) {
            assert!(trip >= Duration::from_millis(38), "20 ms there and 20 back: {trip:?}");
        }
    }
}
