//! Properties of packet views, edits and writers.

use std::collections::BTreeMap;

use plenary_rtp::{Error, Header, Packet, PacketEdit, PacketMut, PacketWriter, RtpTime, SeqNo, Ssrc};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use rtc_shared::marshal::{Marshal, Unmarshal};

#[derive(Clone, Debug)]
struct Parts {
    marker: bool,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: Vec<Ssrc>,
    elements: BTreeMap<u8, Vec<u8>>,
    payload: Vec<u8>,
    padding: u8,
}

impl Parts {
    fn write(&self, out: &mut Vec<u8>) -> std::ops::Range<usize> {
        let header = Header {
            marker: self.marker,
            payload_type: self.payload_type,
            sequence_number: SeqNo(self.sequence_number),
            timestamp: RtpTime(self.timestamp),
            ssrc: Ssrc(self.ssrc),
            csrcs: &self.csrcs,
        };
        let mut writer = PacketWriter::begin(&header, out).unwrap();
        for (&id, data) in &self.elements {
            writer.extension(id, data).unwrap();
        }
        let mut payload = writer.into_payload();
        payload.append(&self.payload);
        payload.finish_padded(self.padding)
    }

    fn of(packet: &Packet<'_>) -> Self {
        Self {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            sequence_number: packet.sequence_number().0,
            timestamp: packet.timestamp().0,
            ssrc: packet.ssrc().0,
            csrcs: packet.csrcs().collect(),
            elements: first_of_each(packet),
            payload: packet.payload().to_vec(),
            padding: packet.padding_len(),
        }
    }
}

fn first_of_each(packet: &Packet<'_>) -> BTreeMap<u8, Vec<u8>> {
    let mut elements = BTreeMap::new();
    for (id, data) in packet.extensions() {
        elements.entry(id).or_insert_with(|| data.to_vec());
    }
    elements
}

fn id() -> impl Strategy<Value = u8> {
    prop_oneof![8 => 1..=14u8, 1 => 16..=255u8]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 1..=16), 1 => vec(any::<u8>(), 0..=255)]
}

/// Elements, in half of the cases such as the one-byte form can carry.
fn elements() -> impl Strategy<Value = BTreeMap<u8, Vec<u8>>> {
    prop_oneof![btree_map(1..=14u8, vec(any::<u8>(), 1..=16), 0..8), btree_map(id(), data(), 0..8)]
}

fn parts() -> impl Strategy<Value = Parts> {
    let header = (any::<bool>(), 0..=127u8, any::<u16>(), any::<u32>(), any::<u32>());
    let rest = (vec(any::<u32>().prop_map(Ssrc), 0..=15), elements(), vec(any::<u8>(), 0..100), any::<u8>());
    (header, rest).prop_map(|(header, (csrcs, elements, payload, padding))| {
        let (marker, payload_type, sequence_number, timestamp, ssrc) = header;
        Parts { marker, payload_type, sequence_number, timestamp, ssrc, csrcs, elements, payload, padding }
    })
}

/// The profile and content of a block: noise, or pieces that mostly are elements, padding or the end of a walk.
fn blocks() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let noise = (any::<u16>(), vec(any::<u8>(), 0..64));
    let one_byte = prop_oneof![
        6 => (1..=14u8, vec(any::<u8>(), 1..=16))
            .prop_map(|(id, data)| [&[id << 4 | (data.len() - 1) as u8], &data[..]].concat()),
        2 => Just(vec![0]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    let two_byte = prop_oneof![
        6 => (1..=255u8, vec(any::<u8>(), 0..24)).prop_map(|(id, data)| [&[id, data.len() as u8], &data[..]].concat()),
        2 => Just(vec![0]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop_oneof![
        1 => noise,
        3 => (Just(0xbede), vec(one_byte, 0..6).prop_map(|pieces| pieces.concat())),
        3 => (0x1000..=0x100fu16, vec(two_byte, 0..6).prop_map(|pieces| pieces.concat())),
    ]
}

/// Bytes that often are a packet: version 2, a block whose length is mostly right, and something behind it.
fn near_packets() -> impl Strategy<Value = Vec<u8>> {
    let words_off = prop_oneof![6 => Just(0u16), 1 => any::<u16>()];
    (0x80..=0xbfu8, any::<[u8; 11]>(), blocks(), words_off, vec(0..=9u8, 0..16)).prop_map(
        |(flags, fixed, (profile, mut content), words_off, behind)| {
            content.resize(content.len().next_multiple_of(4), 0);
            let mut bytes = vec![flags & 0xf1];
            bytes.extend(fixed);
            bytes.extend(if flags & 1 == 1 { &[1, 2, 3, 4][..] } else { &[] });
            bytes.extend(profile.to_be_bytes());
            bytes.extend((words_off ^ (content.len() / 4) as u16).to_be_bytes());
            bytes.extend(content);
            bytes.extend(behind);
            bytes
        },
    )
}

#[derive(Clone, Debug)]
enum Edit {
    Set(u8, Vec<u8>),
    SetKnown(Index, Vec<u8>),
    Remove(u8),
    RemoveKnown(Index),
    Padding(u8),
    Csrcs(Vec<Ssrc>),
    Fields(bool, u8, u16, u32, u32),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (id(), data()).prop_map(|(id, data)| Edit::Set(id, data)),
        2 => (any::<Index>(), data()).prop_map(|(index, data)| Edit::SetKnown(index, data)),
        1 => id().prop_map(Edit::Remove),
        3 => any::<Index>().prop_map(Edit::RemoveKnown),
        1 => any::<u8>().prop_map(Edit::Padding),
        1 => vec(any::<u32>().prop_map(Ssrc), 0..=15).prop_map(Edit::Csrcs),
        1 => (any::<bool>(), 0..=127u8, any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
            |(marker, payload_type, number, time, ssrc)| Edit::Fields(marker, payload_type, number, time, ssrc)
        ),
    ]
}

impl Edit {
    /// Does it to the packet and to the model, which must agree on the answer.
    fn apply(self, packet: &mut PacketEdit<'_>, model: &mut Parts) {
        let known = |index: Index, model: &Parts| {
            let ids: Vec<u8> = model.elements.keys().copied().filter(|&id| id != 15).collect();
            if ids.is_empty() { 1 } else { *index.get(&ids) }
        };
        match self {
            Self::Set(id, data) => {
                packet.set_extension(id, &data).unwrap();
                model.elements.insert(id, data);
            }
            Self::SetKnown(index, data) => Self::Set(known(index, model), data).apply(packet, model),
            Self::Remove(id) => {
                assert_eq!(packet.remove_extension(id), Ok(model.elements.remove(&id).is_some()));
            }
            Self::RemoveKnown(index) => Self::Remove(known(index, model)).apply(packet, model),
            Self::Padding(len) => {
                packet.set_padding(len);
                model.padding = len;
            }
            Self::Csrcs(csrcs) => {
                packet.set_csrcs(&csrcs).unwrap();
                model.csrcs = csrcs;
            }
            Self::Fields(marker, payload_type, number, time, ssrc) => {
                let mut packet = packet.as_mut();
                packet.set_marker(marker);
                packet.set_payload_type(payload_type).unwrap();
                packet.set_sequence_number(SeqNo(number));
                packet.set_timestamp(RtpTime(time));
                packet.set_ssrc(Ssrc(ssrc));
                (model.marker, model.payload_type) = (marker, payload_type);
                (model.sequence_number, model.timestamp, model.ssrc) = (number, time, ssrc);
            }
        }
    }
}

/// Applies the edits to what stands at the end of `out`, and checks that all agrees with a model.
fn check_edits(out: &mut Vec<u8>, start: usize, edits: Vec<Edit>) {
    let before = out[..start].to_vec();
    let mut model = Parts::of(&Packet::parse(&out[start..]).unwrap());
    let mut packet = PacketEdit::parse(out, start).unwrap();
    for edit in edits {
        edit.apply(&mut packet, &mut model);
        let kept = format!("{:?}", Parts::of(&packet.as_packet()));
        assert_eq!(kept, format!("{model:?}"));
    }
    let kept = format!("{:?}", packet.as_packet());
    let packet = Packet::parse(&out[start..]).unwrap();
    assert_eq!(kept, format!("{packet:?}"), "the layout that edits keep is that of the bytes");
    assert_eq!(format!("{:?}", Parts::of(&packet)), format!("{model:?}"));
    assert_eq!(out[..start], before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_written_is_parsed(parts in parts(), before in vec(any::<u8>(), 0..20)) {
        let mut out = before.clone();
        let range = parts.write(&mut out);
        prop_assert_eq!(&out[..range.start], &before);
        let packet = Packet::parse(&out[range.clone()]).unwrap();
        prop_assert_eq!(format!("{:?}", Parts::of(&packet)), format!("{parts:?}"));
        let mut again = Vec::new();
        Parts::of(&packet).write(&mut again);
        prop_assert_eq!(&again, &out[range]);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop_oneof![vec(any::<u8>(), 0..200), near_packets()]) {
        let clear = Packet::clear_header_len(&bytes);
        let Ok(packet) = Packet::parse(&bytes) else { return Ok(()) };
        prop_assert_eq!(clear, Ok(packet.header_len()));
        prop_assert_eq!(packet.header_len() + packet.payload().len() + usize::from(packet.padding_len()), bytes.len());
        prop_assert_eq!(packet.csrcs().len(), usize::from(bytes[0] & 0x0f));
        let carried: usize = packet.extensions().map(|(_, data)| data.len()).sum();
        prop_assert!(carried <= packet.extension_block().len());
        for (id, _) in packet.extensions() {
            prop_assert!(id != 0 && packet.extension(id).is_some());
        }
        let mut copy = bytes.clone();
        let mut changed = PacketMut::parse(&mut copy).unwrap();
        changed.set_ssrc(packet.ssrc());
        changed.set_sequence_number(packet.sequence_number());
        changed.set_timestamp(packet.timestamp());
        changed.set_marker(packet.marker());
        changed.set_payload_type(packet.payload_type()).unwrap();
        prop_assert_eq!(&copy, &bytes);
    }

    #[test]
    fn any_edits_agree_with_a_model(parts in parts(), edits in vec(edit(), 0..20)) {
        let mut out = b"before".to_vec();
        let range = parts.write(&mut out);
        check_edits(&mut out, range.start, edits);
    }

    #[test]
    fn any_edits_of_foreign_packets_agree_with_a_model(bytes in near_packets(), edits in vec(edit(), 1..6)) {
        let mut bytes = bytes;
        let Ok(packet) = Packet::parse(&bytes) else { return Ok(()) };
        if let Some(profile) = packet.extension_profile()
            && profile != 0xbede
            && profile & 0xfff0 != 0x1000
        {
            let before = bytes.clone();
            let mut packet = PacketEdit::parse(&mut bytes, 0).unwrap();
            prop_assert_eq!(packet.set_extension(1, &[1]), Err(Error::ExtensionProfile(profile)));
            prop_assert_eq!(packet.remove_extension(1), Err(Error::ExtensionProfile(profile)));
            prop_assert_eq!(&bytes, &before);
        } else {
            check_edits(&mut bytes, 0, edits);
        }
    }

    #[test]
    fn rtc_rtp_reads_what_we_write(parts in parts()) {
        let mut bytes = Vec::new();
        parts.write(&mut bytes);
        let theirs = rtc_rtp::Packet::unmarshal(&mut &bytes[..]).unwrap();
        prop_assert_eq!(theirs.header.sequence_number, parts.sequence_number);
        prop_assert_eq!(theirs.header.extension, !parts.elements.is_empty());
        let elements: BTreeMap<u8, Vec<u8>> =
            theirs.header.extensions.iter().map(|element| (element.id, element.payload.to_vec())).collect();
        prop_assert_eq!(&elements, &parts.elements);
        prop_assert_eq!(&theirs.payload[..], &parts.payload);
        if parts.padding == 0 {
            // It chooses its own padding, else it writes the bytes that we do.
            prop_assert_eq!(theirs.marshal().unwrap().to_vec(), bytes);
        }
    }

    #[test]
    fn rtc_rtp_agrees_where_both_accept(bytes in near_packets()) {
        let (Ok(ours), Ok(theirs)) = (Packet::parse(&bytes), rtc_rtp::Packet::unmarshal(&mut &bytes[..])) else {
            return Ok(());
        };
        let header = &theirs.header;
        prop_assert_eq!(header.marker, ours.marker());
        prop_assert_eq!(header.payload_type, ours.payload_type());
        prop_assert_eq!(header.sequence_number, ours.sequence_number().0);
        prop_assert_eq!(header.timestamp, ours.timestamp().0);
        prop_assert_eq!(header.ssrc, ours.ssrc().0);
        prop_assert_eq!(&header.csrc, &ours.csrcs().map(|csrc| csrc.0).collect::<Vec<_>>());
        let profile = ours.extension_profile();
        prop_assert_eq!(header.extension, profile.is_some());
        prop_assert_eq!(header.extension_profile, profile.unwrap_or(0));
        // It takes id 15 for the end of the block, an id 0 with a length for an element, and two-byte blocks with
        // appbits for another profile.
        let ends_early = header.extensions.iter().any(|element| element.id == 0)
            || header.extensions.iter().map(|element| element.payload.len() + 1).sum::<usize>()
                + header.extensions_padding
                < ours.extension_block().len();
        match profile {
            Some(0xbede) if ends_early => {}
            Some(0x1001..=0x100f) => prop_assert_eq!(&theirs.payload[..], ours.payload()),
            Some(profile) if profile != 0xbede && profile != 0x1000 => {
                prop_assert_eq!(&header.extensions[0].payload[..], ours.extension_block());
                prop_assert_eq!(&theirs.payload[..], ours.payload());
            }
            _ => {
                let elements: Vec<(u8, &[u8])> =
                    header.extensions.iter().map(|element| (element.id, &element.payload[..])).collect();
                prop_assert_eq!(elements, ours.extensions().collect::<Vec<_>>());
                prop_assert_eq!(&theirs.payload[..], ours.payload());
            }
        }
    }
}
