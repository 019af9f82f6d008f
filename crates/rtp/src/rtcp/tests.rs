use plenary_wire::{Bitrate, Ecn};

use super::*;
use crate::{CompactNtp, Error, NtpTime, ParseError, RtpTime, SeqNo, Ssrc};

fn all(datagram: &[u8]) -> Vec<Result<Packet<'_>, ParseError>> {
    packets(datagram).collect()
}

/// The one packet that `bytes` are.
pub(super) fn one(bytes: &[u8]) -> Packet<'_> {
    match all(bytes)[..] {
        [Ok(packet)] => packet,
        ref other => panic!("not one packet: {other:?}"),
    }
}

fn refused(bytes: &[u8]) -> ParseError {
    match all(bytes)[..] {
        [Err(error)] => error,
        ref other => panic!("not one refusal: {other:?}"),
    }
}

pub(super) fn written(packet: Packet<'_>) -> Vec<u8> {
    let mut out = vec![0xee];
    packet.write(&mut out).expect("it can be written");
    out.split_off(1)
}

/// Reads `bytes` as `packet` and writes `packet` as `bytes`.
fn both_ways(bytes: &[u8], packet: Packet<'_>) {
    assert_eq!(one(bytes), packet);
    assert_eq!(written(packet), bytes);
}

/// A writer that fails leaves the caller's bytes alone.
fn fails(packet: Packet<'_>, error: Error) {
    let mut out = vec![1, 2, 3];
    assert_eq!(packet.write(&mut out), Err(error));
    assert_eq!(out, [1, 2, 3]);
}

#[rustfmt::skip]
const SR: [u8; 52] = [
    0x81, 200, 0, 12,
    0, 0, 0, 1,
    0xe0, 1, 2, 3, 0x80, 0, 0, 0,
    0, 1, 0x5f, 0x90,
    0, 0, 0, 10,
    0, 0, 4, 0,
    0, 0, 0, 2,
    64, 0xff, 0xff, 0xfe, // a quarter lost, two more came than were expected
    0, 1, 0, 5,
    0, 0, 0, 9,
    1, 2, 3, 4,
    0, 1, 0x80, 0,
];
const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
const THE_PLI: Packet<'_> = Packet::Pli(Pli { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2) });

fn block() -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(2),
        fraction_lost: 64,
        cumulative_lost: -2,
        highest_seq: 0x1_0005,
        jitter: 9,
        last_sr: CompactNtp(0x0102_0304),
        delay_since_last_sr: CompactNtp(0x1_8000),
    }
}

#[test]
fn sender_report() {
    both_ways(
        &SR,
        Packet::SenderReport(SenderReport {
            ssrc: Ssrc(1),
            ntp: NtpTime(0xe001_0203_8000_0000),
            rtp_timestamp: RtpTime(90_000),
            packet_count: 10,
            octet_count: 1024,
            reports: [block()][..].into(),
            extension: &[],
        }),
    );
}

#[test]
fn receiver_report_with_a_profile_extension() {
    let mut bytes = vec![0x81, 201, 0, 8, 0, 0, 0, 1];
    bytes.extend_from_slice(&SR[28..]);
    bytes.extend_from_slice(b"more");
    let reports = [block()];
    both_ways(
        &bytes,
        Packet::ReceiverReport(ReceiverReport { ssrc: Ssrc(1), reports: reports[..].into(), extension: b"more" }),
    );
}

#[test]
fn cumulative_loss_is_held_to_24_bits() {
    for (lost, held) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1), (0x7f_ffff, 0x7f_ffff)] {
        let reports = [ReportBlock { cumulative_lost: lost, ..block() }];
        let bytes =
            written(Packet::ReceiverReport(ReceiverReport { reports: reports[..].into(), ..Default::default() }));
        let Packet::ReceiverReport(report) = one(&bytes) else { panic!("another type") };
        assert_eq!(report.reports.iter().next().map(|block| block.cumulative_lost), Some(held));
    }
}

#[test]
fn a_report_count_that_lies_is_refused() {
    let mut bytes = SR;
    bytes[0] = 0x82;
    assert_eq!(refused(&bytes), ParseError::Truncated);
    let reports = [block(); 32];
    let reports = reports[..].into();
    fails(Packet::ReceiverReport(ReceiverReport { reports, ..Default::default() }), Error::TooLong);
    fails(Packet::SenderReport(SenderReport { reports, ..Default::default() }), Error::TooLong);
    fails(Packet::ReceiverReport(ReceiverReport { extension: b"odd", ..Default::default() }), Error::OutOfRange);
}

#[rustfmt::skip]
const SDES: [u8; 32] = [
    0x82, 202, 0, 7,
    0, 0, 0, 1,
    1, 2, b'm', b'e', 8, 1, b'x', 0, // CNAME, PRIV; one null byte ends the list
    0, 0, 0, 2,
    1, 4, b'y', b'o', b'u', b'.', 0, 0,
    0, 0, 0, 3, // not announced
];

#[test]
fn source_description() {
    let first = [Item { kind: Item::CNAME, text: b"me" }, Item { kind: 8, text: b"x" }];
    let second = [Item { kind: Item::CNAME, text: b"you." }];
    let chunks = [Chunk { ssrc: Ssrc(1), items: first[..].into() }, Chunk { ssrc: Ssrc(2), items: second[..].into() }];
    let sdes = Packet::Sdes(Sdes { chunks: chunks[..].into() });
    let mut bytes = SDES[..28].to_vec();
    bytes[3] = 6;
    both_ways(&bytes, sdes);
    assert_eq!(one(&SDES), sdes, "what follows the chunks is not one");
    assert_eq!(chunks.map(|chunk| chunk.cname()), [Some(&b"me"[..]), Some(b"you.")]);
}

#[test]
fn a_malformed_chunk_ends_the_walk_and_keeps_those_before() {
    let chunks = |bytes: &[u8]| {
        let Packet::Sdes(sdes) = one(bytes) else { panic!("another type") };
        sdes.chunks.iter().map(|chunk| chunk.map(|chunk| chunk.ssrc)).collect::<Vec<_>>()
    };
    let mut bytes = SDES;
    bytes[21] = 200;
    assert_eq!(chunks(&bytes), [Ok(Ssrc(1)), Err(ParseError::Overrun)]);
    bytes[9] = 200;
    assert_eq!(chunks(&bytes), [Err(ParseError::Overrun)]);
    bytes[0] = 0x9f;
    assert_eq!(chunks(&bytes), [Err(ParseError::Overrun)]);
    // The null byte that ends the list of items is missing.
    assert_eq!(chunks(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'm', b'e']), [Err(ParseError::Truncated)]);
    // More chunks are announced than there are.
    assert_eq!(chunks(&[0x82, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]), [Ok(Ssrc(1)), Err(ParseError::Truncated)]);
    fails(one(&bytes), Error::OutOfRange);
}

#[test]
fn a_description_that_does_not_fit_is_refused() {
    let long = [0; 256];
    for (item, error) in
        [(Item { kind: 1, text: &long }, Error::TooLong), (Item { kind: 0, text: b"" }, Error::OutOfRange)]
    {
        let items = [item];
        let chunks = [Chunk { ssrc: Ssrc(1), items: items[..].into() }];
        fails(Packet::Sdes(Sdes { chunks: chunks[..].into() }), error);
    }
    let chunks = [Chunk::default(); 32];
    fails(Packet::Sdes(Sdes { chunks: chunks[..].into() }), Error::TooLong);
}

#[test]
fn goodbye() {
    let sources = [Ssrc(1), Ssrc(2)];
    let sources = sources[..].into();
    let bytes = [0x82, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 2, b'o', b'k', 0];
    both_ways(&bytes, Packet::Bye(Bye { sources, reason: Some(b"ok") }));
    both_ways(&[0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], Packet::Bye(Bye { sources, reason: None }));
    both_ways(&[0x80, 203, 0, 0], Packet::Bye(Bye::default()));

    let mut long = bytes;
    long[12] = 4;
    assert_eq!(refused(&long), ParseError::Overrun);
    long[0] = 0x84;
    assert_eq!(refused(&long), ParseError::Truncated);
    fails(Packet::Bye(Bye { sources, reason: Some(&[0; 256]) }), Error::TooLong);
    fails(Packet::Bye(Bye { sources: [Ssrc(0); 32][..].into(), reason: None }), Error::TooLong);
}

#[test]
fn application_defined() {
    let app = App { subtype: 5, ssrc: Ssrc(1), name: *b"plen", data: b"data" };
    both_ways(&[0x85, 204, 0, 3, 0, 0, 0, 1, b'p', b'l', b'e', b'n', b'd', b'a', b't', b'a'], Packet::App(app));
    fails(Packet::App(App { subtype: 32, ..app }), Error::TooLong);
    fails(Packet::App(App { data: b"odd", ..app }), Error::OutOfRange);
}

#[test]
fn picture_loss_and_full_intra_request() {
    both_ways(&PLI, THE_PLI);
    let entries = [FirEntry { ssrc: Ssrc(2), seq: 255 }, FirEntry { ssrc: Ssrc(3), seq: 0 }];
    both_ways(
        &[0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 255, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0],
        Packet::Fir(Fir { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(0), entries: entries[..].into() }),
    );
    assert_eq!(refused(&[0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]), ParseError::Truncated);
    assert_eq!(refused(&[0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]), ParseError::Truncated);
    fails(Packet::Fir(Fir::default()), Error::OutOfRange);
}

#[rustfmt::skip]
const REMB: [u8; 24] = [
    0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B',
    1, 3 << 2 | 3, 0xff, 0xff, // exponent 3, mantissa 2^18 - 1
    0, 0, 0, 7,
];

#[test]
fn maximum_bitrate() {
    let remb = Remb { sender_ssrc: Ssrc(1), bitrate: Bitrate::from_bps(0x3_ffff << 3), ssrcs: [Ssrc(7)][..].into() };
    both_ways(&REMB, Packet::Remb(remb));
    assert_eq!(written(Packet::Remb(Remb { bitrate: Bitrate::from_bps((0x3_ffff << 3) + 7), ..remb })), REMB);

    let mut bytes = REMB;
    bytes[16] = 2;
    assert_eq!(refused(&bytes), ParseError::Truncated);
    bytes[12] = b'X';
    let raw = RawPacket { kind: 206, count: 15, body: &bytes[4..] };
    both_ways(&bytes, Packet::Other(raw));
    fails(Packet::Remb(Remb { ssrcs: [Ssrc(0); 256][..].into(), ..remb }), Error::TooLong);
}

#[test]
fn a_bitrate_beyond_64_bits_saturates() {
    let read = |exponent: u8| {
        let mut bytes = REMB;
        bytes[17] = exponent << 2 | 3;
        match one(&bytes) {
            Packet::Remb(remb) => remb.bitrate,
            other => panic!("{other:?}"),
        }
    };
    let highest = Bitrate::from_bps(0x3_ffff << 46);
    assert_eq!((read(46), read(47), read(63)), (highest, highest, highest));
}

// Found by fuzzing: a rate that was read as 2^64 - 1 came back as 2^64 - 2^46.
#[test]
fn a_saturated_bitrate_comes_back() {
    let mut bytes = REMB;
    bytes[17] = 63 << 2 | 3;
    let remb = one(&bytes);
    assert_eq!(one(&written(remb)), remb);
}

#[test]
fn negative_acknowledgement() {
    let pairs = [NackPair { seq: SeqNo(65535), following: 0x8001 }];
    let bytes = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0x80, 1];
    let nack = Nack { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2), pairs: pairs[..].into() };
    both_ways(&bytes, Packet::Nack(nack));
    assert_eq!(nack.lost().collect::<Vec<_>>(), [65535, 0, 15].map(SeqNo));
    assert_eq!(refused(&[0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), ParseError::Truncated);
    fails(Packet::Nack(Nack::default()), Error::OutOfRange);
}

pub(super) fn nack_packets(lost: &[u16], size_max: usize) -> Vec<Vec<u8>> {
    let mut writer = NackWriter::new(Ssrc(1), Ssrc(2), lost.iter().copied().map(SeqNo));
    let mut packets = Vec::new();
    loop {
        let mut out = Vec::new();
        if !writer.write(size_max, &mut out).expect("there is room for a pair") {
            assert!(out.is_empty());
            return packets;
        }
        packets.push(out);
    }
}

#[test]
fn nack_wraps_from_65535_to_0_within_a_pair() {
    let packets = nack_packets(&[65530, 65535, 0, 10, 11], 1200);
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0][12..], [0xff, 0xfa, 0x80, 0b11_0000, 0, 11, 0, 0]);
}

#[test]
fn nack_is_split_at_the_size_limit() {
    let lost: Vec<u16> = (0..10).map(|index| index * 17).collect();
    let packets = nack_packets(&lost, 12 + 4 * 4 + 3);
    assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [28, 28, 20]);
    let mut out = vec![9];
    assert_eq!(NackWriter::new(Ssrc(1), Ssrc(2), [SeqNo(1)]).write(15, &mut out), Err(Error::NoRoom));
    assert_eq!(out, [9]);
}

#[rustfmt::skip]
const CCFB: [u8; 32] = [
    0x8b, 205, 0, 7,
    0, 0, 0, 1,
    0, 0, 0, 2, 0xff, 0xff, 0, 3, // three from 65535 on
    0x80 | 0x60, 5, 0, 0, 0x9f, 0xfe, 0, 0, // CE 5/1024 s ago, lost, too long ago; padding
    0, 0, 0, 3, // cut off below
    0, 0, 0, 9,
];

#[test]
fn congestion_control_feedback() {
    let mut bytes = CCFB[..24].to_vec();
    bytes[3] = 6;
    bytes.extend_from_slice(&[0x11, 0x22, 0x33, 0x44]);
    let metrics = [
        Metric::Received { ecn: Ecn::Ce, offset: ArrivalOffset::from_ticks(5) },
        Metric::Lost,
        Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::OVER_RANGE },
    ];
    let blocks = [CcfbBlock { ssrc: Ssrc(2), begin_seq: SeqNo(65535), metrics: metrics[..].into() }];
    let ccfb = Ccfb { sender_ssrc: Ssrc(1), blocks: blocks[..].into(), timestamp: CompactNtp(0x1122_3344) };
    both_ways(&bytes, Packet::Ccfb(ccfb));
    let numbered: Vec<_> = blocks[0].numbered().map(|(seq, _)| seq).collect();
    assert_eq!(numbered, [65535, 0, 1].map(SeqNo));

    assert_eq!(ArrivalOffset::from_ticks(8189).ticks(), Some(8189));
    assert_eq!(ArrivalOffset::from_ticks(8190), ArrivalOffset::OVER_RANGE);
    assert_eq!([ArrivalOffset::OVER_RANGE, ArrivalOffset::UNAVAILABLE].map(ArrivalOffset::ticks), [None; 2]);
}

#[test]
fn what_a_lost_packet_says_of_itself_is_ignored() {
    let mut bytes = CCFB;
    bytes[18] = 0x7f;
    let Packet::Ccfb(ccfb) = one(&bytes) else { panic!("another type") };
    let block = ccfb.blocks.iter().next().expect("a block").expect("a whole one");
    assert_eq!(block.metrics.iter().nth(1), Some(Metric::Lost));
}

#[test]
fn a_report_count_that_lies_ends_the_blocks() {
    let blocks = |bytes: &[u8]| {
        let Packet::Ccfb(ccfb) = one(bytes) else { panic!("another type") };
        ccfb.blocks.iter().map(|block| block.map(|block| block.metrics.len())).collect::<Vec<_>>()
    };
    assert_eq!(blocks(&CCFB), [Ok(3), Err(ParseError::Truncated)]);
    let mut bytes = CCFB;
    bytes[15] = 7;
    assert_eq!(blocks(&bytes), [Err(ParseError::Overrun)]);
    bytes[14..16].copy_from_slice(&16385_u16.to_be_bytes());
    assert_eq!(blocks(&bytes), [Err(ParseError::TooMany)]);

    let metrics = vec![Metric::Lost; CcfbBlock::METRICS_MAX + 1];
    let mut blocks = [CcfbBlock { metrics: metrics[..].into(), ..Default::default() }];
    fails(Packet::Ccfb(Ccfb { blocks: blocks[..].into(), ..Default::default() }), Error::TooLong);
    blocks[0].metrics = metrics[1..].into();
    written(Packet::Ccfb(Ccfb { blocks: blocks[..].into(), ..Default::default() }));
    fails(Packet::Ccfb(Ccfb { blocks: [blocks[0]; 9][..].into(), ..Default::default() }), Error::TooLong);
}

#[rustfmt::skip]
const XR: [u8; 44] = [
    0x80, 207, 0, 10,
    0, 0, 0, 1,
    4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8,
    5, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4,
    42, 9, 0, 1, b'b', b'o', b'd', b'y',
];

#[test]
fn extended_reports() {
    let reports = [DlrrReport { ssrc: Ssrc(2), last_rr: CompactNtp(3), delay_since_last_rr: CompactNtp(4) }];
    let blocks = [
        XrBlock::ReferenceTime { ntp: NtpTime(0x0102_0304_0506_0708) },
        XrBlock::Dlrr(reports[..].into()),
        XrBlock::Other { kind: 42, type_specific: 9, body: b"body" },
    ];
    both_ways(&XR, Packet::Xr(Xr { ssrc: Ssrc(1), blocks: blocks[..].into() }));
    let odd = [XrBlock::Other { kind: 42, type_specific: 9, body: b"odd" }];
    fails(Packet::Xr(Xr { ssrc: Ssrc(1), blocks: odd[..].into() }), Error::OutOfRange);
}

#[test]
fn a_bad_block_of_an_extended_report_costs_only_itself() {
    let blocks = |bytes: &[u8]| {
        let Packet::Xr(xr) = one(bytes) else { panic!("another type") };
        xr.blocks.iter().map(|block| block.map(|_| ())).collect::<Vec<_>>()
    };
    let mut bytes = XR;
    bytes[8] = 5;
    assert_eq!(blocks(&bytes), [Err(ParseError::Truncated), Ok(()), Ok(())]);
    bytes[39] = 2;
    assert_eq!(blocks(&bytes), [Err(ParseError::Truncated), Ok(()), Err(ParseError::Overrun)]);
}

#[test]
fn a_truncated_trailing_packet_keeps_the_good_ones() {
    let mut datagram = [&SR[..], &PLI].concat();
    datagram.truncate(datagram.len() - 1);
    let found = all(&datagram);
    assert!(matches!(found[..], [Ok(Packet::SenderReport(_)), Err(ParseError::Truncated)]), "{found:?}");
    let datagram = [&PLI[..], &[0x80]].concat();
    assert_eq!(all(&datagram), [Ok(THE_PLI), Err(ParseError::Truncated)]);
}

#[test]
fn a_length_field_overrun_ends_the_walk() {
    let mut datagram = [PLI, PLI, PLI].concat();
    datagram[15] = 0xff;
    assert_eq!(all(&datagram), [Ok(THE_PLI), Err(ParseError::Truncated)]);
}

#[test]
fn a_bad_packet_between_good_ones_is_skipped() {
    let mut short = SR;
    short[0] = 0x85;
    let mut version = PLI;
    version[0] = 0x41;
    let datagram = [&PLI[..], &short, &version, &PLI].concat();
    assert_eq!(all(&datagram), [Ok(THE_PLI), Err(ParseError::Truncated), Err(ParseError::Version), Ok(THE_PLI)]);
}

#[test]
fn a_reduced_size_compound_needs_no_report_first() {
    assert_eq!(all(&PLI), [Ok(THE_PLI)]);
    assert_eq!(all(&[]), []);
}

#[test]
fn an_unknown_type_is_given_raw() {
    let raw = RawPacket { kind: 210, count: 17, body: b"what" };
    both_ways(&[0x91, 210, 0, 1, b'w', b'h', b'a', b't'], Packet::Other(raw));
    fails(Packet::Other(RawPacket { count: 32, ..raw }), Error::TooLong);
    let long = vec![0; 4 * 65536];
    fails(Packet::Other(RawPacket { body: &long, ..raw }), Error::TooLong);
    assert_eq!(written(Packet::Other(RawPacket { body: &long[4..], ..raw })).len(), 4 * 65536);
}

#[test]
fn padding_is_taken_off() {
    let padded = [0xa1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 4];
    assert_eq!(one(&padded), THE_PLI);
    assert_eq!(all(&[&PLI[..], &padded].concat()), [Ok(THE_PLI), Ok(THE_PLI)]);
    let all_padding = [0xa0, 203, 0, 1, 0, 0, 0, 4];
    assert_eq!(one(&all_padding), Packet::Bye(Bye::default()));
}

#[test]
fn a_padding_lie_is_refused() {
    let padded = |padding| [0xa1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, padding];
    for lie in [0, 13, 16, 255] {
        assert_eq!(refused(&padded(lie)), ParseError::Padding, "{lie}");
    }
    assert_eq!(refused(&padded(8)), ParseError::Truncated, "the padding takes a part of the content");
    assert_eq!(refused(&[0xa0, 203, 0, 0]), ParseError::Padding);
}
