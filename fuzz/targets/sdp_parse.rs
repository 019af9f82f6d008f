#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_sdp::codec::{Av1, H264, H265, Opus, Vp9};
use plenary_sdp::{Description, Limits};

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    let Ok(read) = Description::parse(text, &limits) else { return };
    let written = read.to_string();
    assert_eq!(Description::parse(&written, &limits).as_ref(), Ok(&read));
    assert!(read.media.len() <= limits.media);

    for media in &read.media {
        assert!(media.attributes.len() <= limits.attributes);
        for codec in media.codecs() {
            let parameters = &codec.parameters;
            assert!(parameters.as_str().len() <= text.len());
            if let Some(h264) = H264::from_parameters(parameters) {
                let level = h264.profile_level_id.level();
                assert_eq!(h264.profile_level_id.with_level(level), h264.profile_level_id);
            }
            let _ = (Vp9::from_parameters(parameters), Av1::from_parameters(parameters));
            let _ = (H265::from_parameters(parameters), Opus::from_parameters(parameters));
            assert!(codec.retransmits().is_none() || codec.carries().is_empty());
        }
        assert!(media.rids().count() <= limits.rids);
        let streams = media.simulcast().unwrap_or_default();
        assert!(
            streams.send.iter().chain(&streams.recv).flatten().all(|one| media.rids().any(|rid| rid.id == one.rid))
        );
        media.rids().for_each(|rid| drop((rid.restrictions(), rid.payload_types())));
        assert!(read.transport(media).candidates.len() <= limits.candidates);
    }
});
