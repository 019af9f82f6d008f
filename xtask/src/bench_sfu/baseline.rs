//! What others cost at the same loads.

/// The cheapest of the servers that were measured at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Other {
    pub(crate) who: &'static str,
    /// Microseconds of CPU of the whole server for each RTP packet that arrived.
    pub(crate) micros: f64,
}

/// Where and when: by the same rule as here, all over loopback, one publisher. They had AES-128-GCM, which is a
/// little cheaper than the AES-256-GCM here, and other clients (Pion, with transport-wide feedback, in the same two cores);
/// audio to 100 and video to 200 had one run only.
pub(crate) const MACHINE: &str = "two shared cores (AMD EPYC, Linux 6.18), November 2026";

/// The part of it that a packet may cost here.
pub(crate) const PART_MAX: f64 = 1.0 / 3.0;

const OTHERS: [(&str, Other); 5] = [
    ("v10", Other { who: "str0m 0.25, its example", micros: 16.1 }),
    ("v50", Other { who: "Janus 1.1.2 with two event loops", micros: 16.8 }),
    ("v100", Other { who: "Janus 1.1.2 with two event loops", micros: 17.1 }),
    ("h200", Other { who: "Janus 1.1.2 with two event loops", micros: 21.4 }),
    ("a100", Other { who: "Janus 1.1.2 with two event loops", micros: 35.3 }),
];

pub(crate) fn of(point: &str) -> Option<Other> {
    OTHERS.iter().find(|(name, _)| *name == point).map(|(_, other)| *other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_sfu::point::POINTS;

    #[test]
    fn each_figure_is_of_a_point() {
        assert!(OTHERS.iter().all(|(name, _)| POINTS.iter().any(|point| point.name == *name)));
        assert_eq!((of("v50").map(|it| it.micros), of("v200")), (Some(16.8), None));
    }
}
