//! What applications do: media that come and go while the path stays as it is.

use super::{ms, seconds, shared, steps};
use crate::case::{Case, Flow};

pub(super) fn cases() -> Vec<Case> {
    let video = |spans: &[(u64, u64)]| {
        let spans = spans.iter().map(|(from, to)| (seconds(*from), seconds(*to))).collect();
        vec![Flow { video: spans, ..Flow::of(0, 59) }]
    };
    let case = |name, title, spans: &[(u64, u64)]| {
        let mut case = shared(name, title, 60, steps(&[(0, 2_500)]), video(spans));
        case.links.iter_mut().for_each(|link| link.delay = ms(25));
        case
    };
    vec![
        case("application-unmute", "audio alone, from 20 s on with video", &[(20, 59)]),
        case("application-pause", "video that pauses from 20 s to 40 s", &[(0, 20), (40, 59)]),
    ]
}
