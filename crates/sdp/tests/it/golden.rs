//! Offers in the style of browsers and libraries, written by hand, and what those with a version in their names really
//! write; and how an SFU answers them. Chromium takes the answer to its own offer, and the offer of `server.offer.sdp`.
//! Those of calls are as `peers/browsers` and `peers/libraries` have seen them, with `echo.offer.sdp` by `examples/echo`.

use std::fs;
use std::path::Path;

use plenary_sdp::codec::{H264, H264Profile};
use plenary_sdp::offer_answer::{DtlsRole, Rejection, Section, answer, apply_answer};
use plenary_sdp::{
    Attribute, Bandwidth, DataChannel, Description, Direction, HashFunction, Limits, Mid, Msid, SourceAttribute, Token,
    Word,
};

use crate::parties::{LEVEL, MID, RID, TRANSPORT_CC, lines, names, section, sfu};

pub(crate) const ALL: [&str; 11] = [
    "aiortc",
    "aiortc-1.16",
    "chromium",
    "chromium-156",
    "chromium-156-call",
    "firefox",
    "firefox-153",
    "libdatachannel-0.24",
    "pion",
    "pion-4.2",
    "safari",
];

pub(crate) fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.offer.sdp"));
    fs::read_to_string(path).unwrap()
}

/// A line as we write it: Pion ends some of a=rtcp-fb with a space, libdatachannel has commas between ICE options.
pub(crate) fn tidied(line: &str) -> String {
    let line = line.trim_end();
    if line.contains("ice-options:") { line.replace(',', " ") } else { line.to_owned() }
}

fn read(name: &str) -> Description {
    Description::parse(&text(name), &Limits::default()).unwrap()
}

fn file(name: &str) -> Description {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    Description::parse(&fs::read_to_string(path).unwrap(), &Limits::default()).unwrap()
}

#[test]
fn every_offer_comes_back_as_it_was() {
    for name in ALL {
        let read = read(name);
        let expected: Vec<_> = text(name).lines().map(tidied).collect();
        assert_eq!(read.to_string().split("\r\n").filter(|line| !line.is_empty()).collect::<Vec<_>>(), expected);
        assert_eq!(Description::parse(&read.to_string(), &Limits::default()), Ok(read), "{name}");
    }
}

#[test]
fn every_offer_has_its_answer_read_again() {
    for name in ALL {
        let answered = answer(&read(name), &sfu());
        let text = answered.description.to_string();
        assert_eq!(Description::parse(&text, &Limits::default()).as_ref(), Ok(&answered.description), "{name}");
        assert_eq!(answered.negotiated.transport.map(|transport| transport.role), Some(DtlsRole::Server));
    }
}

#[test]
fn chromium_is_answered_with_all_that_it_needs() {
    let offer = read("chromium");
    let answered = answer(&offer, &sfu());
    let sound = section(&answered.negotiated.sections, 0);
    assert_eq!(names(sound), ["111 opus", "63 red"]);
    assert_eq!(sound.codecs[0].receive.as_str(), "minptime=10;useinbandfec=1;usedtx=1");
    assert_eq!(sound.codecs[0].send.as_str(), "minptime=10;useinbandfec=1");
    assert_eq!(sound.direction, Direction::SendRecv);
    assert_eq!(sound.extension_id(LEVEL, true).map(|id| id.number()), Some(1));

    let video = section(&answered.negotiated.sections, 1);
    // Video RED and ULPFEC are not ours: a browser would send VP8 within RED if they were answered.
    assert_eq!(names(video), ["96 VP8 97", "109 H264 114", "98 VP9 99", "45 AV1 46"]);
    assert_eq!(video.direction, Direction::RecvOnly);
    let ids = [MID, RID, TRANSPORT_CC].map(|uri| video.extension_id(uri, false).map(|id| id.number()));
    assert_eq!(ids, [Some(4), Some(10), Some(3)]);
    assert_eq!(video.simulcast.recv.len(), 3);
    let written = &answered.description.media[1];
    assert_eq!(lines(written, "rid:"), ["rid:q recv", "rid:h recv", "rid:f recv"]);
    assert_eq!(lines(written, "simulcast:"), ["simulcast:recv q;h;f"]);
    assert_eq!(lines(written, "candidate:").len(), 0);
    assert_eq!(lines(&answered.description.media[0], "candidate:").len(), 1);
    assert_eq!(lines(written, "setup:"), ["setup:passive"]);
    let Section::Data(data) = &answered.negotiated.sections[2] else { panic!() };
    assert_eq!((data.remote_sctp_port, data.remote_max_message_size), (5_000, 262_144));
    let mids: Vec<_> = answered.description.bundle().unwrap().mids.iter().map(Mid::as_str).collect();
    assert_eq!(mids, ["0", "1", "2"]);
    // The id 16 carries an encrypted extension, which nobody answers.
    assert_eq!(offer.extensions(&offer.media[1]).last().unwrap().id.number(), 16);
}

#[test]
fn firefox_offers_its_second_section_bundle_only() {
    let offer = read("firefox");
    assert_eq!(offer.media[1].port, 0);
    assert!(!offer.media[1].is_rejected());
    // The fingerprint is the session's; the second section has no credentials at all.
    let transport = offer.transport(&offer.media[1]);
    assert_eq!((transport.ufrag, transport.fingerprints[0].hash()), (None, HashFunction::Sha256));
    let answered = answer(&offer, &sfu());
    let video = section(&answered.negotiated.sections, 1);
    assert_eq!(names(video), ["120 VP8 124", "121 VP9 125", "99 AV1 100"]);
    assert_eq!(answered.description.media[1].port, 9);
    assert_eq!(answered.negotiated.transport.unwrap().remote.ufrag.unwrap(), "6d5e8f27");
    // What Firefox sends only we receive only, and its own recvonly extension is none of ours.
    let direction = |id| video.extensions.iter().find(|one| one.id.number() == id).map(|one| one.direction);
    assert_eq!(
        [direction(8), direction(3), direction(6)],
        [Some(Direction::RecvOnly), Some(Direction::SendRecv), None]
    );
    assert!(lines(&answered.description.media[1], "extmap:8/recvonly ").len() == 1);
    let order: Vec<_> = video.simulcast.recv.iter().map(|stream| stream[0].rid.as_str()).collect();
    assert_eq!(order, ["f", "h", "q"]);
}

#[test]
fn safari_offers_high_profile_first_and_a_bandwidth() {
    let offer = read("safari");
    let first = H264::from_parameters(&offer.media[1].codecs()[0].parameters).unwrap();
    assert_eq!(first.profile_level_id.profile(), H264Profile::ConstrainedHigh);
    assert_eq!(offer.media[0].bandwidths, [Bandwidth::ApplicationSpecific(64)]);
    assert_eq!(offer.media[1].bandwidths[0].bitrate().unwrap().as_bps(), 1_500_000);
    let answered = answer(&offer, &sfu());
    let video = section(&answered.negotiated.sections, 1);
    assert_eq!(names(video), ["102 VP8 103", "98 H264 99"]);
    assert_eq!(video.remote_bandwidths, [Bandwidth::TransportIndependent(1_500_000)]);
    assert_eq!(video.remote_ssrc_groups[0].ssrcs, [3_002, 3_003]);
    assert!(video.simulcast.recv.is_empty() && video.rids.is_empty());
}

#[test]
fn aiortc_has_candidates_and_two_fingerprints() {
    let offer = read("aiortc");
    let transport = offer.transport(&offer.media[0]);
    let hashes: Vec<_> = transport.fingerprints.iter().map(|one| one.hash()).collect();
    assert_eq!(hashes, [HashFunction::Sha256, HashFunction::Sha1]);
    assert_eq!(transport.candidates[0], "5d3e1b2a 1 udp 2130706431 192.0.2.7 40377 typ host");
    assert!(transport.end_of_candidates);
    assert!(!offer.allows_mixed_extensions(&offer.media[0]));
    let answered = answer(&offer, &sfu());
    let video = section(&answered.negotiated.sections, 1);
    // 99 is Baseline, 101 Constrained Baseline: these are two profiles.
    assert_eq!(names(video), ["97 VP8 98", "101 H264 102"]);
    assert!(!video.mixed_extensions && !video.reduced_size);
    assert!(!answered.description.attributes.contains(&Attribute::ExtmapAllowMixed));
    assert_eq!(lines(&answered.description.media[1], "rtcp-rsize").len(), 0);
}

#[test]
fn pion_names_its_track_in_the_older_form_too() {
    let offer = read("pion");
    let video = &offer.media[0];
    let word = |text| Some(Word::new(text).unwrap());
    assert_eq!(video.msids().next(), Some(&Msid { stream: word("pion"), track: word("video") }));
    assert!(matches!(video.sources().nth(1).unwrap().attribute, SourceAttribute::Msid(_)));
    let no_size = DataChannel { sctp_port: 5_000, max_message_size: 65_536 };
    assert_eq!(offer.media[1].data_channel(), Some(no_size));
    let mut policy = sfu();
    policy.data = None;
    let answered = answer(&offer, &policy);
    // Its H264 is Baseline without constraints.
    assert_eq!(names(section(&answered.negotiated.sections, 0)), ["96 VP8 97"]);
    assert_eq!(answered.negotiated.sections[1], Section::Rejected(Rejection::Policy));
    let rejected = answered.description.media[1].to_string();
    assert_eq!(
        rejected,
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n"
    );
    let mids: Vec<_> = answered.description.bundle().unwrap().mids.iter().map(Mid::as_str).collect();
    assert_eq!(mids, ["0"]);
}

#[test]
fn chromium_156_sends_three_layers_and_data() {
    let answered = answer(&read("chromium-156"), &sfu());
    let sound = section(&answered.negotiated.sections, 0);
    assert_eq!(names(sound), ["111 opus", "63 red"]);
    assert_eq!(sound.direction, Direction::RecvOnly);
    let video = section(&answered.negotiated.sections, 1);
    assert_eq!(names(video), ["96 VP8 97", "108 H264 109", "98 VP9 99", "45 AV1 46"]);
    let ids = [MID, RID, TRANSPORT_CC].map(|uri| video.extension_id(uri, false).map(|id| id.number()));
    assert_eq!(ids, [Some(4), Some(10), Some(3)]);
    assert_eq!(lines(&answered.description.media[1], "simulcast:"), ["simulcast:recv q;h;f"]);
    assert!(matches!(answered.negotiated.sections[2], Section::Data(_)));
}

#[test]
fn chromium_156_answers_slots_and_layers() {
    let (offer, given) = (file("server.offer.sdp"), file("server.chromium-156.answer.sdp"));
    let negotiated = apply_answer(&offer, &given).unwrap();
    assert_eq!(negotiated.transport.unwrap().role, DtlsRole::Server);
    let directions: Vec<_> = (0..5).map(|index| section(&negotiated.sections, index).direction).collect();
    let (send, receive) = (Direction::SendOnly, Direction::RecvOnly);
    assert_eq!(directions, [receive, receive, send, send, send]);
    let video = section(&negotiated.sections, 1);
    assert_eq!(names(video), ["96 VP8 97", "98 H264 99", "100 VP9 101", "102 AV1 103"]);
    assert_eq!(names(section(&negotiated.sections, 4)), names(video));
    assert_eq!(video.simulcast.to_string(), "recv q;h;f");
    assert_eq!((video.rids.len(), video.remote_sources.len()), (3, 0));
    assert!(matches!(negotiated.sections[5], Section::Data(_)));
}

#[test]
fn firefox_153_has_one_fingerprint_for_all_and_pairs_of_sources() {
    let offer = read("firefox-153");
    assert!(offer.media.iter().all(|media| offer.transport(media).is_complete()));
    let answered = answer(&offer, &sfu());
    assert_eq!(names(section(&answered.negotiated.sections, 0)), ["109 opus"]);
    let video = section(&answered.negotiated.sections, 1);
    // A retransmission of RED, and ULPFEC without one, are none of ours.
    assert_eq!(names(video), ["120 VP8 124", "121 VP9 125", "99 AV1 100"]);
    assert_eq!(video.codecs[0].send.as_str(), "max-fs=12288;max-fr=60");
    assert_eq!(video.remote_ssrc_groups[0].ssrcs, [4_042_324_078, 296_676_785]);
    assert_eq!((video.direction, video.reduced_size, video.mixed_extensions), (Direction::SendRecv, true, true));
    assert!(!section(&answered.negotiated.sections, 0).reduced_size);
    let Section::Data(data) = &answered.negotiated.sections[2] else { panic!() };
    assert_eq!(data.remote_max_message_size, 1_073_741_823);
}

#[test]
fn chromium_156_calls_with_one_stream_each_way() {
    let answered = answer(&read("chromium-156-call"), &sfu());
    let video = section(&answered.negotiated.sections, 1);
    assert_eq!(names(video), ["96 VP8 97", "108 H264 109", "98 VP9 99", "45 AV1 46"]);
    assert_eq!((video.direction, video.simulcast.recv.len()), (Direction::SendRecv, 0));
    assert_eq!(video.remote_ssrc_groups[0].ssrcs, [616_668_646, 2_995_017_959]);
}

#[test]
fn browsers_answer_the_offer_of_an_example() {
    let offer = file("echo.offer.sdp");
    let [chromium, firefox] = ["echo.chromium-156.answer.sdp", "echo.firefox-153.answer.sdp"]
        .map(|name| apply_answer(&offer, &file(name)).unwrap());
    let all = ["96 VP8 97", "98 VP9 99", "100 H264 101", "102 AV1 103"];
    assert_eq!(names(section(&chromium.sections, 1)), all);
    // Its H264 is a download.
    assert_eq!(names(section(&firefox.sections, 1)), [all[0], all[1], all[3]]);
    for (negotiated, size) in [(&chromium, 262_144), (&firefox, 1_073_741_823)] {
        assert_eq!(negotiated.transport.as_ref().unwrap().role, DtlsRole::Server);
        let video = section(&negotiated.sections, 1);
        assert_eq!((video.direction, video.remote_ssrc_groups[0].ssrcs.len()), (Direction::SendRecv, 2));
        assert_eq!(video.extension_id(MID, true).map(|id| id.number()), Some(1));
        let Section::Data(data) = &negotiated.sections[2] else { panic!() };
        assert_eq!((data.remote_sctp_port, data.remote_max_message_size), (5_000, size));
    }
}

#[test]
fn aiortc_1_16_writes_one_transport_three_times() {
    let offer = read("aiortc-1.16");
    let ports: Vec<_> = offer.media.iter().map(|media| media.port).collect();
    assert_eq!(ports, [45_673, 53_574, 55_031]);
    let hashes = |media| offer.transport(media).fingerprints.iter().map(|one| one.hash()).collect::<Vec<_>>();
    for media in &offer.media {
        assert_eq!(hashes(media), [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512]);
    }
    let answered = answer(&offer, &sfu());
    assert_eq!(answered.negotiated.transport.unwrap().remote.candidates.len(), 1);
    assert_eq!(names(section(&answered.negotiated.sections, 0)), ["96 opus"]);
    let video = section(&answered.negotiated.sections, 1);
    assert_eq!(names(video), ["97 VP8 98", "101 H264 102"]);
    assert_eq!((video.reduced_size, video.remote_ssrc_groups[0].ssrcs.len()), (false, 2));
    assert!(matches!(answered.negotiated.sections[2], Section::Data(_)));
}

#[test]
fn libdatachannel_0_24_puts_commas_between_its_options() {
    let offer = read("libdatachannel-0.24");
    let mids: Vec<_> = offer.bundle().unwrap().mids.iter().map(Mid::as_str).collect();
    assert_eq!(mids, ["video", "audio", "0"]);
    let transport = offer.transport(&offer.media[2]);
    let options: Vec<_> = transport.ice_options.iter().map(Token::as_str).collect();
    assert_eq!(options, ["ice2", "trickle"]);
    let answered = answer(&offer, &sfu());
    let video = section(&answered.negotiated.sections, 0);
    // It calls its retransmissions RTX.
    assert_eq!(names(video), ["96 VP8 97"]);
    assert_eq!((video.remote_sources[0].ssrc, video.remote_ssrc_groups.len()), (1_111, 0));
    assert_eq!((video.extensions.len(), video.reduced_size), (0, false));
    let Section::Data(data) = &answered.negotiated.sections[2] else { panic!() };
    assert_eq!((data.remote_sctp_port, data.remote_max_message_size), (5_000, 262_144));
}

#[test]
fn pion_4_2_offers_a_codec_in_each_profile() {
    let offer = read("pion-4.2");
    let answered = answer(&offer, &sfu());
    let video = section(&answered.negotiated.sections, 0);
    // Baseline, Main and High, H265 and the second profile of VP9 are none of ours.
    assert_eq!(names(video), ["96 VP8 97", "106 H264 107", "98 VP9 99", "45 AV1 46"]);
    assert_eq!(video.remote_ssrc_groups[0].ssrcs.len(), 2);
    assert!(video.reduced_size && video.mixed_extensions);
    let ids = [MID, RID, TRANSPORT_CC].map(|uri| video.extension_id(uri, false).map(|id| id.number()));
    assert_eq!(ids, [Some(1), Some(2), Some(4)]);
    // Its fingerprint is the session's. A candidate for RTCP, which needs none, is passed on to the agent.
    let remote = answered.negotiated.transport.unwrap().remote;
    assert_eq!((remote.fingerprints.len(), remote.candidates.len(), remote.end_of_candidates), (1, 2, true));
    let Section::Data(data) = &answered.negotiated.sections[2] else { panic!() };
    assert_eq!(data.remote_max_message_size, 1_073_741_823);
}

#[test]
fn libraries_answer_the_offer_of_an_example() {
    let offer = file("echo.offer.sdp");
    let all = ["96 VP8 97", "98 VP9 99", "100 H264 101", "102 AV1 103"];
    let some = [all[0], all[2]];
    for (name, codecs, role, says_sources, size) in [
        ("aiortc-1.16", &some[..], DtlsRole::Server, true, 262_144),
        // What it sends with is not said.
        ("libdatachannel-0.24", &all[..], DtlsRole::Server, false, 262_144),
        ("pion-4.2", &all[..], DtlsRole::Client, true, 1_073_741_823),
    ] {
        let negotiated = apply_answer(&offer, &file(&format!("echo.{name}.answer.sdp"))).unwrap();
        assert_eq!(negotiated.transport.as_ref().unwrap().role, role, "{name}");
        assert_eq!(names(section(&negotiated.sections, 0)), ["111 opus"], "{name}");
        let video = section(&negotiated.sections, 1);
        assert_eq!(names(video), codecs, "{name}");
        assert_eq!((video.direction, !video.remote_sources.is_empty()), (Direction::SendRecv, says_sources), "{name}");
        assert_eq!(video.extension_id(MID, true).map(|id| id.number()), Some(1), "{name}");
        let Section::Data(data) = &negotiated.sections[2] else { panic!("{name}") };
        assert_eq!((data.remote_sctp_port, data.remote_max_message_size), (5_000, size), "{name}");
    }
}
