//! What the engine offers.

use plenary_sfu_core::{Answered, Error, Event, SlotContent, TrackId};

use super::page::{Page, camera, microphone};
use crate::lab::{Lab, ms};

pub(super) fn published(lab: &Lab) -> Vec<(String, TrackId)> {
    let events = lab.events.iter().filter_map(|event| match event {
        Event::Published { mid, track, .. } => Some((mid.clone(), *track)),
        _ => None,
    });
    events.collect()
}

/// What a slot shows, as the page was told last.
pub(super) fn shown(lab: &Lab, page: &Page, mid: &str) -> Option<SlotContent> {
    let told = lab.events.iter().rev().find_map(|event| match event {
        Event::Slot(change) if change.transport == page.transport && change.mid == mid => Some(change.content),
        _ => None,
    });
    told.flatten()
}

#[test]
fn two_pages_publish_and_receive_by_descriptions_alone() {
    let mut lab = Lab::new();
    let mut pages = [Page::enter(&mut lab), Page::enter(&mut lab)];
    for page in &mut pages {
        assert_eq!(lab.sfu.ask_to_publish(page.transport, microphone()).unwrap(), "p0");
        assert_eq!(lab.sfu.ask_to_publish(page.transport, camera()).unwrap(), "p1");
        lab.sfu.set_slots(page.transport, 2, 3).unwrap();
        assert_eq!(page.settle(&mut lab), Some(1));
        assert_eq!(page.offer(&mut lab), None, "one round for all of it");
    }
    pages.iter().for_each(|page| lab.connect(page.number));
    let tracks = published(&lab);
    let mids: Vec<_> = tracks.iter().map(|(mid, _)| mid.as_str()).collect();
    assert_eq!(mids, ["p0", "p1", "p0", "p1"]);
    let info = lab.sfu.track(tracks[1].1).unwrap();
    assert_eq!((info.session, info.stream.as_str()), (pages[0].session, "camera"));
    assert_eq!(info.rids, ["q", "h", "f"].map(|rid| Some(rid.to_owned())));
    for (_, track) in &tracks[..2] {
        lab.sfu.subscribe(pages[1].session, *track, lab.now).unwrap();
    }
    lab.run(ms(10));
    let [sound, picture] = ["a0", "v0"].map(|mid| shown(&lab, &pages[1], mid).unwrap());
    assert_eq!((sound.track, picture.track), (tracks[0].1, tracks[1].1));
    assert!(sound.synced && picture.synced, "{sound:?} {picture:?}");
}

#[test]
fn what_changes_while_an_offer_is_in_flight_comes_with_the_next() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    let (first, offer) = page.offer(&mut lab).unwrap();
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    assert_eq!(page.offer(&mut lab), None);
    assert_eq!(lab.sfu.offer_in_flight(page.transport), Ok(Some((1, offer.clone()))));
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, first, &answer, lab.now), Ok(Answered::Applied));
    assert_eq!(lab.sfu.handle_answer(page.transport, first, &answer, lab.now), Ok(Answered::Stale));
    let (second, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(lab.sfu.handle_answer(page.transport, first, &answer, lab.now), Ok(Answered::Stale));
    assert_eq!(lab.sfu.offer_in_flight(page.transport).unwrap().unwrap().0, second);
    let answer = page.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(page.transport, second, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab).len(), 2, "the microphone goes on as it was");
    assert_eq!(lab.sfu.set_slots(page.transport, 1, 1), Ok(()));
    assert_eq!(page.offer(&mut lab), None, "nothing changed");
    assert_eq!(lab.sfu.set_slots(page.transport, 0, 129), Err(Error::Limit("transport_slots_max")));
}

/// With what is drawn by chance put aside.
fn masked(offer: &str) -> String {
    let mut ssrcs = Vec::new();
    let mut mask = |line: &str| -> String {
        let hidden = [
            "a=ice-ufrag:",
            "a=ice-pwd:",
            "a=fingerprint:sha-256 ",
            "a=ssrc:",
            "a=ssrc-group:FID ",
            "a=candidate:",
            "o=- ",
        ];
        let Some(key) = hidden.iter().find(|key| line.starts_with(**key)) else { return line.to_owned() };
        let rest = &line[key.len()..];
        match *key {
            "o=- " => format!("{key}…{}", &rest[rest.find(' ').unwrap()..]),
            "a=ssrc:" | "a=ssrc-group:FID " => {
                let mut word = |word: &str| match word.parse::<u32>() {
                    Ok(ssrc) => {
                        let at = ssrcs.iter().position(|known| *known == ssrc).unwrap_or_else(|| {
                            ssrcs.push(ssrc);
                            ssrcs.len() - 1
                        });
                        format!("<{at}>")
                    }
                    Err(_) if word.starts_with("cname:") => "cname:…".to_owned(),
                    Err(_) => word.to_owned(),
                };
                format!("{key}{}", rest.split(' ').map(&mut word).collect::<Vec<_>>().join(" "))
            }
            _ => format!("{key}…"),
        }
    };
    offer.lines().map(|line| mask(line) + "\n").collect()
}

#[test]
fn an_offer_of_all_codecs_is_the_golden_one() {
    use plenary_rtp::payload::Codec::{Av1, H264, Opus, Vp8, Vp9};
    let mut lab = Lab::with(super::page::room(&[Vp8, H264, Vp9, Av1, Opus]));
    let mut page = Page::enter(&mut lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    assert!(offer.lines().count() > 100 && offer.ends_with("\r\n"));
    let golden = include_str!("../../golden/offer.sdp");
    let masked = masked(&offer);
    assert!(masked == golden, "{masked}");
}
