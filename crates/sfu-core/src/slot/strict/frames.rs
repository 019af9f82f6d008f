//! Frames of a stream, told by each codec's own means or by the dependency descriptor.

use plenary_rtp::extension::dependency::Header as DescriptorHeader;
use plenary_rtp::payload::{Codec, av1, h264, vp8, vp9};
use plenary_rtp::{Packet, RtpTime};

/// A packet in its place.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub(super) number: u64,
    pub(super) codec: Codec,
    pub(super) packet: Packet<'a>,
    /// The dependency descriptor, if the receiver knows of such.
    pub(super) descriptor: Option<&'a [u8]>,
}

/// A frame that a receiver takes for whole.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of its first packet.
    pub(super) number: u64,
    pub(super) timestamp: RtpTime,
    /// Its payloads, with running numbers made zero.
    pub(super) content: Vec<Vec<u8>>,
    pub(super) is_key: bool,
}

/// All whole frames of packets in order.
pub(super) fn frames(packets: &[Placed<'_>], opaque: bool) -> Vec<Frame> {
    let (mut frames, mut open): (Vec<Frame>, Option<Frame>) = (Vec::new(), None);
    let mut last: Option<(u64, RtpTime)> = None;
    for placed in packets {
        let Placed { number, packet, .. } = placed;
        let follows = last.is_some_and(|(last, _)| last + 1 == *number);
        if !follows {
            open = None;
        }
        if packet.payload().is_empty() {
            last = Some((*number, last.map_or_else(|| packet.timestamp(), |(_, timestamp)| timestamp)));
            continue;
        }
        let is_other_time = follows && last.is_some_and(|(_, timestamp)| timestamp != packet.timestamp());
        let Bounds { starts, ends, is_key } = bounds(placed, (last.is_none(), is_other_time), opaque);
        if starts {
            let (number, timestamp) = (*number, packet.timestamp());
            open = Some(Frame { number, timestamp, content: Vec::new(), is_key });
        }
        if let Some(frame) = &mut open {
            assert_eq!(frame.timestamp, packet.timestamp(), "a frame of two times at {number}");
            frame.content.push(if opaque { packet.payload().to_vec() } else { without_numbers(placed) });
            frame.is_key |= is_key;
        }
        if ends {
            frames.extend(open.take());
        }
        last = Some((*number, packet.timestamp()));
    }
    frames
}

struct Bounds {
    starts: bool,
    ends: bool,
    is_key: bool,
}

fn bounds(placed: &Placed<'_>, (is_first, is_other_time): (bool, bool), opaque: bool) -> Bounds {
    let (payload, marker) = (placed.packet.payload(), placed.packet.marker());
    if let Some(descriptor) = placed.descriptor {
        let header = DescriptorHeader::parse(descriptor).unwrap();
        let is_key = header.structure_attached && (opaque || can_begin(placed));
        return Bounds { starts: header.start_of_frame, ends: header.end_of_frame, is_key };
    }
    assert!(!opaque || placed.codec == Codec::Opus, "nothing tells frames");
    let is_key = can_begin(placed);
    match placed.codec {
        Codec::Vp8 => {
            let descriptor = vp8::Payload::parse(payload).unwrap().descriptor;
            Bounds { starts: descriptor.starts_frame(), ends: marker, is_key }
        }
        Codec::Vp9 => {
            let descriptor = vp9::Payload::parse(payload).unwrap().descriptor;
            Bounds { starts: descriptor.begins_frame, ends: descriptor.ends_frame, is_key }
        }
        Codec::Av1 => Bounds { starts: is_other_time || is_key, ends: marker, is_key },
        // Whether something stood in front of it in the access unit, its packets do not say.
        Codec::H264 => {
            let contents = h264::Payload::parse(payload).unwrap().contents();
            Bounds { starts: is_other_time || is_first && contents.starts_frame, ends: marker, is_key: contents.idr }
        }
        Codec::Opus => Bounds { starts: true, ends: true, is_key: true },
    }
}

/// Whether a decoder that knows nothing can begin at this packet.
pub(super) fn can_begin(placed: &Placed<'_>) -> bool {
    let payload = placed.packet.payload();
    match placed.codec {
        Codec::Vp8 => {
            let payload = vp8::Payload::parse(payload).unwrap();
            payload.descriptor.starts_frame() && vp8::FrameHeader::parse(payload.data).unwrap().key_frame.is_some()
        }
        Codec::Vp9 => vp9::Payload::parse(payload).unwrap().descriptor.starts_key_frame(),
        // What must follow on it is held against the whole frame.
        Codec::H264 => h264::Payload::parse(payload).unwrap().contents().starts_frame,
        Codec::Av1 => {
            let payload = av1::Payload::parse(payload).unwrap();
            payload.header.starts_sequence && payload.contents().unwrap().sequence_header
        }
        Codec::Opus => true,
    }
}

/// The payload with its running numbers made zero: they are the forwarder's.
fn without_numbers(placed: &Placed<'_>) -> Vec<u8> {
    let mut payload = placed.packet.payload().to_vec();
    match placed.codec {
        Codec::Vp8 => {
            let descriptor = vp8::Payload::parse(&payload).unwrap().descriptor;
            descriptor.picture_id.inspect(|_| vp8::set_picture_id(&mut payload, 0).unwrap());
            descriptor.tl0_pic_idx.inspect(|_| vp8::set_tl0_pic_idx(&mut payload, 0).unwrap());
            descriptor.key_idx.inspect(|_| vp8::set_key_idx(&mut payload, 0).unwrap());
        }
        Codec::Vp9 => {
            let descriptor = vp9::Payload::parse(placed.packet.payload()).unwrap().descriptor;
            descriptor.picture_id.inspect(|_| vp9::set_picture_id(&mut payload, 0).unwrap());
            if let vp9::Mode::NonFlexible { tl0_pic_idx: Some(_) } = descriptor.mode {
                vp9::set_tl0_pic_idx(&mut payload, 0).unwrap();
            }
        }
        _ => {}
    }
    payload
}
