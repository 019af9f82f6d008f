//! What real browsers sent (`testdata/captures`), as files of rtpdump and the browsers' answers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use plenary_rtp::{Packet, Ssrc};

/// All captures.
pub(crate) const NAMES: [&str; 11] = [
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

/// The `a=rtpmap` encoding of retransmissions.
pub(crate) const RTX: &str = "rtx";

/// What one browser sent to one server.
pub(crate) struct Capture {
    pub(crate) name: &'static str,
    dump: Vec<u8>,
    answer: String,
}

/// One datagram, and how long after the start it came.
#[derive(Clone, Copy)]
struct Record<'a> {
    offset: Duration,
    is_rtcp: bool,
    datagram: &'a [u8],
}

impl Capture {
    pub(crate) fn open(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures");
        let read = |extension| {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Self { name, dump: read("rtpdump"), answer: String::from_utf8(read("answer.sdp")).expect("text") }
    }

    /// The RTP packets in order of arrival, each with the time since the start.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (Duration, Packet<'_>)> {
        self.records().filter(|record| !record.is_rtcp).map(|record| {
            let packet = Packet::parse(record.datagram).unwrap_or_else(|error| panic!("{}: {error}", self.name));
            (record.offset, packet)
        })
    }

    /// The packets of one encoding, but for those of padding alone.
    pub(crate) fn media(&self, encoding: &str) -> impl Iterator<Item = (Duration, Packet<'_>)> {
        self.packets()
            .filter(move |(_, packet)| !packet.payload().is_empty() && self.encoding(packet.payload_type()) == encoding)
    }

    /// The same by source, in order of the sources' first packets.
    pub(crate) fn streams(&self, encoding: &str) -> Vec<Vec<(Duration, Packet<'_>)>> {
        let mut streams: Vec<(Ssrc, Vec<_>)> = Vec::new();
        for (offset, packet) in self.media(encoding) {
            match streams.iter_mut().find(|(ssrc, _)| *ssrc == packet.ssrc()) {
                Some((_, stream)) => stream.push((offset, packet)),
                None => streams.push((packet.ssrc(), vec![(offset, packet)])),
            }
        }
        streams.into_iter().map(|(_, stream)| stream).collect()
    }

    /// The RTCP datagrams in order of arrival.
    pub(crate) fn rtcp(&self) -> impl Iterator<Item = &[u8]> {
        self.records().filter(|record| record.is_rtcp).map(|record| record.datagram)
    }

    /// The name of a payload type's encoding as the answer writes it: `VP8`, `rtx`, …
    pub(crate) fn encoding(&self, payload_type: u8) -> &str {
        let prefix = format!("a=rtpmap:{payload_type} ");
        let map = self.answer.lines().find_map(|line| line.strip_prefix(&prefix));
        map.and_then(|map| map.split('/').next()).unwrap_or_else(|| panic!("no payload type {payload_type}"))
    }

    /// What stands behind `a=name:` up to a blank, of all such lines.
    pub(crate) fn attributes(&self, name: &str) -> BTreeSet<&str> {
        let prefix = format!("a={name}:");
        let values = self.answer.lines().filter_map(|line| line.strip_prefix(&prefix));
        values.filter_map(|value| value.split_whitespace().next()).collect()
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        const FILE_HEADER_LEN: usize = 16;
        const RECORD_HEADER_LEN: usize = 8;
        let line = self.dump.iter().position(|&byte| byte == b'\n').expect("a first line") + 1;
        let mut rest = &self.dump[line + FILE_HEADER_LEN..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (&[l0, l1, p0, p1, o0, o1, o2, o3], _) = rest.split_first_chunk().expect("a whole record header");
            let (record, next) = rest.split_at(u16::from_be_bytes([l0, l1]).into());
            rest = next;
            Some(Record {
                offset: Duration::from_millis(u32::from_be_bytes([o0, o1, o2, o3]).into()),
                // A packet length of zero marks RTCP.
                is_rtcp: [p0, p1] == [0, 0],
                datagram: &record[RECORD_HEADER_LEN..],
            })
        })
    }
}
