//! All RTCP that real browsers sent: it parses, is plausible, and is written again byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use plenary_rtp::rtcp::{Packet, SenderReport, packets};
use plenary_rtp::{NtpTime, RtpTime, Ssrc};

/// The RTCP datagrams of an rtpdump file: those whose packet length is 0.
fn rtcp_datagrams(file: &[u8]) -> Vec<&[u8]> {
    let line = file.iter().position(|&byte| byte == b'\n').expect("a first line");
    let mut rest = &file[line + 1 + 16..];
    let mut datagrams = Vec::new();
    while let Some((header, _)) = rest.split_first_chunk::<8>() {
        let len = usize::from(u16::from_be_bytes([header[0], header[1]]));
        if header[2..4] == [0, 0] {
            datagrams.push(&rest[8..len]);
        }
        rest = &rest[len..];
    }
    assert!(rest.is_empty(), "a record is cut off");
    datagrams
}

fn each_capture(mut see: impl FnMut(&str, &[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the captures").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rtpdump"));
    files.sort();
    assert_eq!(files.len(), 11);
    for path in files {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let bytes = fs::read(&path).expect("a readable file");
        for datagram in rtcp_datagrams(&bytes) {
            see(name, datagram);
        }
    }
}

#[test]
fn every_datagram_parses_and_is_written_again() {
    let mut counts = BTreeMap::new();
    let mut datagrams = 0;
    each_capture(|name, datagram| {
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
    let mut last: BTreeMap<(String, Ssrc), (NtpTime, RtpTime, u32, u32)> = BTreeMap::new();
    let mut steps = 0;
    each_capture(|name, datagram| {
        for packet in packets(datagram).flatten() {
            let Packet::SenderReport(SenderReport { ssrc, ntp, rtp_timestamp, packet_count, octet_count, .. }) = packet
            else {
                continue;
            };
            let now = (ntp, rtp_timestamp, packet_count, octet_count);
            let Some(before) = last.insert((name.to_owned(), ssrc), now) else { continue };
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
