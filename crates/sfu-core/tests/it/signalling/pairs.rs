//! Who is heard and seen is put into slots that play in step.

use plenary_sdp::{Description, Limits};
use plenary_sfu_core::TrackId;

use super::offers::{published, shown};
use super::page::{Page, camera, microphone};
use crate::lab::Lab;

#[test]
fn slots_of_one_number_share_a_stream() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.set_slots(page.transport, 2, 3).unwrap();
    let streams = |offer: &str| -> Vec<String> {
        let offer = Description::parse(offer, &Limits::default()).unwrap();
        let msid = |media: &plenary_sdp::Media| media.msids().next().unwrap().to_string();
        offer.media.iter().map(msid).collect()
    };
    let (version, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(streams(&offer), ["s0 a0", "s1 a1", "s0 v0", "s1 v1", "s2 v2"]);
    let answer = page.answer(&mut lab, &offer);
    let _ = lab.sfu.handle_answer(page.transport, version, &answer, lab.now).unwrap();
    lab.sfu.set_slots(page.transport, 3, 3).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    assert_eq!(streams(&offer)[5..], ["s2 a2"]);
}

/// Two who publish both, and one who watches in so many slots. The tracks are sound and picture of the first, then of the
/// second.
fn three(audio: u16, video: u16) -> (Lab, Page, Vec<TrackId>) {
    let mut lab = Lab::new();
    for _ in 0..2 {
        let mut page = Page::enter(&mut lab);
        lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
        lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
        page.settle(&mut lab).unwrap();
    }
    let tracks = published(&lab).into_iter().map(|(_, track)| track).collect();
    let mut watcher = Page::enter(&mut lab);
    lab.sfu.set_slots(watcher.transport, audio, video).unwrap();
    watcher.settle(&mut lab).unwrap();
    (lab, watcher, tracks)
}

fn watch(lab: &mut Lab, page: &Page, order: &[TrackId]) {
    for track in order {
        lab.sfu.subscribe(page.session, *track, lab.now).unwrap();
    }
    page.drain(lab);
}

fn seen(lab: &Lab, page: &Page, mids: &[&str]) -> Vec<Option<(TrackId, bool)>> {
    mids.iter().map(|mid| shown(lab, page, mid).map(|content| (content.track, content.synced))).collect()
}

#[test]
fn sound_finds_its_picture_in_whatever_order_they_come() {
    for order in [[0, 1, 2, 3], [0, 2, 1, 3], [1, 3, 2, 0], [3, 0, 1, 2], [2, 1, 0, 3]] {
        let (mut lab, watcher, tracks) = three(2, 2);
        watch(&mut lab, &watcher, &order.map(|at| tracks[at]));
        let seen = seen(&lab, &watcher, &["a0", "v0", "a1", "v1"]);
        assert!(seen.iter().all(|content| content.unwrap().1), "{order:?}: {seen:?}");
        let of = |at: usize| lab.sfu.track(seen[at].unwrap().0).unwrap().session;
        assert_eq!((of(0), of(2)), (of(1), of(3)), "{order:?}");
    }
}

#[test]
fn pictures_beyond_the_audio_slots_are_shown_out_of_step() {
    let (mut lab, watcher, tracks) = three(1, 2);
    watch(&mut lab, &watcher, &tracks);
    assert_eq!(
        seen(&lab, &watcher, &["a0", "v0", "v1"]),
        [Some((tracks[0], true)), Some((tracks[1], true)), Some((tracks[3], false))]
    );
    // The first leaves: its sound slot goes to the second, and its picture stays where it is.
    let first = lab.sfu.track(tracks[0]).unwrap().session;
    lab.sfu.leave(first, lab.now).unwrap();
    watcher.drain(&mut lab);
    assert_eq!(seen(&lab, &watcher, &["a0", "v0", "v1"]), [Some((tracks[2], false)), None, Some((tracks[3], false))]);
}

#[test]
fn what_is_beside_is_told_when_the_step_is_lost() {
    let (mut lab, watcher, tracks) = three(1, 1);
    watch(&mut lab, &watcher, &tracks[..2]);
    assert_eq!(seen(&lab, &watcher, &["a0", "v0"]), [Some((tracks[0], true)), Some((tracks[1], true))]);
    lab.sfu.unpublish(tracks[0], lab.now).unwrap();
    watcher.drain(&mut lab);
    assert_eq!(seen(&lab, &watcher, &["a0", "v0"]), [None, Some((tracks[1], false))]);
}

#[test]
fn a_hundred_idle_slots_are_one_offer() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.set_slots(page.transport, 3, 100).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let described = Description::parse(&offer, &Limits::default()).unwrap();
    assert_eq!(described.media.len(), 103);
    // Without both of these, RTX repairs nothing in Firefox.
    assert_eq!(offer.matches("a=ssrc-group:FID ").count(), 100);
    let answer = page.answer(&mut lab, &offer);
    let _ = lab.sfu.handle_answer(page.transport, version, &answer, lab.now).unwrap();
    assert!(page.offer(&mut lab).is_none(), "nothing more is to be agreed on");
}
