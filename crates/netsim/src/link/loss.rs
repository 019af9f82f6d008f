use crate::{Probability, Random};

/// Which packets a link loses on the wire, after they took their time in the queue and on the transmitter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability, whatever became of the others.
    Random(Probability),
    /// In bursts.
    GilbertElliott(GilbertElliott),
    /// Packet by packet as listed, `true` for lost, and from the start again at its end. An empty list loses none.
    Trace(Vec<bool>),
}

impl Loss {
    /// Independent loss in whole percent.
    pub const fn percent(percent: u32) -> Self {
        Self::Random(Probability::from_percent(percent))
    }

    /// Loses the packets with these numbers, counted from zero, of each `period`.
    ///
    /// # Panics
    ///
    /// If a number is not below `period`.
    pub fn indexes(lost: &[usize], period: usize) -> Self {
        let mut trace = vec![false; period];
        for &index in lost {
            trace[index] = true;
        }
        Self::Trace(trace)
    }
}

/// The two-state model of Gilbert and Elliott. It begins in the good state; with each packet it first may change its
/// state, then loses the packet or not by the state that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GilbertElliott {
    /// From the good state to the bad one, per packet.
    pub good_to_bad: Probability,
    /// From the bad state to the good one, per packet: one over the mean number of packets in a bad spell.
    pub bad_to_good: Probability,
    /// Loss in the good state.
    pub loss_good: Probability,
    /// Loss in the bad state.
    pub loss_bad: Probability,
}

impl GilbertElliott {
    /// Gilbert's simple form: all is lost in the bad state, nothing in the good one; `loss` in all, in bursts of
    /// `burst` packets on average.
    ///
    /// # Panics
    ///
    /// If `burst` is zero, or the two can't be had together (the good spells would be shorter than a packet).
    pub const fn bursts(loss: Probability, burst: u32) -> Self {
        let million = Probability::ONE.as_ppm();
        let bad_to_good = million / burst;
        let good = (million - loss.as_ppm()) as u64;
        assert!(good > 0, "some packets pass");
        // In balance as many packets enter the bad state as leave it.
        let good_to_bad = bad_to_good as u64 * loss.as_ppm() as u64 / good;
        assert!(good_to_bad <= million as u64, "good spells last a packet or more");
        Self {
            good_to_bad: Probability::from_ppm(good_to_bad as u32),
            bad_to_good: Probability::from_ppm(bad_to_good),
            loss_good: Probability::ZERO,
            loss_bad: Probability::ONE,
        }
    }
}

/// Where a loss model stands.
#[derive(Clone, Debug)]
pub(crate) struct LossState {
    random: Random,
    bad: bool,
    next: usize,
}

impl LossState {
    pub(crate) const fn new(random: Random) -> Self {
        Self { random, bad: false, next: 0 }
    }

    /// Back to the beginning of a model; chance goes on.
    pub(crate) const fn restart(&mut self) {
        self.bad = false;
        self.next = 0;
    }

    pub(crate) fn loses(&mut self, model: &Loss) -> bool {
        match model {
            Loss::None => false,
            Loss::Random(probability) => self.random.chance(*probability),
            Loss::GilbertElliott(model) => {
                let change = if self.bad { model.bad_to_good } else { model.good_to_bad };
                self.bad ^= self.random.chance(change);
                self.random.chance(if self.bad { model.loss_bad } else { model.loss_good })
            }
            Loss::Trace(trace) => {
                let lost = trace.get(self.next).is_some_and(|&lost| lost);
                self.next = if self.next + 1 < trace.len() { self.next + 1 } else { 0 };
                lost
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(model: &Loss, count: usize) -> Vec<bool> {
        let mut state = LossState::new(Random::new(3, 1));
        (0..count).map(|_| state.loses(model)).collect()
    }

    #[test]
    fn a_trace_repeats() {
        let expected = [false, true, false, false, true, false, false, true];
        assert_eq!(losses(&Loss::indexes(&[1], 3), 8), expected);
        assert_eq!(losses(&Loss::Trace(vec![]), 3), [false; 3]);
    }

    #[test]
    fn bursts_have_their_rate_and_length() {
        let lost = losses(&Loss::GilbertElliott(GilbertElliott::bursts(Probability::from_percent(5), 4)), 400_000);
        let total = lost.iter().filter(|lost| **lost).count();
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((19_000..21_000).contains(&total), "{total} of 400,000");
        let hundredths = total * 100 / bursts;
        assert!((385..415).contains(&hundredths), "{hundredths} hundredths of a packet");
    }

    #[test]
    fn both_states_may_lose() {
        let model = GilbertElliott {
            good_to_bad: Probability::from_percent(10),
            bad_to_good: Probability::from_percent(30),
            loss_good: Probability::from_percent(1),
            loss_bad: Probability::from_percent(50),
        };
        // A quarter of the time is bad: 0.75 × 1 % + 0.25 × 50 % = 13.25 %.
        let total = losses(&Loss::GilbertElliott(model), 400_000).into_iter().filter(|lost| *lost).count();
        assert!((52_000..54_000).contains(&total), "{total} of 400,000");
    }
}
