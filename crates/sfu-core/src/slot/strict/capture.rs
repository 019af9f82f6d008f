//! What real browsers sent (`testdata/captures`), sorted into the layers of a track.

use std::path::Path;

use plenary_rtp::extension::{RepairedRid, Rid};
use plenary_rtp::payload::{Codec, red};
use plenary_rtp::{Packet, PacketMut};

use crate::extensions::Extensions;

/// The ids of all captures.
pub(super) const IDS: Extensions = Extensions {
    mid: 1,
    rid: 2,
    repaired_rid: 3,
    dependency_descriptor: 5,
    audio_level: 10,
    transport_sequence: 6,
    send_time: 4,
    capture_time: 7,
    orientation: 9,
    layers_allocation: 8,
    playout_delay: 11,
};

/// All captures, with their codecs.
pub(super) const ALL: [(&str, Codec); 11] = [
    ("chromium-vp8-simulcast", Codec::Vp8),
    ("chromium-h264-simulcast", Codec::H264),
    ("chromium-vp9-l3t3key", Codec::Vp9),
    ("chromium-av1-l3t3key", Codec::Av1),
    ("firefox-vp8-simulcast", Codec::Vp8),
    ("firefox-av1-single", Codec::Av1),
    ("chromium-vp8-single", Codec::Vp8),
    ("chromium-av1-simulcast-one-layer", Codec::Av1),
    ("chromium-opus", Codec::Opus),
    ("chromium-opus-red", Codec::Opus),
    ("firefox-opus", Codec::Opus),
];

/// One datagram of media.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Milliseconds since the start.
    pub(super) at: u64,
    pub(super) layer: u8,
    /// It is of the RTX stream.
    pub(super) repairs: bool,
    pub(super) bytes: Vec<u8>,
}

/// What one browser sent to one server.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) name: &'static str,
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    /// Their RIDs, if they have any, in the order in which they began.
    pub(super) rids: Vec<Option<String>>,
    pub(super) sent: Vec<Sent>,
}

impl Capture {
    pub(super) fn open((name, codec): (&'static str, Codec)) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures");
        let read = |extension| {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let (dump, answer) = (read("rtpdump"), String::from_utf8(read("answer.sdp")).unwrap());
        let encoding = |payload_type: u8| {
            let prefix = format!("a=rtpmap:{payload_type} ");
            let map = answer.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap();
            map.split('/').next().unwrap().to_owned()
        };
        let mut capture = Self { name, codec, payload_type: 0, rids: Vec::new(), sent: Vec::new() };
        let (mut media, mut repairs): (Vec<u32>, Vec<(u32, u8)>) = (Vec::new(), Vec::new());
        for (at, bytes) in records(&dump) {
            let packet = Packet::parse(bytes).unwrap();
            let (ssrc, encoding) = (packet.ssrc().0, encoding(packet.payload_type()));
            if encoding == "rtx" {
                let rid =
                    packet.element::<RepairedRid<'_>>(IDS.repaired_rid).map(|rid| rid.unwrap().as_str().to_owned());
                let known = repairs.iter().find(|(known, _)| *known == ssrc).map(|(_, layer)| *layer);
                let layer = known.or_else(|| Some(capture.rids.iter().position(|it| *it == rid)? as u8));
                let Some(layer) = layer else { continue };
                if known.is_none() {
                    repairs.push((ssrc, layer));
                }
                capture.sent.push(Sent { at, layer, repairs: true, bytes: bytes.to_vec() });
                continue;
            }
            let layer = media.iter().position(|known| *known == ssrc).unwrap_or_else(|| {
                media.push(ssrc);
                let rid = packet.element::<Rid<'_>>(IDS.rid).map(|rid| rid.unwrap().as_str().to_owned());
                capture.rids.push(rid);
                media.len() - 1
            });
            let bytes = if encoding == "red" { without_redundancy(&packet) } else { bytes.to_vec() };
            capture.payload_type = Packet::parse(&bytes).unwrap().payload_type();
            capture.sent.push(Sent { at, layer: layer as u8, repairs: false, bytes });
        }
        capture
    }
}

/// The RTP packets, with their times in milliseconds.
fn records(dump: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    const FILE_HEADER_LEN: usize = 16;
    let line = dump.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let mut rest = &dump[line + FILE_HEADER_LEN..];
    std::iter::from_fn(move || {
        loop {
            let (&[l0, l1, p0, p1, o0, o1, o2, o3], _) = rest.split_first_chunk()?;
            let (record, next) = rest.split_at(u16::from_be_bytes([l0, l1]).into());
            rest = next;
            // A packet length of zero marks RTCP.
            if [p0, p1] != [0, 0] {
                return Some((u32::from_be_bytes([o0, o1, o2, o3]).into(), &record[8..]));
            }
        }
    })
}

/// The packet as it would have been without RED.
fn without_redundancy(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = packet.bytes()[..packet.payload_range().start].to_vec();
    let mut payload_type = 111;
    if packet.payload().is_empty() {
        bytes = packet.bytes().to_vec();
    } else {
        let payload = red::Payload::parse(packet.payload()).unwrap();
        payload_type = payload.primary().payload_type;
        bytes.extend_from_slice(payload.primary().data);
    }
    PacketMut::parse(&mut bytes).unwrap().set_payload_type(payload_type).unwrap();
    bytes
}
