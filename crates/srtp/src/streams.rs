//! The state of each SSRC.

use plenary_rtp::Ssrc;

/// SSRCs in order, each with its state.
#[derive(Clone, Debug)]
pub(crate) struct Streams<S> {
    ssrcs: Vec<Ssrc>,
    /// As many as `ssrcs`, in the same order.
    states: Vec<S>,
    /// Where the last one asked for was: packets come in runs.
    last: usize,
}

impl<S> Streams<S> {
    pub(crate) const fn new() -> Self {
        Self { ssrcs: Vec::new(), states: Vec::new(), last: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.ssrcs.len()
    }

    /// The place of `ssrc`, as long as none is inserted or removed.
    #[inline]
    pub(crate) fn find(&mut self, ssrc: Ssrc) -> Option<usize> {
        if self.ssrcs.get(self.last) == Some(&ssrc) {
            return Some(self.last);
        }
        let place = self.ssrcs.binary_search(&ssrc).ok()?;
        self.last = place;
        Some(place)
    }

    pub(crate) fn get(&self, ssrc: Ssrc) -> Option<&S> {
        self.ssrcs.binary_search(&ssrc).ok().map(|place| &self.states[place])
    }

    #[inline]
    pub(crate) fn at(&self, place: usize) -> &S {
        &self.states[place]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> &mut S {
        &mut self.states[place]
    }

    /// Inserts an SSRC that is not there, and says where.
    pub(crate) fn insert(&mut self, ssrc: Ssrc, state: S) -> usize {
        let place = self.ssrcs.partition_point(|&other| other < ssrc);
        debug_assert!(self.ssrcs.get(place) != Some(&ssrc), "the SSRC is new");
        self.ssrcs.insert(place, ssrc);
        self.states.insert(place, state);
        self.last = place;
        place
    }

    pub(crate) fn remove(&mut self, place: usize) -> S {
        self.ssrcs.remove(place);
        self.states.remove(place)
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &S> {
        self.states.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ssrc_finds_its_own_state_whatever_was_asked_before() {
        let mut streams = Streams::new();
        for ssrc in [5u32, 1, 9, 3] {
            assert_eq!(streams.find(Ssrc(ssrc)), None);
            streams.insert(Ssrc(ssrc), ssrc * 10);
        }
        for ssrc in [9, 9, 1, 5, 3, 3] {
            let place = streams.find(Ssrc(ssrc)).unwrap();
            assert_eq!(*streams.at(place), ssrc * 10);
        }
        let place = streams.find(Ssrc(3)).unwrap();
        assert_eq!(streams.remove(place), 30);
        assert_eq!((streams.get(Ssrc(3)), streams.get(Ssrc(5))), (None, Some(&50)));
        assert_eq!(streams.find(Ssrc(3)), None);
        assert_eq!(streams.len(), 3);
        let place = streams.find(Ssrc(5)).unwrap();
        assert_eq!(*streams.at(place), 50);
    }
}
