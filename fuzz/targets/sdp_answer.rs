//! The input is an offer; or, with a NUL byte between them, an offer and an answer to it.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plenary_sdp::offer_answer::{
    CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, Policy, RtpPolicy, Section, answer, apply_answer,
};
use plenary_sdp::{
    DataChannel, Description, Direction, Error, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Origin, Text, Word,
};

static POLICY: LazyLock<Policy> = LazyLock::new(|| policy().expect("a policy of constants"));

fuzz_target!(|texts: &str| {
    let limits = Limits::default();
    let (offer, given) = texts.split_once('\0').map_or((texts, None), |(offer, given)| (offer, Some(given)));
    let Ok(offer) = Description::parse(offer, &limits) else { return };
    let ours = answer(&offer, &POLICY);
    assert_eq!(Description::parse(&ours.description.to_string(), &limits).as_ref(), Ok(&ours.description));
    assert_eq!(ours.description.media.len(), offer.media.len());
    let accepted = |section: &&Section| !matches!(section, Section::Rejected(_));
    let count = ours.negotiated.sections.iter().filter(accepted).count();
    assert_eq!(ours.negotiated.transport.is_some(), count > 0);

    // Who made the offer can apply what we answer, and sees as many sections accepted.
    let theirs = apply_answer(&offer, &ours.description).expect("our answer fits");
    assert_eq!(theirs.sections.iter().filter(accepted).count(), count);

    if let Some(Ok(given)) = given.map(|given| Description::parse(given, &limits))
        && let Ok(applied) = apply_answer(&offer, &given)
    {
        assert_eq!(applied.sections.len(), offer.media.len());
        assert_eq!(applied.transport.is_some(), applied.sections.iter().any(|section| accepted(&section)));
    }
});

fn policy() -> Result<Policy, Error> {
    let extension = |uri: &str| Ok(LocalExtension { uri: Word::new(uri)?, direction: Direction::SendRecv });
    let rtp = |codecs| {
        let uris = ["urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"];
        Ok::<_, Error>(RtpPolicy {
            direction: Direction::SendRecv,
            codecs,
            order: CodecOrder::Offer,
            extensions: uris.into_iter().map(extension).collect::<Result<_, Error>>()?,
            receive_streams_max: 3,
            send_streams_max: 2,
            msids: Vec::new(),
            sources: Vec::new(),
            ssrc_groups: Vec::new(),
        })
    };
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    let symmetric = "packetization-mode=0;profile-level-id=42001f";
    Ok(Policy {
        origin: Origin::new(7),
        transport: LocalTransport {
            ufrag: IceUfrag::new("ours")?,
            pwd: IcePwd::new("ourPasswordOurPassword")?,
            ice_lite: true,
            ice_options: Vec::new(),
            fingerprints: vec![Fingerprint::new(HashFunction::Sha256, &[0xab; 32])?],
            preferred_role: DtlsRole::Server,
            candidates: vec![Text::new("1 1 udp 2130706431 192.0.2.1 3478 typ host")?],
            end_of_candidates: true,
            in_every_section: false,
        },
        audio: Some(rtp(vec![LocalCodec::audio("opus/48000/2", "")?, LocalCodec::audio("red/48000/2", "")?])?),
        video: Some(rtp(vec![
            LocalCodec::video("VP8/90000", "")?,
            LocalCodec::video("VP9/90000", "profile-id=0")?,
            LocalCodec::video("H264/90000", h264)?,
            LocalCodec::video("H264/90000", symmetric)?,
            LocalCodec::video("H265/90000", "")?,
            LocalCodec::video("AV1/90000", "")?,
        ])?),
        data: Some(DataChannel { sctp_port: 5_000, max_message_size: 262_144 }),
        sections: BTreeMap::new(),
    })
}
