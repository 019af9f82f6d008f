//! Tracks that are encrypted between their ends: headers, extensions and descriptors are clear, payloads are noise.

use plenary_rtp::{Packet, PacketMut};

use super::bench::Bench;
use super::capture::{ALL, Capture, IDS};
use super::path::{Chance, Path};
use super::replay::{Alone, Switching};
use crate::track::Kind;

/// The capture with noise for payloads.
pub(super) fn encrypted(name: &str) -> Capture {
    let mut capture = Capture::open(*ALL.iter().find(|(known, _)| *known == name).unwrap());
    // Repeats of what is now something else.
    capture.sent.retain(|sent| !sent.repairs);
    let mut chance = Chance(7);
    for sent in &mut capture.sent {
        PacketMut::parse(&mut sent.bytes).unwrap().payload_mut().fill_with(|| chance.next() as u8);
    }
    capture
}

/// Those with descriptors, and sound, which needs none.
const ROUTED: [&str; 8] = [
    "chromium-vp8-simulcast",
    "chromium-h264-simulcast",
    "chromium-vp9-l3t3key",
    "chromium-av1-l3t3key",
    "firefox-vp8-simulcast",
    "chromium-vp8-single",
    "chromium-opus",
    "firefox-opus",
];

#[test]
fn noise_is_routed_by_what_is_clear() {
    for capture in ROUTED.map(encrypted) {
        for layer in 0..capture.rids.len() as u8 {
            let (seen, counts) = Alone { layer, opaque: true, ..Alone::new(&capture) }.run();
            assert_eq!((seen.holes, seen.runs.len()), (0, 1));
            assert_eq!(seen.frames.len(), counts[usize::from(layer)], "each frame, byte for byte");
        }
    }
}

#[test]
fn noise_is_switched_and_repaired_too() {
    for (capture, runs) in ROUTED[..2].iter().map(|name| encrypted(name)).zip([12, 10]) {
        let switching = Switching::AtEveryKeyFrame;
        let (seen, _) = Alone { switching, opaque: true, ..Alone::new(&capture) }.run();
        assert_eq!((seen.runs.len(), seen.holes), (runs, 0));
        let switching = Switching::AtRandom;
        let (seen, _) = Alone { path: Path::BAD, switching, opaque: true, seed: 3, ..Alone::new(&capture) }.run();
        assert!(seen.runs.len() > 1, "{}", seen.runs.len());
    }
}

#[test]
fn pictures_without_descriptors_are_not_guessed_at() {
    let capture = encrypted("firefox-av1-single");
    assert!(
        capture
            .sent
            .iter()
            .all(|sent| { Packet::parse(&sent.bytes).unwrap().extension(IDS.dependency_descriptor).is_none() })
    );
    let mut bench = Bench::new(Kind::Video, true);
    let track = bench.publish(capture.codec, capture.payload_type, 1, true);
    bench.attach(track, Some(0));
    for sent in &capture.sent {
        assert!(bench.arrive(track, 0, false, &sent.bytes));
        bench.drain();
    }
    assert!(bench.sent.is_empty() && bench.needed_key_frame, "nothing says where one can begin");
}
