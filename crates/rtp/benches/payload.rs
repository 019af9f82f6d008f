//! What it costs to look into a payload, and to renumber it. `cargo bench -p plenary-rtp --bench payload`
//!
//! Each figure is for a thousand payloads: the median in microseconds is the nanoseconds for one.

use divan::{Bencher, black_box};
use plenary_rtp::payload::{Codec, PictureId, vp8};

#[path = "../tests/it/captures.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod captures;

use captures::Capture;

fn main() {
    divan::main();
}

const COUNT: usize = 1000;

/// The payloads of a capture, begun again where they are fewer than a thousand.
#[divan::bench(args = ["VP8", "VP9", "H264", "AV1", "opus"])]
fn a_describe(bencher: Bencher<'_, '_>, encoding: &str) {
    let (name, codec) = match encoding {
        "VP8" => ("chromium-vp8-simulcast", Codec::Vp8),
        "VP9" => ("chromium-vp9-l3t3key", Codec::Vp9),
        "H264" => ("chromium-h264-simulcast", Codec::H264),
        "AV1" => ("chromium-av1-l3t3key", Codec::Av1),
        _ => ("chromium-opus", Codec::Opus),
    };
    let capture = Capture::open(name);
    let sent: Vec<_> = capture.media(encoding).map(|(_, packet)| packet.payload()).collect();
    let payloads: Vec<_> = sent.iter().cycle().take(COUNT).collect();
    bencher.bench_local(|| {
        let payloads = black_box(&payloads).iter();
        payloads.filter(|payload| codec.describe(payload).expect("a good payload").key_frame).count()
    });
}

/// Picture id, TL0PICIDX and KEYIDX. The captures have none of them, as their layers are in the dependency descriptor.
#[divan::bench]
fn b_rewrite_vp8(bencher: Bencher<'_, '_>) {
    let descriptor = vp8::Descriptor {
        start_of_partition: true,
        picture_id: Some(PictureId::Fifteen(7)),
        tl0_pic_idx: Some(8),
        layer: Some(vp8::TemporalLayer { id: 1, sync: true }),
        key_idx: Some(9),
        ..vp8::Descriptor::default()
    };
    let mut payload = Vec::new();
    descriptor.write(&mut payload).expect("numbers that fit");
    payload.resize(1188, 0x5a);
    let mut payloads = vec![payload; COUNT];
    bencher.bench_local(|| {
        for (number, payload) in (0..).zip(black_box(&mut payloads)) {
            vp8::set_picture_id(payload, number).expect("15 bits");
            vp8::set_tl0_pic_idx(payload, number as u8).expect("a byte");
            vp8::set_key_idx(payload, number as u8 & vp8::KEY_IDX_MAX).expect("5 bits");
        }
    });
}
