//! Answers to offers of one or a few sections.

use plenary_sdp::offer_answer::{
    AnswerFault, CodecOrder, DtlsRole, LocalExtension, Negotiated, Rejection, Section, answer, apply_answer,
};
use plenary_sdp::{Attribute, Description, Direction, Mid, Msid, Source, Word};

use crate::parties::{H264, MID, REMOTE, audio, description, lines, names, rtp, section, sfu, video, video_offer};

fn negotiated(offer: &Description) -> Negotiated {
    answer(offer, &sfu()).negotiated
}

fn rejection(offer: &Description) -> Rejection {
    match negotiated(offer).sections[0] {
        Section::Rejected(reason) => reason,
        ref other => panic!("{other:?}"),
    }
}

const VP8: &str = "a=rtpmap:96 VP8/90000\n";

#[test]
fn payload_types_are_the_offerers_and_the_order_is_ours() {
    let offer = video_offer("45 98 33", "a=rtpmap:33 vp8/90000\na=rtpmap:98 VP9/90000\na=rtpmap:45 AV1/90000\n");
    assert_eq!(names(section(&negotiated(&offer).sections, 0)), ["33 vp8", "98 VP9", "45 AV1"]);
    let mut policy = sfu();
    policy.video.as_mut().unwrap().order = CodecOrder::Offer;
    let answered = answer(&offer, &policy);
    assert_eq!(names(section(&answered.negotiated.sections, 0)), ["45 AV1", "98 VP9", "33 vp8"]);
    assert!(answered.description.media[0].to_string().starts_with("m=video 9 UDP/TLS/RTP/SAVPF 45 98 33\r\n"));
}

#[test]
fn h264_matches_by_profile_and_mode() {
    let h264 = |parameters: &str| video_offer("96", &format!("a=rtpmap:96 H264/90000\na=fmtp:96 {parameters}\n"));
    for same in [
        "profile-level-id=42e01f;packetization-mode=1",
        // Main with constraint_set0 is Constrained Baseline (RFC 6184, table 5).
        "packetization-mode=1;profile-level-id=4d8028",
        "packetization-mode=1; profile-level-id=42C01F",
    ] {
        assert_eq!(names(section(&negotiated(&h264(same)).sections, 0)), ["96 H264"], "{same}");
    }
    for other in [
        "profile-level-id=42e01f",
        "packetization-mode=0;profile-level-id=42e01f",
        "packetization-mode=1;profile-level-id=42001f",
        "packetization-mode=1;profile-level-id=64001f",
        "packetization-mode=1;profile-level-id=nothex",
        "packetization-mode=1",
    ] {
        assert_eq!(rejection(&h264(other)), Rejection::NoCommonCodec, "{other}");
    }
}

#[test]
fn h264_levels_are_each_sides_own_or_the_lower() {
    let answered = |parameters: &str| {
        let offer = video_offer("96", &format!("a=rtpmap:96 H264/90000\na=fmtp:96 {parameters}\n"));
        let codec = section(&negotiated(&offer).sections, 0).codecs[0].clone();
        (codec.receive.as_str().to_owned(), codec.send.as_str().to_owned())
    };
    let higher = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034";
    assert_eq!(answered(higher), (H264.to_owned(), higher.to_owned()));
    // Without asymmetry on one side, both keep to the lower level.
    let (receive, send) = answered("packetization-mode=1;profile-level-id=42e034");
    assert_eq!(receive, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
    assert_eq!(send, "packetization-mode=1;profile-level-id=42e01f");
    let (receive, send) = answered("packetization-mode=1;profile-level-id=42c00d");
    assert_eq!(receive, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c00d");
    assert_eq!(send, "packetization-mode=1;profile-level-id=42c00d");
}

#[test]
fn vp9_and_av1_match_by_profile() {
    let offer = video_offer(
        "98 100 45 46",
        "a=rtpmap:98 VP9/90000\na=fmtp:98 profile-id=2\na=rtpmap:100 VP9/90000\n\
         a=rtpmap:45 AV1/90000\na=fmtp:45 profile=1\na=rtpmap:46 AV1/90000\na=fmtp:46 level-idx=8;tier=1\n",
    );
    let section = section(&negotiated(&offer).sections, 0).clone();
    assert_eq!(names(&section), ["100 VP9", "46 AV1"]);
    assert_eq!(section.codecs[1].receive.as_str(), "level-idx=5;profile=0;tier=0");
    assert_eq!(section.codecs[1].send.as_str(), "level-idx=8;tier=1");
}

#[test]
fn rtx_and_red_follow_what_they_carry() {
    let offer = video_offer(
        "96 97 98 99",
        &format!(
            "{VP8}a=rtpmap:97 rtx/90000\na=fmtp:97 apt=98\na=rtpmap:98 X/90000\na=rtpmap:99 rtx/90000\na=fmtp:99 apt=96\n"
        ),
    );
    assert_eq!(names(section(&negotiated(&offer).sections, 0)), ["96 VP8 99"]);
    let mut policy = sfu();
    policy.video = Some(rtp(vec![video("VP8/90000", "")], &[]));
    policy.video.as_mut().unwrap().codecs[0].rtx = false;
    assert_eq!(names(section(&answer(&offer, &policy).negotiated.sections, 0)), ["96 VP8"]);

    let red = |carried: &str| {
        let lines = format!("a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\na=fmtp:63 {carried}\n");
        let offer = description(&format!(
            "{REMOTE}a=group:BUNDLE 0\nm=audio 9 UDP/TLS/RTP/SAVPF 63 111 9\na=mid:0\na=rtcp-mux\n{lines}"
        ));
        names(section(&negotiated(&offer).sections, 0))
    };
    assert_eq!(red("111/111"), ["111 opus", "63 red"]);
    assert_eq!(red("111/9"), ["111 opus"]);
}

#[test]
fn a_section_of_repair_or_noise_alone_is_no_media() {
    let mut policy = sfu();
    policy.audio = Some(rtp(vec![audio("CN/8000", ""), audio("telephone-event/8000", "")], &[]));
    let offer = description(&format!(
        "{REMOTE}m=audio 9 UDP/TLS/RTP/SAVPF 13 101\na=rtcp-mux\na=rtpmap:101 telephone-event/8000\n"
    ));
    assert_eq!(answer(&offer, &policy).negotiated.sections[0], Section::Rejected(Rejection::NoCommonCodec));
}

// RFC 5761 §4: with the marker bit, payload type 72 is RTCP's 200.
#[test]
fn payload_types_that_look_like_rtcp_are_not_taken() {
    let offer = video_offer("72 96", &format!("a=rtpmap:72 VP8/90000\n{VP8}"));
    assert_eq!(names(section(&negotiated(&offer).sections, 0)), ["96 VP8"]);
    assert_eq!(rejection(&video_offer("95", "a=rtpmap:95 VP8/90000\n")), Rejection::NoCommonCodec);
}

#[test]
fn feedback_is_what_both_have() {
    let offer = video_offer("96", &format!("{VP8}a=rtcp-fb:96 nack pli\na=rtcp-fb:* nack\na=rtcp-fb:96 nack rpsi\n"));
    let answered = answer(&offer, &sfu());
    assert_eq!(lines(&answered.description.media[0], "rtcp-fb:"), ["rtcp-fb:96 nack", "rtcp-fb:96 nack pli"]);
}

#[test]
fn directions_meet() {
    for (offered, ours, expected) in [
        ("a=sendrecv", Direction::SendRecv, Direction::SendRecv),
        ("a=sendonly", Direction::SendRecv, Direction::RecvOnly),
        ("a=recvonly", Direction::SendRecv, Direction::SendOnly),
        ("a=recvonly", Direction::RecvOnly, Direction::Inactive),
        ("a=inactive", Direction::SendRecv, Direction::Inactive),
        ("a=x", Direction::RecvOnly, Direction::RecvOnly),
    ] {
        let mut policy = sfu();
        let own = policy.video.as_mut().unwrap();
        own.direction = ours;
        own.msids = vec![Msid { stream: Some(Word::new("room").unwrap()), track: None }];
        own.sources = vec![Source {
            ssrc: 9,
            attribute: plenary_sdp::SourceAttribute::Cname(plenary_sdp::Text::new("c").unwrap()),
        }];
        let answered = answer(&video_offer("96", &format!("{VP8}{offered}\n")), &policy);
        assert_eq!(section(&answered.negotiated.sections, 0).direction, expected, "{offered}");
        // What is ours stands only where we send.
        let own = if expected.sends() { 1 } else { 0 };
        let media = &answered.description.media[0];
        assert_eq!((lines(media, "msid:room").len(), lines(media, "ssrc:9 cname:c").len()), (own, own), "{offered}");
        assert_eq!(media.direction(), Some(expected));
    }
}

#[test]
fn extensions_meet_by_uri_and_direction() {
    let uri = |uri: &str, direction| LocalExtension { uri: Word::new(uri).unwrap(), direction };
    let mut policy = sfu();
    policy.video.as_mut().unwrap().extensions = vec![
        uri("urn:both", Direction::SendRecv),
        uri("urn:receive", Direction::RecvOnly),
        uri("urn:send", Direction::SendOnly),
    ];
    let offered = "a=extmap:3 urn:both\na=extmap:4/sendonly urn:send\na=extmap:5/sendonly urn:receive\n\
        a=extmap:6 urn:unknown\na=extmap:7 urn:both\n";
    let answered = answer(&video_offer("96", &format!("{VP8}{offered}")), &policy);
    assert_eq!(
        lines(&answered.description.media[0], "extmap:"),
        ["extmap:3 urn:both", "extmap:5/recvonly urn:receive"]
    );
    let section = section(&answered.negotiated.sections, 0);
    assert_eq!(section.extension_id("urn:receive", true), None);
    assert_eq!(section.extension_id("urn:receive", false).map(|id| id.number()), Some(5));
}

#[test]
fn extensions_of_the_session_hold_for_its_sections() {
    let offer = description(&format!("{REMOTE}a=extmap:9 {MID}\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\n{VP8}"));
    assert_eq!(section(&negotiated(&offer).sections, 0).extension_id(MID, true).map(|id| id.number()), Some(9));
}

#[test]
fn simulcast_is_reversed_and_bounded() {
    let simulcast = "a=rid:a send pt=96\na=rid:b send max-width=640\na=rid:c send\na=rid:d send\na=rid:e recv\n\
        a=simulcast:send a,~b;c;d recv e\n";
    let mut policy = sfu();
    policy.video.as_mut().unwrap().receive_streams_max = 2;
    let answered = answer(&video_offer("96", &format!("{VP8}{simulcast}")), &policy);
    let media = &answered.description.media[0];
    assert_eq!(lines(media, "rid:"), ["rid:a recv pt=96", "rid:b recv max-width=640", "rid:c recv"]);
    assert_eq!(lines(media, "simulcast:"), ["simulcast:recv a,~b;c"]);
    policy.video.as_mut().unwrap().send_streams_max = 1;
    policy.video.as_mut().unwrap().receive_streams_max = 0;
    let answered = answer(&video_offer("96", &format!("{VP8}{simulcast}")), &policy);
    assert_eq!(lines(&answered.description.media[0], "simulcast:"), ["simulcast:send e"]);
    assert_eq!(lines(&answered.description.media[0], "rid:"), ["rid:e send"]);
    // Nothing is received in a section that only sends.
    policy.video.as_mut().unwrap().receive_streams_max = 3;
    policy.video.as_mut().unwrap().direction = Direction::SendOnly;
    let answered = answer(&video_offer("96", &format!("{VP8}{simulcast}")), &policy);
    assert_eq!(lines(&answered.description.media[0], "simulcast:"), ["simulcast:send e"]);
}

// RFC 8851 §6.2.2
#[test]
fn rids_lose_what_we_do_not_know() {
    let offered = "a=rtpmap:97 X/90000\na=rid:a send pt=97,96\na=rid:b send pt=97\na=rid:c send max-speed=1\n\
        a=rid:d send\na=rid:e send\na=simulcast:send a;b;c;d;nowhere\n";
    let answered = answer(&video_offer("96 97", &format!("{VP8}{offered}")), &sfu());
    let media = &answered.description.media[0];
    assert_eq!(lines(media, "rid:"), ["rid:a recv pt=96", "rid:d recv"]);
    assert_eq!(lines(media, "simulcast:"), ["simulcast:recv a;d"]);
}

#[test]
fn setup_gives_the_roles() {
    for (offered, preferred, expected, written) in [
        ("a=setup:actpass\n", DtlsRole::Server, Some(DtlsRole::Server), "setup:passive"),
        ("a=setup:actpass\n", DtlsRole::Client, Some(DtlsRole::Client), "setup:active"),
        ("a=setup:active\n", DtlsRole::Client, Some(DtlsRole::Server), "setup:passive"),
        ("a=setup:passive\n", DtlsRole::Server, Some(DtlsRole::Client), "setup:active"),
        ("", DtlsRole::Client, Some(DtlsRole::Server), "setup:passive"),
        ("a=setup:holdconn\n", DtlsRole::Client, None, ""),
    ] {
        let mut policy = sfu();
        policy.transport.preferred_role = preferred;
        let offer = description(&format!("{REMOTE}{offered}m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\n{VP8}"));
        let answered = answer(&offer, &policy);
        let role = answered.negotiated.transport.map(|transport| transport.role);
        assert_eq!(role, expected, "{offered}");
        let setup = lines(&answered.description.media[0], "setup:");
        assert_eq!(setup.join(""), written);
    }
}

#[test]
fn what_can_not_be_is_rejected_with_its_reason() {
    let offer = |lines: &str| description(&format!("{REMOTE}{lines}"));
    let cases = [
        (offer("m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n"), Rejection::NoRtcpMux),
        (offer("m=video 0 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"), Rejection::ByOffer),
        (offer("m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 X/90000\n"), Rejection::NoCommonCodec),
        (offer("m=text 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\n"), Rejection::Policy),
        (offer("m=video 9 X/Y 96\na=rtcp-mux\n"), Rejection::Policy),
        (offer("m=application 9 UDP/DTLS/SCTP other\n"), Rejection::NoDataChannel),
        (description("m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"), Rejection::NoTransport),
        (
            offer("a=group:BUNDLE 1\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"),
            Rejection::NotBundled,
        ),
        (
            offer("a=setup:holdconn\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"),
            Rejection::NoDtlsRole,
        ),
    ];
    for (offer, reason) in cases {
        assert_eq!(rejection(&offer), reason);
        let answered = answer(&offer, &sfu());
        assert_eq!((answered.description.media[0].port, &answered.description.bundle()), (0, &None));
        assert_eq!(answered.negotiated.transport, None);
    }
}

#[test]
fn one_section_can_have_a_policy_of_its_own() {
    let m = "m=video 9 UDP/TLS/RTP/SAVPF 96 98\na=rtcp-mux\na=rtpmap:96 VP8/90000\na=rtpmap:98 VP9/90000\n";
    let offer = description(&format!("{REMOTE}a=group:BUNDLE a b c\n{m}a=mid:a\n{m}a=mid:b\n{m}a=mid:c\n"));
    let mut policy = sfu();
    policy.sections.insert(Mid::new("a").unwrap(), None);
    policy.sections.insert(Mid::new("b").unwrap(), Some(rtp(vec![video("VP9/90000", "")], &[])));
    let answered = answer(&offer, &policy);
    assert_eq!(answered.negotiated.sections[0], Section::Rejected(Rejection::Policy));
    assert_eq!(names(section(&answered.negotiated.sections, 1)), ["98 VP9"]);
    assert_eq!(names(section(&answered.negotiated.sections, 2)), ["96 VP8", "98 VP9"]);
    // RFC 9143 §7.3.1: b is now the tagged section, and has the candidates.
    assert_eq!(lines(&answered.description.media[1], "candidate:").len(), 1);
    assert_eq!(lines(&answered.description.media[2], "candidate:").len(), 0);
    assert!(answered.description.to_string().contains("a=group:BUNDLE b c\r\n"));
}

#[test]
fn transport_can_stand_in_the_tagged_section_alone() {
    let m = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";
    let offer = description(&format!("{REMOTE}a=group:BUNDLE b a\n{m}a=mid:a\n{m}a=mid:b\n"));
    let mut policy = sfu();
    policy.transport.in_every_section = false;
    let answered = answer(&offer, &policy);
    let has_ufrag = |index: usize| lines(&answered.description.media[index], "ice-ufrag:").len();
    assert_eq!([has_ufrag(0), has_ufrag(1)], [0, 1]);
    assert!(answered.description.media.iter().all(|media| media.has(&Attribute::RtcpMux)));
    assert!(answered.description.to_string().contains("a=group:BUNDLE b a\r\n"));
}

#[test]
fn a_group_may_name_sections_that_are_not_there() {
    let offer =
        description(&format!("{REMOTE}a=group:BUNDLE x 0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=rtcp-mux\n{VP8}"));
    let answered = answer(&offer, &sfu());
    assert!(answered.description.to_string().contains("a=group:BUNDLE 0\r\n"));
}

// RFC 9143 §6: bundle-only lets a section live with port 0, and means nothing outside of a group.
#[test]
fn bundle_only_needs_its_group() {
    let m = format!("m=video 0 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=bundle-only\na=rtcp-mux\n{VP8}");
    for (group, accepts) in [("a=group:BUNDLE 0\n", true), ("a=group:BUNDLE 1\n", false), ("", false)] {
        let answered = answer(&description(&format!("{REMOTE}{group}{m}")), &sfu());
        let port = answered.description.media[0].port;
        match &answered.negotiated.sections[0] {
            Section::Rtp(_) => assert_eq!((accepts, port), (true, 9), "{group}"),
            other => assert_eq!((accepts, port, other), (false, 0, &Section::Rejected(Rejection::ByOffer)), "{group}"),
        }
    }
}

// RFC 8285 §6: what a section has offered is not answered for all of them.
#[test]
fn mixed_extensions_are_answered_where_they_were_offered() {
    let m = |mid: &str, lines: &str| format!("m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:{mid}\na=rtcp-mux\n{VP8}{lines}");
    let mixed = "a=extmap-allow-mixed\n";
    for (session, first, expected) in
        [(mixed, "", [true, false, false]), ("", mixed, [false, true, false]), ("", "", [false; 3])]
    {
        let text = format!("{REMOTE}{session}a=group:BUNDLE 0 1\n{}{}", m("0", first), m("1", ""));
        let answered = answer(&description(&text), &sfu()).description;
        let by_session = answered.attributes.contains(&Attribute::ExtmapAllowMixed);
        let by_section = |index: usize| answered.media[index].has(&Attribute::ExtmapAllowMixed);
        assert_eq!([by_session, by_section(0), by_section(1)], expected);
    }
}

#[test]
fn without_a_group_the_first_that_can_be_is_served() {
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 X/8000\n";
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";
    let offer = description(&format!("{REMOTE}{audio}{video}{video}"));
    let answered = answer(&offer, &sfu());
    assert_eq!(answered.negotiated.sections[0], Section::Rejected(Rejection::NoCommonCodec));
    assert_eq!(names(section(&answered.negotiated.sections, 1)), ["96 VP8"]);
    assert_eq!(answered.negotiated.sections[2], Section::Rejected(Rejection::NotBundled));
    assert_eq!(apply_answer(&offer, &answered.description).map(|both| both.sections.len()), Ok(3));
}

// The first of the group describes the transport, and may be a section that is rejected.
#[test]
fn the_transport_of_a_rejected_section_is_that_of_its_group_and_no_other() {
    let m = |mid: &str, format: &str, lines: &str| {
        format!("m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:{mid}\na=rtcp-mux\na=rtpmap:96 {format}/90000\n{lines}")
    };
    let (rejected, bare) = (m("0", "X", REMOTE), m("1", "VP8", ""));
    let of = |group: &str| negotiated(&description(&format!("{group}{rejected}{bare}")));
    assert_eq!(of("a=group:BUNDLE 0 1\n").transport.unwrap().remote.ufrag.unwrap(), "them");
    for group in ["a=group:BUNDLE 1\n", ""] {
        assert_eq!(of(group).sections[1], Section::Rejected(Rejection::NoTransport), "{group}");
    }
}

#[test]
fn without_a_group_only_the_first_section_is_served() {
    let m = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";
    let answered = answer(&description(&format!("{REMOTE}{m}{m}")), &sfu());
    assert_eq!(names(section(&answered.negotiated.sections, 0)), ["96 VP8"]);
    assert_eq!(answered.negotiated.sections[1], Section::Rejected(Rejection::NotBundled));
    assert_eq!(answered.description.bundle(), None);
    assert_eq!(lines(&answered.description.media[0], "ice-ufrag:"), ["ice-ufrag:ours"]);
}

#[test]
fn numbers_mean_one_thing_in_a_group() {
    let m = |kind: &str, lines: &str| format!("m={kind} 9 UDP/TLS/RTP/SAVPF 96 97\na=rtcp-mux\n{lines}");
    let offer = |first: &str, second: &str| {
        description(&format!("{REMOTE}a=group:BUNDLE 0 1\n{first}a=mid:0\n{second}a=mid:1\n"))
    };
    let vp8 = m("video", "a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n");
    let outcome = |second: &str| negotiated(&offer(&vp8, second)).sections.swap_remove(1);
    assert!(matches!(outcome(&vp8), Section::Rtp(_)));
    let opus = m("audio", "a=rtpmap:96 opus/48000/2\n");
    assert_eq!(outcome(&opus), Section::Rejected(Rejection::PayloadTypeClash));
    let as_rtx = m("video", "a=rtpmap:97 VP8/90000\n");
    assert_eq!(outcome(&as_rtx), Section::Rejected(Rejection::PayloadTypeClash));
    // RFC 9143 §9.1.1: what changes the codec's configuration is the same too; a level is each receiver's own.
    let mut policy = sfu();
    let profile = "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f";
    let more = [video("VP9/90000", "profile-id=2"), video("H264/90000", profile)];
    policy.video.as_mut().unwrap().codecs.extend(more);
    policy.audio.as_mut().unwrap().codecs.push(audio("opus/48000/1", ""));
    let outcome = |kind: &str, first: &str, second: &str| {
        answer(&offer(&m(kind, first), &m(kind, second)), &policy).negotiated.sections.swap_remove(1)
    };
    let vp9 = |profile: &str| format!("a=rtpmap:96 VP9/90000\na=fmtp:96 profile-id={profile}\n");
    let h264 = |mode: u8, level: &str| {
        let asymmetry = "level-asymmetry-allowed=1";
        format!(
            "a=rtpmap:96 H264/90000\na=fmtp:96 {asymmetry};packetization-mode={mode};profile-level-id=42e0{level}\n"
        )
    };
    let red = |carried: &str| format!("a=rtpmap:96 opus/48000/2\na=rtpmap:97 red/48000/2\na=fmtp:97 {carried}\n");
    for (kind, first, second, is_same) in [
        ("video", vp9("0"), vp9("0"), true),
        ("video", vp9("0"), vp9("2"), false),
        ("video", h264(1, "1f"), h264(1, "34"), true),
        ("video", h264(1, "1f"), h264(0, "1f"), false),
        ("audio", red("96/96"), red("96/96"), true),
        ("audio", red("96/96"), red("96"), false),
    ] {
        match outcome(kind, &first, &second) {
            Section::Rtp(_) => assert!(is_same, "{second}"),
            other => assert!(!is_same && other == Section::Rejected(Rejection::PayloadTypeClash), "{second}{other:?}"),
        }
    }
    let with_id = |uri: &str| m("video", &format!("a=rtpmap:96 VP8/90000\na=extmap:1 {uri}\n"));
    let both = offer(&with_id(MID), &with_id(crate::parties::RID));
    assert_eq!(negotiated(&both).sections[1], Section::Rejected(Rejection::ExtensionClash));
}

#[test]
fn the_answer_has_the_times_and_the_protocol_of_the_offer() {
    let text = format!("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=5 6\n{REMOTE}m=video 9 RTP/SAVPF 96\na=rtcp-mux\n{VP8}");
    let offer = Description::parse(&text, &plenary_sdp::Limits::default()).unwrap();
    let written = answer(&offer, &sfu()).description.to_string();
    assert!(written.contains("\r\nt=5 6\r\n") && written.contains("\r\nm=video 9 RTP/SAVPF 96\r\n"), "{written}");
}

#[test]
fn our_answer_fits_the_offer_by_our_own_rules() {
    let m = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\na=rtcp-mux\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n\
        a=sendonly\na=rid:q send\na=rid:h send\na=simulcast:send q;h\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n";
    let offer = description(&format!("{REMOTE}a=setup:actpass\na=group:BUNDLE 0 1\n{m}a=mid:0\n{m}a=mid:1\n"));
    let answered = answer(&offer, &sfu());
    let theirs = apply_answer(&offer, &answered.description).unwrap();
    for (ours, theirs) in answered.negotiated.sections.iter().zip(&theirs.sections) {
        let (Section::Rtp(ours), Section::Rtp(theirs)) = (ours, theirs) else { panic!() };
        assert_eq!(ours.direction, theirs.direction.reversed());
        assert_eq!(
            (&ours.codecs[0].receive, &ours.codecs[0].send),
            (&theirs.codecs[0].send, &theirs.codecs[0].receive)
        );
        assert_eq!((&ours.simulcast.recv, ours.codecs[0].rtx), (&theirs.simulcast.send, theirs.codecs[0].rtx));
        assert_eq!(ours.extensions, theirs.extensions);
    }
    assert_eq!(theirs.transport.unwrap().role, DtlsRole::Client);
    let mut late = answered.description.clone();
    late.media.pop();
    assert_eq!(apply_answer(&offer, &late).unwrap_err().fault, AnswerFault::SectionCount);
}
