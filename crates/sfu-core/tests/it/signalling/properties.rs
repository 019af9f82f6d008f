//! Whatever is commanded, answered and offered in whatever order: one offer is in flight, and sections keep their places.

use std::collections::BTreeSet;

use plenary_sdp::{Description, Direction, Limits};
use plenary_sfu_core::{Answered, Event, Kind, NegotiationError};
use proptest::prelude::*;

use super::page::{Page, camera, microphone};
use super::quirks::{CHROMIUM, FIREFOX};
use super::shapes::{WRITER, chromium, firefox};
use crate::lab::Lab;

#[derive(Clone, Debug)]
enum Step {
    Ask(bool),
    Stop(u8),
    Slots(u8, u8),
    Restart,
    /// Take the newest offer.
    Fetch,
    /// Answer it, and perhaps send nothing.
    Answer(bool),
    /// Answer the one before.
    Late,
    Garbage,
    /// Offer to send, or to receive; perhaps restarting ICE.
    Offer(bool, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(Step::Ask),
        2 => any::<u8>().prop_map(Step::Stop),
        2 => (0..5u8, 0..5u8).prop_map(|(audio, video)| Step::Slots(audio, video)),
        1 => Just(Step::Restart),
        4 => Just(Step::Fetch),
        4 => any::<bool>().prop_map(Step::Answer),
        1 => Just(Step::Late),
        1 => Just(Step::Garbage),
        2 => any::<(bool, bool)>().prop_map(|(sends, restarts)| Step::Offer(sends, restarts)),
    ]
}

/// What is checked after each description.
#[derive(Default)]
struct Places {
    /// MIDs with whether they were rejected.
    last: Vec<(String, bool)>,
    version: u64,
}

impl Places {
    fn check(&mut self, text: &str) {
        let description = Description::parse(text, &Limits::default()).unwrap();
        let now = description.media.iter().map(|media| (media.mid().unwrap().as_str().to_owned(), media.is_rejected()));
        let now: Vec<_> = now.collect();
        assert!(now.len() >= self.last.len(), "{:?} became {now:?}", self.last);
        for (before, after) in self.last.iter().zip(&now) {
            assert!(before.0 == after.0 || before.1, "{:?} became {now:?}", self.last);
        }
        let mut ssrcs: Vec<_> = description.media.iter().flat_map(|media| media.sources()).map(|it| it.ssrc).collect();
        let count = ssrcs.len();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), count);
        self.last = now;
    }
}

fn run(steps: &[Step]) {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let (mut places, mut mids) = (Places::default(), Vec::new());
    // A page whose sections are all rejected has no transport any more: one stays.
    lab.sfu.set_slots(page.transport, 1, 0).unwrap();
    places.version = page.settle(&mut lab).unwrap();
    let mut in_flight: Option<(u64, String)> = None;
    let mut late: Option<(u64, String)> = None;
    let mut stopped = BTreeSet::new();
    for step in steps {
        match step {
            Step::Ask(sound) => {
                let request = if *sound { microphone() } else { camera() };
                mids.extend(lab.sfu.ask_to_publish(page.transport, request));
            }
            Step::Stop(at) if !mids.is_empty() => {
                let mid = mids.swap_remove(usize::from(*at) % mids.len());
                lab.sfu.stop_publishing(page.transport, &mid, lab.now).unwrap();
                stopped.insert(mid);
            }
            Step::Stop(_) => {}
            Step::Slots(audio, video) => {
                lab.sfu.set_slots(page.transport, (*audio).into(), (*video).into()).unwrap();
            }
            Step::Restart => lab.sfu.restart_ice(page.transport, lab.now).unwrap(),
            Step::Fetch => {
                if let Some((version, text)) = page.offer(&mut lab) {
                    assert_eq!(in_flight, None, "two in flight");
                    assert_eq!(version, places.version + 1);
                    places.version = version;
                    places.check(&text);
                    in_flight = Some((version, text));
                }
            }
            Step::Answer(sends) => {
                if let Some((version, text)) = in_flight.take() {
                    page.sends = *sends;
                    let answer = page.answer(&mut lab, &text);
                    let taken = lab.sfu.handle_answer(page.transport, version, &answer, lab.now);
                    assert_eq!(taken, Ok(Answered::Applied), "{text}\n{answer}");
                    let answered = Description::parse(&answer, &Limits::default()).unwrap();
                    for (place, media) in places.last.iter_mut().zip(&answered.media) {
                        place.1 |= media.is_rejected();
                    }
                    check_tracks(&lab, &page, &stopped);
                    late = Some((version, answer));
                }
            }
            Step::Late => {
                if let Some((version, answer)) = &late {
                    let taken = lab.sfu.handle_answer(page.transport, *version, answer, lab.now);
                    assert_eq!(taken, Ok(Answered::Stale));
                }
            }
            Step::Garbage => {
                let version = in_flight.as_ref().map_or(places.version, |(version, _)| *version);
                let taken = lab.sfu.handle_answer(page.transport, version, "v=0\r\n", lab.now);
                assert_eq!(taken.is_err(), in_flight.is_some(), "{taken:?}");
                assert!(lab.sfu.handle_offer(page.transport, "v=0\r\n", lab.now).is_err());
            }
            Step::Offer(sends, restarts) => {
                offer(&mut lab, &mut page, &mut places, in_flight.is_some(), (*sends, *restarts));
                if in_flight.is_none() {
                    check_tracks(&lab, &page, &stopped);
                }
            }
        }
        page.drain(&mut lab);
        let told = lab.events.iter().filter(|event| matches!(event, Event::Offer { .. })).count() as u64;
        assert!(told <= places.version + 1, "offers that nobody asked for");
    }
}

/// What the page sends is published, but for what was stopped.
fn check_tracks(lab: &Lab, page: &Page, stopped: &BTreeSet<String>) {
    let sent = page.sending().into_iter().filter(|mid| !stopped.contains(mid)).count();
    assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), sent, "{:?}, without {stopped:?}", page.sending());
}

/// The page offers a section more, unless the engine's offer is on its way.
fn offer(lab: &mut Lab, page: &mut Page, places: &mut Places, is_in_flight: bool, (sends, restarts): (bool, bool)) {
    page.drain(lab);
    let seen = page.offers.last().map_or(0, |(version, _)| *version);
    let unseen = lab.events.iter().any(|event| matches!(event, Event::Offer { version, .. } if *version > seen));
    let kind = if restarts { Kind::Audio } else { Kind::Video };
    let direction = if sends { Direction::SendOnly } else { Direction::RecvOnly };
    let is_glare = is_in_flight || unseen;
    let text = page.make_offer(lab, &[(kind, direction)], restarts && !is_glare);
    match lab.sfu.handle_offer(page.transport, &text, lab.now) {
        Err(NegotiationError::Glare) => assert!(is_glare, "nothing was in flight"),
        Ok(answer) => {
            assert!(!is_glare);
            page.take_answer(lab, &text, &answer);
            let answered = Description::parse(&answer, &Limits::default()).unwrap();
            places.check(&text);
            for (place, media) in places.last.iter_mut().zip(&answered.media) {
                place.1 |= media.is_rejected();
            }
        }
        // An offer of nothing but what is refused.
        Err(NegotiationError::Nothing(_)) => {}
        other => panic!("{other:?}: {text}"),
    }
}

/// A change of a text: lines go, come twice, change places, or have another number or word in them.
#[derive(Clone, Debug)]
enum Change {
    Drop(usize),
    Twice(usize),
    Swap(usize, usize),
    /// The line of one place, in that of another.
    Copy(usize, usize),
    Digit(usize, u8),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<usize>().prop_map(Change::Drop),
        any::<usize>().prop_map(Change::Twice),
        any::<(usize, usize)>().prop_map(|(one, other)| Change::Swap(one, other)),
        any::<(usize, usize)>().prop_map(|(from, to)| Change::Copy(from, to)),
        any::<(usize, u8)>().prop_map(|(at, digit)| Change::Digit(at, digit)),
        any::<usize>().prop_map(Change::Cut),
    ]
}

fn mangled(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.split_inclusive("\r\n").map(str::to_owned).collect();
    for change in changes {
        let count = lines.len().max(1);
        match *change {
            _ if lines.is_empty() => {}
            Change::Drop(at) => drop(lines.remove(at % count)),
            Change::Twice(at) => lines.insert(at % count, lines[at % count].clone()),
            Change::Swap(one, other) => lines.swap(one % count, other % count),
            Change::Copy(from, to) => lines[to % count] = lines[from % count].clone(),
            Change::Digit(at, digit) => {
                let line = &mut lines[at % count];
                let old = line.find(|c: char| c.is_ascii_digit()).filter(|_| line.is_ascii());
                let new = char::from(b'0' + digit % 10).to_string();
                if let Some(old) = old {
                    line.replace_range(old..=old, &new);
                }
            }
            Change::Cut(at) => lines.truncate(at % count),
        }
    }
    lines.concat()
}

/// After whatever was taken, the engine can offer, and its offer can be read.
fn can_offer(lab: &mut Lab, page: &mut Page) {
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    let before = lab.sfu.offer_in_flight(page.transport).unwrap();
    let offer = page.offer(lab).map(|(_, text)| text).or_else(|| before.map(|(_, text)| text));
    let offer = offer.expect("there is something to offer");
    Description::parse(&offer, &Limits::default()).expect(&offer);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn one_offer_is_in_flight_and_sections_keep_their_places(steps in prop::collection::vec(step(), 1..40)) {
        run(&steps);
    }

    #[test]
    fn an_answer_that_is_refused_changes_nothing(changes in prop::collection::vec(change(), 1..6)) {
        let mut lab = Lab::new();
        let mut page = Page::enter(&mut lab);
        for request in [microphone(), camera()] {
            lab.sfu.ask_to_publish(page.transport, request).unwrap();
        }
        lab.sfu.set_slots(page.transport, 1, 2).unwrap();
        let (version, offer) = page.offer(&mut lab).unwrap();
        let answer = if changes.len() % 2 == 0 { chromium(&offer, &WRITER) } else { firefox(&offer, &WRITER) };
        if lab.sfu.handle_answer(page.transport, version, &mangled(&answer, &changes), lab.now).is_err() {
            page.drain(&mut lab);
            prop_assert_eq!(lab.sfu.offer_in_flight(page.transport), Ok(Some((version, offer))));
            prop_assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 0);
            let taken = lab.sfu.handle_answer(page.transport, version, &answer, lab.now);
            prop_assert_eq!(taken, Ok(Answered::Applied));
            prop_assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 2);
        }
        can_offer(&mut lab, &mut page);
    }

    #[test]
    fn an_offer_that_is_refused_changes_nothing(is_firefox: bool, changes in prop::collection::vec(change(), 1..6)) {
        let mut lab = Lab::new();
        let mut page = Page::enter(&mut lab);
        let offer = if is_firefox { FIREFOX } else { CHROMIUM };
        let taken = lab.sfu.handle_offer(page.transport, &mangled(offer, &changes), lab.now);
        match taken {
            Ok(answer) => prop_assert!(Description::parse(&answer, &Limits::default()).is_ok(), "{}", answer),
            Err(_) => {
                page.drain(&mut lab);
                prop_assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 0);
                prop_assert!(lab.sfu.handle_offer(page.transport, offer, lab.now).is_ok());
                prop_assert_eq!(lab.sfu.tracks(lab.room).unwrap().count(), 2);
            }
        }
        can_offer(&mut lab, &mut page);
    }
}
