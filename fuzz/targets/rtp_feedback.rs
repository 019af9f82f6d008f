#![no_main]

use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_rtp::rtcp::{Arrival, NackWriter, Packet, Twcc, TwccWriter, packets};
use plenary_rtp::{Error, ExtendedSeqNo, SeqNo, Ssrc};

/// What a packet can always hold: one arrival behind any gap.
const SIZE_ALWAYS_ENOUGH: usize = 44;
const TICK_MICROS: i64 = 250;
/// The reference time has 24 bits of 64 ms.
const CLOCK_TICKS: i64 = 256 << 24;

#[derive(Arbitrary, Debug)]
struct Input {
    size_max: u16,
    base: u64,
    start_millis: u32,
    status_count: u16,
    arrivals: Vec<(Gap, Delay)>,
    lost: Vec<u16>,
}

/// How far the number goes on.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Gap(u8);

impl Gap {
    /// Mostly by one; now and then beyond what a run or a packet can tell.
    const fn numbers(self) -> u64 {
        match self.0 {
            0..200 => 1,
            200..240 => self.0 as u64 - 198,
            240..253 => (self.0 as u64 - 239) * 700,
            253 => 70_000,
            254 => 1 << 33,
            255 => 0,
        }
    }
}

/// How much later a packet arrived than the one before.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Delay {
    SmallTicks(u8),
    LargeTicks(i16),
    Micros(i32),
}

impl Delay {
    fn micros(self) -> i64 {
        match self {
            Self::SmallTicks(ticks) => i64::from(ticks) * TICK_MICROS,
            Self::LargeTicks(ticks) => i64::from(ticks) * TICK_MICROS,
            Self::Micros(micros) => micros.into(),
        }
    }
}

fuzz_target!(|input: Input| {
    let size_max = usize::from(input.size_max % 1500);
    write_nacks(&input.lost, size_max);

    let (mut seq, mut micros) = (input.base, u64::from(input.start_millis) * 1000);
    let mut arrivals = Vec::new();
    for (gap, delay) in &input.arrivals {
        seq = seq.saturating_add(gap.numbers());
        micros = micros.saturating_add_signed(delay.micros());
        arrivals.push(Arrival { seq: ExtendedSeqNo(seq), at: Duration::from_micros(micros) });
    }
    write_feedback(input.base, &arrivals, size_max, input.status_count);
});

fn write_feedback(base: u64, arrivals: &[Arrival], size_max: usize, status_count: u16) {
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    let (mut base, mut rest) = (ExtendedSeqNo(base), arrivals);
    let mut feedback_count = 0_u8;
    while !rest.is_empty() {
        let mut out = Vec::new();
        match writer.write(base, rest, size_max, &mut out) {
            Ok(taken) => {
                assert!(out.len() <= size_max);
                let Some(Ok(Packet::Twcc(feedback))) = packets(&out).next() else { panic!("{out:02x?}") };
                assert_eq!(feedback.feedback_count, feedback_count);
                check(&feedback, base, &rest[..taken]);
                force_status_count(out, status_count);
                feedback_count = feedback_count.wrapping_add(1);
                base = ExtendedSeqNo(rest[taken - 1].seq.0.saturating_add(1));
                rest = &rest[taken..];
            }
            Err(error) => {
                let ascending = rest[0].seq >= base && rest.windows(2).all(|pair| pair[0].seq < pair[1].seq);
                assert!(
                    error == Error::NoRoom && size_max < SIZE_ALWAYS_ENOUGH || error == Error::OutOfRange && !ascending
                );
                assert!(out.is_empty());
                return;
            }
        }
    }
}

/// All numbers from the base on, with the times of those that arrived.
fn check(feedback: &Twcc<'_>, base: ExtendedSeqNo, taken: &[Arrival]) {
    let base = base.0.max(taken[0].seq.0.saturating_sub(u64::from(u16::MAX) - 1));
    assert_eq!(feedback.base_seq, SeqNo(base as u16));
    assert_eq!(u64::from(feedback.status_count()), taken[taken.len() - 1].seq.0 - base + 1);
    let mut ticks = i64::from(feedback.reference_time) * 256;
    let mut expected = taken.iter();
    for (number, (seq, delta)) in (base..=u64::MAX).zip(feedback.statuses()) {
        assert_eq!(seq, SeqNo(number as u16));
        let Some(delta) = delta else { continue };
        ticks += i64::from(delta.as_micros()) / TICK_MICROS;
        let arrival = expected.next().expect("no more than have arrived");
        assert_eq!(arrival.seq.0, number);
        let at = arrival.at.as_micros() as i64 / TICK_MICROS;
        assert_eq!(ticks.rem_euclid(CLOCK_TICKS), at % CLOCK_TICKS);
    }
    assert_eq!(expected.next(), None);
}

/// A sender may announce what it likes.
fn force_status_count(mut packet: Vec<u8>, status_count: u16) {
    packet[14..16].copy_from_slice(&status_count.to_be_bytes());
    if let Some(Ok(Packet::Twcc(feedback))) = packets(&packet).next() {
        assert_eq!(feedback.statuses().count(), usize::from(status_count));
    }
}

fn write_nacks(gaps: &[u16], size_max: usize) {
    let numbers = || {
        gaps.iter().scan(0_u16, |seq, gap| {
            *seq = seq.wrapping_add(*gap);
            Some(SeqNo(*seq))
        })
    };
    let mut writer = NackWriter::new(Ssrc(1), Ssrc(2), numbers());
    let mut read = Vec::new();
    loop {
        let mut out = Vec::new();
        match writer.write(size_max, &mut out) {
            Ok(true) => {
                assert!(out.len() <= size_max);
                let Some(Ok(Packet::Nack(nack))) = packets(&out).next() else { panic!("{out:02x?}") };
                assert!(nack.pairs.len() <= gaps.len());
                read.extend(nack.lost());
            }
            Ok(false) => break,
            Err(error) => {
                assert!(error == Error::NoRoom && size_max < 16 && out.is_empty());
                return;
            }
        }
    }
    let mut expected: Vec<_> = numbers().collect();
    if gaps.iter().skip(1).all(|&gap| gap < 1 << 15) {
        expected.dedup();
        assert_eq!(read, expected, "ascending numbers keep their order");
    }
    let sorted = |mut numbers: Vec<SeqNo>| {
        numbers.sort_by_key(|number| number.0);
        numbers.dedup();
        numbers
    };
    assert_eq!(sorted(read), sorted(expected));
}
