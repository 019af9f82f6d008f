use plenary_netsim::base;
use plenary_rtp::{Header, PacketWriter, SeqNo, Ssrc};

use super::*;

const LIMITS: LogLimits = LogLimits { packets_max: 4, bytes_max: 3000, age_max: Duration::from_secs(1), chunk: 2000 };

fn packet(number: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header { sequence_number: SeqNo(number), ssrc: Ssrc(1), ..Header::default() };
    let mut out = Vec::new();
    let mut writer = PacketWriter::begin(&header, &mut out).unwrap().into_payload();
    writer.append(payload);
    writer.finish();
    out
}

fn append(log: &mut Log, number: u16, len: usize, now: Instant) -> Position {
    let bytes = packet(number, &vec![number as u8; len]);
    let packet = Packet::parse(&bytes).unwrap();
    log.append(&packet, ExtendedSeqNo(number.into()), Facts::default(), now)
}

fn kept(log: &Log) -> Vec<u64> {
    (log.start()..log.end()).map(|position| log.get(position).unwrap().seq.0).collect()
}

#[test]
fn packets_keep_their_positions_and_bytes() {
    let (mut log, now) = (Log::new(LIMITS), base());
    for number in 0..100 {
        assert_eq!(append(&mut log, number, 500, now), u64::from(number));
        let entry = log.get(number.into()).unwrap();
        assert_eq!(log.payload(entry), vec![number as u8; 500]);
    }
    assert_eq!(kept(&log), [96, 97, 98, 99]);
    for position in 96..100 {
        assert_eq!(log.payload(log.get(position).unwrap()), vec![position as u8; 500]);
    }
    assert!(log.get(95).is_none() && log.get(100).is_none());
    // 512 bytes each: three fit a chunk, so four lie in two or three; one spare.
    assert!(log.store.chunk_count() <= 3, "{}", log.store.chunk_count());
}

#[test]
fn bytes_and_age_bound_it_too() {
    let (mut log, start) = (Log::new(LIMITS), base());
    for number in 0..3 {
        append(&mut log, number, 1200, start);
    }
    assert_eq!(kept(&log), [1, 2], "two of 1212 bytes fit 3000");
    append(&mut log, 3, 0, start + Duration::from_millis(1001));
    assert_eq!(kept(&log), [3]);
    let entry = log.get(3).unwrap();
    assert!(entry.is_empty() && log.payload(entry).is_empty());
}

#[test]
fn what_nothing_is_added_to_is_given_back() {
    let (mut log, start) = (Log::new(LIMITS), base());
    for number in 0..3 {
        append(&mut log, number, 500, start);
    }
    log.handle_timeout(start + IDLE_MAX);
    assert_eq!(kept(&log), [0, 1, 2]);
    log.handle_timeout(start + IDLE_MAX + Duration::from_millis(1));
    assert_eq!((log.start(), log.end(), log.store.chunk_count()), (3, 3, 0));
    assert_eq!(append(&mut log, 9, 500, start + 2 * IDLE_MAX), 3, "positions go on");
    assert_eq!(kept(&log), [9]);
}

#[test]
fn one_longer_than_a_chunk_has_its_own() {
    let (mut log, now) = (Log::new(LogLimits { bytes_max: 100_000, ..LIMITS }), base());
    append(&mut log, 0, 100, now);
    append(&mut log, 1, 9000, now);
    append(&mut log, 2, 100, now);
    assert_eq!(log.payload(log.get(1).unwrap()), vec![1; 9000]);
    assert_eq!(log.payload(log.get(2).unwrap()), vec![2; 100]);
}
