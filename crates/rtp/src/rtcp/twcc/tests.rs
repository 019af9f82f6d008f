use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ExtendedSeqNo;
use crate::rtcp::{Packet, packets};

fn read(bytes: &[u8]) -> Result<Twcc<'_>, ParseError> {
    let mut packets = packets(bytes);
    let packet = packets.next().expect("a packet");
    assert_eq!(packets.next(), None);
    packet.map(|packet| match packet {
        Packet::Twcc(feedback) => feedback,
        other => panic!("{other:?}"),
    })
}

/// Feedback on `count` packets from 65534 on, at reference time -2.
fn feedback(count: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe];
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&[0xff, 0xff, 0xfe, 7]);
    bytes.extend_from_slice(rest);
    pad(&mut bytes, rest.len());
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    bytes
}

fn statuses(bytes: &[u8]) -> Vec<(u16, Option<i32>)> {
    let feedback = read(bytes).expect("well formed");
    assert_eq!(feedback.statuses().len(), feedback.statuses().count());
    feedback.statuses().map(|(seq, delta)| (seq.0, delta.map(ArrivalDelta::as_micros))).collect()
}

#[test]
fn all_chunk_forms_are_read() {
    // A run of two small deltas, a vector of one bit (lost, small, 12 × lost), one of two bits (large, lost, small …).
    let bytes = feedback(19, &[0x20, 2, 0b1001_0000, 0, 0b1110_0001, 0, 4, 255, 1, 0x80, 0, 9]);
    let read = read(&bytes).expect("well formed");
    assert_eq!((read.sender_ssrc, read.media_ssrc, read.base_seq), (Ssrc(1), Ssrc(2), SeqNo(65534)));
    assert_eq!((read.reference_time, read.feedback_count, read.status_count()), (-2, 7, 19));
    let received: Vec<_> = statuses(&bytes).into_iter().filter(|(_, delta)| delta.is_some()).collect();
    assert_eq!(
        received,
        [(65534, Some(1000)), (65535, Some(63_750)), (1, Some(250)), (14, Some(-8_192_000)), (16, Some(2250))]
    );
    let mut again = Vec::new();
    read.write(&mut again).expect("it can be written");
    assert_eq!(again, bytes);
}

#[test]
fn a_status_count_that_lies_is_refused() {
    let bytes = feedback(3, &[0x20, 2, 1, 1]);
    assert_eq!(read(&bytes), Err(ParseError::Truncated), "two statuses, and the deltas would be a third chunk");
    assert_eq!(read(&feedback(0xffff, &[0x1f, 0xff])), Err(ParseError::Truncated));
    assert_eq!(statuses(&feedback(0, &[])), []);
}

#[test]
fn missing_deltas_are_refused() {
    assert_eq!(read(&feedback(5, &[0x20, 5, 1, 1])), Err(ParseError::Truncated));
    assert_eq!(read(&feedback(2, &[0x40, 2, 1, 1])), Err(ParseError::Truncated));
    assert_eq!(statuses(&feedback(1, &[0x40, 2, 1, 1])), [(65534, Some(64_250))], "only those that are counted");
}

#[test]
fn a_reserved_symbol_is_refused_where_it_counts() {
    assert_eq!(read(&feedback(1, &[0x60, 1])), Err(ParseError::Reserved));
    assert_eq!(read(&feedback(2, &[0b1100_1100, 0])), Err(ParseError::Reserved));
    assert_eq!(statuses(&feedback(1, &[0b1100_1100, 0])), [(65534, None)]);
}

#[test]
fn an_empty_run_is_no_progress_and_no_loop() {
    assert_eq!(statuses(&feedback(1, &[0, 0, 0, 0, 0, 1])), [(65534, None)]);
    assert_eq!(read(&feedback(1, &[0; 8])), Err(ParseError::Truncated));
}

#[test]
fn odd_padding_with_the_padding_bit_is_taken_off() {
    // As libwebrtc writes it: the padding bit, and a count in the last byte.
    let mut bytes = feedback(1, &[0x20, 1, 8]);
    bytes[0] |= 0x20;
    *bytes.last_mut().expect("padding") = 1;
    assert_eq!(statuses(&bytes), [(65534, Some(2000))]);
    let datagram = [&bytes[..], &bytes].concat();
    assert_eq!(packets(&datagram).filter(Result::is_ok).count(), 2, "also before the end of a compound");
}

#[test]
fn reference_times_unwrap_both_ways() {
    let mut clock = ReferenceClock::default();
    let times = [0x7f_fffe, -0x7f_ffff, 0x7f_ffff, -0x80_0000, -1, 0x7f_fffe, -0x80_0000];
    let units: Vec<i64> = times.iter().map(|&time| clock.micros(time) / REFERENCE_MICROS).collect();
    let wrap = 1 << 24;
    let half = wrap / 2;
    assert_eq!(units, [half - 2, half + 1, half - 1, half, wrap - 1, wrap + half - 2, wrap + half]);
}

#[test]
fn a_sender_that_jumps_on_purpose_does_not_overflow_the_clock() {
    const STEP: i32 = 0x7f_ffff;
    let mut clock = ReferenceClock::default();
    let mut time = 0;
    let mut farthest = 0;
    for _ in 0..150_000 {
        farthest = farthest.max(clock.micros(time));
        time = (time + STEP) << 8 >> 8;
    }
    assert!(farthest > (REFERENCE_MAX as i64 - i64::from(STEP)) * REFERENCE_MICROS, "{farthest}");
    assert!(farthest <= REFERENCE_MAX as i64 * REFERENCE_MICROS, "{farthest}");
    assert!(clock.micros(time) < 1 << 60, "it began anew");
}

#[test]
fn long_losses_are_passed_over() {
    // 8191 lost, 2 large, 8191 lost, a vector, 24573 lost over the end of the count.
    let chunks = [0x1fff_u16, 0x4002, 0x1fff, 0b1010_0000_0000_0100, 0x1fff, 0x1fff, 0x1fff];
    let mut body: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.to_be_bytes()).collect();
    body.extend([0, 4, 0xff, 0xfc, 1, 2]);
    let bytes = feedback(40_000, &body);
    let feedback = read(&bytes).expect("well formed");
    let of_statuses: Vec<_> = feedback.statuses().filter_map(|(seq, delta)| Some((seq, delta?))).collect();
    assert_eq!(feedback.received().collect::<Vec<_>>(), of_statuses);
    let micros: Vec<_> = of_statuses.iter().map(|(seq, delta)| (seq.0, delta.as_micros())).collect();
    // From 65534 on.
    assert_eq!(micros, [(8189, 1000), (8190, -1000), (16_382, 250), (16_393, 500)]);
}

fn arrivals(list: &[(u64, u64)]) -> Vec<Arrival> {
    list.iter().map(|&(seq, micros)| Arrival { seq: ExtendedSeqNo(seq), at: Duration::from_micros(micros) }).collect()
}

/// Writes all arrivals. Gives the packets.
fn write_all(base: u64, mut arrivals: &[Arrival], size_max: usize) -> Vec<Vec<u8>> {
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    let mut base = ExtendedSeqNo(base);
    let mut packets = Vec::new();
    while !arrivals.is_empty() {
        let mut out = Vec::new();
        let taken = writer.write(base, arrivals, size_max, &mut out).expect("it can be written");
        assert!(out.len() <= size_max && out.len() % 4 == 0);
        base = ExtendedSeqNo(arrivals[taken - 1].seq.0 + 1);
        arrivals = &arrivals[taken..];
        packets.push(out);
    }
    packets
}

/// What the packets tell: each number, and when in units of 250 µs.
fn read_all(packets: &[Vec<u8>]) -> Vec<(u16, Option<i64>)> {
    let mut clock = ReferenceClock::default();
    let mut told = Vec::new();
    for (index, bytes) in packets.iter().enumerate() {
        let feedback = read(bytes).expect("well formed");
        assert_eq!(usize::from(feedback.feedback_count), index % 256);
        let mut micros = clock.micros(feedback.reference_time);
        for (seq, delta) in feedback.statuses() {
            let at = delta.map(|delta| {
                micros += i64::from(delta.as_micros());
                micros / 250
            });
            told.push((seq.0, at));
        }
    }
    told
}

#[test]
fn a_feedback_is_written_byte_by_byte() {
    let arrivals = arrivals(&[(65_537, 64_000), (65_538, 64_600), (65_540, 64_100)]);
    let packets = write_all(65_536, &arrivals, 1200);
    #[rustfmt::skip]
    assert_eq!(packets, [[
        0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5,
        0, 0, 1, 0,
        0b1100_0101, 0b0010_0000, // lost, small, small, lost, large
        0, 2, 0xff, 0xfe, 0, 0,
    ]]);
    let told = [(0, None), (1, Some(256)), (2, Some(258)), (3, None), (4, Some(256))];
    assert_eq!(read_all(&packets), told);
}

#[test]
fn rounding_errors_do_not_add_up() {
    let list: Vec<_> = (0..1000).map(|index| (index, index * 1_249)).collect();
    let told = read_all(&write_all(0, &arrivals(&list), 2000));
    assert_eq!(told.last(), Some(&(999, Some(999 * 1_249 / 250))));
}

#[test]
fn a_delta_that_does_not_fit_begins_a_new_packet() {
    let list = arrivals(&[(1, 20_000_000), (2, 28_191_750), (3, 36_383_750), (4, 28_191_750), (5, 19_999_999 - 250)]);
    let packets = write_all(1, &list, 1200);
    let counts: Vec<_> = packets.iter().map(|bytes| read(bytes).expect("well formed").status_count()).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[test]
fn a_gap_of_all_numbers_keeps_the_latest() {
    let packets = write_all(5, &arrivals(&[(100_000, 0), (300_000, 10)]), 44);
    let feedback: Vec<_> = packets.iter().map(|bytes| read(bytes).expect("well formed")).collect();
    assert_eq!(feedback.len(), 2);
    for (feedback, seq) in feedback.iter().zip([100_000_u64, 300_000]) {
        assert_eq!(feedback.status_count(), 65535);
        assert_eq!(
            feedback.statuses().filter_map(|(seq, at)| at.map(|_| seq)).collect::<Vec<_>>(),
            [SeqNo(seq as u16)]
        );
        assert_eq!(feedback.chunks.len(), 18);
    }
}

#[test]
fn what_cant_be_written_is_refused() {
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    let mut out = vec![9];
    let mut write =
        |base, list: &[(u64, u64)], size_max| writer.write(ExtendedSeqNo(base), &arrivals(list), size_max, &mut out);
    assert_eq!(write(0, &[(1, 0), (1, 0)], 1200), Err(Error::OutOfRange), "a number twice");
    assert_eq!(write(0, &[(2, 0), (1, 0)], 1200), Err(Error::OutOfRange), "out of order");
    assert_eq!(write(3, &[(2, 0)], 1200), Err(Error::OutOfRange), "before the base");
    assert_eq!(write(0, &[(0, 0)], 23), Err(Error::NoRoom));
    assert_eq!(write(0, &[], 1200), Ok(0));
    assert_eq!(write(u64::MAX, &[(u64::MAX, u64::MAX)], 24), Ok(1));
    assert_eq!(out.len(), 1 + 24, "the only one that was written");
    assert_eq!(read(&out[1..]).map(|feedback| feedback.feedback_count), Ok(0), "and the only one that counts");
}

/// The least bytes of chunks and deltas over every way to cut `symbols` into chunks.
fn least(symbols: &[u8]) -> usize {
    let mut least = vec![usize::MAX; symbols.len() + 1];
    least[symbols.len()] = 0;
    for start in (0..symbols.len()).rev() {
        let rest = &symbols[start..];
        let deltas = |len: usize| rest[..len].iter().map(|&symbol| usize::from(symbol)).sum::<usize>();
        for len in 1..=rest.len() {
            let taken = &rest[..len];
            let last = len == rest.len();
            let same = taken.iter().all(|symbol| *symbol == taken[0]);
            let short = (len == 14 || len < 14 && last) && !taken.contains(&2);
            let long = len == 7 || len < 7 && last;
            if same || short || long {
                least[start] = least[start].min(2 + deltas(len) + least[start + len]);
            }
            if !taken.contains(&0) {
                least[start] = least[start].min(2 + 2 * len + least[start + len]);
            }
        }
    }
    least[0]
}

/// Arrivals whose statuses are these symbols; the first and the last are received.
fn arrivals_of(symbols: &[u8]) -> Vec<Arrival> {
    let mut at = 1 << 40;
    let mut list = Vec::new();
    for (seq, symbol) in symbols.iter().enumerate() {
        match symbol {
            1 => at += 500,
            2 => at += if seq % 2 == 0 { 70_000 } else { 90_000 },
            _ => continue,
        }
        list.push((seq as u64, at));
    }
    arrivals(&list)
}

/// Rows of runs, as networks make them.
fn symbols(runs: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = (0..3_u8, prop_oneof![1..3_usize, 1..20_usize]);
    prop::collection::vec(run, 0..runs).prop_map(|runs| {
        let mut symbols = vec![1];
        runs.iter().for_each(|&(symbol, len)| symbols.extend(std::iter::repeat_n(symbol, len)));
        symbols.push(1);
        symbols
    })
}

#[test]
fn no_chunking_of_any_short_row_is_smaller() {
    // All rows of up to seven symbols between two received ones.
    for len in 0..=7_u32 {
        for row in 0..3_usize.pow(len) {
            let mut symbols = vec![1];
            symbols.extend((0..len).map(|index| (row / 3_usize.pow(index) % 3) as u8));
            symbols.push(1);
            smallest(&symbols);
        }
    }
}

fn smallest(symbols: &[u8]) {
    let packets = write_all(0, &arrivals_of(symbols), 4000);
    assert_eq!(packets.len(), 1);
    let feedback = read(&packets[0]).expect("well formed");
    assert_eq!(usize::from(feedback.status_count()), symbols.len());
    assert_eq!(feedback.chunks.len() + feedback.deltas.len(), least(symbols), "{symbols:?}");
}

#[test]
fn small_deltas_amid_large_ones_are_written_large() {
    let mut symbols = vec![2; 100];
    symbols[0] = 1;
    symbols[50] = 1;
    assert_eq!(least(&symbols), 2 + 200);
    smallest(&symbols);
}

proptest! {
    #[test]
    fn the_middle_of_a_long_gap_needs_no_search(
        before in symbols(6),
        gaps in prop::collection::vec((prop_oneof![0..100_usize, 8_100..8_300_usize, 0..20_000_usize], symbols(3)), 1..4),
    ) {
        let mut row = before;
        for (gap, after) in gaps {
            row.resize(row.len() + gap, 0);
            row.extend(after);
        }
        let mut search = writer::Search::new();
        for symbol in &row {
            search.push(*symbol);
        }
        let packets = write_all(0, &arrivals_of(&row), 4000);
        prop_assert_eq!(packets.len(), 1);
        let feedback = read(&packets[0]).expect("well formed");
        let deltas: usize = row.iter().map(|symbol| usize::from(*symbol)).sum();
        prop_assert_eq!(feedback.chunks.len() + feedback.deltas.len(), search.last_chunk().0 as usize + deltas);
        let received: Vec<_> = feedback.statuses().filter_map(|(seq, delta)| delta.map(|_| seq)).collect();
        let expected: Vec<_> = arrivals_of(&row).iter().map(|arrival| arrival.seq.seq_no()).collect();
        prop_assert_eq!(received, expected);
    }

    #[test]
    fn no_chunking_is_smaller(symbols in symbols(12)) {
        smallest(&symbols);
    }

    #[test]
    fn statuses_come_back(
        base in 0..200_000_u64,
        steps in prop::collection::vec((prop_oneof![4 => Just(1), 1 => 1..50_u64, 1 => 1..2000_u64], -20_000..100_000_i64), 1..80),
        size_max in 44..300_usize,
    ) {
        let mut seq = base;
        let mut at = 1_i64 << 40;
        let mut list = Vec::new();
        for (gap, delta) in steps {
            seq += gap;
            at += delta;
            list.push((seq, at as u64));
        }
        let packets = write_all(base, &arrivals(&list), size_max);
        let told = read_all(&packets);
        prop_assert_eq!(told.len() as u64, seq - base + 1);
        // The first reference time is read as a signed number of 24 bits: it may be off by some wraps.
        let first = told.iter().find_map(|(_, at)| *at).expect("at least one was received");
        let wraps = (list[0].1 / 250) as i64 - first;
        prop_assert_eq!(wraps % (1 << 32), 0);
        for (index, (seq, at)) in told.into_iter().enumerate() {
            let number = base + index as u64;
            let arrival = list.binary_search_by_key(&number, |(seq, _)| *seq).ok().map(|index| list[index].1);
            prop_assert_eq!(seq, number as u16);
            prop_assert_eq!(at.map(|at| at + wraps), arrival.map(|micros| (micros / 250) as i64));
        }
    }

    #[test]
    fn each_packet_takes_as_many_as_fit(symbols in symbols(20), size_max in 44..120_usize) {
        let all = arrivals_of(&symbols);
        let mut out = Vec::new();
        let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
        let taken = writer.write(ExtendedSeqNo(0), &all, size_max, &mut out).expect("it can be written");
        if let Some(next) = all.get(taken) {
            let row: Vec<u8> = symbols[..=next.seq.0 as usize].to_vec();
            prop_assert!((FIXED_LEN + least(&row)).next_multiple_of(4) > size_max);
        }
    }

    #[test]
    fn any_chunks_are_read_or_refused(count: u16, body in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = feedback(count, &body);
        if let Ok(feedback) = read(&bytes) {
            prop_assert_eq!(feedback.statuses().count(), usize::from(count));
            let of_statuses = feedback.statuses().filter_map(|(seq, delta)| Some((seq, delta?)));
            prop_assert!(feedback.received().eq(of_statuses.clone()));
            let received = of_statuses.count();
            prop_assert!(received <= feedback.deltas.len() && feedback.deltas.len() <= 2 * received);
        }
    }
}
