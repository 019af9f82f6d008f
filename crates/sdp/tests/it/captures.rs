//! What Chromium and Firefox wrote, and were offered, when the captures of `testdata/` were recorded.

use std::fs;
use std::path::{Path, PathBuf};

use plenary_sdp::codec::{Av1, H264, H264Level, H264Profile, Opus, Vp9};
use plenary_sdp::offer_answer::{CodecOrder, DtlsRole, LocalExtension, RtpSection, answer, apply_answer};
use plenary_sdp::{
    Attribute, Codec, Description, Direction, Feedback, GroupSemantics, Limits, Media, MediaKind, RidDirection, Setup,
};

use crate::parties::{MID, REMOTE, names as names_of, section, sfu};

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(ending));
    files.sort();
    files
}

pub(crate) fn read(name: &str) -> Description {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures").join(name);
    Description::parse(&fs::read_to_string(path).unwrap(), &Limits::default()).unwrap()
}

fn names(media: &Media) -> Vec<(u8, String)> {
    let of = |codec: &Codec| (codec.payload_type.number(), codec.format.to_string());
    media.codecs().iter().map(of).collect()
}

#[test]
fn every_capture_is_read_and_written_byte_for_byte() {
    let paths = files(".sdp");
    assert_eq!(paths.len(), 22);
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let read = Description::parse(&text, &Limits::default()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(read.to_string().replace("\r\n", "\n"), text, "{path:?}");
        let again = Description::parse(&read.to_string(), &Limits::default());
        assert_eq!(again.as_ref(), Ok(&read), "{path:?}");
    }
}

#[test]
fn every_capture_is_one_bundled_section() {
    for path in files(".sdp") {
        let text = fs::read_to_string(&path).unwrap();
        let read = Description::parse(&text, &Limits::default()).unwrap();
        let [media] = &read.media[..] else { panic!("{path:?}") };
        assert_eq!(read.bundle().unwrap().mids, [media.mid().unwrap().clone()]);
        assert!(media.has(&Attribute::RtcpMux) && read.allows_mixed_extensions(media));
        let is_offer = path.to_str().unwrap().ends_with(".offer.sdp");
        let setup = read.transport(media).setup;
        let direction = read.direction(media);
        let expected = if is_offer {
            (Some(Setup::ActPass), Direction::RecvOnly)
        } else {
            (Some(Setup::Active), Direction::SendOnly)
        };
        assert_eq!((setup, direction), expected, "{path:?}");
    }
}

#[test]
fn chromium_answers_simulcast() {
    let answer = read("chromium-vp8-simulcast.answer.sdp");
    assert_eq!((answer.origin.session_id, answer.origin.version), (4_307_800_215_093_462_402, 2));
    let video = &answer.media[0];
    assert_eq!((&video.kind, video.port), (&MediaKind::Video, 36_526));
    assert_eq!(names(video), [(96, "VP8/90000".to_owned()), (97, "rtx/90000".to_owned())]);
    let codecs = video.codecs();
    assert_eq!(codecs[0].feedback, [Feedback::GoogRemb, Feedback::CcmFir, Feedback::Nack, Feedback::NackPli]);
    assert_eq!(codecs[1].retransmits(), Some(codecs[0].payload_type));
    let rids: Vec<_> = video.rids().map(|rid| rid.to_string()).collect();
    assert_eq!(rids, ["q send", "h send", "f send"]);
    let simulcast = video.simulcast().unwrap();
    let sent: Vec<_> = simulcast.send.iter().map(|stream| stream[0].rid.as_str()).collect();
    assert_eq!((sent, simulcast.recv.len()), (vec!["q", "h", "f"], 0));
    let extensions: Vec<_> = answer.extensions(video).map(|map| map.id.number()).collect();
    assert_eq!(extensions, [4, 9, 6, 11, 1, 2, 3, 7, 5, 8]);
    assert_eq!(video.msids().next().unwrap().stream, None);
    assert_eq!(video.connection.as_ref().unwrap().host, "192.0.2.2");
}

#[test]
fn chromium_answers_each_codec_with_its_parameters() {
    let first = |name: &str| read(name).media[0].codecs().swap_remove(0).parameters;
    let h264 = H264::from_parameters(&first("chromium-h264-simulcast.answer.sdp")).unwrap();
    assert_eq!(h264.profile_level_id.profile(), H264Profile::ConstrainedBaseline);
    assert_eq!(h264.profile_level_id.level(), H264Level::L3_1);
    assert_eq!((h264.packetization_mode, h264.level_asymmetry_allowed), (1, true));
    let vp9 = Vp9::from_parameters(&first("chromium-vp9-l3t3key.answer.sdp"));
    assert_eq!(vp9, Some(Vp9 { profile_id: 0 }));
    let av1 = Av1::from_parameters(&first("chromium-av1-l3t3key.answer.sdp"));
    assert_eq!(av1, Some(Av1 { profile: 0, level_idx: 5, tier: 0 }));
    let opus = Opus::from_parameters(&first("chromium-opus.answer.sdp"));
    assert_eq!((opus.min_ptime, opus.use_inband_fec, opus.use_dtx), (10, true, false));
    let red = read("chromium-opus-red.answer.sdp").media[0].codecs();
    assert_eq!(red[0].carries(), [red[1].payload_type, red[1].payload_type]);
}

#[test]
fn firefox_names_its_sources_in_pairs() {
    let answer = read("firefox-vp8-simulcast.answer.sdp");
    assert_eq!(answer.origin.username, "mozilla...THIS_IS_SDPARTA-99.0");
    let video = &answer.media[0];
    let groups: Vec<_> = video.ssrc_groups().map(|group| (group.semantics.clone(), group.ssrcs.clone())).collect();
    assert_eq!(
        groups,
        [
            (GroupSemantics::Fid, vec![4_018_436_346, 1_732_252_747]),
            (GroupSemantics::Fid, vec![2_857_136_617, 2_279_799_856]),
            (GroupSemantics::Fid, vec![3_048_587_959, 25_658_906]),
        ]
    );
    assert_eq!(video.sources().count(), 6);
    // Firefox says who sends an extension.
    let directions: Vec<_> =
        answer.extensions(video).filter_map(|map| Some((map.id.number(), map.direction?))).collect();
    assert_eq!(
        directions,
        [(2, Direction::SendOnly), (3, Direction::SendOnly), (5, Direction::SendOnly), (11, Direction::RecvOnly)]
    );
    // The session says sendrecv, the section sendonly: the section's word holds.
    assert!(answer.attributes.contains(&Attribute::Direction(Direction::SendRecv)));
    assert_eq!(answer.direction(video), Direction::SendOnly);
    assert!(answer.transport(video).end_of_candidates);
}

/// The description with a transport, which the captures lack.
fn with_transport(name: &str) -> Description {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/captures").join(name);
    let text = fs::read_to_string(path).unwrap().replacen("t=0 0\n", &format!("t=0 0\n{REMOTE}"), 1);
    Description::parse(&text, &Limits::default()).unwrap()
}

/// What was agreed on when the capture was made, seen by the server that offered.
fn agreed(name: &str) -> RtpSection {
    let offer = with_transport(&format!("{name}.offer.sdp"));
    let answer = with_transport(&format!("{name}.answer.sdp"));
    let negotiated = apply_answer(&offer, &answer).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(negotiated.transport.unwrap().role, DtlsRole::Server, "{name}");
    section(&negotiated.sections, 0).clone()
}

#[test]
fn every_answer_of_a_browser_fits_its_offer() {
    for (name, codecs, encodings) in [
        ("chromium-av1-l3t3key", &["102 AV1 103"][..], 0),
        ("chromium-av1-simulcast-one-layer", &["102 AV1 103"], 3),
        ("chromium-h264-simulcast", &["98 H264 99"], 3),
        ("chromium-opus-red", &["63 red", "111 opus"], 0),
        ("chromium-opus", &["111 opus"], 0),
        ("chromium-vp8-simulcast", &["96 VP8 97"], 3),
        ("chromium-vp8-single", &["96 VP8 97"], 0),
        ("chromium-vp9-l3t3key", &["100 VP9 101"], 0),
        ("firefox-av1-single", &["102 AV1 103"], 0),
        ("firefox-opus", &["111 opus"], 0),
        ("firefox-vp8-simulcast", &["96 VP8 97"], 3),
    ] {
        let section = agreed(name);
        assert_eq!(names_of(&section), codecs, "{name}");
        assert_eq!((section.direction, section.simulcast.recv.len()), (Direction::RecvOnly, encodings), "{name}");
        assert!(section.mixed_extensions && section.extension_id(MID, false).is_some(), "{name}");
        assert_eq!(section.rids.iter().filter(|rid| rid.direction == RidDirection::Recv).count(), encodings);
    }
    // Firefox's a=rtcp-rsize is missing for audio; its playout delay it only receives.
    assert!(!agreed("firefox-opus").reduced_size && agreed("chromium-opus").reduced_size);
    let section = agreed("firefox-vp8-simulcast");
    let delay = section.extensions.iter().find(|one| one.id.number() == 11).unwrap();
    assert_eq!(delay.direction, Direction::SendOnly);
}

/// Our answer to the captures' offers, with a browser's codecs, agrees on what the browser's own answer agreed on.
#[test]
fn our_answer_agrees_with_the_browsers() {
    let offered_extensions = |name: &str| -> Vec<LocalExtension> {
        // Chromium knows all that was offered.
        let offer = read(&format!("{name}.offer.sdp"));
        let both = |map: &plenary_sdp::ExtMap| LocalExtension { uri: map.uri.clone(), direction: Direction::SendRecv };
        offer.extensions(&offer.media[0]).map(both).collect()
    };
    for name in ["chromium-vp8-simulcast", "chromium-h264-simulcast", "chromium-av1-l3t3key", "chromium-opus-red"] {
        let mut policy = sfu();
        for own in [&mut policy.audio, &mut policy.video].into_iter().flatten() {
            own.extensions = offered_extensions(name);
            own.order = CodecOrder::Offer;
            own.send_streams_max = 3;
        }
        let offer = with_transport(&format!("{name}.offer.sdp"));
        let ours = answer(&offer, &policy);
        let browsers = read(&format!("{name}.answer.sdp"));
        let sorted = |media: &Media| {
            let mut lines: Vec<_> = media.attributes.iter().map(ToString::to_string).collect();
            let kinds =
                ["extmap:", "rtpmap:", "rtcp-fb:", "rid:", "simulcast:", "send", "rtcp-mux", "rtcp-rsize", "mid:"];
            lines.retain(|line| kinds.iter().any(|kind| line.starts_with(kind)));
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours.description.media[0]), sorted(&browsers.media[0]), "{name}");
        assert_eq!(ours.description.media[0].formats, browsers.media[0].formats, "{name}");
    }
}
