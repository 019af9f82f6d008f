//! Encoders that say in each packet what it is.

use plenary_rtp::payload::{Codec, PictureId, vp8, vp9};
use plenary_rtp::{Header, PacketWriter, RtpTime, SeqNo, Ssrc};

use super::capture::{IDS, Sent};

/// How one encoder writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) codec: Codec,
    /// Each packet has a dependency descriptor.
    pub(super) describes: bool,
    /// VP8 and VP9: whether there are picture ids, and whether they are long.
    pub(super) picture_ids: Option<bool>,
    /// H.264: the parameter sets stand in one packet.
    pub(super) aggregates: bool,
    /// H.264: a packet of its own says that an access unit begins.
    pub(super) delimits: bool,
    /// H.264: parameter sets stand in front of all pictures.
    pub(super) repeats_sets: bool,
}

/// One encoding of a track.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pub(super) style: Style,
    pub(super) id: u8,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) frame: u16,
}

impl Encoder {
    /// The packets of the next frame; its time goes on by `ms`, its number by `numbers`.
    pub(super) fn frame(&mut self, is_key: bool, parts: u8, (ms, numbers): (u32, u16)) -> Vec<Sent> {
        self.frame = self.frame.wrapping_add(numbers);
        let ticks = if self.style.codec == Codec::Opus { 960 * ms.div_ceil(20) } else { 90 * ms };
        self.timestamp = self.timestamp.wrapping_add(ticks);
        let parts = match self.style.codec {
            Codec::Opus => 1,
            Codec::H264 => parts.max(self.lead(is_key).len() as u8 + 1),
            _ => parts,
        };
        (0..parts).map(|part| self.packet(is_key, part, parts)).collect()
    }

    pub(super) fn padding(&mut self) -> Sent {
        self.write(false, &[], (&[], 200))
    }

    fn packet(&mut self, is_key: bool, part: u8, parts: u8) -> Sent {
        let mut payload = self.head(is_key, part, parts);
        let [high, low] = self.frame.to_be_bytes();
        payload.extend([self.id, high, low, part, parts]);
        payload.resize(payload.len() + self.filling(part), 0);
        let bounds = u8::from(part == 0) << 7 | u8::from(part + 1 == parts) << 6;
        // With a structure of one template, which refers to nothing.
        let structure: &[u8] = if is_key && part == 0 { &[0x80, 0, 0xe0] } else { &[] };
        let descriptor = [&[bounds, high, low], structure].concat();
        let descriptor = if self.style.describes { &descriptor[..] } else { &[] };
        let marker = part + 1 == parts && self.style.codec != Codec::Opus;
        self.write(marker, &payload, (descriptor, 0))
    }

    /// Packets differ by a byte or two.
    fn filling(&self, part: u8) -> usize {
        100 + usize::from((self.frame ^ u16::from(part)) % 3)
    }

    /// What a decoder of the codec looks at.
    fn head(&self, is_key: bool, part: u8, parts: u8) -> Vec<u8> {
        let picture_id = self.style.picture_ids.map(|long| {
            if long { PictureId::Fifteen(self.frame & 0x7fff) } else { PictureId::Seven(self.frame as u8 & 0x7f) }
        });
        let tl0_pic_idx = picture_id.map(|_| self.frame as u8);
        let mut payload = Vec::new();
        match self.style.codec {
            Codec::Vp8 => {
                let layer = picture_id.map(|_| vp8::TemporalLayer::default());
                let start_of_partition = part == 0;
                let descriptor = vp8::Descriptor {
                    start_of_partition,
                    picture_id,
                    tl0_pic_idx,
                    layer,
                    ..vp8::Descriptor::default()
                };
                descriptor.write(&mut payload).unwrap();
                // A frame header; of a key frame with its start code and 640 x 360.
                let key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1];
                let header = if is_key { &key[..] } else { &[0x11, 0, 0] };
                payload.extend(if part == 0 { header } else { &[] });
            }
            Codec::Vp9 => {
                let descriptor = vp9::Descriptor {
                    picture_id,
                    inter_picture: !is_key,
                    layer: picture_id.map(|_| vp9::Layer::default()),
                    mode: vp9::Mode::NonFlexible { tl0_pic_idx },
                    begins_frame: part == 0,
                    ends_frame: part + 1 == parts,
                    not_for_upper_layers: false,
                    structure: None,
                };
                descriptor.write(&mut payload).unwrap();
            }
            Codec::H264 => payload.extend(self.units(is_key, part)),
            // One OBU in each packet: a sequence header, or a frame.
            Codec::Av1 if is_key && part == 0 => payload.extend([0x18, 0x08]),
            Codec::Av1 => payload.extend([0x10, 0x30]),
            Codec::Opus => payload.push(0x78),
        }
        payload
    }

    /// Beginnings of the H.264 packets in front of a picture.
    fn lead(&self, is_key: bool) -> Vec<Vec<u8>> {
        const SETS: [u8; 7] = [0x78, 0, 1, 0x67, 0, 1, 0x68];
        let Style { aggregates, delimits, repeats_sets, .. } = self.style;
        let mut lead = if delimits { vec![vec![0x09, 0x10]] } else { Vec::new() };
        match aggregates {
            _ if !is_key && !repeats_sets => {}
            true => {
                // The last of the aggregate has all that follows.
                let len = 6 + self.filling(lead.len() as u8);
                lead.push([&SETS[..], &[0, len as u8, 0x06]].concat());
            }
            false => lead.extend([vec![0x67], vec![0x68]]),
        }
        lead
    }

    /// Beginnings of H.264 packets.
    fn units(&self, is_key: bool, part: u8) -> Vec<u8> {
        let mut lead = self.lead(is_key);
        let slice = vec![if is_key { 0x65 } else { 0x41 }, if usize::from(part) == lead.len() { 0x80 } else { 0x00 }];
        lead.push(slice.clone());
        lead.into_iter().nth(part.into()).unwrap_or(slice)
    }

    fn write(&mut self, marker: bool, payload: &[u8], (descriptor, padding): (&[u8], u8)) -> Sent {
        let header = Header {
            marker,
            payload_type: self.payload_type,
            sequence_number: SeqNo(self.seq),
            timestamp: RtpTime(self.timestamp),
            ssrc: Ssrc(1000),
            csrcs: &[],
        };
        let mut bytes = Vec::new();
        let mut writer = PacketWriter::begin(&header, &mut bytes).unwrap();
        if !descriptor.is_empty() {
            writer.extension(IDS.dependency_descriptor, descriptor).unwrap();
        }
        let mut writer = writer.into_payload();
        writer.append(payload);
        writer.finish_padded(padding);
        self.seq = self.seq.wrapping_add(1);
        Sent { at: 0, layer: self.id % 2, repairs: false, bytes }
    }
}
