//! What the tests' own side is, and short ways to say what the other side offers.

use std::collections::BTreeMap;

use plenary_sdp::offer_answer::{
    CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, Policy, RtpPolicy, RtpSection, Section,
};
use plenary_sdp::{
    DataChannel, Description, Direction, Feedback, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Origin, Text,
    Token, Word,
};

pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(crate) const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub(crate) const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub(crate) const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub(crate) const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

pub(crate) fn transport() -> LocalTransport {
    LocalTransport {
        ufrag: IceUfrag::new("ours").unwrap(),
        pwd: IcePwd::new("ourPasswordOurPassword").unwrap(),
        ice_lite: true,
        ice_options: vec![Token::new("ice2").unwrap()],
        fingerprints: vec![Fingerprint::new(HashFunction::Sha256, &[0xab; 32]).unwrap()],
        preferred_role: DtlsRole::Server,
        candidates: vec![Text::new("1 1 udp 2130706431 192.0.2.1 3478 typ host").unwrap()],
        end_of_candidates: true,
        in_every_section: true,
    }
}

fn extensions(uris: &[&str]) -> Vec<LocalExtension> {
    let both = |uri: &&str| LocalExtension { uri: Word::new(uri).unwrap(), direction: Direction::SendRecv };
    uris.iter().map(both).collect()
}

pub(crate) fn rtp(codecs: Vec<LocalCodec>, uris: &[&str]) -> RtpPolicy {
    RtpPolicy {
        direction: Direction::SendRecv,
        codecs,
        order: CodecOrder::Local,
        extensions: extensions(uris),
        receive_streams_max: 3,
        send_streams_max: 0,
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
}

pub(crate) fn video(format: &str, parameters: &str) -> LocalCodec {
    LocalCodec::video(format, parameters).unwrap()
}

pub(crate) fn audio(format: &str, parameters: &str) -> LocalCodec {
    LocalCodec::audio(format, parameters).unwrap()
}

pub(crate) const H264: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";

/// An SFU that knows all the codecs of browsers, VP8 and Opus first.
pub(crate) fn sfu() -> Policy {
    let mut codecs = vec![
        video("VP8/90000", ""),
        video("H264/90000", H264),
        video("VP9/90000", "profile-id=0"),
        video("AV1/90000", "level-idx=5;profile=0;tier=0"),
    ];
    codecs.iter_mut().for_each(|codec| codec.feedback.push(Feedback::GoogRemb));
    let sound = vec![audio("opus/48000/2", "minptime=10;useinbandfec=1;usedtx=1"), audio("red/48000/2", "")];
    Policy {
        origin: Origin::new(7),
        transport: transport(),
        audio: Some(rtp(sound, &[MID, LEVEL, TRANSPORT_CC])),
        video: Some(rtp(codecs, &[MID, RID, REPAIRED_RID, TRANSPORT_CC])),
        data: Some(DataChannel { sctp_port: 5_000, max_message_size: 262_144 }),
        sections: BTreeMap::new(),
    }
}

/// The lines that a description's transport needs.
pub(crate) const REMOTE: &str = "a=ice-ufrag:them\na=ice-pwd:theirPasswordTheirPassw\n\
    a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13\n";

/// A description: lines of the session (after the first four), then those of the sections.
pub(crate) fn description(lines: &str) -> Description {
    let text = format!("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n{lines}");
    Description::parse(&text, &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// An offer of one video section, with these payload types and lines.
pub(crate) fn video_offer(payload_types: &str, lines: &str) -> Description {
    description(&format!(
        "{REMOTE}a=setup:actpass\na=group:BUNDLE 0\nm=video 9 UDP/TLS/RTP/SAVPF {payload_types}\na=mid:0\na=rtcp-mux\n{lines}"
    ))
}

pub(crate) fn section(sections: &[Section], index: usize) -> &RtpSection {
    match &sections[index] {
        Section::Rtp(section) => section,
        other => panic!("{other:?}"),
    }
}

/// Payload types with their names and retransmissions: `96 VP8 97`.
pub(crate) fn names(section: &RtpSection) -> Vec<String> {
    let name = |codec: &plenary_sdp::offer_answer::NegotiatedCodec| {
        let rtx = codec.rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
        format!("{} {}{rtx}", codec.payload_type, codec.format.encoding)
    };
    section.codecs.iter().map(name).collect()
}

/// The value lines of a section that begin so, without `a=`.
pub(crate) fn lines(media: &plenary_sdp::Media, start: &str) -> Vec<String> {
    let all = media.attributes.iter().map(ToString::to_string);
    all.filter(|line| line.starts_with(start)).collect()
}
