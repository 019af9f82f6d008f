//! Several rounds: what stops, what comes back, and what is used again.

use plenary_rtp::extension::{Mid, Rid, TransportSequence};
use plenary_rtp::rtcp;
use plenary_rtp::{Header, Packet, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_sdp::Direction::{RecvOnly, SendOnly, SendRecv};
use plenary_sfu_core::{Answered, DropReason, Error, Event, Kind, PublishRequest};

use super::offers::{published, shown};
use super::page::{H264, Page, VP8, camera, microphone, room};
use super::shapes::{WRITER, chromium};
use crate::lab::{Lab, ms};

fn unpublished(lab: &Lab, page: &Page) -> Vec<(String, bool)> {
    let events = lab.events.iter().filter_map(|event| match event {
        Event::Unpublished { session, mid, track, .. } if *session == page.session => {
            Some((mid.clone(), track.is_some()))
        }
        _ => None,
    });
    events.collect()
}

fn m_lines(offer: &str) -> Vec<String> {
    let mid = |section: &str| section.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or("-").to_owned();
    let port = |section: &str| section.split(' ').nth(1).unwrap() != "0";
    offer
        .split("m=")
        .skip(1)
        .map(|section| if port(section) { mid(section) } else { format!("({})", mid(section)) })
        .collect()
}

#[test]
fn a_section_that_is_stopped_is_used_again() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let [microphone_mid, camera_mid] =
        [microphone(), camera()].map(|it| lab.sfu.ask_to_publish(page.transport, it).unwrap());
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    page.settle(&mut lab).unwrap();
    assert_eq!(published(&lab).len(), 2);
    lab.sfu.stop_publishing(page.transport, &microphone_mid, lab.now).unwrap();
    assert_eq!(lab.sfu.stop_publishing(page.transport, &microphone_mid, lab.now), Err(Error::NoSection));
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 1, "at once");
    // What is asked for before the answer has the next place: this one is not free yet.
    let (version, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(m_lines(&offer), ["(p0)", "p1", "a0", "v0"]);
    let screen = PublishRequest { stream: "screen".into(), ..camera() };
    let screen_mid = lab.sfu.ask_to_publish(page.transport, screen).unwrap();
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    let (version, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(m_lines(&offer), [&screen_mid, &camera_mid, "a0", "v0"]);
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab).last().unwrap().0, screen_mid);
    assert_eq!(unpublished(&lab, &page), [], "the caller did it");
}

#[test]
fn a_request_is_withdrawn_before_and_while_it_is_offered() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let first = lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    lab.sfu.stop_publishing(page.transport, &first, lab.now).unwrap();
    assert_eq!(page.offer(&mut lab), None, "there is nothing to say");
    let second = lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    lab.sfu.stop_publishing(page.transport, &second, lab.now).unwrap();
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    let (_, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(m_lines(&offer), [format!("({second})")]);
    assert_eq!(published(&lab), []);
}

#[test]
fn what_a_client_rejects_or_holds_is_told() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    for request in [microphone(), camera()] {
        lab.sfu.ask_to_publish(page.transport, request).unwrap();
    }
    lab.sfu.set_slots(page.transport, 1, 2).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    // The microphone is not given, the camera not now, and the last slot not at all.
    let [reject, hold] = [("0", "a=inactive"), ("9", "a=inactive")];
    let mut sections: Vec<_> = chromium(&offer, &WRITER).split("m=").map(str::to_owned).collect();
    sections[0] = sections[0].replace("BUNDLE p0 p1 a0 v0 v1", "BUNDLE p1 a0 v0");
    for (at, (port, direction)) in [(1, reject), (2, hold), (5, reject)] {
        sections[at] = sections[at]
            .replacen(" 9 ", &format!(" {port} "), 1)
            .replace("a=sendonly", direction)
            .replace("a=recvonly", direction);
    }
    let answer = sections.join("m=");
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab), []);
    assert_eq!(unpublished(&lab, &page), [("p0".to_owned(), false), ("p1".to_owned(), false)]);
    assert_eq!(page.offer(&mut lab), None, "it is not asked again by itself");
    // The camera comes with the next answer, whatever that was for; the slot that was rejected is made anew.
    lab.sfu.set_slots(page.transport, 2, 2).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(m_lines(&offer), ["a1", "p1", "a0", "v0", "v2"], "places that were rejected are used again");
    let answer = chromium(&offer, &WRITER);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab).len(), 1);
    // And is taken away by the client, in an offer of its own.
    page.offers.push((version, offer));
    let stopped = page.make_offer(&mut lab, &[], false).replace("a=ice-ufrag:", "a=x-ufrag:");
    let mut sections: Vec<_> = stopped.split("m=").map(str::to_owned).collect();
    sections[0] = sections[0].replace(" p1 ", " ");
    sections[2] = sections[2].replacen(" 9 ", " 0 ", 1);
    let stopped = sections.join("m=").replace("a=x-ufrag:", "a=ice-ufrag:");
    lab.sfu.handle_offer(page.transport, &stopped, lab.now).unwrap();
    page.drain(&mut lab);
    assert_eq!(unpublished(&lab, &page).last(), Some(&("p1".to_owned(), true)));
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 0);
}

#[test]
fn ice_restarts_by_the_next_offer_and_media_goes_on() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.set_slots(page.transport, 0, 1).unwrap();
    page.settle(&mut lab).unwrap();
    lab.connect(page.number);
    let ufrag = |offer: &str| offer.lines().find(|line| line.starts_with("a=ice-ufrag:")).unwrap().to_owned();
    let before = ufrag(&page.offers[0].1);
    // While an offer is in flight: that one stands as it is.
    lab.sfu.set_slots(page.transport, 0, 2).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    lab.sfu.restart_ice(page.transport, lab.now).unwrap();
    assert_eq!(ufrag(&offer), before);
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    let (version, offer) = page.offer(&mut lab).unwrap();
    assert_ne!(ufrag(&offer), before);
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    lab.run(ms(500));
    let ice = lab.sfu.transport(page.transport).unwrap().ice();
    assert_eq!(ice.state(), plenary_ice::State::Completed);
    assert_eq!(page.offer(&mut lab), None);
    // By the client.
    let offer = page.make_offer(&mut lab, &[], true);
    let answer = lab.sfu.handle_offer(page.transport, &offer, lab.now).unwrap();
    assert_ne!(ufrag(&answer), before);
    page.take_answer(&mut lab, &offer, &answer);
    lab.run(ms(500));
    let ice = lab.sfu.transport(page.transport).unwrap().ice();
    assert_eq!(
        (ice.state(), lab.clients[page.number].transport.ice().state()),
        (plenary_ice::State::Completed, plenary_ice::State::Completed)
    );
}

#[test]
fn a_restart_that_was_not_offered_yet_comes_before_a_clients_offer() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.set_slots(page.transport, 0, 1).unwrap();
    page.settle(&mut lab).unwrap();
    lab.connect(page.number);
    let offer = page.make_offer(&mut lab, &[(Kind::Audio, SendOnly)], false);
    lab.sfu.restart_ice(page.transport, lab.now).unwrap();
    assert_eq!(lab.sfu.handle_offer(page.transport, &offer, lab.now), Err(plenary_sfu_core::NegotiationError::Glare));
    page.settle(&mut lab).unwrap();
    let offer = page.make_offer(&mut lab, &[], false);
    assert!(lab.sfu.handle_offer(page.transport, &offer, lab.now).is_ok());
}

#[test]
fn a_client_may_offer_first_to_send_and_to_receive() {
    let mut lab = Lab::new();
    let mut publisher = Page::enter(&mut lab);
    let offer = publisher.make_offer(&mut lab, &[(Kind::Audio, SendRecv), (Kind::Video, SendOnly)], false);
    let answer = lab.sfu.handle_offer(publisher.transport, &offer, lab.now).unwrap();
    publisher.take_answer(&mut lab, &offer, &answer);
    lab.connect(publisher.number);
    publisher.drain(&mut lab);
    let tracks = published(&lab);
    assert_eq!(tracks.iter().map(|(mid, _)| mid.as_str()).collect::<Vec<_>>(), ["0", "1"]);
    let mut watcher = Page::enter(&mut lab);
    let offer = watcher.make_offer(&mut lab, &[(Kind::Video, RecvOnly), (Kind::Audio, RecvOnly)], false);
    let answer = lab.sfu.handle_offer(watcher.transport, &offer, lab.now).unwrap();
    assert!(
        answer.contains("a=msid:s0 0\r\n") && answer.contains("a=msid:s0 1\r\n") && answer.contains("a=ssrc-group:FID")
    );
    watcher.take_answer(&mut lab, &offer, &answer);
    lab.connect(watcher.number);
    for (_, track) in &tracks {
        lab.sfu.subscribe(watcher.session, *track, lab.now).unwrap();
    }
    watcher.drain(&mut lab);
    assert_eq!(shown(&lab, &watcher, "0").unwrap().track, tracks[1].1);
    assert_eq!(shown(&lab, &watcher, "1").unwrap().track, tracks[0].1);
}

/// A packet of a key frame of VP8, that says by MID and RID what it is.
fn named(ssrc: u32, payload_type: u8, (mid, rid): (&str, &str), number: u16) -> Vec<u8> {
    let header = Header {
        marker: true,
        payload_type,
        sequence_number: SeqNo(number),
        timestamp: RtpTime(9000),
        ssrc: Ssrc(ssrc),
        csrcs: &[],
    };
    let mut out = Vec::new();
    let mut writer = PacketWriter::begin(&header, &mut out).unwrap();
    writer.element(3, &Mid::new(mid).unwrap()).unwrap();
    if !rid.is_empty() {
        writer.element(8, &Rid::new(rid).unwrap()).unwrap();
    }
    writer.element(7, &TransportSequence(SeqNo(number))).unwrap();
    let mut payload = writer.into_payload();
    payload.append(&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1, 0, 0]);
    payload.finish();
    out
}

#[test]
fn a_track_is_in_the_codec_that_its_packets_come_in() {
    use plenary_rtp::payload::Codec;
    let mut lab = Lab::with(room(&[Codec::H264, Codec::Vp8, Codec::Opus]));
    let mut publisher = Page::with(&mut lab, &[H264, VP8]);
    let single = PublishRequest { simulcast: false, ..camera() };
    let mid = lab.sfu.ask_to_publish(publisher.transport, single).unwrap();
    publisher.settle(&mut lab).unwrap();
    lab.connect(publisher.number);
    let (_, track) = published(&lab).remove(0);
    assert_eq!(lab.sfu.track(track).unwrap().codec, Codec::H264);
    // One who takes both, with numbers of its own, and one who takes the first only.
    let mut both = Page::with(&mut lab, &[VP8, H264]);
    both.payload_types_from = 120;
    let offer = both.make_offer(&mut lab, &[(Kind::Video, RecvOnly)], false);
    let answer = lab.sfu.handle_offer(both.transport, &offer, lab.now).unwrap();
    both.take_answer(&mut lab, &offer, &answer);
    lab.connect(both.number);
    let mut first = Page::with(&mut lab, &[H264]);
    lab.sfu.set_slots(first.transport, 0, 1).unwrap();
    first.settle(&mut lab).unwrap();
    let [_, starved] = [&both, &first].map(|page| lab.sfu.subscribe(page.session, track, lab.now).unwrap());
    both.drain(&mut lab);
    assert_eq!(shown(&lab, &first, "v0").unwrap().subscription, starved);

    for number in [7, 8] {
        lab.clients[publisher.number].send(named(11, 98, (&mid, ""), number), number.into());
        lab.run(ms(20));
    }
    assert_eq!(lab.sfu.track(track).unwrap().codec, Codec::H264, "what it said it would send");
    lab.clients[publisher.number].send(named(11, 96, (&mid, ""), 9), 9);
    lab.run(ms(20));
    assert_eq!(lab.sfu.track(track).unwrap().codec, Codec::Vp8);
    let packet = Packet::parse(lab.clients[both.number].rtp.last().unwrap()).unwrap();
    assert_eq!(packet.payload_type(), 120, "as the subscriber has it");
    assert_eq!(shown(&lab, &first, "v0"), None);
    assert!(lab.events.contains(&Event::NoCommonCodec(starved)));
    lab.clients[publisher.number].send(named(11, 98, (&mid, ""), 10), 10);
    lab.run(ms(20));
    assert_eq!(lab.sfu.track(track).unwrap().codec, Codec::Vp8, "not to and fro");
    assert_eq!(lab.sfu.dropped(DropReason::PayloadType), 1);
}

#[test]
fn feedback_names_a_stream_of_its_sender() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let mid = lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    page.settle(&mut lab).unwrap();
    lab.connect(page.number);
    for (number, rid, ssrc) in [(7, "q", 11), (8, "h", 12)] {
        lab.clients[page.number].rtcp.clear();
        lab.clients[page.number].send(named(ssrc, 96, (&mid, rid), number), number.into());
        lab.run(ms(100));
        let told = lab.clients[page.number].rtcp.iter().flat_map(|bytes| rtcp::packets(bytes)).flatten();
        let feedback = told.filter_map(|packet| match packet {
            rtcp::Packet::Twcc(it) => Some((it.media_ssrc, it.received().map(|(seq, _)| seq).collect::<Vec<_>>())),
            _ => None,
        });
        assert_eq!(feedback.collect::<Vec<_>>(), [(Ssrc(ssrc), vec![SeqNo(number)])]);
    }
}

#[test]
fn layers_are_known_by_what_packets_say() {
    let mut lab = Lab::new();
    let mut pages = [Page::enter(&mut lab), Page::enter(&mut lab)];
    let mid = lab.sfu.ask_to_publish(pages[0].transport, camera()).unwrap();
    lab.sfu.set_slots(pages[1].transport, 0, 1).unwrap();
    for page in &mut pages {
        page.settle(&mut lab).unwrap();
        lab.connect(page.number);
    }
    let (_, track) = published(&lab).remove(0);
    let subscription = lab.sfu.subscribe(pages[1].session, track, lab.now).unwrap();
    for (number, (rid, ssrc)) in [("q", 11), ("h", 12), ("f", 13)].into_iter().enumerate() {
        lab.sfu.select_layer(subscription, Some(number as u8), lab.now).unwrap();
        lab.run(ms(20));
        lab.clients[0].send(named(ssrc, 96, (&mid, rid), 7), 7);
        lab.run(ms(20));
        let content = shown(&lab, &pages[1], "v0").unwrap();
        assert_eq!((content.track, content.layer), (track, Some(number as u8)), "{rid}");
    }
    let offered = plenary_sdp::Description::parse(&pages[1].offers[0].1, &plenary_sdp::Limits::default()).unwrap();
    let ssrc = offered.media[0].sources().next().unwrap().ssrc;
    let packets: Vec<_> = lab.clients[1].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
    assert_eq!(packets.len(), 3);
    assert!(packets.iter().all(|packet| packet.ssrc() == Ssrc(ssrc) && packet.payload_type() == 96));
    // Back to the first: what is sent goes on, and its key frame is asked for.
    lab.clients[0].rtcp.clear();
    lab.sfu.select_layer(subscription, Some(0), lab.now).unwrap();
    lab.run(ms(350));
    let told = lab.clients[0].rtcp.iter().flat_map(|bytes| rtcp::packets(bytes)).flatten();
    let plis = told.filter_map(|packet| if let rtcp::Packet::Pli(pli) = packet { Some(pli.media_ssrc) } else { None });
    assert_eq!(plis.collect::<Vec<_>>(), [Ssrc(11), Ssrc(11)], "and again after 300 ms");
}

#[test]
fn a_payload_type_that_nobody_agreed_on_is_told() {
    use plenary_rtp::payload::Codec;
    let mut lab = Lab::with(room(&[Codec::Vp8, Codec::H264, Codec::Opus]));
    let mut page = Page::with(&mut lab, &[H264]);
    let single = PublishRequest { simulcast: false, ..camera() };
    let mid = lab.sfu.ask_to_publish(page.transport, single.clone()).unwrap();
    page.settle(&mut lab).unwrap();
    lab.connect(page.number);
    let (_, track) = published(&lab).remove(0);
    // VP8 was offered first, and was left out of the answer: 96, with 97 for what is repeated. 98 is H.264.
    let payload_types = [96, 96, 97, 98, 96, 98, 99, 35];
    for (number, payload_type) in (0..).zip(payload_types) {
        let ssrc = if [97, 99].contains(&payload_type) { 12 } else { 11 };
        lab.clients[page.number].send(named(ssrc, payload_type, (&mid, ""), number), number.into());
        lab.run(ms(20));
    }
    let told = |lab: &Lab| -> Vec<_> {
        let told = lab.events.iter().filter_map(|event| match event {
            Event::UnknownPayloadType { transport, track, payload_type } => Some((*transport, *track, *payload_type)),
            _ => None,
        });
        told.collect()
    };
    assert_eq!(told(&lab), [96, 97, 35].map(|it| (page.transport, track, it)), "once of each");
    assert_eq!(lab.sfu.dropped(DropReason::PayloadType), 5);
    // Whoever is to send one codec is offered that alone.
    let only = |codecs: &[Codec]| PublishRequest { codecs: codecs.to_vec(), ..single.clone() };
    let mid = lab.sfu.ask_to_publish(page.transport, only(&[Codec::H264])).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    let section = offer.split("m=").find(|section| section.contains(&format!("a=mid:{mid}\r\n"))).unwrap();
    assert!(section.starts_with("video 9 UDP/TLS/RTP/SAVPF 98 99\r\n"), "{section}");
    assert!(!section.contains("VP8"), "{section}");
    for codecs in [&[Codec::Av1][..], &[Codec::H264, Codec::Av1], &[Codec::Opus]] {
        assert_eq!(lab.sfu.ask_to_publish(page.transport, only(codecs)), Err(Error::NoCodec), "{codecs:?}");
    }
}

#[test]
fn ssrcs_that_a_publisher_makes_up_are_no_more_than_128() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let mid = lab.sfu.ask_to_publish(page.transport, PublishRequest { simulcast: false, ..camera() }).unwrap();
    page.settle(&mut lab).unwrap();
    lab.connect(page.number);
    lab.clients[page.number].send(named(11, 96, (&mid, ""), 7), 7);
    lab.take_in(page.number, []);
    // Each says that it repeats packets of the camera.
    for ssrc in 1000..1200 {
        lab.clients[page.number].send(named(ssrc, 97, (&mid, ""), 1), 1);
        lab.take_in(page.number, []);
    }
    let dropped = [DropReason::Probe, DropReason::UnknownSource].map(|reason| lab.sfu.dropped(reason));
    assert_eq!(dropped, [127, 73]);
}

#[test]
fn what_is_not_asked_for_does_not_pile_up() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let mut number = 0;
    for _ in 0..3 {
        let single = PublishRequest { simulcast: false, ..camera() };
        let mid = lab.sfu.ask_to_publish(page.transport, single).unwrap();
        page.settle(&mut lab).unwrap();
        lab.connect(page.number);
        // Nobody asks for the events of these.
        for payload_type in 0..=127 {
            lab.clients[page.number].send(named(11, payload_type, (&mid, ""), number), number.into());
            lab.take_in(page.number, []);
            number += 1;
        }
        lab.sfu.stop_publishing(page.transport, &mid, lab.now).unwrap();
        page.settle(&mut lab).unwrap();
    }
    let told = lab.events.iter().filter(|event| matches!(event, Event::UnknownPayloadType { .. })).count();
    assert_eq!(told, 0, "of tracks that are over");
}
