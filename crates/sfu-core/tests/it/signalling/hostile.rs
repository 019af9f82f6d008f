//! Descriptions that don't fit: a typed error, and nothing is changed.

use plenary_sdp::offer_answer::{AnswerError, AnswerFault, Rejection};
use plenary_sdp::{ParseError, Part, Reason};
use plenary_sfu_core::{Answered, Error, Event, NegotiationError};

use super::offers::published;
use super::page::{Page, camera, microphone};
use super::shapes::{WRITER, Writer, chromium};
use crate::lab::Lab;

/// A page that has been asked for both, and an answer to it that would do.
fn asked(lab: &mut Lab) -> (Page, u64, String) {
    let mut page = Page::enter(lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    lab.sfu.ask_to_publish(page.transport, camera()).unwrap();
    lab.sfu.set_slots(page.transport, 1, 1).unwrap();
    let (version, offer) = page.offer(lab).unwrap();
    (page, version, chromium(&offer, &WRITER))
}

/// An answer is refused with this error; then one that would do is taken.
#[track_caller]
fn refused(change: impl Fn(&str) -> String, error: NegotiationError) {
    let mut lab = Lab::new();
    let (page, version, answer) = asked(&mut lab);
    let bad = change(&answer);
    assert_ne!(bad, answer, "the change has taken hold");
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &bad, lab.now), Err(error));
    page.drain(&mut lab);
    assert_eq!(published(&lab), []);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    page.drain(&mut lab);
    assert_eq!(published(&lab).len(), 2);
}

fn fault(section: usize, fault: AnswerFault) -> NegotiationError {
    NegotiationError::Answer(AnswerError { section, fault })
}

#[test]
fn what_is_no_description_is_told_with_its_line() {
    let error = ParseError { line: 1, reason: Reason::NotALine };
    refused(|_| "from the page".into(), NegotiationError::Malformed(error));
    let twice = "a=mid:p0\r\na=mid:(\r\n";
    let error = ParseError { line: 17, reason: Reason::Malformed(Part::Mid) };
    refused(|answer| answer.replacen("a=mid:p0\r\n", twice, 1), NegotiationError::Malformed(error));
}

#[test]
fn a_thousand_sections_are_refused_as_they_are_read() {
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
    let mut lab = Lab::new();
    let page = Page::enter(&mut lab);
    let text = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{}", section.repeat(1000));
    let error = lab.sfu.handle_offer(page.transport, &text, lab.now);
    let reason = Reason::TooMany(Part::Media);
    assert_eq!(error, Err(NegotiationError::Malformed(ParseError { line: 5 + 256, reason })));
    assert_eq!(lab.sfu.set_slots(page.transport, 100, 100), Err(Error::Limit("transport_slots_max")));
}

#[test]
fn an_answer_to_another_offer_is_refused() {
    refused(
        |answer| answer.replace("a=mid:p1\r\n", "a=mid:p7\r\n").replace("p0 p1", "p0 p7"),
        fault(1, AnswerFault::Mid),
    );
    refused(|answer| answer[..answer.rfind("m=").unwrap()].into(), fault(3, AnswerFault::SectionCount));
    refused(|answer| answer.replacen("a=sendonly", "a=recvonly", 1), fault(0, AnswerFault::Direction));
    refused(|answer| answer.replacen("m=video 9", "m=audio 9", 1), fault(1, AnswerFault::Kind));
    refused(|answer| answer.replace("a=rtpmap:96 VP8", "a=rtpmap:96 VP9"), fault(1, AnswerFault::PayloadType));
    refused(
        |answer| answer.replace("send q;h;f", "send q;h;x").replace("a=rid:f", "a=rid:x"),
        fault(1, AnswerFault::Rid),
    );
}

#[test]
fn an_answer_needs_bundle_rtcp_mux_and_a_fingerprint() {
    refused(|answer| answer.replacen("a=group:BUNDLE p0 p1 a0 v0\r\n", "", 1), fault(1, AnswerFault::Bundle));
    refused(|answer| answer.replacen("BUNDLE p0 p1 a0 v0", "BUNDLE p0 p1 a0", 1), fault(3, AnswerFault::Bundle));
    refused(|answer| answer.replacen("a=rtcp-mux\r\n", "", 1), fault(0, AnswerFault::RtcpMux));
    let without = |answer: &str, key: &str| -> String {
        answer.split_inclusive("\r\n").filter(|line| !line.starts_with(key)).collect()
    };
    refused(|answer| without(answer, "a=fingerprint:"), fault(0, AnswerFault::Transport));
    refused(|answer| without(answer, "a=ice-pwd:"), fault(0, AnswerFault::Transport));
    refused(|answer| answer.replace("a=setup:active", "a=setup:actpass"), fault(0, AnswerFault::Setup));
    // SHA-1 is a fingerprint that says nothing.
    let weak = "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
    let error = Error::Transport(plenary_transport::Error::NoFingerprint).into();
    let line = format!("a=fingerprint:{}", WRITER.fingerprint);
    refused(|answer| answer.replace(&line, weak), error);
}

#[test]
fn one_ssrc_is_of_one_track() {
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    let single = plenary_sfu_core::PublishRequest { simulcast: false, ..camera() };
    lab.sfu.ask_to_publish(page.transport, single).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let answer = chromium(&offer, &WRITER);
    // The sound is 2045410224, the picture and its repair 2045410234 and 2045410235.
    for (ssrc, other) in [("2045410234", "2045410224"), ("2045410235", "2045410224"), ("2045410235", "2045410234")] {
        let bad = answer.replace(ssrc, other);
        assert_ne!(bad, answer);
        let error = lab.sfu.handle_answer(page.transport, version, &bad, lab.now);
        assert_eq!(error, Err(NegotiationError::InUse(1)), "{ssrc}");
    }
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    // And later: a camera that comes with the microphone's.
    lab.sfu.ask_to_publish(page.transport, plenary_sfu_core::PublishRequest { simulcast: false, ..camera() }).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let bad = chromium(&offer, &WRITER).replace("2045410244", "2045410224");
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &bad, lab.now), Err(NegotiationError::InUse(2)));
}

#[test]
fn credentials_change_with_a_restart_and_only_then() {
    let mut lab = Lab::new();
    let (mut page, version, answer) = asked(&mut lab);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    lab.sfu.set_slots(page.transport, 1, 2).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let other = Writer { ufrag: "Zzzz", ..WRITER };
    let taken = lab.sfu.handle_answer(page.transport, version, &chromium(&offer, &other), lab.now);
    assert_eq!(taken, Err(NegotiationError::Credentials), "somebody else's");
    let taken = lab.sfu.handle_answer(page.transport, version, &chromium(&offer, &WRITER), lab.now);
    assert_eq!(taken, Ok(Answered::Applied));
    lab.sfu.restart_ice(page.transport, lab.now).unwrap();
    let (version, offer) = page.offer(&mut lab).unwrap();
    let taken = lab.sfu.handle_answer(page.transport, version, &chromium(&offer, &WRITER), lab.now);
    assert_eq!(taken, Err(NegotiationError::Credentials), "an echo of before");
    let taken = lab.sfu.handle_answer(page.transport, version, &chromium(&offer, &other), lab.now);
    assert_eq!(taken, Ok(Answered::Applied));
}

#[test]
fn versions_that_were_never_offered_are_refused() {
    let mut lab = Lab::new();
    let page = Page::enter(&mut lab);
    assert_eq!(lab.sfu.handle_answer(page.transport, 0, "", lab.now), Err(NegotiationError::NoOffer));
    assert_eq!(lab.sfu.handle_answer(page.transport, 1, "", lab.now), Err(NegotiationError::NoOffer));
    let (page, version, answer) = asked(&mut lab);
    assert_eq!(lab.sfu.handle_answer(page.transport, version + 1, &answer, lab.now), Err(NegotiationError::NoOffer));
    lab.sfu.leave(page.session, lab.now).unwrap();
    let gone = lab.sfu.handle_answer(page.transport, version, &answer, lab.now);
    assert_eq!(gone, Err(NegotiationError::Engine(Error::NoTransport)));
}

#[test]
fn a_clients_offer_that_crosses_ours_is_refused() {
    let mut lab = Lab::new();
    let (mut page, version, answer) = asked(&mut lab);
    let crossing = Page::enter(&mut lab).make_offer(
        &mut lab,
        &[(plenary_sfu_core::Kind::Audio, plenary_sdp::Direction::SendOnly)],
        false,
    );
    assert_eq!(lab.sfu.handle_offer(page.transport, &crossing, lab.now), Err(NegotiationError::Glare));
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    // Rolled back and offered again, behind the sections of ours.
    let again = page.make_offer(&mut lab, &[(plenary_sfu_core::Kind::Audio, plenary_sdp::Direction::SendOnly)], false);
    let answer = lab.sfu.handle_offer(page.transport, &again, lab.now).unwrap();
    assert!(answer.contains("a=group:BUNDLE p0 p1 a0 v0 4\r\n"), "{answer}");
}

#[test]
fn a_clients_offer_keeps_the_sections_that_there_are() {
    use plenary_sdp::Direction::SendOnly;
    use plenary_sfu_core::Kind::Audio;
    let mut lab = Lab::new();
    let (mut page, version, answer) = asked(&mut lab);
    assert_eq!(lab.sfu.handle_answer(page.transport, version, &answer, lab.now), Ok(Answered::Applied));
    let offer = page.make_offer(&mut lab, &[(Audio, SendOnly)], false);
    let cases = [
        (offer[..offer.find("m=video").unwrap()].replace(" p1 a0 v0 4", ""), NegotiationError::Section(1)),
        (offer.replace("a=mid:a0\r\n", "a=mid:b0\r\n").replace(" a0 ", " b0 "), NegotiationError::Section(2)),
        (offer.replacen("m=audio", "m=video", 1), NegotiationError::Section(0)),
    ];
    for (bad, error) in cases {
        assert_ne!(bad, offer);
        assert_eq!(lab.sfu.handle_offer(page.transport, &bad, lab.now), Err(error));
    }
    // A name that is promised to another section.
    let mid = lab.sfu.ask_to_publish(page.transport, microphone()).unwrap();
    let bad = offer.replace("a=mid:4\r\n", &format!("a=mid:{mid}\r\n")).replace(" v0 4\r\n", &format!(" v0 {mid}\r\n"));
    assert_eq!(lab.sfu.handle_offer(page.transport, &bad, lab.now), Err(NegotiationError::Section(4)));
    assert!(lab.sfu.handle_offer(page.transport, &offer, lab.now).is_ok());
}

#[test]
fn a_clients_offer_of_nothing_that_we_have_is_refused() {
    use plenary_sdp::Direction::SendOnly;
    use plenary_sfu_core::Kind::{Audio, Video};
    let mut lab = Lab::new();
    let mut page = Page::enter(&mut lab);
    let offer = page.make_offer(&mut lab, &[(Audio, SendOnly), (Video, SendOnly)], false);
    let take = |lab: &mut Lab, change: &dyn Fn(&str) -> String| {
        let bad = change(&offer);
        assert_ne!(bad, offer);
        lab.sfu.handle_offer(page.transport, &bad, lab.now)
    };
    let without = |key: &'static str| {
        move |text: &str| -> String { text.split_inclusive("\r\n").filter(|line| !line.starts_with(key)).collect() }
    };
    let nothing = |reason| Err(NegotiationError::Nothing(reason));
    assert_eq!(take(&mut lab, &without("a=rtcp-mux")), nothing(Rejection::NoRtcpMux));
    assert_eq!(take(&mut lab, &without("a=fingerprint")), nothing(Rejection::NoTransport));
    assert_eq!(take(&mut lab, &without("a=ice-ufrag")), nothing(Rejection::NoTransport));
    assert_eq!(
        take(&mut lab, &|text| text.replace("a=setup:actpass", "a=setup:holdconn")),
        nothing(Rejection::NoDtlsRole)
    );
    assert_eq!(
        take(&mut lab, &|text| text.replace("opus", "opas").replace("VP8", "VP5")),
        nothing(Rejection::NoCommonCodec)
    );
    let one = take(&mut lab, &without("a=group")).unwrap();
    assert!(
        one.contains("m=audio 9 ") && one.contains("m=video 0 "),
        "without BUNDLE the first has the transport: {one}"
    );
    page.drain(&mut lab);
    assert_eq!(published(&lab).len(), 1);
}

#[test]
fn lines_that_are_no_candidates_are_refused() {
    let mut lab = Lab::new();
    let page = Page::enter(&mut lab);
    let add = |lab: &mut Lab, line: &str| lab.sfu.add_remote_candidate_line(page.transport, line, lab.now);
    assert!(matches!(add(&mut lab, "candidate:nonsense"), Err(NegotiationError::Candidate(_))));
    assert_eq!(add(&mut lab, "a=sendrecv"), Err(NegotiationError::Candidate(plenary_ice::ParseError::NotIce)));
    assert_eq!(add(&mut lab, "a=ice-lite"), Err(NegotiationError::Candidate(plenary_ice::ParseError::NotIce)));
    for line in [
        "a=candidate:1 1 udp 2130706431 10.0.0.9 5000 typ host",
        "candidate:2 1 udp 1 10.0.0.8 5000 typ host",
        "",
        "a=end-of-candidates",
    ] {
        assert_eq!(add(&mut lab, line), Ok(()), "{line}");
    }
    lab.events.retain(|event| matches!(event, Event::Offer { .. }));
    assert_eq!(lab.events, []);
}
