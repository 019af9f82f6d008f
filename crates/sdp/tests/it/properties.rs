//! What holds for every text.

use plenary_sdp::offer_answer::{Section, answer, apply_answer};
use plenary_sdp::{Description, Limits};
use proptest::prelude::*;

use crate::golden;
use crate::parties::{REMOTE, sfu};

/// A line that may stand in a section, with values from small sets so that they meet.
fn attribute() -> impl Strategy<Value = String> {
    let number = 90..=100u8;
    let name = "[a-f]";
    prop_oneof![
        (number.clone(), "(VP8|VP9|H264|AV1|rtx|red|X)", prop::option::of(1..3u8)).prop_map(|(n, name, channels)| {
            let channels = channels.map(|count| format!("/{count}")).unwrap_or_default();
            format!("rtpmap:{n} {name}/90000{channels}")
        }),
        (number.clone(), "(apt=9[0-9]|profile-id=[0-4]|9[0-9]/9[0-9]|[ -~]{0,20})")
            .prop_map(|(n, text)| format!("fmtp:{n} {text}")),
        (number, "(nack|nack pli|ccm fir|goog-remb|transport-cc|ack ccfb|x y)")
            .prop_map(|(n, text)| format!("rtcp-fb:{n} {text}")),
        (1..=20u16, "(|/sendonly|/recvonly|/inactive)", "[a-z]{1,5}( x)?")
            .prop_map(|(id, direction, uri)| format!("extmap:{id}{direction} urn:{uri}")),
        (name, "(send|recv)", "(| max-width=[0-9]{1,4}| pt=9[0-9]| speed=1)")
            .prop_map(|(id, direction, rest)| format!("rid:{id} {direction}{rest}")),
        "simulcast:send ~?a(,b)?;~?c( recv d(;e)?)?",
        (any::<u32>(), "(cname:[!-~]{1,9}|msid:[a-z] [a-z]|label|x:[ -~]*)")
            .prop_map(|(ssrc, text)| format!("ssrc:{ssrc} {text}")),
        (any::<u32>(), any::<u32>()).prop_map(|(one, two)| format!("ssrc-group:FID {one} {two}")),
        "msid:(-|[a-z]{1,5})( [a-z]{1,5})?",
        "candidate:[ -~]{1,40}[!-~]",
        "(ice-ufrag:[a-zA-Z0-9+/]{4,9}|ice-pwd:[a-zA-Z0-9+/]{22,30}|ice-options:[a-z]{1,9}( [a-z]{1,9})?|end-of-candidates)",
        "(setup:(actpass|active|passive)|rtcp-mux|rtcp-rsize|extmap-allow-mixed|bundle-only|sendrecv|sendonly|recvonly)",
        "fingerprint:sha-1 0A(:[0-9A-F]{2}){19}",
        "sctp-port:[1-9][0-9]{0,3}",
        "max-message-size:[1-9][0-9]{0,9}",
        "[a-z]{1,3}-[a-z]{1,9}(:[ -~]{0,30})?",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let m = prop_oneof![
        Just("m=video 9 UDP/TLS/RTP/SAVPF 90 91 92 93 94 95 96 97 98 99 100".to_owned()),
        Just("m=audio 0 RTP/SAVPF 96 97".to_owned()),
        Just("m=application 9 UDP/DTLS/SCTP webrtc-datachannel".to_owned()),
    ];
    // Most have what an answer accepts.
    let section = (m, prop::bool::weighted(0.8), prop::collection::vec(attribute(), 0..30));
    let session = (prop::bool::weighted(0.8), prop::collection::vec(attribute(), 0..6));
    let usable = ["rtcp-mux", "rtpmap:96 VP8/90000", "rtpmap:98 H264/90000", H264_98];
    (any::<u64>(), session, prop::collection::vec(section, 0..5)).prop_map(move |(id, (connects, session), media)| {
        let mut text = format!("v=0\r\no=- {id} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
        let mids: Vec<_> = (0..media.len()).map(|n| n.to_string()).collect();
        text += format!("a=group:BUNDLE {}", mids.join(" ")).trim_end();
        text += "\r\n";
        // A line that does not fit the ones before it is left out, so that the text is read.
        let mut add = |line: &str| {
            let longer = format!("{text}{line}\r\n");
            if Description::parse(&longer, &Limits::default()).is_ok() {
                text = longer;
            }
        };
        REMOTE.lines().filter(|_| connects).for_each(&mut add);
        session.into_iter().for_each(|line| add(&format!("a={line}")));
        for (mid, (m, is_usable, lines)) in media.into_iter().enumerate() {
            add(&m);
            add(&format!("a=mid:{mid}"));
            usable.iter().filter(|_| is_usable).for_each(|line| add(&format!("a={line}")));
            lines.into_iter().for_each(|line| add(&format!("a={line}")));
        }
        text
    })
}

const H264_98: &str = "fmtp:98 packetization-mode=1;profile-level-id=42e01f";

/// A golden text of which some bytes are changed, dropped or repeated.
fn damaged() -> impl Strategy<Value = String> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (prop::sample::select(&golden::ALL[..]), prop::collection::vec(damage, 1..20)).prop_map(|(name, damages)| {
        let mut bytes = golden::text(name).into_bytes();
        for (place, byte, what) in damages {
            let place = place.index(bytes.len());
            match what {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, byte),
                _ => {
                    let line =
                        bytes[place..].split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
                    bytes.splice(place..place, line);
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let Ok(read) = Description::parse(text, &limits) else { return Ok(()) };
    let written = read.to_string();
    prop_assert_eq!(Description::parse(&written, &limits), Ok(read.clone()));
    let answered = answer(&read, &sfu());
    prop_assert_eq!(answered.description.media.len(), read.media.len());
    let text = answered.description.to_string();
    prop_assert_eq!(Description::parse(&text, &limits), Ok(answered.description.clone()));
    for (section, media) in answered.negotiated.sections.iter().zip(&answered.description.media) {
        prop_assert_eq!(matches!(section, Section::Rejected(_)), media.port == 0);
    }
    // Who offered takes our answer, if it would be taken from anyone.
    let applied = apply_answer(&read, &answered.description);
    prop_assert!(applied.is_ok(), "{:?}\n{}\n{}", applied, read, answered.description);
    let _ = apply_answer(&answered.description, &read);
    Ok(())
}

proptest! {
    #[test]
    fn what_was_read_is_written_and_answered(text in text()) {
        let read = Description::parse(&text, &Limits::default());
        prop_assert!(read.is_ok());
        prop_assert_eq!(read.unwrap().to_string(), &text[..]);
        holds(&text)?;
    }

    #[test]
    fn damaged_text_is_read_or_refused(text in damaged()) {
        holds(&text)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*", lines in "([a-z]=[ -~]{0,20}\r?\n){0,20}") {
        let _ = Description::parse(&text, &Limits::default());
        let _ = Description::parse(&format!("v=0\no=- 1 1 IN IP4 a\ns=-\nt=0 0\n{lines}"), &Limits::default());
        let _ = Description::parse(&format!("v=0\no=- 1 1 IN IP4 a\ns=-\nt=0 0\na={text}"), &Limits::default());
    }
}
