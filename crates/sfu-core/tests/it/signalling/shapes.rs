//! How browsers write answers, so far as it matters; held against a real one.

use plenary_sdp::{Attribute, Description, Limits, Media, MediaKind, RidDirection};

/// Who answers: credentials of ICE and a fingerprint.
pub(super) struct Writer<'w> {
    pub(super) ufrag: &'w str,
    pub(super) pwd: &'w str,
    pub(super) fingerprint: &'w str,
}

pub(super) const WRITER: Writer<'static> = Writer {
    ufrag: "BGjk",
    pwd: "2n9NtLy3tFa0/xQVupC7maM+",
    fingerprint: "sha-256 06:73:40:05:D0:AC:55:69:D7:91:95:EF:B6:24:4D:E8:8E:29:F0:EC:FF:7F:1C:02:88:55:65:F0:92:60:54:0B",
};

const DEFAULT_OFF: &str = "abs-capture-time";
/// What Firefox does not know.
const NOT_IN_FIREFOX: [&str; 4] =
    ["abs-capture-time", "dependency-descriptor", "video-layers-allocation", "video-orientation"];

fn head(media: &Media, payload_types: &[String]) -> String {
    let kind = match media.kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        _ => "application",
    };
    format!("m={kind} 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\n", payload_types.join(" "))
}

fn bundle(offer: &Description) -> String {
    offer.bundle().unwrap().mids.iter().map(|mid| format!(" {mid}")).collect()
}

/// An answer of Chromium 156 that takes everything, as `server.chromium-156.answer.sdp` of `plenary-sdp` is written.
pub(super) fn chromium(offer: &str, writer: &Writer<'_>) -> String {
    let offer = Description::parse(offer, &Limits::default()).unwrap();
    let mut out = format!(
        "v=0\r\no=- 5568784976476723414 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{}\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n",
        bundle(&offer)
    );
    for (index, media) in offer.media.iter().enumerate() {
        if media.is_rejected() {
            out += &media.to_string();
            continue;
        }
        let codecs = media.codecs();
        let payload_types: Vec<_> = codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        out += &head(media, &payload_types);
        out += &format!("a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", writer.ufrag, writer.pwd);
        out += &format!("a=ice-options:trickle\r\na=fingerprint:{}\r\na=setup:active\r\n", writer.fingerprint);
        out += &format!("a=mid:{}\r\n", media.mid().unwrap());
        for map in media.extensions().filter(|map| !map.uri.as_str().contains(DEFAULT_OFF)) {
            out += &format!("a=extmap:{} {}\r\n", map.id, map.uri);
        }
        let direction = offer.direction(media).reversed();
        out += &format!("a={direction}\r\n");
        if direction.sends() {
            out += &format!("a=msid:- 5d6d1f7d-e1be-4a1c-a81e-c0c1f585877{index}\r\n");
        }
        out += "a=rtcp-mux\r\na=rtcp-rsize\r\n";
        for line in &media.attributes {
            if matches!(line, Attribute::RtpMap(_) | Attribute::RtcpFb(_) | Attribute::Fmtp(_)) {
                out += &format!("a={line}\r\n");
            }
        }
        if !direction.sends() {
            continue;
        }
        let rids: Vec<_> = media.rids().map(|rid| rid.id.as_str()).collect();
        rids.iter().for_each(|rid| out += &format!("a=rid:{rid} send\r\n"));
        if !rids.is_empty() {
            out += &format!("a=simulcast:send {}\r\n", rids.join(";"));
        } else {
            let ssrc = 2_045_410_224 + 10 * index;
            if media.kind == MediaKind::Video {
                out +=
                    &format!("a=ssrc-group:FID {ssrc} {}\r\na=ssrc:{} cname:k2R7dVq0tXcW4mEh\r\n", ssrc + 1, ssrc + 1);
            }
            out += &format!("a=ssrc:{ssrc} cname:k2R7dVq0tXcW4mEh\r\n");
        }
    }
    out
}

/// An answer of Firefox 153 that takes everything that it can: what is said once stands before the sections, attributes are in
/// the order of the alphabet, each encoding has its SSRCs, H.264 is not there.
pub(super) fn firefox(offer: &str, writer: &Writer<'_>) -> String {
    let offer = Description::parse(offer, &Limits::default()).unwrap();
    let mut out = format!(
        "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 5185937431437240101 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
         a=fingerprint:{}\r\na=group:BUNDLE{}\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n",
        writer.fingerprint,
        bundle(&offer)
    );
    for (index, media) in offer.media.iter().enumerate() {
        let is_h264 = |codec: &&plenary_sdp::Codec| codec.is("H264");
        let left_out: Vec<_> = media.codecs().iter().filter(is_h264).map(|codec| codec.payload_type).collect();
        let is_kept = |codec: &plenary_sdp::Codec| {
            !left_out.contains(&codec.payload_type) && codec.retransmits().is_none_or(|of| !left_out.contains(&of))
        };
        let codecs: Vec<_> = media.codecs().into_iter().filter(is_kept).collect();
        if media.is_rejected() || codecs.is_empty() {
            out += &media.rejected().to_string();
            continue;
        }
        let payload_types: Vec<_> = codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        out += &head(media, &payload_types);
        let direction = offer.direction(media).reversed();
        let mut lines = vec![
            format!("ice-pwd:{}", writer.pwd),
            format!("ice-ufrag:{}", writer.ufrag),
            format!("mid:{}", media.mid().unwrap()),
            "rtcp-mux".into(),
            "rtcp-rsize".into(),
            "setup:active".into(),
            "extmap-allow-mixed".into(),
        ];
        let known = |map: &&plenary_sdp::ExtMap| !NOT_IN_FIREFOX.iter().any(|name| map.uri.as_str().contains(name));
        for map in media.extensions().filter(known) {
            let suffix = if map.uri.as_str().contains("stream-id") { "/sendonly" } else { "" };
            lines.push(format!("extmap:{}{suffix} {}", map.id, map.uri));
        }
        for codec in &codecs {
            lines.push(format!("rtpmap:{} {}", codec.payload_type, codec.format));
            if !codec.parameters.is_empty() {
                lines.push(format!("fmtp:{} {}", codec.payload_type, codec.parameters));
            }
        }
        lines.extend(feedback(media, &codecs));
        let rids: Vec<_> =
            media.rids().filter(|rid| rid.direction == RidDirection::Recv).map(|rid| rid.id.as_str()).collect();
        if direction.sends() {
            lines.push(format!("msid:- {{9e466734-cc8c-4a5c-8318-8ec4af78a75{index}}}"));
            rids.iter().for_each(|rid| lines.push(format!("rid:{rid} send")));
            if !rids.is_empty() {
                lines.push(format!("simulcast:send {}", rids.join(";")));
            }
            let has_rtx = media.kind == MediaKind::Video;
            for encoding in 0..rids.len().max(1) {
                let ssrc = 2000 + 100 * index + 2 * encoding;
                lines.push(format!("ssrc:{ssrc} cname:{{879340f6-b596-4254-ba12-d5d7de2d0947}}"));
                if has_rtx {
                    lines.push(format!("ssrc:{} cname:{{879340f6-b596-4254-ba12-d5d7de2d0947}}", ssrc + 1));
                    lines.push(format!("ssrc-group:FID {ssrc} {}", ssrc + 1));
                }
            }
        }
        lines.sort();
        out += &format!("a={direction}\r\n");
        lines.iter().for_each(|line| out += &format!("a={line}\r\n"));
    }
    out
}

fn feedback(media: &Media, codecs: &[plenary_sdp::Codec]) -> Vec<String> {
    let is_kept = |line: &&Attribute| {
        let number = |codec: &plenary_sdp::Codec| Some(codec.payload_type);
        matches!(line, Attribute::RtcpFb(it) if codecs.iter().any(|codec| number(codec) == it.payload_type))
    };
    media.attributes.iter().filter(is_kept).map(ToString::to_string).collect()
}

/// What is different in each answer, made the same; in one order.
fn normal(answer: &str) -> Vec<String> {
    let answer = Description::parse(answer, &Limits::default()).unwrap();
    let sections = answer.media.iter().filter(|media| media.kind != MediaKind::Application).map(|media| {
        let is_compared = |line: &&Attribute| {
            // Chromium says what it has of AV1, where nothing was offered.
            !matches!(line, Attribute::Msid(_) | Attribute::Source(_))
                && !matches!(line, Attribute::Fmtp(fmtp) if fmtp.parameters.as_str().contains("level-idx"))
        };
        let mut lines: Vec<_> = media.attributes.iter().filter(is_compared).map(ToString::to_string).collect();
        lines.sort();
        format!("{} {} {lines:#?}", media.port, media.formats_text())
    });
    sections.collect()
}

trait FormatsText {
    fn formats_text(&self) -> String;
}

impl FormatsText for Media {
    fn formats_text(&self) -> String {
        self.codecs().iter().map(|codec| codec.payload_type.to_string()).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn the_shape_of_chromium_is_that_of_a_real_answer() {
    let offer = include_str!("../../../../sdp/tests/golden/server.offer.sdp");
    let real = include_str!("../../../../sdp/tests/golden/server.chromium-156.answer.sdp");
    // Without its data channel, whose section is not written here.
    let offer = offer.replace(" s2 d\r\n", " s2\r\n").replace(" s2 d\n", " s2\n");
    let cut = offer.find("m=application").unwrap();
    assert_eq!(normal(&chromium(&offer[..cut], &WRITER)), normal(real));
}
