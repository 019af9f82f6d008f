//! Each transport of a session has descriptions of its own.

use plenary_sfu_core::{Answered, Event, NegotiationError};

use super::offers::shown;
use super::page::{Page, camera, microphone};
use crate::lab::{Lab, ms};

/// What is published over which transport.
fn published(lab: &Lab, page: &Page) -> Vec<String> {
    let events = lab.events.iter().filter_map(|event| match event {
        Event::Published { session, transport, mid, .. } if *transport == page.transport => {
            assert_eq!(*session, page.session);
            Some(mid.clone())
        }
        _ => None,
    });
    events.collect()
}

#[test]
fn offers_of_two_transports_are_in_flight_independently() {
    let mut lab = Lab::new();
    let mut old = Page::enter(&mut lab);
    let mut new = old.again(&mut lab);
    for page in [&old, &new] {
        assert_eq!(lab.sfu.ask_to_publish(page.transport, microphone()).unwrap(), "p0");
    }
    let (first, offer) = old.offer(&mut lab).unwrap();
    let (second, other) = new.offer(&mut lab).unwrap();
    assert_eq!((first, second), (1, 1));
    assert_ne!(offer, other, "credentials are a transport's own");
    let in_flight = |lab: &Lab, page: &Page| lab.sfu.offer_in_flight(page.transport).unwrap().is_some();
    assert!(in_flight(&lab, &old) && in_flight(&lab, &new));

    // The second is answered, changed and answered again while the first waits.
    let answer = new.answer(&mut lab, &other);
    assert_eq!(lab.sfu.handle_answer(new.transport, second, &answer, lab.now), Ok(Answered::Applied));
    lab.sfu.set_slots(new.transport, 1, 1).unwrap();
    assert_eq!(new.settle(&mut lab), Some(2));
    assert_eq!((published(&lab, &old).len(), published(&lab, &new)), (0, vec!["p0".to_owned()]));
    assert!(in_flight(&lab, &old));
    lab.sfu.restart_ice(old.transport, lab.now).unwrap();
    let again = old.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(old.transport, first, &again, lab.now), Ok(Answered::Applied));
    old.drain(&mut lab);
    assert_eq!(published(&lab, &old), ["p0"]);
    assert!(old.offer(&mut lab).is_some_and(|(version, _)| version == 2), "the restart comes next");
    assert_eq!(new.offer(&mut lab), None, "which is nothing to the other");
    let glare = lab.sfu.handle_offer(old.transport, "v=0", lab.now);
    assert_eq!(glare, Err(NegotiationError::Glare));
    assert_eq!(lab.sfu.handle_answer(new.transport, 2, &answer, lab.now), Ok(Answered::Stale));
}

#[test]
fn nothing_is_told_of_a_transport_that_was_removed() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    lab.sfu.set_slots(page.transport, 2, 2).unwrap();
    lab.sfu.remove_transport(page.transport, lab.now).unwrap();
    assert_eq!(lab.sfu.poll_event(), None, "neither what is published, nor another offer");
}

#[test]
fn a_session_moves_by_descriptions() {
    let mut lab = Lab::new();
    let (mut other, mut old) = (Page::enter(&mut lab), Page::enter(&mut lab));
    for page in [&mut other, &mut old] {
        for request in [microphone(), camera()] {
            lab.sfu.ask_to_publish(page.transport, request).unwrap();
        }
        lab.sfu.set_slots(page.transport, 2, 2).unwrap();
        page.settle(&mut lab).unwrap();
        lab.connect(page.number);
    }
    let tracks: Vec<_> = lab.sfu.tracks(lab.room).unwrap().collect();
    let of = |lab: &Lab, page: &Page| -> Vec<_> {
        tracks
            .iter()
            .copied()
            .filter(|track| lab.sfu.track(*track).is_ok_and(|it| it.session == page.session))
            .collect()
    };
    for track in of(&lab, &other) {
        lab.sfu.subscribe(old.session, track, lab.now).unwrap();
    }

    let mut new = old.again(&mut lab);
    for request in [microphone(), camera()] {
        lab.sfu.ask_to_publish(new.transport, request).unwrap();
    }
    lab.sfu.set_slots(new.transport, 2, 2).unwrap();
    new.settle(&mut lab).unwrap();
    lab.connect(new.number);
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 6, "made before it is broken");
    assert!(shown(&lab, &new, "a0").is_none() && shown(&lab, &old, "a0").is_some_and(|it| it.synced));

    lab.sfu.remove_transport(old.transport, lab.now).unwrap();
    lab.run(ms(10));
    assert_eq!(of(&lab, &old), [], "what was published over the old one is over");
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 4);
    let [sound, picture] = ["a0", "v0"].map(|mid| shown(&lab, &new, mid).unwrap());
    assert_eq!(vec![sound.track, picture.track], of(&lab, &other));
    assert!(sound.synced && picture.synced, "{sound:?} {picture:?}");
}
