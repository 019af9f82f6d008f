//! Answers to an offer of ours, right and wrong.

use plenary_sdp::offer_answer::{
    AnswerError, AnswerFault, DtlsRole, Negotiated, Rejection, RtpMedia, Section, apply_answer, offer,
};
use plenary_sdp::{
    Codec, DataChannel, Description, Direction, ExtMap, ExtensionId, Feedback, Format, Media, MediaKind, Mid, Msid,
    Origin, Parameters, PayloadType, Rid, RidDirection, RidId, Setup, Simulcast, SimulcastId, Token, Word,
};

use crate::parties::{H264, MID, REMOTE, description, lines, names, section, transport};

fn codec(number: u8, name: &str, clock_rate: u32, parameters: &str) -> Codec {
    Codec {
        payload_type: PayloadType::new(number).unwrap(),
        format: Format { encoding: Token::new(name).unwrap(), clock_rate, channels: None },
        parameters: Parameters::new(parameters).unwrap(),
        feedback: vec![Feedback::Nack],
    }
}

fn rid(name: &str) -> RidId {
    RidId::new(name).unwrap()
}

/// A section that receives three encodings of one track.
fn publishing(mid: &str) -> RtpMedia {
    let names = ["q", "h", "f"];
    let receive = |name: &str| Rid { id: rid(name), direction: RidDirection::Recv, parameters: Parameters::empty() };
    RtpMedia {
        kind: MediaKind::Video,
        mid: Mid::new(mid).unwrap(),
        direction: Direction::RecvOnly,
        codecs: vec![
            codec(96, "VP8", 90_000, ""),
            codec(97, "rtx", 90_000, "apt=96"),
            codec(98, "H264", 90_000, H264),
            codec(99, "rtx", 90_000, "apt=98"),
        ],
        extensions: vec![ExtMap {
            id: ExtensionId::new(1).unwrap(),
            direction: None,
            uri: Word::new(MID).unwrap(),
            attributes: None,
        }],
        rids: names.map(receive).to_vec(),
        simulcast: Simulcast {
            send: Vec::new(),
            recv: names.map(|name| vec![SimulcastId { rid: rid(name), paused: false }]).to_vec(),
        },
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
}

/// What is offered in these tests: a section that receives, and a data channel.
fn ours() -> Description {
    let channel = DataChannel { sctp_port: 5_000, max_message_size: 1_000 };
    let media = vec![publishing("v").into_media(), Media::data(Mid::new("d").unwrap(), channel)];
    offer(Origin::new(5), &transport(), media)
}

const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:v\na=sendonly\na=rtcp-mux\na=rtpmap:96 VP8/90000\n\
    a=rtcp-fb:96 nack\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n";
const DATA: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:d\na=sctp-port:5000\n";

fn apply(session: &str, video: &str, data: &str) -> Result<Negotiated, AnswerError> {
    apply_answer(&ours(), &description(&format!("{session}{video}{data}")))
}

fn session() -> String {
    format!("{REMOTE}a=setup:active\na=group:BUNDLE v d\n")
}

fn fault(session: &str, video: &str, data: &str) -> (usize, AnswerFault) {
    let error = apply(session, video, data).expect_err("it does not fit");
    (error.section, error.fault)
}

#[test]
fn an_offer_is_written_from_types() {
    let offer = ours();
    let text = offer.to_string();
    assert!(
        text.starts_with("v=0\r\no=- 5 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE v d\r\na=ice-lite\r\n")
    );
    let video = &offer.media[0];
    assert_eq!(lines(video, "simulcast:"), ["simulcast:recv q;h;f"]);
    assert_eq!((lines(video, "setup:"), lines(video, "candidate:").len()), (vec!["setup:actpass".to_owned()], 1));
    assert_eq!(lines(&offer.media[1], "max-message-size"), ["max-message-size:1000"]);
    assert_eq!(offer.transport(video).setup, Some(Setup::ActPass));
    assert_eq!(Description::parse(&text, &plenary_sdp::Limits::default()), Ok(offer));
}

#[test]
fn what_is_given_up_keeps_its_place() {
    let mut gone = publishing("v").into_media();
    gone = gone.rejected();
    let mut slot = publishing("w");
    (slot.direction, slot.rids, slot.simulcast) = (Direction::SendOnly, Vec::new(), Simulcast::default());
    slot.msids = vec![Msid { stream: Some(Word::new("slot-1").unwrap()), track: None }];
    let offer = offer(Origin::new(5).next(), &transport(), vec![gone, slot.into_media()]);
    assert_eq!(offer.origin.version, 1);
    assert!(offer.media[0].is_rejected() && offer.to_string().contains("a=group:BUNDLE w\r\n"));
    assert_eq!(lines(&offer.media[1], "candidate:").len(), 1);
    let second = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:w\na=recvonly\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";
    let rejected = "m=video 0 UDP/TLS/RTP/SAVPF 96\n";
    let session = format!("{REMOTE}a=setup:passive\na=group:BUNDLE w\n");
    let answer = description(&format!("{session}{rejected}{second}"));
    let negotiated = apply_answer(&offer, &answer).unwrap();
    assert_eq!(negotiated.sections[0], Section::Rejected(Rejection::ByOffer));
    assert_eq!(section(&negotiated.sections, 1).direction, Direction::SendOnly);
    assert_eq!(negotiated.transport.unwrap().role, DtlsRole::Client);
    let revived = description(&format!("{session}{VIDEO}{second}"));
    let error = apply_answer(&offer, &revived).unwrap_err();
    assert_eq!((error.section, error.fault), (0, AnswerFault::Revived));
}

#[test]
fn an_answer_keeps_what_it_names() {
    let answered = format!(
        "{VIDEO}a=rid:f send max-width=640\na=rid:q send\na=simulcast:send f;~q\na=extmap:1/sendonly {MID}\na=rtcp-rsize\n"
    );
    let negotiated = apply(&session(), &answered, DATA).unwrap();
    let video = section(&negotiated.sections, 0);
    assert_eq!(names(video), ["96 VP8 97"]);
    assert_eq!((video.direction, video.reduced_size, video.mixed_extensions), (Direction::RecvOnly, true, false));
    assert_eq!((video.extension_id(MID, false).is_some(), video.extension_id(MID, true)), (true, None));
    let streams: Vec<_> = video.simulcast.recv.iter().map(|one| (one[0].rid.as_str(), one[0].paused)).collect();
    assert_eq!(streams, [("f", false), ("q", true)]);
    assert_eq!(video.rids[0].to_string(), "f recv max-width=640");
    let Section::Data(data) = &negotiated.sections[1] else { panic!() };
    assert_eq!(data.remote_max_message_size, 65_536);
    let transport = negotiated.transport.unwrap();
    assert_eq!((transport.role, transport.remote.ufrag.unwrap().as_str()), (DtlsRole::Server, "them"));
}

#[test]
fn sections_may_be_rejected() {
    let rejected = "m=video 0 UDP/TLS/RTP/SAVPF 96\na=mid:v\n";
    let only_data = format!("{REMOTE}a=setup:active\na=group:BUNDLE d\n");
    let negotiated = apply(&only_data, rejected, DATA).unwrap();
    assert_eq!(negotiated.sections[0], Section::Rejected(Rejection::ByAnswer));
    let nothing = apply("", rejected, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\n").unwrap();
    assert_eq!(nothing.transport, None);
}

// RFC 8843 §7.3 wants this of an answer; RFC 9143, which replaces it, does not.
#[test]
fn a_section_may_be_answered_bundle_only() {
    let bundled = DATA.replace("m=application 9", "m=application 0").replace("a=mid:d", "a=mid:d\na=bundle-only");
    let negotiated = apply(&session(), VIDEO, &bundled).unwrap();
    assert!(matches!(negotiated.sections[1], Section::Data(_)));
    // Outside of the group port 0 is what it always was.
    let negotiated = apply(&session().replace("v d", "v"), VIDEO, &bundled).unwrap();
    assert_eq!(negotiated.sections[1], Section::Rejected(Rejection::ByAnswer));
}

// RED within RED would have no end.
#[test]
fn red_carries_no_red() {
    let mut sound = publishing("v");
    sound.kind = MediaKind::Audio;
    sound.codecs = vec![codec(111, "PCMU", 8_000, ""), codec(63, "red", 8_000, "111/111")];
    let offered = offer(Origin::new(5), &transport(), vec![sound.into_media()]);
    for (carried, expected) in
        [("111/111", &["111 PCMU", "63 red"][..]), ("63/63", &["111 PCMU"]), ("111/63", &["111 PCMU"])]
    {
        let lines = format!("a=rtpmap:111 PCMU/8000\na=rtpmap:63 red/8000\na=fmtp:63 {carried}\n");
        let m = format!("m=audio 9 UDP/TLS/RTP/SAVPF 111 63\na=mid:v\na=sendonly\na=rtcp-mux\n{lines}");
        let answer = description(&format!("{REMOTE}a=setup:active\n{m}"));
        assert_eq!(names(section(&apply_answer(&offered, &answer).unwrap().sections, 0)), expected);
    }
}

#[test]
fn sections_keep_number_kind_name_and_protocol() {
    let session = session();
    assert_eq!(fault(&session, VIDEO, ""), (1, AnswerFault::SectionCount));
    assert_eq!(fault(&session, VIDEO, &format!("{DATA}m=audio 0 RTP/AVP 0\n")), (2, AnswerFault::SectionCount));
    assert_eq!(fault(&session, &VIDEO.replace("m=video", "m=audio"), DATA), (0, AnswerFault::Kind));
    assert_eq!(fault(&session, &VIDEO.replace("UDP/TLS/RTP", "RTP"), DATA), (0, AnswerFault::Kind));
    assert_eq!(fault(&session, &VIDEO.replace("mid:v", "mid:w"), DATA), (0, AnswerFault::Mid));
    assert_eq!(fault(&session, &VIDEO.replace("a=mid:v\n", ""), DATA), (0, AnswerFault::Mid));
    assert_eq!(fault(&session, VIDEO, &DATA.replace("webrtc-datachannel", "x")), (1, AnswerFault::DataChannel));
}

#[test]
fn the_group_is_what_was_offered() {
    for (group, section) in [("a=group:BUNDLE v", 1), ("a=group:BUNDLE v d x", 0), ("", 1)] {
        let session = session().replace("a=group:BUNDLE v d", group);
        assert_eq!(fault(&session, VIDEO, DATA), (section, AnswerFault::Bundle), "{group}");
    }
}

#[test]
fn codecs_are_among_the_offered() {
    let session = session();
    let answered = |list: &str, lines: &str| {
        format!("m=video 9 UDP/TLS/RTP/SAVPF {list}\na=mid:v\na=sendonly\na=rtcp-mux\n{lines}")
    };
    let other = answered("96", "a=rtpmap:96 VP9/90000\n");
    assert_eq!(fault(&session, &other, DATA), (0, AnswerFault::PayloadType));
    let unknown = answered("100", "a=rtpmap:100 VP8/90000\n");
    assert_eq!(fault(&session, &unknown, DATA), (0, AnswerFault::NoCommonCodec));
    // RFC 3264 §6.1: an answer may add formats. They are not used.
    let added = answered("100 96", "a=rtpmap:100 AV1/90000\na=rtpmap:96 VP8/90000\n");
    assert_eq!(names(section(&apply(&session, &added, DATA).unwrap().sections, 0)), ["96 VP8"]);
    // H264 in another profile than offered is not what was offered.
    let profile = answered(
        "96 98",
        "a=rtpmap:96 VP8/90000\na=rtpmap:98 H264/90000\na=fmtp:98 packetization-mode=1;profile-level-id=64001f\n",
    );
    assert_eq!(names(section(&apply(&session, &profile, DATA).unwrap().sections, 0)), ["96 VP8"]);
    // An rtx of which the apt is not as offered repeats nothing.
    let crossed = answered("96 99", "a=rtpmap:96 VP8/90000\na=rtpmap:99 rtx/90000\na=fmtp:99 apt=96\n");
    assert_eq!(names(section(&apply(&session, &crossed, DATA).unwrap().sections, 0)), ["96 VP8"]);
    let level = answered(
        "98",
        "a=rtpmap:98 H264/90000\na=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034\n",
    );
    let applied = apply(&session, &level, DATA).unwrap();
    let h264 = &section(&applied.sections, 0).codecs[0];
    assert_eq!(h264.send.value("profile-level-id"), Some("42e034"));
    assert_eq!(h264.receive.as_str(), H264);
}

#[test]
fn extensions_and_encodings_are_among_the_offered() {
    let session = session();
    for extension in [format!("a=extmap:2 {MID}"), "a=extmap:1 urn:x".to_owned()] {
        assert_eq!(fault(&session, &format!("{VIDEO}{extension}\n"), DATA), (0, AnswerFault::Extension));
    }
    for rids in ["a=rid:x send\n", "a=rid:q recv\n"] {
        assert_eq!(fault(&session, &format!("{VIDEO}{rids}"), DATA), (0, AnswerFault::Rid));
    }
    // An encoding that is offered beside the simulcast is none of its streams.
    let mut two = publishing("v");
    two.simulcast.recv.pop();
    let offered = offer(Origin::new(5), &transport(), vec![two.into_media()]);
    for (streams, fits) in [("q;h", true), ("q;f", false)] {
        let lines = format!("a=rid:q send\na=rid:h send\na=rid:f send\na=simulcast:send {streams}\n");
        let answer = description(&format!("{REMOTE}a=setup:active\n{VIDEO}{lines}"));
        let applied = apply_answer(&offered, &answer).map(|both| section(&both.sections, 0).simulcast.recv.len());
        let expected = if fits { Ok(2) } else { Err(AnswerError { section: 0, fault: AnswerFault::Rid }) };
        assert_eq!(applied, expected, "{streams}");
    }
    // Simulcast that is not answered is not there.
    let plain = apply(&session, VIDEO, DATA).unwrap();
    assert!(section(&plain.sections, 0).rids.is_empty() && section(&plain.sections, 0).simulcast.recv.is_empty());
    let mut without = publishing("v");
    (without.rids, without.simulcast) = (Vec::new(), Simulcast::default());
    let offered = offer(Origin::new(5), &transport(), vec![without.into_media()]);
    let answer = description(&format!("{REMOTE}a=setup:active\n{VIDEO}a=rid:q send\na=simulcast:send q\n"));
    assert_eq!(apply_answer(&offered, &answer).unwrap_err().fault, AnswerFault::Rid);
}

#[test]
fn nobody_is_sent_to_who_did_not_offer_it() {
    let session = session();
    for direction in ["sendrecv", "recvonly"] {
        let video = VIDEO.replace("sendonly", direction);
        assert_eq!(fault(&session, &video, DATA), (0, AnswerFault::Direction), "{direction}");
    }
    let inactive = apply(&session, &VIDEO.replace("sendonly", "inactive"), DATA).unwrap();
    assert_eq!(section(&inactive.sections, 0).direction, Direction::Inactive);
}

#[test]
fn rtcp_mux_and_a_whole_transport_are_needed() {
    let session = session();
    assert_eq!(fault(&session, &VIDEO.replace("a=rtcp-mux\n", ""), DATA), (0, AnswerFault::RtcpMux));
    for missing in ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint"] {
        let without: String =
            session.lines().filter(|line| !line.starts_with(missing)).map(|line| format!("{line}\n")).collect();
        assert_eq!(fault(&without, VIDEO, DATA), (0, AnswerFault::Transport), "{missing}");
    }
}

#[test]
fn setup_answers_the_offer() {
    let answered = |setup: &str| apply(&session().replace("setup:active", setup), VIDEO, DATA);
    assert_eq!(answered("setup:passive").unwrap().transport.unwrap().role, DtlsRole::Client);
    for bad in ["setup:actpass", "setup:holdconn", "x"] {
        assert_eq!(answered(bad).unwrap_err(), AnswerError { section: 0, fault: AnswerFault::Setup }, "{bad}");
    }
    let active = ours().to_string().replace("setup:actpass", "setup:active");
    let active = Description::parse(&active, &plenary_sdp::Limits::default()).unwrap();
    let answer = description(&format!("{}{VIDEO}{DATA}", session()));
    assert_eq!(apply_answer(&active, &answer).unwrap_err().fault, AnswerFault::Setup);
}

#[test]
fn the_first_of_the_group_speaks_for_all() {
    let group = "a=setup:active\na=group:BUNDLE d v\n";
    let with = |section: &str, ufrag: &str| format!("{section}{}", REMOTE.replace("them", ufrag));
    let negotiated = apply(group, &with(VIDEO, "vvvv"), &with(DATA, "dddd")).unwrap();
    assert_eq!(negotiated.transport.unwrap().remote.ufrag.unwrap(), "dddd");
}
