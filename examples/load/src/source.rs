//! Synthetic media: VP8 or Opus by its headers, and a time in place of a picture or sound.

use std::time::Instant;

use plenary_rtp::payload::{PictureId, vp8};
use plenary_rtp::rtcp::{self, Packet, SenderReport};
use plenary_rtp::{ClockRate, Error, Header, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_stream::{NtpClock, SendConfig, SendStream, SentPacket};

use crate::chance::draw;
use crate::options::{Kind, Media};

/// Bytes at the end of each payload: microseconds since the program's start.
pub(crate) const STAMP_BYTES: usize = 8;

/// The first bytes of a VP8 key frame of 640 × 360, and of another frame (RFC 6386 §9.1).
const KEY_FRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1];
const OTHER_FRAME: [u8; 3] = [0x11, 0, 0];

pub(crate) struct Source {
    media: Media,
    pub(crate) ssrc: Ssrc,
    payload_type: u8,
    /// The id and value of the MID element that each packet has.
    mid: Option<(u8, String)>,
    stream: SendStream,
    next: u64,
    timestamp: RtpTime,
    picture: u16,
    key_wanted: bool,
    payload: Vec<u8>,
}

impl Source {
    pub(crate) fn new(media: Media) -> Self {
        let ssrc = Ssrc(u32::from_ne_bytes(draw()));
        let clock_rate = if media.kind == Kind::Audio { ClockRate::OPUS } else { ClockRate::VIDEO };
        Self {
            media,
            ssrc,
            payload_type: 0,
            mid: None,
            stream: SendStream::new(SendConfig { ssrc, clock_rate }),
            next: u64::from(u16::from_ne_bytes(draw()) >> 1),
            timestamp: RtpTime(u32::from_ne_bytes(draw())),
            picture: 0,
            key_wanted: true,
            payload: Vec::new(),
        }
    }

    /// What was agreed on.
    pub(crate) fn agree(&mut self, payload_type: u8, mid: Option<(u8, String)>) {
        (self.payload_type, self.mid) = (payload_type, mid);
    }

    /// Begins a picture, or a piece of sound.
    pub(crate) fn advance(&mut self) {
        let ticks = self.media.interval().as_nanos() as u64 * if self.media.kind == Kind::Audio { 48 } else { 90 };
        self.timestamp = self.timestamp.wrapping_add((ticks / 1_000_000) as u32);
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
    }

    /// Writes a packet of what was begun, and says its index.
    pub(crate) fn write(&mut self, place: u16, stamp: u64, now: Instant, out: &mut Vec<u8>) -> Result<u64, Error> {
        let is_last = place + 1 == self.media.packets();
        let index = self.next;
        let header = Header {
            marker: is_last && self.media.kind == Kind::Video,
            payload_type: self.payload_type,
            sequence_number: SeqNo(index as u16),
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            csrcs: &[],
        };
        self.fill(place, stamp)?;
        let mut writer = PacketWriter::begin(&header, out)?;
        if let Some((id, mid)) = &self.mid {
            writer.extension(*id, mid.as_bytes())?;
        }
        let mut writer = writer.into_payload();
        writer.append(&self.payload);
        writer.finish();
        self.next += 1;
        self.key_wanted &= !is_last;
        let payload_len = self.payload.len();
        self.stream.handle_sent(&SentPacket { timestamp: self.timestamp, payload_len, sampled_at: now });
        Ok(index)
    }

    fn fill(&mut self, place: u16, stamp: u64) -> Result<(), Error> {
        // Parts of a picture that can't be equal: libwebrtc gives the rest to the last of them.
        let is_longer = place >= self.media.packets() / 2;
        let bytes = usize::from(self.media.payload_bytes() + if is_longer { self.media.uneven } else { 0 });
        self.payload.clear();
        if self.media.kind == Kind::Video {
            let descriptor = vp8::Descriptor {
                start_of_partition: place == 0,
                picture_id: Some(PictureId::Fifteen(self.picture)),
                ..vp8::Descriptor::default()
            };
            descriptor.write(&mut self.payload)?;
            if place == 0 {
                self.payload.extend_from_slice(if self.key_wanted { &KEY_FRAME } else { &OTHER_FRAME });
            }
        }
        self.payload.resize(bytes - STAMP_BYTES, 0x5a);
        self.payload.extend_from_slice(&stamp.to_be_bytes());
        Ok(())
    }

    /// Takes RTCP in the clear: a wish for a key frame is done.
    pub(crate) fn handle_rtcp(&mut self, datagram: &[u8]) {
        for packet in rtcp::packets(datagram) {
            self.key_wanted |= match packet {
                Ok(Packet::Pli(pli)) => pli.media_ssrc == self.ssrc,
                Ok(Packet::Fir(fir)) => fir.entries.iter().any(|entry| entry.ssrc == self.ssrc),
                _ => false,
            };
        }
    }

    pub(crate) fn report(&mut self, clock: &NtpClock, now: Instant) -> Option<SenderReport<'static>> {
        self.stream.sender_report(clock, now)
    }
}

#[cfg(test)]
mod tests {
    use plenary_rtp::payload::Codec;

    use super::*;

    fn picture(source: &mut Source) -> Vec<Vec<u8>> {
        source.advance();
        let mut packets = Vec::new();
        for place in 0..source.media.packets() {
            let mut out = Vec::new();
            source.write(place, 7, Instant::now(), &mut out).unwrap();
            packets.push(out);
        }
        packets
    }

    #[test]
    fn pictures_are_of_vp8_and_key_frames_come_when_they_are_asked_for() {
        let mut source = Source::new(Media { kind: Kind::Video, burst: 4, payload: Some(200), uneven: 2 });
        source.agree(96, Some((1, "p0".to_owned())));
        let is_key = |packets: &[Vec<u8>]| {
            let packet = plenary_rtp::Packet::parse(&packets[0]).unwrap();
            Codec::Vp8.describe(packet.payload()).unwrap().key_frame
        };
        let first = picture(&mut source);
        assert!(is_key(&first), "the first");
        let sizes: Vec<_> = first.iter().map(|it| plenary_rtp::Packet::parse(it).unwrap().payload().len()).collect();
        assert_eq!(sizes, [200, 200, 202, 202]);
        assert!(first.iter().all(|it| it.ends_with(&7_u64.to_be_bytes())));
        assert!(!is_key(&picture(&mut source)));
        let mut pli = Vec::new();
        rtcp::Pli { sender_ssrc: Ssrc(1), media_ssrc: source.ssrc }.write(&mut pli).unwrap();
        source.handle_rtcp(&pli);
        assert!(is_key(&picture(&mut source)), "asked for");
        assert!(!is_key(&picture(&mut source)));
    }
}
