//! Every header extension element that browsers sent in the captures: read, believed, and written as it was.

use std::collections::{BTreeMap, BTreeSet};

use plenary_rtp::extension::dependency::{Descriptor, Header, Structure, StructureState};
use plenary_rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Element, Mid, PlayoutDelay, RepairedRid, Rid, Rotation, TransportSequence,
    VideoLayersAllocation, VideoOrientation,
};
use plenary_rtp::{ExtendedSeqNo, Packet, SeqNo, Ssrc};

use crate::captures::{Capture, RTX};

/// Reads the element and expects it to be written as it was.
fn read<'a, E: Element<'a> + std::fmt::Debug>(packet: &Packet<'a>, id: u8) -> Option<E> {
    let data = packet.extension(id)?;
    let element = E::parse(data).unwrap_or_else(|error| panic!("{error:?} in {data:02x?} of id {id}"));
    let mut again = vec![0xa5; element.encoded_len()];
    element.write(&mut again);
    assert_eq!(again, data, "{element:?}");
    Some(element)
}

fn is_rtx(capture: &Capture, packet: &Packet<'_>) -> bool {
    capture.encoding(packet.payload_type()) == RTX
}

/// The ids of all captures.
mod id {
    pub(super) const MID: u8 = 1;
    pub(super) const RID: u8 = 2;
    pub(super) const REPAIRED_RID: u8 = 3;
    pub(super) const SEND_TIME: u8 = 4;
    pub(super) const DEPENDENCY: u8 = 5;
    pub(super) const TRANSPORT_SEQUENCE: u8 = 6;
    pub(super) const CAPTURE_TIME: u8 = 7;
    pub(super) const LAYERS: u8 = 8;
    pub(super) const ORIENTATION: u8 = 9;
    pub(super) const AUDIO_LEVEL: u8 = 10;
    pub(super) const PLAYOUT_DELAY: u8 = 11;
}

/// How many elements of each kind were found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    mids: usize,
    rids: usize,
    repaired_rids: usize,
    send_times: usize,
    transport_sequences: usize,
    capture_times: usize,
    audio_levels: usize,
    orientations: usize,
    playout_delays: usize,
    allocations: usize,
    allocations_with_sizes: usize,
}

impl Counts {
    /// Of a capture with this many packets, each with send time and transport-wide sequence.
    fn of(packets: usize) -> Self {
        Self { send_times: packets, transport_sequences: packets, ..Self::default() }
    }
}

fn read_what_stands_alone(capture: &Capture) -> Counts {
    let mut counts = Counts::default();
    let mut last_sent: Option<AbsSendTime> = None;
    let mut last_transport = SeqNo(0);
    for (_, packet) in capture.packets() {
        if let Some(mid) = read::<Mid<'_>>(&packet, id::MID) {
            assert!(capture.attributes("mid").contains(mid.as_str()));
            counts.mids += 1;
        }
        if let Some(rid) = read::<Rid<'_>>(&packet, id::RID) {
            assert!(capture.attributes("rid").contains(rid.as_str()) && !is_rtx(capture, &packet));
            counts.rids += 1;
        }
        if let Some(rid) = read::<RepairedRid<'_>>(&packet, id::REPAIRED_RID) {
            assert!(capture.attributes("rid").contains(rid.as_str()) && is_rtx(capture, &packet));
            counts.repaired_rids += 1;
        }
        if let Some(TransportSequence(sequence)) = read(&packet, id::TRANSPORT_SEQUENCE) {
            assert_eq!(sequence, last_transport.wrapping_add(1));
            last_transport = sequence;
            counts.transport_sequences += 1;
        }
        let sent = read::<AbsSendTime>(&packet, id::SEND_TIME);
        if let Some(sent) = sent {
            let gap = last_sent.map_or(0, |last| sent.bits().wrapping_sub(last.bits()) & 0xff_ffff);
            assert!(gap < 2 << 18, "a send time is within two seconds after the last one: {gap}");
            last_sent = Some(sent);
            counts.send_times += 1;
        }
        if let Some(captured) = read::<AbsCaptureTime>(&packet, id::CAPTURE_TIME) {
            check_capture_time(captured, sent.expect("who tells the one tells the other"));
            counts.capture_times += 1;
        }
        counts.audio_levels += usize::from(read::<AudioLevel>(&packet, id::AUDIO_LEVEL).is_some());
        if let Some(orientation) = read::<VideoOrientation>(&packet, id::ORIENTATION) {
            assert_eq!(orientation.rotation, Rotation::R0, "the camera stands still");
            counts.orientations += 1;
        }
        counts.playout_delays += usize::from(read::<PlayoutDelay>(&packet, id::PLAYOUT_DELAY).is_some());
        if let Some(allocation) = read::<VideoLayersAllocation>(&packet, id::LAYERS) {
            counts.allocations += 1;
            counts.allocations_with_sizes += usize::from(check_allocation(&allocation));
        }
    }
    counts
}

/// It is of the day of the captures, and shortly before the packet left.
fn check_capture_time(captured: AbsCaptureTime, sent: AbsSendTime) {
    assert_eq!(captured.timestamp.to_unix().as_secs() / 86_400, 20_779, "22 November 2026");
    assert_eq!(captured.clock_offset, Some(0));
    let age = sent.bits().wrapping_sub(AbsSendTime::from_ntp(captured.timestamp).bits()) & 0xff_ffff;
    assert!(age < 1 << 18, "captured less than a second before it was sent: {age}");
}

/// Whether it has sizes.
fn check_allocation(allocation: &VideoLayersAllocation) -> bool {
    assert!(!allocation.layers().is_empty());
    for layer in allocation.layers() {
        assert!(layer.rates().all(|rate| rate.as_bps() < 10_000_000));
        assert!(layer.rates().is_sorted(), "a rate includes those of the layers below: {layer:?}");
    }
    let pictures: Vec<_> = allocation.layers().iter().filter_map(|layer| layer.picture()).collect();
    assert!(pictures.iter().map(|(resolution, _)| resolution.width()).is_sorted(), "{allocation:?}");
    assert!(
        pictures.iter().all(|&(resolution, rate)| resolution.width() <= 960 && (1..=60).contains(&rate)),
        "{allocation:?}"
    );
    !pictures.is_empty()
}

/// What is known of one stream of media.
#[derive(Default)]
struct Stream {
    state: StructureState,
    /// The frame of the last packet.
    frame: Option<u16>,
    frames: BTreeSet<u16>,
    /// The descriptor of each packet.
    descriptors: BTreeMap<u16, Vec<u8>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct DescriptorCounts {
    /// Of media packets.
    descriptors: usize,
    structures: usize,
    masks: usize,
    /// Each set of active decode targets that followed another one.
    active: Vec<u32>,
    /// Not just what a template says.
    custom: usize,
    /// Of retransmissions.
    repeated: usize,
    /// Spatial layers whose size is also in an allocation on the same packet.
    sizes_compared: usize,
}

fn read_descriptors(capture: &Capture) -> DescriptorCounts {
    let mut counts = DescriptorCounts::default();
    let mut streams = BTreeMap::<Ssrc, Stream>::new();
    let mut media_of_rid = BTreeMap::new();
    let mut rid_of_rtx = BTreeMap::new();
    for (_, packet) in capture.packets() {
        if let Some(rid) = read::<Rid<'_>>(&packet, id::RID) {
            media_of_rid.insert(rid.as_str().to_owned(), packet.ssrc());
        }
        if let Some(rid) = read::<RepairedRid<'_>>(&packet, id::REPAIRED_RID) {
            rid_of_rtx.insert(packet.ssrc(), rid.as_str().to_owned());
        }
        let Some(data) = packet.extension(id::DEPENDENCY) else {
            assert!(is_rtx(capture, &packet) && packet.payload().is_empty(), "only padding has no descriptor");
            continue;
        };
        if is_rtx(capture, &packet) {
            let rid = rid_of_rtx.get(&packet.ssrc());
            let media = rid.map_or_else(|| *streams.keys().next().expect("media"), |rid| media_of_rid[rid]);
            let stream = streams.get_mut(&media).expect("media comes before what repeats it");
            let original = u16::from_be_bytes([packet.payload()[0], packet.payload()[1]]);
            assert_eq!(data, stream.descriptors[&original], "a retransmission has the descriptor of its original");
            let active = stream.state.active_decode_targets();
            stream.state.parse(data, ExtendedSeqNo(original.into())).expect("old packets can still be read");
            assert_eq!(stream.state.active_decode_targets(), active, "and change nothing");
            counts.repeated += 1;
        } else {
            let stream = streams.entry(packet.ssrc()).or_default();
            stream.descriptors.insert(packet.sequence_number().0, data.to_vec());
            read_descriptor(&packet, data, stream, &mut counts);
        }
    }
    counts
}

fn read_descriptor(packet: &Packet<'_>, data: &[u8], stream: &mut Stream, counts: &mut DescriptorCounts) {
    let (descriptor, layout) =
        stream.state.parse(data, ExtendedSeqNo(packet.sequence_number().0.into())).expect("a good descriptor");
    let structure = stream.state.structure().expect("there is one by now");
    counts.descriptors += 1;
    check_written(&descriptor, structure, data);
    check_numbers(&descriptor, &stream.frames, stream.frame);
    let Header { frame_number, structure_attached, start_of_frame, .. } = descriptor.header;
    stream.frame = Some(frame_number);
    stream.frames.insert(frame_number);

    assert!(!structure_attached || start_of_frame);
    assert!(!structure_attached || descriptor.dependencies.fdiffs.as_slice().is_empty());
    counts.structures += usize::from(structure_attached);
    counts.masks += usize::from(descriptor.active_decode_targets.is_some());
    counts.custom += usize::from(structure.template(descriptor.header.template_id) != Some(&descriptor.dependencies));
    let active = stream.state.active_decode_targets().expect("a structure is known");
    assert!(active != 0 && active & !structure.all_decode_targets() == 0);
    if counts.active.last() != Some(&active) {
        counts.active.push(active);
    }
    if let Some(size) = descriptor.resolution {
        assert!([(240, 135), (480, 270), (960, 540), (640, 360)].contains(&(size.width(), size.height())), "{size:?}");
    }
    if structure_attached && let Some(allocation) = read::<VideoLayersAllocation>(packet, id::LAYERS) {
        let own = allocation.layers().iter().filter(|layer| layer.stream() == allocation.stream());
        for layer in own {
            let (Some(claimed), Some((size, _))) = (structure.resolution(layer.spatial_id()), layer.picture()) else {
                continue;
            };
            assert_eq!(claimed, size);
            counts.sizes_compared += 1;
        }
    }

    let mut out = vec![0; layout.rewritten_len(Some(active))];
    assert_eq!(layout.rewrite(data, frame_number, Some(active), &mut out), Ok(out.len()));
    let again = Descriptor::parse(&out, Some(structure)).expect("still a good descriptor").descriptor;
    assert_eq!(again, Descriptor { active_decode_targets: Some(active), ..descriptor });
}

/// It is written as it was, also when the template is sought anew.
fn check_written(descriptor: &Descriptor, structure: &Structure, data: &[u8]) {
    let mut again = vec![0xa5; descriptor.encoded_len(structure).expect("it fits")];
    assert_eq!(descriptor.write(structure, &mut again), Ok(data.len()));
    assert_eq!(again, data);
    let header = descriptor.header;
    let (start, end) = (header.start_of_frame, header.end_of_frame);
    let sought = Descriptor::new(structure, header.frame_number, start, end, descriptor.dependencies);
    assert_eq!(sought.map(|sought| sought.header.template_id), Ok(header.template_id));
    assert_eq!(Header::parse(data), Ok(header));
}

/// Numbers go on, and refer to frames that were there.
fn check_numbers(descriptor: &Descriptor, frames: &BTreeSet<u16>, last: Option<u16>) {
    let number = descriptor.header.frame_number;
    if descriptor.header.start_of_frame {
        assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
    } else {
        assert_eq!(last, Some(number), "a frame goes on");
    }
    for diff in descriptor.dependencies.fdiffs.as_slice() {
        assert!(frames.contains(&(number - diff)), "{number} refers to {}", number - diff);
    }
}

#[test]
fn elements_of_video() {
    let counts = |name| read_what_stands_alone(&Capture::open(name));
    assert_eq!(
        counts("chromium-vp8-simulcast"),
        Counts {
            mids: 115,
            rids: 51,
            repaired_rids: 64,
            capture_times: 44,
            orientations: 39,
            allocations: 59,
            allocations_with_sizes: 41,
            ..Counts::of(1991)
        }
    );
    assert_eq!(
        counts("chromium-h264-simulcast"),
        Counts {
            mids: 117,
            rids: 66,
            repaired_rids: 51,
            capture_times: 40,
            orientations: 40,
            allocations: 56,
            allocations_with_sizes: 42,
            ..Counts::of(1593)
        }
    );
    assert_eq!(
        counts("chromium-av1-simulcast-one-layer"),
        Counts {
            mids: 25,
            rids: 16,
            repaired_rids: 9,
            capture_times: 19,
            orientations: 10,
            allocations: 19,
            allocations_with_sizes: 11,
            ..Counts::of(383)
        }
    );
    let l3t3key = Counts { capture_times: 12, orientations: 4, allocations: 9, ..Counts::default() };
    let sent = |packets, mids, allocations_with_sizes| Counts {
        mids,
        allocations_with_sizes,
        capture_times: l3t3key.capture_times,
        orientations: l3t3key.orientations,
        allocations: l3t3key.allocations,
        ..Counts::of(packets)
    };
    assert_eq!(counts("chromium-av1-l3t3key"), sent(1788, 53, 4));
    assert_eq!(counts("chromium-vp9-l3t3key"), sent(1854, 48, 5));
    assert_eq!(
        counts("chromium-vp8-single"),
        Counts {
            mids: 24,
            capture_times: 16,
            orientations: 10,
            allocations: 13,
            allocations_with_sizes: 11,
            ..Counts::of(346)
        }
    );
    let firefox = Counts { mids: 95, rids: 51, repaired_rids: 44, ..Counts::of(1605) };
    assert_eq!(counts("firefox-vp8-simulcast"), firefox);
    assert_eq!(counts("firefox-av1-single"), Counts { mids: 31, ..Counts::of(207) });
}

#[test]
fn elements_of_audio() {
    let counts = |name| read_what_stands_alone(&Capture::open(name));
    let opus = Counts { mids: 19, capture_times: 10, audio_levels: 494, ..Counts::of(494) };
    assert_eq!(counts("chromium-opus"), opus);
    // Padding alone has no level.
    let red = Counts { mids: 33, capture_times: 8, audio_levels: 407 - 18, ..Counts::of(407) };
    assert_eq!(counts("chromium-opus-red"), red);
    let firefox = Counts { mids: 26, audio_levels: 301, send_times: 0, ..Counts::of(301) };
    assert_eq!(counts("firefox-opus"), firefox);
}

#[test]
fn descriptors_of_simulcast() {
    let counts = |name| read_descriptors(&Capture::open(name));
    // One counter runs over all streams, so hardly a frame is what its template says.
    assert_eq!(
        counts("chromium-vp8-simulcast"),
        DescriptorCounts {
            descriptors: 1895,
            structures: 12,
            active: vec![0b111],
            custom: 1856,
            repeated: 59,
            sizes_compared: 12,
            ..DescriptorCounts::default()
        }
    );
    assert_eq!(
        counts("chromium-h264-simulcast"),
        DescriptorCounts {
            descriptors: 1486,
            structures: 10,
            active: vec![0b1],
            custom: 1436,
            repeated: 44,
            ..DescriptorCounts::default()
        }
    );
    assert_eq!(
        counts("firefox-vp8-simulcast"),
        DescriptorCounts {
            descriptors: 1055,
            structures: 10,
            active: vec![0b11],
            custom: 1031,
            repeated: 538,
            ..DescriptorCounts::default()
        }
    );
}

#[test]
fn descriptors_of_one_stream() {
    let counts = |name| read_descriptors(&Capture::open(name));
    // Two of three spatial layers at first, and all from a later key frame on. VP9 drops one again without a key frame.
    let (two_layers, all_layers) = (0b11_1111, 0b1_1111_1111);
    assert_eq!(
        counts("chromium-av1-l3t3key"),
        DescriptorCounts {
            descriptors: 1760,
            structures: 4,
            masks: 1,
            active: vec![two_layers, all_layers],
            custom: 156,
            repeated: 12,
            sizes_compared: 11,
        }
    );
    assert_eq!(
        counts("chromium-vp9-l3t3key"),
        DescriptorCounts {
            descriptors: 1828,
            structures: 4,
            masks: 5,
            active: vec![two_layers, all_layers, two_layers],
            custom: 126,
            repeated: 10,
            sizes_compared: 11,
        }
    );
    let one_layer = DescriptorCounts { active: vec![1], ..DescriptorCounts::default() };
    let sent = |descriptors, structures, repeated, sizes_compared| DescriptorCounts {
        descriptors,
        structures,
        repeated,
        sizes_compared,
        active: one_layer.active.clone(),
        ..DescriptorCounts::default()
    };
    assert_eq!(counts("chromium-av1-simulcast-one-layer"), sent(362, 3, 17, 3));
    assert_eq!(counts("chromium-vp8-single"), sent(327, 2, 8, 2));
}

#[test]
fn captures_without_descriptors() {
    for name in ["chromium-opus", "chromium-opus-red", "firefox-opus", "firefox-av1-single"] {
        assert!(Capture::open(name).packets().all(|(_, packet)| packet.extension(id::DEPENDENCY).is_none()));
    }
}
