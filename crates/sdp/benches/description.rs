//! Reading, writing and answering an offer, beside `sdp-types` which reads lines only.

use std::collections::BTreeMap;

use divan::Bencher;
use plenary_sdp::offer_answer::{
    CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, Policy, RtpPolicy, answer,
};
use plenary_sdp::{Description, Direction, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Origin, Word};

const CHROMIUM: &str = include_str!("../tests/golden/chromium.offer.sdp");

fn main() {
    divan::main();
}

fn read(text: &str) -> Description {
    Description::parse(text, &Limits::default()).expect("it is within the limits")
}

/// As large as the limits allow: 16,384 lines, 512 KiB.
fn largest() -> String {
    let mut text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    for mid in 0..16 {
        text += &format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\n");
        (0..1_020).for_each(|index| text += &format!("a=rtcp-fb:96 x{index:05} yyyyyyyyyy\r\n"));
    }
    text
}

/// The dearest to answer: of the 512 KiB nearly all are parameters by which codecs are told apart.
fn dearest() -> String {
    let types: Vec<_> = (0..31).map(|number: u8| number.to_string()).collect();
    let mut text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    text += &format!("m=video 9 UDP/TLS/RTP/SAVPF {}\r\na=rtcp-mux\r\n", types.join(" "));
    for number in types {
        let parameters = "x;".repeat(8_150);
        text += &format!("a=rtpmap:{number} H264/90000\r\na=fmtp:{number} {parameters}packetization-mode=1\r\n");
    }
    text
}

#[divan::bench]
fn parse_chromium() -> Description {
    read(divan::black_box(CHROMIUM))
}

#[divan::bench]
fn parse_chromium_by_sdp_types() -> sdp_types::Session {
    sdp_types::Session::parse(divan::black_box(CHROMIUM).as_bytes()).expect("it is one")
}

#[divan::bench]
fn parse_largest(bencher: Bencher<'_, '_>) {
    let text = largest();
    assert!(text.len() > 500_000);
    bencher.bench(|| read(&text));
}

#[divan::bench]
fn write_chromium(bencher: Bencher<'_, '_>) {
    let offer = read(CHROMIUM);
    bencher.bench(|| offer.to_string());
}

#[divan::bench]
fn answer_chromium(bencher: Bencher<'_, '_>) {
    let (offer, policy) = (read(CHROMIUM), policy());
    bencher.bench(|| answer(&offer, &policy));
}

#[divan::bench]
fn answer_dearest(bencher: Bencher<'_, '_>) {
    let (offer, policy) = (read(&dearest()), policy());
    bencher.bench(|| answer(&offer, &policy));
}

fn policy() -> Policy {
    let rtp = |codecs: Vec<LocalCodec>| RtpPolicy {
        direction: Direction::RecvOnly,
        codecs,
        order: CodecOrder::Local,
        extensions: vec![LocalExtension {
            uri: Word::new("urn:ietf:params:rtp-hdrext:sdes:mid").expect("a URI"),
            direction: Direction::SendRecv,
        }],
        receive_streams_max: 3,
        send_streams_max: 0,
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    };
    let video = |format, parameters| LocalCodec::video(format, parameters).expect("a codec");
    Policy {
        origin: Origin::new(1),
        transport: LocalTransport {
            ufrag: IceUfrag::new("ours").expect("it is long enough"),
            pwd: IcePwd::new("ourPasswordOurPassword").expect("it is long enough"),
            ice_lite: true,
            ice_options: Vec::new(),
            fingerprints: vec![Fingerprint::new(HashFunction::Sha256, &[7; 32]).expect("32 bytes")],
            preferred_role: DtlsRole::Server,
            candidates: Vec::new(),
            end_of_candidates: true,
            in_every_section: true,
        },
        audio: Some(rtp(vec![LocalCodec::audio("opus/48000/2", "").expect("a codec")])),
        video: Some(rtp(vec![
            video("VP8/90000", ""),
            video("VP9/90000", "profile-id=0"),
            video("H264/90000", "packetization-mode=1;profile-level-id=42e01f"),
            video("H264/90000", "packetization-mode=0;profile-level-id=42e01f"),
        ])),
        data: None,
        sections: BTreeMap::new(),
    }
}
