/// g of RFC 8257 §4.2.
const GAIN: f64 = 1.0 / 16.0;

/// How DCTCP answers marks, RFC 8257 §3.3.
#[derive(Debug)]
pub(super) struct Dctcp {
    /// DCTCP.Alpha: which part of the bytes is marked, smoothed.
    alpha: f64,
    /// Of this round trip, which ends when this number is acknowledged.
    arrived: u64,
    marked: u64,
    round_end: u64,
    /// The window was reduced until this number is acknowledged.
    reduced_end: u64,
}

impl Dctcp {
    pub(super) const fn new() -> Self {
        Self { alpha: 1.0, arrived: 0, marked: 0, round_end: 0, reduced_end: 0 }
    }

    /// So many bytes have arrived, all marked or none. The window that is left, if it is reduced.
    pub(super) fn on_ack(
        &mut self,
        bytes: u64,
        (arrived, marked): (u64, bool),
        (ack, sent): (u64, u64),
    ) -> Option<u64> {
        self.arrived += arrived;
        self.marked += if marked { arrived } else { 0 };
        if ack >= self.round_end && self.arrived > 0 {
            let part = self.marked as f64 / self.arrived as f64;
            self.alpha += GAIN * (part - self.alpha);
            (self.arrived, self.marked, self.round_end) = (0, 0, sent);
        }
        if !marked || ack < self.reduced_end {
            return None;
        }
        self.reduced_end = sent;
        Some((bytes as f64 * (1.0 - self.alpha / 2.0)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8257 §3.3: α is the smoothed part of marked bytes, and the window is reduced by half of it, once in a round
    /// trip.
    #[test]
    fn it_is_reduced_by_half_of_what_is_marked() {
        let mut dctcp = Dctcp::new();
        for round in 1..=200 {
            let mut reduced = vec![];
            for part in 0..4u64 {
                let ack = round * 4_000 + part * 1_000;
                reduced.extend(dctcp.on_ack(100_000, (1_000, part == 1), (ack, ack + 4_000)));
            }
            assert_eq!(reduced.len(), 1, "round {round}");
            if round == 200 {
                assert!((87_400..87_600).contains(&reduced[0]), "{reduced:?}");
            }
        }
    }
}
