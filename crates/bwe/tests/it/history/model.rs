//! Whatever happens to packets and to feedback: a naive model tells the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use plenary_bwe::history::{Config, Departure, History};
use plenary_rtp::rtcp::{ArrivalOffset, Metric};
use plenary_rtp::{SeqNo, Ssrc};
use plenary_wire::Ecn;
use proptest::prelude::*;

use super::wire::{Twcc, ccfb, handle};
use super::{bytes, departure, ms};

#[derive(Clone, Debug)]
enum Step {
    /// So many packets leave, of streams in turn, one each so many milliseconds.
    Send {
        count: u64,
        gap: u64,
    },
    /// The last packet did not leave after all.
    Unsend,
    /// Feedback from so many packets before the next one.
    Twcc {
        back: u16,
        arrived: Vec<bool>,
    },
    /// Blocks: of a stream, from so many numbers before its next one.
    Ccfb {
        blocks: Vec<(usize, u16, Vec<bool>)>,
    },
    /// What came last comes again.
    Again,
    Route,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let arrived = || prop::collection::vec(prop::bool::weighted(0.8), 0..60);
    let step = prop_oneof![
        4 => (1..40u64, 0..20u64).prop_map(|(count, gap)| Step::Send { count, gap }),
        1 => Just(Step::Unsend),
        4 => (0..80u16, arrived()).prop_map(|(back, arrived)| Step::Twcc { back, arrived }),
        4 => prop::collection::vec((0..STREAMS, 0..30u16, arrived()), 0..4).prop_map(|blocks| Step::Ccfb { blocks }),
        2 => Just(Step::Again),
        1 => Just(Step::Route),
    ];
    prop::collection::vec(step, 1..100)
}

const STREAMS: usize = 3;

/// What is known of a packet that left on this route.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    at: u64,
    unsent: bool,
    lost: bool,
    arrived: bool,
}

/// A packet's number, whether it arrived, and whether it was told lost before.
type Told = (u64, bool, bool);

#[derive(Debug, Default)]
struct Model {
    held: BTreeMap<u64, Known>,
    by_stream: BTreeMap<(usize, u16), u64>,
    passed: u64,
    newest: Option<(u64, u64)>,
}

impl Model {
    /// `arrived` are numbers that feedback says arrived, `on` those that it is on.
    fn feedback(&mut self, arrived: &[u64], on: Range<u64>) -> Vec<Told> {
        let mut told = Vec::new();
        for number in arrived {
            let Some(known) = self.held.get_mut(number).filter(|known| !known.arrived && !known.unsent) else {
                continue;
            };
            known.arrived = true;
            told.push((*number, true, known.lost));
            if self.newest.is_none_or(|(newest, _)| *number > newest) {
                self.newest = Some((*number, known.at));
            }
        }
        for (number, known) in &mut self.held {
            if on.contains(number) && !known.arrived && !known.unsent && !known.lost {
                known.lost = true;
                told.push((*number, false, false));
            }
        }
        if let Some(last) = self.held.keys().next_back() {
            self.passed = self.passed.max(on.end.min(last + 1));
        }
        told.sort_unstable();
        told
    }

    fn in_flight(&self) -> u64 {
        let counts = |(number, known): &(&u64, &Known)| **number >= self.passed && !known.unsent;
        self.held.iter().filter(counts).count() as u64 * 1028
    }
}

/// A message of feedback: what it says, which is also what is written.
#[derive(Clone, Debug)]
enum Message {
    Twcc {
        base: u64,
        count: u8,
        arrived: Vec<bool>,
    },
    /// Blocks: of a stream, from a number on.
    Ccfb(Vec<(usize, u16, Vec<bool>)>),
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Twcc { base, count, arrived } => {
                let statuses: Vec<_> = arrived.iter().map(|arrived| arrived.then_some(-1)).collect();
                Twcc { base: *base as u16, reference: 9, count: *count, statuses: &statuses }.bytes()
            }
            Self::Ccfb(blocks) => {
                let metric = |arrived: &bool| match arrived {
                    true => Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::from_ticks(9) },
                    false => Metric::Lost,
                };
                let metrics = |arrived: &[bool]| arrived.iter().map(metric).collect::<Vec<_>>();
                let written: Vec<_> = blocks.iter().map(|(_, _, arrived)| metrics(arrived)).collect();
                let of = blocks.iter().zip(&written);
                let of: Vec<_> =
                    of.map(|((stream, begin, _), metrics)| (*stream as u32, *begin, &metrics[..])).collect();
                ccfb(&of, 0x1_0000)
            }
        }
    }

    /// The numbers that it says have arrived, and which it is on.
    fn says(&self, model: &Model) -> (Vec<u64>, Range<u64>) {
        match self {
            Self::Twcc { base, arrived, .. } => {
                let numbered = (*base..).zip(arrived);
                let numbers = numbered.filter(|(_, arrived)| **arrived).map(|(number, _)| number).collect();
                (numbers, *base..*base + arrived.len() as u64)
            }
            Self::Ccfb(blocks) => {
                let (mut numbers, mut on) = (Vec::new(), Range { start: u64::MAX, end: 0 });
                for (stream, begin, arrived) in blocks {
                    for (index, arrived) in arrived.iter().enumerate() {
                        let number = model.by_stream.get(&(*stream, begin.wrapping_add(index as u16)));
                        let Some(number) = number.filter(|number| model.held.contains_key(number)) else { continue };
                        on = on.start.min(*number)..on.end.max(number + 1);
                        numbers.extend(arrived.then_some(*number));
                    }
                }
                (numbers, on)
            }
        }
    }
}

/// Both, and what is told.
struct Pair {
    config: Config,
    history: History,
    model: Model,
    now: u64,
    next_of_stream: [u16; STREAMS],
    last: Message,
    count: u8,
}

impl Pair {
    fn new(config: Config, first_of_stream: u16) -> Self {
        Self {
            config,
            history: History::new(config).unwrap(),
            model: Model::default(),
            now: 0,
            next_of_stream: [first_of_stream; STREAMS],
            last: Message::Ccfb(Vec::new()),
            count: 0,
        }
    }

    fn send(&mut self) {
        let number = self.history.next_number();
        let stream = number as usize % STREAMS;
        let seq = self.next_of_stream[stream];
        self.next_of_stream[stream] = seq.wrapping_add(1);
        let departure = Departure { rtp: Some((Ssrc(stream as u32), SeqNo(seq))), ..departure() };
        let sent = self.history.handle_sent(departure, ms(self.now));
        let (now, config) = (self.now, self.config);
        self.model.held.retain(|_, known| now - known.at <= config.age_max.as_millis() as u64);
        while self.model.held.len() >= config.packets_max.into() {
            self.model.held.pop_first();
        }
        self.model.held.insert(number, Known { at: self.now, ..Known::default() });
        self.model.by_stream.insert((stream, seq), number);
        assert_eq!((sent.number, sent.in_flight), (number, bytes(self.model.in_flight())));
    }

    /// Gives both what came last, and compares.
    fn feedback(&mut self) -> Vec<Told> {
        let (arrived, on) = self.last.says(&self.model);
        let expected = self.model.feedback(&arrived, on);
        let mut told = Vec::new();
        if let Some(joined) = handle(&mut self.history, &self.last.bytes(), ms(self.now)) {
            assert!(!joined.packets.is_empty());
            let short = |report: &plenary_bwe::PacketReport| {
                (report.sent.number, report.arrived.is_some(), report.is_recovered)
            };
            told.extend(joined.packets.iter().map(short));
            assert_eq!(joined.in_flight, bytes(self.model.in_flight()));
        }
        assert_eq!(told, expected);
        if let Some((_, newest)) = self.model.newest {
            let late_max = self.config.late_max.as_millis() as u64;
            self.model.held.retain(|_, known| newest.saturating_sub(known.at) <= late_max);
        }
        assert_eq!(self.history.in_flight(), bytes(self.model.in_flight()));
        told
    }

    fn step(&mut self, step: Step) -> Vec<Told> {
        match step {
            Step::Send { count, gap } => {
                for _ in 0..count {
                    self.now += gap;
                    self.send();
                }
            }
            Step::Unsend => {
                let last = self.history.next_number() - 1;
                if let Some(known) = self.model.held.get_mut(&last) {
                    known.unsent = true;
                    self.history.handle_unsent(last);
                }
            }
            Step::Twcc { back, arrived } => {
                let base = self.history.next_number() - u64::from(back);
                self.last = Message::Twcc { base, count: self.count, arrived };
                self.count = self.count.wrapping_add(1);
                return self.feedback();
            }
            Step::Ccfb { mut blocks } => {
                for (stream, number, _) in &mut blocks {
                    *number = self.next_of_stream[*stream].wrapping_sub(*number);
                }
                self.last = Message::Ccfb(blocks);
                return self.feedback();
            }
            Step::Again => return self.feedback(),
            Step::Route => {
                self.history.handle_route_change(self.config.overhead);
                let by_stream = std::mem::take(&mut self.model.by_stream);
                self.model = Model { passed: self.history.next_number(), by_stream, ..Model::default() };
            }
        }
        Vec::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_feedback_is_told_as_a_naive_model_tells_it(
        first in prop_oneof![Just(0), 65_000..=65_535u16],
        first_of_stream in prop_oneof![Just(0), 65_300..=65_535u16],
        packets_max in prop_oneof![Just(50), Just(16_384)],
        late_max in prop_oneof![Just(100), Just(10_000)],
        steps in steps(),
    ) {
        let late_max = Duration::from_millis(late_max);
        let config = Config { first: SeqNo(first), packets_max, late_max, ..Config::default() };
        let mut pair = Pair::new(config, first_of_stream);
        let mut fates: BTreeMap<u64, Vec<(bool, bool)>> = BTreeMap::new();
        for step in steps {
            for (number, arrived, recovered) in pair.step(step) {
                fates.entry(number).or_default().push((arrived, recovered));
            }
        }
        for fate in fates.values() {
            let fine = matches!(fate[..], [(true, false)] | [(false, false)] | [(false, false), (true, true)]);
            prop_assert!(fine, "{fate:?}");
        }
    }
}
