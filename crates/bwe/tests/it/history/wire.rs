//! Feedback as bytes, written plainly so that it can say what no honest receiver would.

use std::time::Instant;

use plenary_bwe::Feedback;
use plenary_bwe::history::History;
use plenary_rtp::rtcp::{Ccfb, CcfbBlock, Metric, Packet, packets};
use plenary_rtp::{CompactNtp, SeqNo, Ssrc};

/// Transport-wide feedback: statuses from `base` on, each arrival by its delta in units of 250 µs.
pub(super) struct Twcc<'a> {
    pub(super) base: u16,
    /// In units of 64 ms.
    pub(super) reference: i32,
    pub(super) count: u8,
    pub(super) statuses: &'a [Option<i16>],
}

impl Twcc<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2];
        body.extend(self.base.to_be_bytes());
        body.extend((self.statuses.len() as u16).to_be_bytes());
        body.extend(((self.reference as u32) << 8 | u32::from(self.count)).to_be_bytes());
        // Vectors of seven symbols of two bits: not arrived, or a delta of two bytes.
        for seven in self.statuses.chunks(7) {
            let symbols = seven.iter().enumerate().filter(|(_, status)| status.is_some());
            let word = symbols.fold(0xc000_u16, |word, (index, _)| word | 2 << (12 - 2 * index));
            body.extend(word.to_be_bytes());
        }
        body.extend(self.statuses.iter().flatten().flat_map(|delta| delta.to_be_bytes()));
        rtcp(15, body)
    }

    /// The history takes it in.
    pub(super) fn to<'h>(&self, history: &'h mut History, now: Instant) -> Option<Feedback<'h>> {
        handle(history, &self.bytes(), now)
    }
}

/// Feedback of RFC 8888.
pub(super) fn ccfb(blocks: &[(u32, u16, &[Metric])], timestamp: u32) -> Vec<u8> {
    let blocks: Vec<_> = blocks
        .iter()
        .map(|&(ssrc, begin, metrics)| CcfbBlock { ssrc: Ssrc(ssrc), begin_seq: SeqNo(begin), metrics: metrics.into() })
        .collect();
    let mut out = Vec::new();
    let packet = Ccfb { sender_ssrc: Ssrc(1), blocks: blocks[..].into(), timestamp: CompactNtp(timestamp) };
    packet.write(&mut out).unwrap();
    out
}

/// The history takes one packet of feedback in.
pub(super) fn handle<'h>(history: &'h mut History, bytes: &[u8], now: Instant) -> Option<Feedback<'h>> {
    match packets(bytes).next() {
        Some(Ok(Packet::Twcc(twcc))) => history.handle_twcc(&twcc, now),
        Some(Ok(Packet::Ccfb(ccfb))) => history.handle_ccfb(&ccfb, now),
        other => panic!("this is no feedback: {other:?}"),
    }
}

fn rtcp(format: u8, mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(4), 0);
    let mut bytes = vec![0x80 | format, 205];
    bytes.extend(((body.len() / 4) as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}
