//! What a subscriber receives, counted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use plenary_rtp::rtcp::ReportBlock;
use plenary_rtp::{ClockRate, RtpTime, SeqNo, Ssrc};
use plenary_stream::{ReceiveConfig, ReceiveStream, ReceivedPacket};

/// Sources of one subscriber; packets of more are not counted.
const SOURCES_MAX: usize = 128;

/// Latencies that are kept: an hour of sound.
const LATENCIES_MAX: usize = 1 << 18;

/// The figures of one client, for whoever measures.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    /// Numbers that have not come; it falls when they do.
    pub(crate) lost: AtomicI64,
    /// Microseconds from the publisher's write to the subscriber's read.
    pub(crate) latencies: Mutex<Vec<u32>>,
}

impl Figures {
    pub(crate) fn note_latency(&self, micros: u64) {
        let mut latencies = self.latencies.lock().expect("nothing panics under this lock");
        if latencies.len() < LATENCIES_MAX {
            latencies.push(micros.try_into().unwrap_or(u32::MAX));
        }
    }
}

#[derive(Default)]
pub(crate) struct Reception {
    streams: BTreeMap<Ssrc, ReceiveStream>,
}

impl Reception {
    /// Takes a packet by its header, which is in the clear also where the rest is encrypted.
    pub(crate) fn handle_header(&mut self, bytes: &[u8], now: Instant, figures: &Figures) {
        let Some(&[_, _, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]) = bytes.first_chunk() else { return };
        let ssrc = Ssrc(u32::from_be_bytes([c0, c1, c2, c3]));
        if self.streams.len() == SOURCES_MAX && !self.streams.contains_key(&ssrc) {
            return;
        }
        let new = || {
            let config = ReceiveConfig::new(ssrc, ClockRate::VIDEO);
            ReceiveStream::new(config, now).expect("the limits are the default ones")
        };
        let stream = self.streams.entry(ssrc).or_insert_with(new);
        let packet = ReceivedPacket {
            sequence_number: SeqNo(u16::from_be_bytes([s0, s1])),
            timestamp: RtpTime(u32::from_be_bytes([t0, t1, t2, t3])),
            payload_len: bytes.len() - 12,
        };
        let lost = stream.cumulative_lost();
        stream.handle_packet(&packet, now);
        figures.received.fetch_add(1, Ordering::Relaxed);
        figures.lost.fetch_add(stream.cumulative_lost() - lost, Ordering::Relaxed);
    }

    pub(crate) fn reports(&mut self, now: Instant) -> Vec<ReportBlock> {
        self.streams.values_mut().filter_map(|stream| stream.report_block(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_lost_until_they_are_filled() {
        let (mut reception, figures, now) = (Reception::default(), Figures::default(), Instant::now());
        let mut come = |number: u8, source: u8| {
            reception.handle_header(&[0x80, 96, 0, number, 0, 0, 0, 0, 0, 0, 0, source, 9], now, &figures);
            (figures.received.load(Ordering::Relaxed), figures.lost.load(Ordering::Relaxed))
        };
        assert_eq!(come(5, 1), (1, 0));
        assert_eq!(come(8, 1), (2, 2));
        assert_eq!(come(200, 2), (3, 2), "another source");
        assert_eq!(come(7, 1), (4, 1));
        assert_eq!(reception.reports(now).len(), 2);
        reception.handle_header(&[0x80; 11], now, &figures);
        assert_eq!(figures.received.load(Ordering::Relaxed), 4, "no header");
    }
}
