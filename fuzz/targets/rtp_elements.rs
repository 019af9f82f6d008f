#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Element, Mid, MixedLevels, PlayoutDelay, RepairedRid, Rid, SpatialLayer,
    TransportSequence, TransportSequenceV2, VideoLayersAllocation, VideoOrientation,
};

/// What was read is written in the same bytes or fewer, and read again as the same.
macro_rules! read_and_write {
    ($element:ty, $data:expr) => {{
        let element = <$element>::parse($data).ok();
        if let Some(element) = &element {
            let mut written = vec![0xa5; element.encoded_len()];
            element.write(&mut written);
            assert!(written.len() <= $data.len(), "{element:?}");
            assert_eq!(<$element>::parse(&written).as_ref(), Ok(element));
            let mut again = vec![0x5a; written.len()];
            element.write(&mut again);
            assert_eq!(again, written, "every bit is written");
        }
        element
    }};
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, data)) = bytes.split_first() else { return };
    match choice % 13 {
        0 => drop(read_and_write!(TransportSequence, data)),
        1 => drop(read_and_write!(TransportSequenceV2, data)),
        2 => drop(read_and_write!(VideoOrientation, data)),
        3 => drop(read_and_write!(AbsCaptureTime, data)),
        4 => {
            if let Some(name) = read_and_write!(Mid<'_>, data) {
                assert_eq!(Mid::new(name.as_str()), Ok(name));
            }
        }
        5 => {
            if let Some(name) = read_and_write!(Rid<'_>, data) {
                assert_eq!(Rid::new(name.as_str()), Ok(name));
                assert_eq!(Mid::parse(data).map(Mid::as_str), Ok(name.as_str()), "every RID is a token");
            }
        }
        6 => {
            if let Some(name) = read_and_write!(RepairedRid<'_>, data) {
                assert_eq!(RepairedRid::new(name.as_str()), Ok(name));
            }
        }
        7 => {
            if let Some(time) = read_and_write!(AbsSendTime, data) {
                assert_eq!(AbsSendTime::new(time.bits()), Ok(time));
            }
        }
        8 => {
            if let Some(audio) = read_and_write!(AudioLevel, data) {
                assert_eq!(AudioLevel::new(audio.voice(), audio.level()), Ok(audio));
            }
        }
        9 => {
            if let Some(mixed) = read_and_write!(MixedLevels<'_>, data) {
                let levels: Vec<_> = mixed.levels().collect();
                assert!(MixedLevels::new(&levels).is_ok());
                assert_eq!(levels.len(), data.len());
            }
        }
        10 => {
            if let Some(delay) = read_and_write!(PlayoutDelay, data) {
                assert_eq!(PlayoutDelay::new(delay.min(), delay.max()), Ok(delay));
            }
        }
        // It has the most to go wrong.
        _ => {
            if let Some(allocation) = read_and_write!(VideoLayersAllocation, data) {
                check_allocation(&allocation);
            }
        }
    }
});

/// It can be made by hand from what it tells.
fn check_allocation(allocation: &VideoLayersAllocation) {
    let layers: Vec<_> = allocation.layers().iter().map(by_hand).collect();
    if layers.is_empty() {
        assert_eq!(*allocation, VideoLayersAllocation::NOTHING);
        return;
    }
    assert_eq!(VideoLayersAllocation::new(allocation.stream(), allocation.streams(), &layers).as_ref(), Ok(allocation));
}

fn by_hand(layer: &SpatialLayer) -> SpatialLayer {
    let rates: Vec<_> = layer.rates().collect();
    assert!(rates.iter().all(|rate| *rate <= SpatialLayer::RATE_MAX));
    SpatialLayer::new(layer.stream(), layer.spatial_id(), &rates, layer.picture()).expect("a layer that was read")
}
