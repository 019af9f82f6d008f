//! What the table of quirks promises.

use plenary_rtp::payload::Codec;
use plenary_sdp::{Description, Limits};
use plenary_sfu_core::{Answered, Error, Event, QUIRKS, TrackId};

use super::offers::published;
use super::page::{H264, OPUS, Page, VP8, camera, microphone, room};
use super::shapes::{WRITER, chromium, firefox};
use crate::lab::Lab;

pub(super) const CHROMIUM: &str = include_str!("../../../../sdp/tests/golden/chromium-156.offer.sdp");
pub(super) const FIREFOX: &str = include_str!("../../../../sdp/tests/golden/firefox.offer.sdp");

fn section<'t>(text: &'t str, mid: &str) -> &'t str {
    let mut sections = text.split("m=").skip(1);
    sections.find(|section| section.contains(&format!("a=mid:{mid}\r\n"))).unwrap_or_else(|| panic!("{mid}: {text}"))
}

#[test]
fn every_quirk_names_its_test() {
    let tests =
        [include_str!("quirks.rs"), include_str!("pairs.rs"), include_str!("hostile.rs"), include_str!("rounds.rs")]
            .concat();
    for quirk in QUIRKS {
        assert!(tests.contains(&format!("fn {}()", quirk.test)), "{}", quirk.test);
    }
}

#[test]
fn slots_are_signalled_with_their_rtx() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.set_slots(page.transport, 1, 2).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    let description = Description::parse(&offer, &Limits::default()).unwrap();
    let mut all = Vec::new();
    for (media, count) in description.media.iter().zip([1, 2, 2]) {
        let ssrcs: Vec<_> = media.sources().map(|source| source.ssrc).collect();
        assert_eq!(ssrcs.len(), count);
        let groups: Vec<_> = media.ssrc_groups().map(|group| group.ssrcs.clone()).collect();
        assert_eq!(groups, if count == 2 { vec![ssrcs.clone()] } else { vec![] });
        all.extend(ssrcs);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[test]
fn a_camera_is_asked_for_with_the_smallest_encoding_first() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let mid = lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    let section = section(&offer, &mid);
    assert!(
        section.contains("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n"),
        "{section}"
    );
}

#[test]
fn an_offer_of_chromium_is_answered_without_red() {
    let mut lab = Lab::new();
    let page = Page::enter(&mut lab);
    let answer = lab.sfu.handle_offer(page.transport, CHROMIUM, lab.now).unwrap();
    assert!(!answer.contains("red/") && !answer.contains("ulpfec") && !answer.contains("goog-remb"), "{answer}");
    assert!(answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
    assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"));
    assert!(answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
    assert!(
        section(&answer, "1").contains("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n")
    );
    page.drain(&mut lab);
    let [(audio, sound), (video, picture)] = &published(&lab)[..] else { panic!("both are published") };
    assert_eq!((audio.as_str(), video.as_str()), ("0", "1"));
    let [sound, picture] = [sound, picture].map(|track| lab.sfu.track(*track).unwrap());
    assert_eq!((sound.codec, picture.codec, picture.rids.len()), (Codec::Opus, Codec::Vp8, 3));
    assert_eq!(sound.stream, "f2b271eb-8313-4322-80a2-bc4e82711f65", "the browser's own");
    assert_eq!(sound.stream, picture.stream);
}

#[test]
fn header_extensions_are_numbered_as_firefox_does() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    let maps = |text: &str| -> Vec<(String, u8)> {
        let description = Description::parse(text, &Limits::default()).unwrap();
        let maps = description.media.iter().flat_map(|media| media.extensions());
        maps.map(|map| (map.uri.as_str().to_owned(), map.id.number())).collect()
    };
    // As in `firefox.offer.sdp`; the descriptor behind them, as was tried with Firefox 153.
    let firefox = [
        ("ssrc-audio-level", 1),
        ("sdes:mid", 3),
        ("abs-send-time", 4),
        ("transport-wide-cc-extensions-01", 7),
        ("sdes:rtp-stream-id", 8),
        ("sdes:repaired-rtp-stream-id", 9),
        ("#dependency-descriptor-rtp-header-extension", 10),
    ];
    let ours = maps(&offer);
    for (name, id) in firefox {
        assert!(ours.iter().any(|(uri, own)| uri.ends_with(name) && *own == id), "{name}: {ours:?}");
    }
    // 2, 5 and 6 are Firefox's own: mixed levels, offsets and playout delay.
    assert!(ours.iter().all(|(_, own)| ![2, 5, 6, 15].contains(own)), "{ours:?}");
}

fn answered_by(browser: impl Fn(&str) -> String, lab: &mut Lab) -> (Page, Vec<(String, TrackId)>) {
    let mut page = Page::enter(lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    lab.sfu.set_slots(page.transport, 1, 2).unwrap();
    let (version, offer) = page.offer(lab).unwrap();
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &browser(&offer), lab.now), Ok(Answered::Applied));
    page.drain(lab);
    let tracks = published(lab);
    (page, tracks)
}

#[test]
fn chromium_publishes_a_simulcast_without_ssrcs() {
    let mut lab = Lab::new();
    let (_, tracks) = answered_by(|offer| chromium(offer, &WRITER), &mut lab);
    let [(_, sound), (_, picture)] = &tracks[..] else { panic!("both are published: {tracks:?}") };
    assert_eq!(lab.sfu.track(*sound).unwrap().rids, [None]);
    assert_eq!(lab.sfu.track(*picture).unwrap().rids, ["q", "h", "f"].map(|rid| Some(rid.to_owned())));
}

#[test]
fn firefox_publishes_a_simulcast_with_ssrcs_of_unknown_rids() {
    let mut lab = Lab::new();
    let (mut page, tracks) = answered_by(|offer| firefox(offer, &WRITER), &mut lab);
    let [(_, sound), (_, picture)] = &tracks[..] else { panic!("both are published: {tracks:?}") };
    assert_eq!(lab.sfu.track(*sound).unwrap().codec, Codec::Opus);
    assert_eq!(lab.sfu.track(*picture).unwrap().rids, ["q", "h", "f"].map(|rid| Some(rid.to_owned())));
    // Once more, with nothing new but a slot: what is published goes on.
    lab.sfu.set_slots(page.transport, 1, 3).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let answer = firefox(&offer, &WRITER);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab), tracks);
}

#[test]
fn a_codec_that_the_subscriber_left_out_is_told() {
    let mut lab = Lab::with(room(&[Codec::H264, Codec::Vp8, Codec::Opus]));
    let mut publisher = Page::with(&mut lab, &[H264, OPUS]);
    let mid = lab.sfu.ask_to_publish(publisher.transport, camera()).unwrap();
    publisher.settle(&mut lab).unwrap();
    let (published_in, track) = published(&lab).remove(0);
    assert_eq!((published_in, lab.sfu.track(track).unwrap().codec), (mid, Codec::H264));

    let (early, _) = answered_by(|offer| firefox(offer, &WRITER), &mut lab);
    assert_eq!(lab.sfu.subscribe(early.session, track, lab.now), Err(Error::NoCommonCodec));

    let mut late = Page::with(&mut lab, &[VP8, OPUS]);
    lab.sfu.set_slots(late.transport, 0, 1).unwrap();
    let waits = lab.sfu.subscribe(late.session, track, lab.now).unwrap();
    let (version, offer) = late.offer(&mut lab).unwrap();
    let answer = late.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(late.transport, version, &answer, lab.now), Ok(Answered::Applied));
    assert_eq!(lab.sfu.poll_event(), Some(Event::NoCommonCodec(waits)), "it came before the answer");
    // Once more, and nobody asks what is new before it is over.
    lab.sfu.set_slots(late.transport, 0, 2).unwrap();
    let (version, offer) = late.offer(&mut lab).unwrap();
    let answer = late.answer(&mut lab, &offer);
    assert_eq!(lab.sfu.handle_answer(late.transport, version, &answer, lab.now), Ok(Answered::Applied));
    lab.sfu.unsubscribe(waits, lab.now).unwrap();
    assert_eq!(lab.sfu.poll_event(), None);
}

#[test]
fn an_offer_of_firefox_fixes_the_numbers_of_ours() {
    let mut lab = Lab::with(room(&[Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1, Codec::Opus]));
    let mut page = Page::enter(&mut lab);
    let answer = lab.sfu.handle_offer(page.transport, FIREFOX, lab.now).unwrap();
    assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 99 100\r\n"), "{answer}");
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    let (_, offer) = page.offer(&mut lab).unwrap();
    // AV1 is 99 and 100 there: H.264 moves on. Theirs are 120 to 125, 99, 100 for video, 109, 9, 0, 8, 101 for audio.
    let video = section(&offer, "v0");
    assert!(video.starts_with("video 9 UDP/TLS/RTP/SAVPF 120 124 98 96 121 125 99 100\r\n"), "{video}");
    assert!(video.contains("a=rtpmap:98 H264/90000\r\n") && video.contains("a=fmtp:96 apt=98\r\n"), "{video}");
    assert!(section(&offer, "a0").starts_with("audio 9 UDP/TLS/RTP/SAVPF 109\r\n"));
    let mids: Vec<_> = offer.lines().filter(|line| line.ends_with("sdes:mid")).collect();
    assert_eq!(mids, ["a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid"; 4]);
    assert_eq!(
        section(&offer, "0").lines().find(|line| line.starts_with("a=rtpmap")),
        Some("a=rtpmap:109 opus/48000/2")
    );
}
