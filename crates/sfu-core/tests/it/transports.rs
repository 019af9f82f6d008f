//! Sessions with more than one transport.

mod placement;

use plenary_rtp::payload::vp8;
use plenary_rtp::rtcp::{self, Packet as Rtcp};
use plenary_rtp::{Packet, Ssrc};
use plenary_sfu_core::{Error, Event, Kind, PublishRequest, RoomConfig, SlotContent, SubscriptionId, TransportId};
use plenary_transport::CloseReason;

use crate::lab::{Camera, Lab, ms};

/// The sizes of a frame's packets.
const SIZES: [usize; 3] = [1100, 1100, 400];

/// One who publishes (0), one who watches over the first of two transports (1 and 2), and one who watches over one (3).
fn watched() -> (Lab, Camera, SubscriptionId) {
    let mut lab = Lab::new();
    let (publisher, first) = (lab.join(), lab.join());
    let second = lab.join_again(lab.clients[first].session);
    let other = lab.join();
    let (track, camera) = lab.publish_camera(publisher);
    for client in [first, second, other] {
        lab.add_video_slot(client, 0);
    }
    let [subscription, _] =
        [first, other].map(|client| lab.sfu.subscribe(lab.clients[client].session, track, lab.now).unwrap());
    (lab, camera, subscription)
}

fn send(lab: &mut Lab, camera: &mut Camera, is_key: bool) {
    for (index, packet) in camera.frame(is_key, &SIZES) {
        lab.clients[0].send(packet, index);
    }
    lab.run(ms(33));
}

fn key_frames_asked_for(lab: &Lab) -> usize {
    let packets = lab.clients[0].rtcp.iter().flat_map(|datagram| rtcp::packets(datagram)).flatten();
    packets.filter(|packet| matches!(packet, Rtcp::Pli(_))).count()
}

/// What came to a client is one stream that begins with a key frame, of whole frames. The answer is their picture ids.
fn frames(lab: &Lab, client: usize) -> Vec<u16> {
    let packets: Vec<_> = lab.clients[client].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
    assert!(packets.iter().all(|packet| packet.ssrc() == Ssrc(100)), "in the slot's own stream");
    let follows = |pair: &[Packet<'_>]| {
        let ticks = pair[0].timestamp().distance_to(pair[1].timestamp());
        let is_same = pair[0].timestamp() == pair[1].timestamp();
        pair[1].sequence_number() == pair[0].sequence_number().wrapping_add(1)
            && is_same != pair[0].marker()
            && (is_same || (900..90_000).contains(&ticks))
    };
    assert!(packets.windows(2).all(follows), "{packets:?}");
    let frames = packets.chunks(SIZES.len()).map(|frame| {
        let payloads: Vec<_> = frame.iter().map(|packet| vp8::Payload::parse(packet.payload()).unwrap()).collect();
        assert_eq!(payloads.iter().map(|it| it.descriptor.starts_frame()).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(frame.iter().map(Packet::marker).collect::<Vec<_>>(), [false, false, true]);
        let id = payloads[0].descriptor.picture_id.unwrap().value();
        assert!(payloads.iter().all(|it| it.descriptor.picture_id.unwrap().value() == id));
        (id, payloads[0].data[0] & 1 == 0)
    });
    let frames: Vec<_> = frames.collect();
    assert!(frames.first().is_none_or(|(_, is_key)| *is_key), "nobody can begin but with a key frame");
    let ids: Vec<_> = frames.into_iter().map(|(id, _)| id).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == (pair[0] + 1) & 0x7fff), "{ids:?}");
    ids
}

/// What the slot of a transport shows, as was told last; `None` if nothing was.
fn told(lab: &Lab, transport: TransportId) -> Option<Option<SlotContent>> {
    lab.events.iter().rev().find_map(|event| match event {
        Event::Slot(change) if change.transport == transport => Some(change.content),
        _ => None,
    })
}

fn closed(lab: &Lab, client: usize) -> Option<CloseReason> {
    lab.clients[client].transport.closed()
}

#[test]
fn a_session_publishes_over_one_transport_and_receives_over_another() {
    let mut lab = Lab::new();
    let (sends, other) = (lab.join(), lab.join());
    let session = lab.clients[sends].session;
    let receives = lab.join_again(session);
    let transports = [sends, receives].map(|client| lab.clients[client].id);
    assert_eq!(lab.sfu.transports(session).unwrap().collect::<Vec<_>>(), transports);
    assert!(transports.iter().all(|transport| lab.sfu.session_of(*transport) == Ok(session)));
    let (track, mut camera) = lab.publish_camera(sends);
    let (others, mut others_camera) = lab.publish_camera(other);
    let info = lab.sfu.track(track).unwrap();
    assert_eq!((info.session, info.transport), (session, transports[0]));
    lab.add_video_slot(receives, 0);
    lab.add_video_slot(other, 0);
    lab.sfu.subscribe(session, others, lab.now).unwrap();
    lab.sfu.subscribe(lab.clients[other].session, track, lab.now).unwrap();
    for frame in 0..10 {
        for (client, camera) in [(sends, &mut camera), (other, &mut others_camera)] {
            for (index, packet) in camera.frame(frame == 0, &SIZES) {
                lab.clients[client].send(packet, index);
            }
        }
        lab.run(ms(33));
    }
    assert_eq!((frames(&lab, receives).len(), frames(&lab, other).len()), (10, 10));
    assert!(lab.clients[sends].rtp.is_empty());
    let content = told(&lab, transports[1]).flatten().expect("the slot is on the second");
    assert_eq!(content.track, others);
}

#[test]
fn ice_restarts_without_descriptions_and_media_goes_on() {
    let (mut lab, mut camera, _) = watched();
    send(&mut lab, &mut camera, true);
    for client in [0, 3] {
        let id = lab.clients[client].id;
        let credentials = |lab: &Lab| lab.sfu.local_parameters(id).unwrap().ice.credentials;
        let before = credentials(&lab);
        lab.sfu.restart_ice(id, lab.now).unwrap();
        assert_ne!(before, credentials(&lab));
        send(&mut lab, &mut camera, false);
        lab.meet(client);
        send(&mut lab, &mut camera, false);
        lab.run(ms(500));
        let states = [lab.sfu.transport(id).unwrap(), &lab.clients[client].transport].map(|it| it.ice().state());
        assert_eq!(states, [plenary_ice::State::Completed; 2]);
    }
    send(&mut lab, &mut camera, false);
    assert_eq!(frames(&lab, 3).len(), 6, "before, meanwhile and afterwards");
    assert!(!lab.events.iter().any(|event| matches!(event, Event::Offer { .. })));
}

#[test]
fn what_was_received_over_a_removed_transport_goes_on_over_another() {
    let (mut lab, mut camera, subscription) = watched();
    let [old, new] = [1, 2].map(|client| lab.clients[client].id);
    for frame in 0..10 {
        send(&mut lab, &mut camera, frame == 0);
    }
    assert_eq!((frames(&lab, 1).len(), lab.clients[2].rtp.len()), (10, 0));
    let asked = key_frames_asked_for(&lab);
    lab.sfu.remove_transport(old, lab.now).unwrap();
    lab.run(ms(33));
    assert_eq!(closed(&lab, 1), Some(CloseReason::Peer), "it was said goodbye to");
    assert_eq!(frames(&lab, 2).len(), 10, "the key frame is 330 ms old, and all that followed it is there");
    send(&mut lab, &mut camera, false);
    assert_eq!((frames(&lab, 1).len(), frames(&lab, 2).len(), frames(&lab, 3).len()), (10, 11, 11));
    assert_eq!(key_frames_asked_for(&lab), asked, "nobody was disturbed");
    let content = told(&lab, new).flatten().expect("the page knows");
    assert_eq!((content.subscription, content.layer), (subscription, Some(0)));
    assert_eq!(content.timestamp, Some(Packet::parse(&lab.clients[2].rtp[0]).unwrap().timestamp()));
    assert_eq!(lab.sfu.transports(lab.clients[1].session).unwrap().collect::<Vec<_>>(), [new]);
}

#[test]
fn without_a_recent_key_frame_one_is_asked_for() {
    let (mut lab, mut camera, _) = watched();
    for frame in 0..40 {
        send(&mut lab, &mut camera, frame == 0);
    }
    let asked = key_frames_asked_for(&lab);
    lab.sfu.remove_transport(lab.clients[1].id, lab.now).unwrap();
    send(&mut lab, &mut camera, false);
    assert_eq!((key_frames_asked_for(&lab), lab.clients[2].rtp.len()), (asked + 1, 0));
    send(&mut lab, &mut camera, true);
    send(&mut lab, &mut camera, false);
    assert_eq!((frames(&lab, 2).len(), frames(&lab, 3).len()), (2, 43));
}

#[test]
fn what_was_received_over_a_closed_transport_goes_on_over_another() {
    let (mut lab, mut camera, _) = watched();
    let [old, new] = [1, 2].map(|client| lab.clients[client].id);
    send(&mut lab, &mut camera, true);
    lab.clients[1].transport.close(lab.now);
    lab.run(ms(33));
    assert!(lab.events.contains(&Event::Closed(old, CloseReason::Peer)));
    assert_eq!(told(&lab, old), Some(None), "its slot is empty");
    send(&mut lab, &mut camera, false);
    assert_eq!((frames(&lab, 1).len(), frames(&lab, 2).len(), frames(&lab, 3).len()), (1, 2, 2));
    // The transport is there until it is removed, and takes nothing any more.
    let track = lab.sfu.tracks(lab.room).unwrap().next().unwrap();
    let session = lab.clients[1].session;
    assert_eq!(lab.sfu.subscribe(session, track, lab.now), Err(Error::Subscribed));
    lab.sfu.remove_transport(old, lab.now).unwrap();
    lab.sfu.remove_transport(new, lab.now).unwrap();
    lab.run(ms(33));
    assert_eq!(closed(&lab, 2), Some(CloseReason::Peer));
    // The subscription waits for whatever comes.
    let third = lab.join_again(session);
    lab.add_video_slot(third, 0);
    send(&mut lab, &mut camera, false);
    assert_eq!(frames(&lab, third).len(), 3);
}

#[test]
fn a_path_that_dies_is_told_and_what_was_received_over_it_goes_on_over_another() {
    let (mut lab, mut camera, _) = watched();
    let old = lab.clients[1].id;
    send(&mut lab, &mut camera, true);
    lab.clients[1].is_cut = true;
    let dead =
        Event::Ice(old, plenary_ice::Event::State(plenary_ice::State::Failed(plenary_ice::Failed::ConsentExpired)));
    let mut sent = 1;
    while !lab.events.contains(&dead) {
        assert!(sent < 2000, "66 s");
        send(&mut lab, &mut camera, false);
        sent += 1;
    }
    lab.sfu.remove_transport(old, lab.now).unwrap();
    for is_key in [true, false] {
        send(&mut lab, &mut camera, is_key);
    }
    assert_eq!((frames(&lab, 1).len(), frames(&lab, 2).len(), frames(&lab, 3).len()), (1, 2, sent + 2));
    // There is no way to say goodbye by.
    assert_eq!(closed(&lab, 1), None);
}

#[test]
fn what_is_left_with_a_closed_transport_waits() {
    let (mut lab, mut camera, _) = watched();
    send(&mut lab, &mut camera, true);
    let (session, old) = (lab.clients[3].session, lab.clients[3].id);
    lab.clients[3].transport.close(lab.now);
    lab.run(ms(33));
    assert_eq!(told(&lab, old), Some(None), "its slot is free, and of no use");
    let new = lab.join_again(session);
    lab.add_video_slot(new, 0);
    send(&mut lab, &mut camera, false);
    assert_eq!(frames(&lab, new).len(), 2);
}

#[test]
fn tracks_end_with_the_transport_that_they_come_in_by() {
    let (mut lab, mut camera, _) = watched();
    let publisher = lab.clients[0].session;
    let second = lab.join_again(publisher);
    let (track, _) = lab.publish_camera(second);
    send(&mut lab, &mut camera, true);
    lab.sfu.remove_transport(lab.clients[0].id, lab.now).unwrap();
    lab.run(ms(10));
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().collect::<Vec<_>>(), [track]);
    assert_eq!((told(&lab, lab.clients[1].id), told(&lab, lab.clients[3].id)), (Some(None), Some(None)));
}

#[test]
fn all_who_leave_are_said_goodbye_to() {
    let (mut lab, _, _) = watched();
    lab.sfu.leave(lab.clients[1].session, lab.now).unwrap();
    lab.run(ms(1));
    assert_eq!([0, 1, 2, 3].map(|client| closed(&lab, client).is_some()), [false, true, true, false]);
    // One who is about to connect as well.
    let half = lab.enter();
    lab.sfu.remove_room(lab.room, lab.now).unwrap();
    lab.run(ms(1));
    assert_eq!([0, 1, 2, 3].map(|client| closed(&lab, client)), [Some(CloseReason::Peer); 4]);
    assert_eq!((closed(&lab, half), lab.sfu.poll_timeout()), (None, None));
}

#[test]
fn transports_have_limits() {
    let mut lab = Lab::configured(RoomConfig::default(), |config| {
        config.session_transports_max = 2;
        config.transports_max = 3;
        config.transport_tracks_max = 1;
        config.transport_slots_max = 1;
        config.transport_sections_max = 1;
    });
    let [one, two] = [lab.join(), lab.join()];
    let session = lab.clients[one].session;
    let again = lab.join_again(session);
    assert_eq!(lab.sfu.add_transport(session, lab.now), Err(Error::Limit("session_transports_max")));
    let other = lab.clients[two].session;
    assert_eq!(lab.sfu.add_transport(other, lab.now), Err(Error::Limit("transports_max")));
    // Each transport has its own tracks and slots.
    for client in [one, again] {
        lab.publish_camera(client);
        lab.add_video_slot(client, 0);
        let id = lab.clients[client].id;
        assert_eq!(lab.sfu.set_slots(id, 0, 2), Err(Error::Limit("transport_slots_max")));
    }
    let id = lab.clients[two].id;
    let [first, second] = [(); 2].map(|()| {
        let (kind, stream) = (Kind::Audio, String::new());
        lab.sfu.ask_to_publish(id, PublishRequest { kind, simulcast: false, opaque: false, stream, codecs: Vec::new() })
    });
    assert_eq!((first.as_deref(), second), (Ok("p0"), Err(Error::Limit("transport_tracks_max"))));
    assert_eq!(lab.sfu.set_slots(id, 1, 0), Err(Error::Limit("transport_sections_max")));
    // A goodbye that waits takes a place.
    lab.sfu.remove_transport(lab.clients[again].id, lab.now).unwrap();
    assert_eq!(lab.sfu.add_transport(other, lab.now), Err(Error::Limit("transports_max")));
    lab.run(ms(1));
    assert!(lab.sfu.add_transport(other, lab.now).is_ok());
}

#[test]
fn a_transport_that_is_gone_is_not_mistaken_for_another() {
    let mut lab = Lab::new();
    let client = lab.join();
    let (session, id) = (lab.clients[client].session, lab.clients[client].id);
    let parameters = lab.clients[client].transport.local_parameters();
    lab.sfu.remove_transport(id, lab.now).unwrap();
    // In the same place.
    let next = lab.sfu.add_transport(session, lab.now).unwrap();
    assert_eq!((id.to_bits() as u32, id == next), (next.to_bits() as u32, false));
    let gone = Error::NoTransport;
    assert_eq!(lab.sfu.remove_transport(id, lab.now), Err(gone));
    assert_eq!(lab.sfu.session_of(id), Err(gone));
    assert_eq!(lab.sfu.local_parameters(id).err(), Some(gone));
    assert_eq!(lab.sfu.local_candidates(id), Err(gone));
    assert_eq!(lab.sfu.transport(id).err(), Some(gone));
    assert_eq!(lab.sfu.set_remote(id, parameters, lab.now), Err(gone));
    assert_eq!(lab.sfu.restart_ice(id, lab.now), Err(gone));
    assert_eq!(lab.sfu.set_slots(id, 1, 1), Err(gone));
    assert_eq!(lab.sfu.handle_offer(id, "v=0", lab.now), Err(gone.into()));
    assert_eq!(lab.sfu.handle_answer(id, 1, "v=0", lab.now), Err(gone.into()));
    assert_eq!(lab.sfu.add_remote_candidate_line(id, "", lab.now), Err(gone.into()));
    lab.sfu.leave(session, lab.now).unwrap();
    assert_eq!(lab.sfu.add_transport(session, lab.now), Err(Error::NoSession));
    assert_eq!(lab.sfu.transports(session).err(), Some(Error::NoSession));
    assert_eq!(lab.sfu.session_of(next), Err(gone));
}
