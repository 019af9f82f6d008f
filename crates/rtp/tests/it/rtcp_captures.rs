//! All RTCP that real browsers sent: it parses, is plausible, and is written again byte by byte.

use std::collections::BTreeMap;

use plenary_rtp::rtcp::{Packet, SenderReport, packets};
use plenary_rtp::{NtpTime, RtpTime, Ssrc};

use crate::captures::{Capture, NAMES};

fn each_datagram(mut see: impl FnMut(&'static str, &[u8])) {
    for name in NAMES {
        Capture::open(name).rtcp().for_each(|datagram| see(name, datagram));
    }
}

#[test]
fn every_datagram_parses_and_is_written_again() {
    let mut counts = BTreeMap::new();
    let mut datagrams = 0;
    each_datagram(|name, datagram| {
        datagrams += 1;
        let mut again = Vec::new();
        for packet in packets(datagram) {
            let packet = packet.unwrap_or_else(|error| panic!("{name}: {error}"));
            let kind = match packet {
                Packet::SenderReport(report) => {
                    assert!(report.reports.is_empty() && report.extension.is_empty());
                    "SR"
                }
                Packet::Sdes(sdes) => {
                    for chunk in sdes.chunks.iter() {
                        let chunk = chunk.expect("a whole chunk");
                        assert!(chunk.cname().is_some_and(|name| name.is_ascii() && name.len() >= 16), "{chunk:?}");
                    }
                    "SDES"
                }
                other => panic!("{name}: {other:?}"),
            };
            *counts.entry(kind).or_insert(0) += 1;
            packet.write(&mut again).expect("what was read can be written");
        }
        assert_eq!(again, datagram, "{name}");
    });
    assert_eq!(datagrams, 221);
    assert_eq!(counts, BTreeMap::from([("SR", 208), ("SDES", 221)]));
}

#[test]
fn sender_reports_keep_the_time() {
    let mut last: BTreeMap<(&str, Ssrc), (NtpTime, RtpTime, u32, u32)> = BTreeMap::new();
    let mut steps = 0;
    each_datagram(|name, datagram| {
        for packet in packets(datagram).flatten() {
            let Packet::SenderReport(SenderReport { ssrc, ntp, rtp_timestamp, packet_count, octet_count, .. }) = packet
            else {
                continue;
            };
            let now = (ntp, rtp_timestamp, packet_count, octet_count);
            let Some(before) = last.insert((name, ssrc), now) else { continue };
            assert!(ntp.0 > before.0.0 && packet_count >= before.2 && octet_count >= before.3, "{name}");
            let clock = if name.contains("opus") { 48_000.0 } else { 90_000.0 };
            let seconds = (ntp.0 - before.0.0) as f64 / 4_294_967_296.0;
            let rtp = f64::from(before.1.distance_to(rtp_timestamp));
            assert!((rtp / (seconds * clock) - 1.0).abs() < 0.01, "{name}: {rtp} in {seconds} s");
            steps += 1;
        }
    });
    assert_eq!(steps, 191, "all SR but the first of each of 17 streams");
}
