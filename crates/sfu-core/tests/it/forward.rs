//! From one publisher to those who subscribe.

use plenary_rtp::payload::Codec;
use plenary_rtp::rtcp::{self, Fir, FirEntry, NackWriter, Packet as Rtcp, Pli, ReceiverReport};
use plenary_rtp::{Header, Packet, PacketMut, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_sfu_core::{
    DropReason, Error, Event, Format, Kind, LayerConfig, Publication, RoomConfig, SlotConfig, TrackId,
};

use crate::lab::{Lab, ms};

fn feedback(lab: &Lab, client: usize, wanted: impl Fn(&Rtcp<'_>) -> bool) -> usize {
    let packets = lab.clients[client].rtcp.iter().flat_map(|datagram| rtcp::packets(datagram)).flatten();
    packets.filter(|packet| wanted(packet)).count()
}

/// One who publishes and one who watches.
fn pair() -> (Lab, crate::lab::Camera) {
    let mut lab = Lab::new();
    let (publisher, subscriber) = (lab.join(), lab.join());
    let (track, camera) = lab.publish_camera(publisher);
    lab.add_video_slot(subscriber, 0);
    lab.sfu.subscribe(lab.clients[subscriber].session, track, lab.now).unwrap();
    (lab, camera)
}

fn send(lab: &mut Lab, packets: impl IntoIterator<Item = (u64, Vec<u8>)>) {
    for (index, packet) in packets {
        lab.clients[0].send(packet, index);
    }
    lab.run(ms(33));
}

#[test]
fn a_key_frame_is_asked_for_and_pictures_come_through() {
    let (mut lab, mut camera) = pair();
    let delta = camera.frame(false, &[1100; 3]);
    send(&mut lab, delta);
    assert!(lab.clients[1].rtp.is_empty());
    let plis = |lab: &Lab| feedback(lab, 0, |packet| matches!(packet, Rtcp::Pli(pli) if pli.media_ssrc == Ssrc(1000)));
    assert_eq!(plis(&lab), 1);
    let key = camera.frame(true, &[1100, 1100, 1100, 1100, 700]);
    send(&mut lab, key);
    let delta = camera.frame(false, &[300]);
    send(&mut lab, delta);
    let numbers: Vec<_> =
        lab.clients[1].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap().sequence_number()).collect();
    assert_eq!(numbers.len(), 6);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert!(lab.clients[1].rtp.iter().all(|bytes| Packet::parse(bytes).unwrap().ssrc() == Ssrc(100)));
    assert_eq!(lab.runs, [5, 1], "a frame goes out as one run, whose last packet is shorter");
    lab.run(ms(2000));
    assert_eq!(plis(&lab), 1, "a key frame came");
    let Some(Event::Slot(change)) = lab.events.iter().rev().find(|event| matches!(event, Event::Slot(_))) else {
        panic!("the page is told what it sees")
    };
    let content = change.content.as_ref().unwrap();
    let first = Packet::parse(&lab.clients[1].rtp[0]).unwrap().timestamp();
    assert_eq!((content.layer, content.timestamp), (Some(0), Some(first)));
}

#[test]
fn loss_on_the_way_in_is_repaired_by_the_publisher() {
    let (mut lab, mut camera) = pair();
    let mut key = camera.frame(true, &[1000; 4]);
    let (lost, _) = key.remove(2);
    send(&mut lab, key);
    assert_eq!(lab.clients[1].rtp.len(), 3);
    let mut asked = Vec::new();
    for datagram in &lab.clients[0].rtcp {
        for packet in rtcp::packets(datagram).flatten() {
            if let Rtcp::Nack(nack) = packet {
                asked.extend(nack.lost());
            }
        }
    }
    assert_eq!(asked.first(), Some(&SeqNo(lost as u16)));
    let again = camera.again(asked[0]);
    send(&mut lab, [again.clone()]);
    let mut numbers: Vec<_> =
        lab.clients[1].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap().sequence_number().0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), 4);
    assert_eq!(numbers[3] - numbers[0], 3, "the hole was kept for it");
}

#[test]
fn a_key_frame_of_long_ago_is_not_kept() {
    for (seconds, kept) in [(9, true), (15, false)] {
        let mut lab = Lab::new();
        let (publisher, subscriber) = (lab.join(), lab.join());
        let (track, mut camera) = lab.publish_camera(publisher);
        lab.add_video_slot(subscriber, 0);
        let key = camera.frame(true, &[1000; 4]);
        send(&mut lab, key);
        lab.run(ms(1000 * seconds));
        lab.sfu.subscribe(lab.clients[subscriber].session, track, lab.now).unwrap();
        lab.run(ms(33));
        assert_eq!(lab.clients[subscriber].rtp.len(), if kept { 4 } else { 0 }, "after {seconds} s");
        assert_eq!(feedback(&lab, 0, |packet| matches!(packet, Rtcp::Pli(_))), usize::from(!kept));
    }
}

// Trap: encoders make a key frame of all layers when one is asked for, and each is more that may be lost.
#[test]
fn a_hole_for_good_matters_to_those_who_read() {
    let mut lab = Lab::new();
    let (publisher, subscriber) = (lab.join(), lab.join());
    let (track, mut camera) = lab.publish_camera(publisher);
    lab.add_video_slot(subscriber, 0);
    let plis = |lab: &Lab| feedback(lab, 0, |packet| matches!(packet, Rtcp::Pli(_)));
    let hole = |lab: &mut Lab, camera: &mut crate::lab::Camera| {
        let mut frame = camera.frame(false, &[1000; 3]);
        frame.remove(1);
        send(lab, frame);
        lab.run(ms(300));
    };
    let key = camera.frame(true, &[1000; 4]);
    send(&mut lab, key);
    hole(&mut lab, &mut camera);
    assert_eq!(plis(&lab), 0, "nobody reads it");

    lab.sfu.subscribe(lab.clients[1].session, track, lab.now).unwrap();
    lab.run(ms(33));
    assert_eq!((plis(&lab), lab.clients[1].rtp.len()), (1, 0), "what comes before the hole does not go on behind it");
    let key = camera.frame(true, &[1000; 4]);
    send(&mut lab, key);
    assert_eq!(lab.clients[1].rtp.len(), 4);

    hole(&mut lab, &mut camera);
    assert_eq!(plis(&lab), 2, "one reads it");
}

#[test]
fn a_packet_of_another_payload_type_is_not_asked_for_again() {
    let (mut lab, mut camera) = pair();
    let key = camera.frame(true, &[1000; 2]);
    send(&mut lab, key);
    let mut other = camera.frame(false, &[1000; 3]);
    for (_, packet) in &mut other[..2] {
        PacketMut::parse(packet).unwrap().set_payload_type(35).unwrap();
    }
    send(&mut lab, other);
    let delta = camera.frame(false, &[1000]);
    send(&mut lab, delta);
    lab.run(ms(500));
    assert_eq!(feedback(&lab, 0, |packet| matches!(packet, Rtcp::Nack(_))), 0);
    assert_eq!(lab.sfu.dropped(DropReason::PayloadType), 2);
    assert_eq!(lab.clients[1].rtp.len(), 4);
}

#[test]
fn loss_on_the_way_out_is_repaired_by_the_engine() {
    let (mut lab, mut camera) = pair();
    let key = camera.frame(true, &[1000; 4]);
    send(&mut lab, key);
    let original = lab.clients[1].rtp[1].clone();
    let original = Packet::parse(&original).unwrap();
    let mut nack = Vec::new();
    NackWriter::new(Ssrc(9), Ssrc(100), [original.sequence_number()]).write(1200, &mut nack).unwrap();
    lab.clients[1].report(nack.clone());
    lab.run(ms(5));
    let again = Packet::parse(&lab.clients[1].rtp[4]).unwrap();
    assert_eq!((again.ssrc(), again.payload_type()), (Ssrc(200), 97));
    assert_eq!(again.payload()[..2], original.sequence_number().0.to_be_bytes());
    assert_eq!(&again.payload()[2..], original.payload());
    lab.clients[1].report(nack);
    lab.run(ms(2));
    assert_eq!(lab.clients[1].rtp.len(), 5, "not again within 10 ms");
}

#[test]
fn packets_that_differ_by_a_byte_leave_as_one_run() {
    let (mut lab, mut camera) = pair();
    let sizes = [1000, 1000, 999, 1001, 1001, 600];
    let frames: Vec<_> = (0..40).map(|frame| camera.frame(frame == 0, &sizes)).collect();
    frames.into_iter().for_each(|frame| send(&mut lab, frame));
    assert_eq!(lab.runs[..3], [3, 3, 6], "padding is a part of what was sent before");
    assert!(lab.runs[3..].iter().all(|run| *run == 6), "{:?}", lab.runs);
    let packets: Vec<_> = lab.clients[1].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
    let padding: Vec<_> = packets[6..12].iter().map(Packet::padding_len).collect();
    assert_eq!(padding, [1, 1, 2, 0, 0, 0]);
    for (packet, (_, published)) in packets.iter().zip(&camera.sent) {
        let published = Packet::parse(published).unwrap();
        // All but the descriptor's four bytes, which hold a number of ours.
        assert_eq!((packet.marker(), &packet.payload()[4..]), (published.marker(), &published.payload()[4..]));
    }
    // What is sent again needs none.
    let padded = &packets[6 * 39 + 2];
    let (lost, original) = (padded.sequence_number(), padded.payload().to_vec());
    let mut nack = Vec::new();
    NackWriter::new(Ssrc(9), Ssrc(100), [lost]).write(1200, &mut nack).unwrap();
    lab.clients[1].report(nack);
    lab.run(ms(5));
    let again = Packet::parse(lab.clients[1].rtp.last().unwrap()).unwrap();
    assert_eq!((again.ssrc(), again.padding_len()), (Ssrc(200), 0));
    assert_eq!(again.payload(), [&lost.0.to_be_bytes()[..], &original].concat());
    // RFC 3550 §6.4.1: reports count octets of payload.
    lab.run(ms(2000));
    let reported = lab.clients[1].rtcp.iter().flat_map(|it| rtcp::packets(it)).flatten().filter_map(|it| match it {
        Rtcp::SenderReport(report) => Some((report.packet_count, report.octet_count)),
        _ => None,
    });
    let payload = 40 * sizes.iter().sum::<usize>() + 999 + 2;
    assert_eq!(reported.last(), Some((241, payload as u32)));
}

/// A client publishes sound, with this SSRC.
fn publish_microphone(lab: &mut Lab, client: usize, ssrc: Ssrc) -> TrackId {
    let publication = Publication {
        kind: Kind::Audio,
        mid: "1".into(),
        codec: Codec::Opus,
        payload_type: 111,
        rtx_payload_type: None,
        others: Vec::new(),
        nack: false,
        opaque: false,
        stream: String::new(),
        layers: vec![LayerConfig { rid: None, ssrc: Some(ssrc), rtx_ssrc: None }],
    };
    lab.sfu.publish(lab.clients[client].id, publication, lab.now).unwrap()
}

/// The slot's SSRC.
const SOUND: Ssrc = Ssrc(300);

fn add_audio_slot(lab: &mut Lab, client: usize) {
    let formats = vec![Format { codec: Codec::Opus, payload_type: 111, rtx_payload_type: None }];
    let config =
        SlotConfig { kind: Kind::Audio, mid: "a0".to_owned(), ssrc: SOUND, rtx_ssrc: None, pair: None, formats };
    lab.sfu.add_slot(lab.clients[client].id, config, lab.now).unwrap();
}

fn sound(ssrc: Ssrc, number: u16) -> (u64, Vec<u8>) {
    let timestamp = RtpTime(960 * u32::from(number));
    let header = Header { payload_type: 111, ssrc, sequence_number: SeqNo(number), timestamp, ..Header::default() };
    let mut sound = Vec::new();
    let mut writer = PacketWriter::begin(&header, &mut sound).unwrap().into_payload();
    writer.append(&[0x78, 1, 2, 3]);
    writer.finish();
    (number.into(), sound)
}

#[test]
fn sound_leaves_before_pictures_whichever_slot_was_first() {
    let (mut lab, mut camera) = pair();
    let microphone = publish_microphone(&mut lab, 0, Ssrc(3000));
    add_audio_slot(&mut lab, 1);
    lab.sfu.subscribe(lab.clients[1].session, microphone, lab.now).unwrap();
    let picture = camera.frame(true, &[1000; 3]);
    send(&mut lab, picture.into_iter().chain([sound(Ssrc(3000), 5)]));
    let ssrcs: Vec<_> = lab.clients[1].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap().ssrc()).collect();
    assert_eq!(ssrcs, [SOUND, Ssrc(100), Ssrc(100), Ssrc(100)]);
}

#[test]
fn sound_says_whose_it_is_and_where_it_begins() {
    let mut lab = Lab::new();
    let [ada, grace, listener] = [(); 3].map(|()| lab.join());
    add_audio_slot(&mut lab, listener);
    let mut told = Vec::new();
    for (client, ssrc) in [(ada, Ssrc(3000)), (grace, Ssrc(4000))] {
        let track = publish_microphone(&mut lab, client, ssrc);
        let subscription = lab.sfu.subscribe(lab.clients[listener].session, track, lab.now).unwrap();
        for number in 5..8 {
            let (index, packet) = sound(ssrc, number);
            lab.clients[client].send(packet, index);
            lab.run(ms(20));
        }
        let Some(Event::Slot(change)) = lab.events.last() else { panic!("{:?}", lab.events) };
        let content = change.content.unwrap();
        assert_eq!(content.source, lab.clients[client].session);
        told.extend([true, false, false].map(|is_first| (content.csrc, is_first)));
        lab.sfu.unsubscribe(subscription, lab.now).unwrap();
        lab.run(ms(7));
    }
    let packets: Vec<_> = lab.clients[listener].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
    let seen: Vec<_> = packets.iter().map(|it| (it.csrcs().next().unwrap(), it.marker())).collect();
    assert_eq!(seen, told);
    assert_ne!(told[0].0, told[3].0);
    let steps: Vec<_> = packets.windows(2).map(|it| it[0].timestamp().distance_to(it[1].timestamp())).collect();
    assert_eq!(steps, [960; 5], "27 ms between them are one step of 20");
}

#[test]
fn key_frames_are_asked_for_once_however_many_want_them() {
    let mut lab = Lab::new();
    let publisher = lab.join();
    let (track, mut camera) = lab.publish_camera(publisher);
    let subscribers: Vec<_> = (0..10).map(|_| lab.join()).collect();
    for subscriber in &subscribers {
        lab.add_video_slot(*subscriber, 0);
        lab.sfu.subscribe(lab.clients[*subscriber].session, track, lab.now).unwrap();
    }
    let delta = camera.frame(false, &[500]);
    send(&mut lab, delta);
    let plis = |lab: &Lab| feedback(lab, 0, |packet| matches!(packet, Rtcp::Pli(_)));
    assert_eq!(plis(&lab), 1);
    let key = camera.frame(true, &[500]);
    send(&mut lab, key);
    assert!(subscribers.iter().all(|subscriber| lab.clients[*subscriber].rtp.len() == 1));
    for subscriber in subscribers {
        let mut pli = Vec::new();
        Pli { sender_ssrc: Ssrc(9), media_ssrc: Ssrc(100) }.write(&mut pli).unwrap();
        lab.clients[subscriber].report(pli);
    }
    lab.run(ms(1));
    assert_eq!(plis(&lab), 1, "not twice in 300 ms");
    lab.run(ms(300));
    assert_eq!(plis(&lab), 2);
    // Who asks by FIR is heard too.
    let key = camera.frame(true, &[500]);
    send(&mut lab, key);
    lab.run(ms(300));
    assert_eq!(plis(&lab), 2);
    let mut fir = Vec::new();
    let entries = [FirEntry { ssrc: Ssrc(100), seq: 1 }];
    Fir { sender_ssrc: Ssrc(9), media_ssrc: Ssrc(0), entries: entries[..].into() }.write(&mut fir).unwrap();
    lab.clients[1].report(fir);
    lab.run(ms(1));
    assert_eq!(plis(&lab), 3);
}

#[test]
fn the_pli_of_an_empty_slot_is_swallowed() {
    let (mut lab, mut camera) = pair();
    let key = camera.frame(true, &[500]);
    send(&mut lab, key);
    let subscription = lab.events.iter().find_map(|event| match event {
        Event::Slot(change) => change.content.map(|content| content.subscription),
        _ => None,
    });
    lab.sfu.unsubscribe(subscription.unwrap(), lab.now).unwrap();
    let mut pli = Vec::new();
    Pli { sender_ssrc: Ssrc(9), media_ssrc: Ssrc(100) }.write(&mut pli).unwrap();
    lab.clients[1].report(pli);
    lab.run(ms(1000));
    assert_eq!(feedback(&lab, 0, |packet| matches!(packet, Rtcp::Pli(_))), 0);
    let delta = camera.frame(false, &[500]);
    send(&mut lab, delta);
    assert_eq!(lab.clients[1].rtp.len(), 1);
    let Some(Event::Slot(change)) = lab.events.last() else { panic!("the page is told that it is empty") };
    assert_eq!(change.content, None);
}

#[test]
fn reports_tell_our_clock_and_what_came() {
    let (mut lab, mut camera) = pair();
    for frame in 0..60 {
        let packets = camera.frame(frame == 0, &[800; 2]);
        send(&mut lab, packets);
    }
    let blocks =
        lab.clients[0].rtcp.iter().flat_map(|datagram| rtcp::packets(datagram)).flatten().filter_map(|packet| {
            match packet {
                Rtcp::ReceiverReport(ReceiverReport { reports, .. }) => reports.iter().next(),
                _ => None,
            }
        });
    let last = blocks.last().expect("the publisher is reported to");
    assert_eq!((last.ssrc, last.cumulative_lost), (Ssrc(1000), 0));
    let reports: Vec<_> = lab.clients[1]
        .rtcp
        .iter()
        .flat_map(|datagram| rtcp::packets(datagram))
        .flatten()
        .filter_map(|packet| match packet {
            Rtcp::SenderReport(report) => Some((report.ssrc, report.ntp, report.rtp_timestamp, report.packet_count)),
            _ => None,
        })
        .collect();
    let [first, .., last] = reports[..] else { panic!("the subscriber has two reports: {reports:?}") };
    assert_eq!(first.0, Ssrc(100));
    let seconds = (last.1.0 - first.1.0) as f64 / 4_294_967_296.0;
    let ticks = f64::from(first.2.distance_to(last.2));
    assert!((ticks / 90_000.0 - seconds).abs() < 0.005, "{ticks} ticks in {seconds} s");
    assert!(last.3 > first.3);
}

#[test]
fn only_layers_that_are_sent_are_ranked() {
    let (mut lab, mut camera) = pair();
    let track = lab.sfu.tracks(lab.room).unwrap().next().unwrap();
    assert_eq!(lab.sfu.ranked_layers(track, lab.now), Ok(vec![]));
    let key = camera.frame(true, &[1100, 700]);
    send(&mut lab, key);
    assert_eq!(lab.sfu.ranked_layers(track, lab.now), Ok(vec![0]));
    lab.run(ms(1100));
    assert_eq!(lab.sfu.ranked_layers(track, lab.now), Ok(vec![]));
    lab.sfu.leave(lab.clients[0].session, lab.now).unwrap();
    assert_eq!(lab.sfu.ranked_layers(track, lab.now), Err(Error::NoTrack));
}

#[test]
fn mistakes_of_the_caller_are_told() {
    let (mut lab, _) = pair();
    let session = lab.clients[1].session;
    let track = lab.sfu.tracks(lab.room).unwrap().next().unwrap();
    assert_eq!(lab.sfu.subscribe(session, track, lab.now), Err(Error::Subscribed));
    let other = lab.sfu.create_room(RoomConfig::default()).unwrap();
    let stranger = lab.sfu.join(other).unwrap();
    assert_eq!(lab.sfu.subscribe(stranger, track, lab.now), Err(Error::OtherRoom));
    lab.sfu.leave(lab.clients[0].session, lab.now).unwrap();
    assert_eq!(lab.sfu.subscribe(session, track, lab.now), Err(Error::NoTrack));
    assert_eq!(lab.sfu.leave(lab.clients[0].session, lab.now), Err(Error::NoSession));
    lab.sfu.remove_room(lab.room, lab.now).unwrap();
    assert_eq!(lab.sfu.leave(session, lab.now), Err(Error::NoSession));
    assert_eq!(lab.sfu.transports(stranger).map(Iterator::count), Ok(0), "who is elsewhere stays");
}
