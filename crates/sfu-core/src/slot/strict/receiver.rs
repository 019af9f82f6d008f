//! What a subscriber takes for granted of a slot.

use std::collections::{BTreeMap, HashMap, HashSet};

use plenary_rtp::extension::dependency::StructureState;
use plenary_rtp::payload::{Codec, h264, vp8, vp9};
use plenary_rtp::{ExtendedSeqNo, Packet, RtpTime, SeqUnwrapper};

use super::bench::{Bench, DESCRIPTOR_ID, FORMATS, OVERHEAD, SSRC};
use super::capture::{IDS, Sent};
use super::frames::{Frame, Placed, can_begin, frames};

/// Whole frames that were published: what they consist of, and by which layers they were sent as which.
#[derive(Debug, Default)]
pub(super) struct Published {
    frames: HashMap<Vec<Vec<u8>>, Vec<(usize, usize)>>,
    /// Those of H.264 without the delimiter in front: nothing tells whoever begins there that it was lost.
    beheaded: HashMap<Vec<Vec<u8>>, Vec<(usize, usize)>>,
    /// How many each layer sent.
    pub(super) counts: Vec<usize>,
}

impl Published {
    /// Adds the layers of a track, all of whose packets these are. The receiver will tell frames by descriptors, or not.
    pub(super) fn add(&mut self, codec: Codec, sent: &[Sent], takes_descriptors: bool, opaque: bool) {
        let layers = sent.iter().map(|sent| sent.layer + 1).max().unwrap_or(0);
        for layer in 0..layers {
            let mut unwrapper = SeqUnwrapper::new();
            let mut packets = BTreeMap::new();
            for sent in sent.iter().filter(|sent| sent.layer == layer && !sent.repairs) {
                let packet = Packet::parse(&sent.bytes).unwrap();
                let number = unwrapper.unwrap(packet.sequence_number()).0;
                let descriptor = packet.extension(IDS.dependency_descriptor).filter(|_| takes_descriptors);
                packets.insert(number, Placed { number, codec, packet, descriptor });
            }
            let packets: Vec<_> = packets.into_values().collect();
            let whole = frames(&packets, opaque);
            let layer = self.counts.len();
            self.counts.push(whole.len());
            for (index, frame) in whole.into_iter().enumerate() {
                if codec == Codec::H264 && frame.content[0].starts_with(&[0x09]) {
                    self.beheaded.entry(frame.content[1..].to_vec()).or_default().push((layer, index));
                }
                self.frames.entry(frame.content).or_default().push((layer, index));
            }
        }
    }
}

/// What the receiver makes of a stream.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) frames: Vec<Frame>,
    /// The numbers that runs of sources begin with.
    pub(super) runs: Vec<u64>,
    /// Numbers that never came.
    pub(super) holes: u64,
}

/// Holds what was sent against all that a receiver and a decoder rely on. Panics if something is wrong with it.
pub(super) fn receive(bench: &Bench, published: &Published, opaque: bool) -> Seen {
    let mut unwrapper = SeqUnwrapper::new();
    let mut packets = BTreeMap::new();
    for bytes in &bench.sent {
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!(packet.ssrc(), SSRC);
        let format = FORMATS.iter().find(|format| format.payload_type == packet.payload_type());
        let codec = format.expect("a payload type that was negotiated").codec;
        let number = unwrapper.unwrap(packet.sequence_number()).0;
        let descriptor = packet.extension(DESCRIPTOR_ID);
        let before = packets.insert(number, Placed { number, codec, packet, descriptor });
        assert!(before.is_none(), "the number {number} twice");
    }
    let packets: Vec<_> = packets.into_values().collect();
    check_padding(&packets);
    let mut seen = Seen::default();
    let (mut clock, mut numbers, mut descriptors) = (None, Numbers::default(), Descriptors::default());
    let mut last = None;
    for placed in &packets {
        seen.holes += last.map_or(0, |last| placed.number - last - 1);
        last = Some(placed.number);
        if placed.packet.payload().is_empty() {
            continue;
        }
        let timestamp = placed.packet.timestamp();
        let starts_run = bench.switches.contains(&timestamp) && clock != Some(timestamp);
        check_time(placed, clock);
        if starts_run {
            seen.runs.push(placed.number);
            assert!(opaque || can_begin(placed), "{} of {:?} is no beginning", placed.number, placed.codec);
        }
        if !opaque {
            numbers.check(placed, clock);
        }
        descriptors.check(placed, starts_run);
        clock = Some(timestamp);
    }
    let times: HashSet<_> = packets.iter().map(|placed| placed.packet.timestamp()).collect();
    assert!(bench.switches.iter().all(|switch| times.contains(switch)), "a run without its beginning");
    seen.frames = frames(&packets, opaque);
    check_frames(published, &packets, &seen, opaque);
    seen
}

/// What evens out runs is at most 3 % of all bytes. Packets that are nothing else are the source's.
fn check_padding(packets: &[Placed<'_>]) {
    let media = packets.iter().map(|placed| &placed.packet).filter(|packet| !packet.payload().is_empty());
    let padding: usize = media.map(|packet| usize::from(packet.padding_len())).sum();
    let bytes: usize = packets.iter().map(|placed| placed.packet.bytes().len() + OVERHEAD).sum();
    assert!(padding * 100 <= bytes * 3, "{padding} of {bytes} bytes are padding");
}

fn check_time(placed: &Placed<'_>, clock: Option<RtpTime>) {
    let Some(clock) = clock else { return };
    let step = clock.distance_to(placed.packet.timestamp());
    assert!(step >= 0, "time goes back by {step} at {}", placed.number);
    if placed.codec == Codec::Opus {
        assert!(step > 0 && step % 960 == 0, "sound steps by {step} at {}", placed.number);
    }
}

/// Picture ids and numbers of base layers in payloads.
#[derive(Default)]
struct Numbers {
    picture: Option<(u16, u32)>,
    /// The last of 15 bits, whatever came of 7 bits since.
    long: Option<u16>,
    tl0: Option<u8>,
}

impl Numbers {
    fn check(&mut self, placed: &Placed<'_>, clock: Option<RtpTime>) {
        let (picture_id, tl0) = match placed.codec {
            Codec::Vp8 => {
                let it = vp8::Payload::parse(placed.packet.payload()).unwrap().descriptor;
                (it.picture_id, it.tl0_pic_idx)
            }
            Codec::Vp9 => {
                let it = vp9::Payload::parse(placed.packet.payload()).unwrap().descriptor;
                let tl0 = if let vp9::Mode::NonFlexible { tl0_pic_idx } = it.mode { tl0_pic_idx } else { None };
                (it.picture_id, tl0)
            }
            _ => (None, None),
        };
        if let Some(id) = picture_id {
            if let Some((last, width)) = self.picture {
                let spare = 16 - id.width().min(width);
                let step = (id.value().wrapping_sub(last) << spare).cast_signed() >> spare;
                assert!(step >= 0, "pictures go back by {step} at {}", placed.number);
                let is_same_time = clock == Some(placed.packet.timestamp());
                assert!(step > 0 || is_same_time, "a picture of two times at {}", placed.number);
                assert!(step == 0 || !is_same_time, "two pictures of one time at {}", placed.number);
            }
            self.picture = Some((id.value(), id.width()));
            if id.width() == 15 {
                let step = self.long.map_or(0, |last| (id.value().wrapping_sub(last) << 1).cast_signed());
                assert!(step >= 0, "long picture ids go back at {}", placed.number);
                self.long = Some(id.value());
            }
        }
        if let Some(index) = tl0 {
            let step = self.tl0.map_or(0, |last| index.wrapping_sub(last).cast_signed());
            assert!(step >= 0, "base layers go back by {step} at {}", placed.number);
            self.tl0 = Some(index);
        }
    }
}

/// Structures and frame numbers of dependency descriptors.
#[derive(Default)]
struct Descriptors {
    state: StructureState,
    frame: Option<u16>,
    /// The frame that the run began with.
    first: u16,
}

impl Descriptors {
    fn check(&mut self, placed: &Placed<'_>, starts_run: bool) {
        let Some(data) = placed.descriptor else { return };
        let (descriptor, _) = self
            .state
            .parse(data, ExtendedSeqNo(placed.number))
            .unwrap_or_else(|error| panic!("{error:?} at {}", placed.number));
        let (header, frame) = (descriptor.header, descriptor.header.frame_number);
        let step = self.frame.map_or(1, |last| frame.wrapping_sub(last).cast_signed());
        assert!(step >= 0, "frames go back by {step} at {}", placed.number);
        if starts_run {
            assert!(header.start_of_frame && header.structure_attached && step > 0, "at {}", placed.number);
            self.first = frame;
        }
        for diff in descriptor.dependencies.fdiffs.as_slice() {
            let back = frame.wrapping_sub(self.first);
            assert!(*diff <= back, "frame {frame} needs one before its run at {}", placed.number);
        }
        self.frame = Some(frame);
    }
}

/// Whole frames are whole, and in order. A run begins with a key frame, of which there may be too little to be whole.
fn check_frames(published: &Published, packets: &[Placed<'_>], seen: &Seen, opaque: bool) {
    // Frames that are alike, as those of silence are, may each be several.
    let (mut run, mut places): (usize, Vec<(usize, usize)>) = (0, Vec::new());
    for frame in &seen.frames {
        let starts_run = seen.runs.contains(&frame.number);
        let beheaded = published.beheaded.get(&frame.content).filter(|_| starts_run);
        let found = published.frames.get(&frame.content).or(beheaded);
        let found = found.unwrap_or_else(|| panic!("nobody sent the frame at {}", frame.number));
        let of = seen.runs.partition_point(|first| *first <= frame.number);
        let follows = |place: &(usize, usize)| places.iter().any(|last| last.0 == place.0 && last.1 < place.1);
        places = found.iter().filter(|place| of != run || follows(place)).copied().collect();
        assert!(!places.is_empty(), "the frame at {} does not follow on the one before", frame.number);
        run = of;
        if starts_run {
            assert!(frame.is_key, "the first frame of a run at {}", frame.number);
            check_idr(packets, frame, opaque);
        }
    }
}

/// A key frame of H.264 has both parameter sets and an IDR picture.
fn check_idr(packets: &[Placed<'_>], frame: &Frame, opaque: bool) {
    let own = packets.iter().filter(|it| it.number >= frame.number && it.packet.timestamp() == frame.timestamp);
    let own = own.filter(|it| it.codec == Codec::H264 && !opaque && !it.packet.payload().is_empty());
    let contents: Vec<_> = own.map(|it| h264::Payload::parse(it.packet.payload()).unwrap().contents()).collect();
    let has = |what: fn(&h264::Contents) -> bool| contents.iter().any(what);
    let has_all = has(|it| it.sps) && has(|it| it.pps) && has(|it| it.idr);
    assert!(contents.is_empty() || has_all, "no picture, or not its parameters, at {}", frame.number);
}
