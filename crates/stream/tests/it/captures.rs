//! What real browsers sent, over loopback without loss (`testdata/captures`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use plenary_netsim::base;
use plenary_rtp::payload::rtx;
use plenary_rtp::rtcp::{self, Packet as Rtcp};
use plenary_rtp::{ClockRate, NtpTime, Packet, Ssrc};
use plenary_stream::{
    NtpClock, ReceiveConfig, ReceiveStream, Received, ReceivedPacket, Repair, SendConfig, SendStream, SentPacket,
};

const NAMES: [&str; 11] = [
    "chromium-av1-l3t3key",
    "chromium-av1-simulcast-one-layer",
    "chromium-h264-simulcast",
    "chromium-opus",
    "chromium-opus-red",
    "chromium-vp8-simulcast",
    "chromium-vp8-single",
    "chromium-vp9-l3t3key",
    "firefox-av1-single",
    "firefox-opus",
    "firefox-vp8-simulcast",
];
/// Extension ids, the same in all captures.
const RID: u8 = 2;
const REPAIRED_RID: u8 = 3;

struct Record {
    offset: Duration,
    is_rtcp: bool,
    bytes: Vec<u8>,
}

fn records(name: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/captures/{name}.rtpdump"));
    let dump = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let line = dump.iter().position(|&byte| byte == b'\n').expect("a first line") + 1;
    let mut rest = &dump[line + 16..];
    let mut records = Vec::new();
    while let Some((&[l0, l1, p0, p1, o0, o1, o2, o3], _)) = rest.split_first_chunk() {
        let (record, next) = rest.split_at(u16::from_be_bytes([l0, l1]).into());
        rest = next;
        records.push(Record {
            offset: Duration::from_millis(u32::from_be_bytes([o0, o1, o2, o3]).into()),
            is_rtcp: [p0, p1] == [0, 0],
            bytes: record[8..].to_vec(),
        });
    }
    records
}

/// Video has RTX, as payload type + 1.
fn is_rtx(packet: &Packet<'_>) -> bool {
    [97, 99, 101, 103].contains(&packet.payload_type())
}

fn is_audio(name: &str) -> bool {
    name.contains("opus")
}

fn clock_rate(name: &str) -> ClockRate {
    if is_audio(name) { ClockRate::OPUS } else { ClockRate::VIDEO }
}

/// Which stream each RTX stream repairs: by the RIDs that the first packets say, or the only one there is.
fn repaired(records: &[Record]) -> BTreeMap<Ssrc, Ssrc> {
    let (mut media, mut rtx) = (BTreeMap::new(), BTreeMap::new());
    for record in records.iter().filter(|record| !record.is_rtcp) {
        let packet = Packet::parse(&record.bytes).unwrap();
        let (streams, id) = if is_rtx(&packet) { (&mut rtx, REPAIRED_RID) } else { (&mut media, RID) };
        let rid = packet.extension(id).map(<[u8]>::to_vec);
        let known: &mut Option<Vec<u8>> = streams.entry(packet.ssrc()).or_default();
        *known = known.take().or(rid);
    }
    let of = |rid: &Option<Vec<u8>>| media.iter().find(|(_, known)| *known == rid).map(|(ssrc, _)| *ssrc);
    rtx.iter().filter_map(|(ssrc, rid)| of(rid).map(|media| (*ssrc, media))).collect()
}

#[test]
fn no_capture_has_a_loss_a_duplicate_or_much_jitter() {
    let start = base();
    let mut total = (0, 0, 0);
    for name in NAMES {
        let records = records(name);
        let repaired = repaired(&records);
        let mut streams = BTreeMap::new();
        for record in records.iter().filter(|record| !record.is_rtcp) {
            let packet = Packet::parse(&record.bytes).unwrap();
            let now = start + record.offset;
            let rate = clock_rate(name);
            let config = ReceiveConfig { clock_rate: rate, ..ReceiveConfig::video(packet.ssrc()) };
            let new = || ReceiveStream::new(config, start).unwrap();
            let received = streams.entry(packet.ssrc()).or_insert_with(new).handle_packet(&(&packet).into(), now);
            assert!(matches!(received, Received::New { gap: 0, .. }), "{name}: {received:?}");
            if let Some(stream) = repaired.get(&packet.ssrc()).and_then(|media| streams.get_mut(media))
                && let Some(payload) = rtx::Payload::parse(packet.payload()).unwrap()
            {
                // They probe: every one repeats what is here.
                let repair = stream.handle_repair(payload.original_sequence_number);
                assert!(matches!(repair, Repair::Duplicate { .. }), "{name}: {repair:?}");
                total.2 += 1;
            }
        }
        for (ssrc, stream) in &mut streams {
            let block = stream.report_block(start + Duration::from_secs(100)).unwrap();
            assert_eq!((block.cumulative_lost, block.fraction_lost), (0, 0), "{name} {ssrc}");
            let counters = stream.counters();
            assert_eq!((counters.asked, counters.given_up, stream.missing()), (0, 0, 0));
            total.0 += counters.packets;
            total.1 += counters.padding_packets;
            if !repaired.contains_key(ssrc) {
                // Arrival times are whole milliseconds, and the busy machine that was recorded sent frames in bursts.
                let jitter = clock_rate(name).duration(block.jitter.into());
                assert!(jitter < Duration::from_millis(25), "{name} {ssrc}: {jitter:?}");
            }
        }
    }
    assert_eq!(total, (10_969, 180, 710));
}

// Browsers count the packets of RTX, and its payload, with those of the stream; padding-only ones too.
#[test]
fn our_counts_and_times_are_those_of_the_browsers_own_sender_reports() {
    let start = base();
    let (mut differences, mut empty) = (Vec::new(), 0);
    for name in NAMES {
        let records = records(name);
        let repaired = repaired(&records);
        let clock = NtpClock::new(start, NtpTime(0));
        let mut streams: BTreeMap<Ssrc, SendStream> = BTreeMap::new();
        for record in &records {
            let now = start + record.offset;
            if !record.is_rtcp {
                let packet = Packet::parse(&record.bytes).unwrap();
                let ssrc = repaired.get(&packet.ssrc()).copied().unwrap_or_else(|| packet.ssrc());
                let config = SendConfig { ssrc, clock_rate: clock_rate(name) };
                let stream = streams.entry(ssrc).or_insert_with(|| SendStream::new(config));
                let ReceivedPacket { timestamp, payload_len, .. } = (&packet).into();
                if is_rtx(&packet) {
                    stream.handle_retransmitted(payload_len);
                } else {
                    stream.handle_sent(&SentPacket { timestamp, payload_len, sampled_at: now });
                }
                continue;
            }
            for packet in rtcp::packets(&record.bytes) {
                let Rtcp::SenderReport(theirs) = packet.unwrap() else { continue };
                let ours = streams.get_mut(&theirs.ssrc).and_then(|stream| stream.sender_report(&clock, now));
                let Some(ours) = ours else {
                    // The stream has not begun, and has no timestamp to tell; RTX may have probed already.
                    let probes = streams.get(&theirs.ssrc).map_or(0, |stream| stream.packets());
                    assert_eq!((theirs.packet_count.into(), theirs.octet_count), (probes, 0), "{name} {}", theirs.ssrc);
                    empty += 1;
                    continue;
                };
                let counts = |report: &rtcp::SenderReport<'_>| (report.packet_count, report.octet_count);
                assert_eq!(counts(&ours), counts(&theirs), "{name} {}", theirs.ssrc);
                // They know when a frame was captured, we when its first packet came.
                let apart = ours.rtp_timestamp.distance_to(theirs.rtp_timestamp).unsigned_abs();
                differences.push(clock_rate(name).duration(apart.into()));
            }
        }
    }
    assert_eq!((differences.len(), empty), (204, 4));
    differences.sort_unstable();
    let (median, most) = (differences[102], differences[203]);
    assert!(median < Duration::from_millis(10) && most < Duration::from_millis(250), "{median:?} {most:?}");
}
