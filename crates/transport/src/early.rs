use std::collections::VecDeque;
use std::net::SocketAddr;

use plenary_wire::FlowId;

/// DTLS datagrams that came before ICE had a path: they are answered by nothing, and judged when it has one.
#[derive(Debug, Default)]
pub(crate) struct Early {
    datagrams: VecDeque<(FlowId, SocketAddr, Box<[u8]>)>,
}

impl Early {
    /// Keeps it, and answers whether there was room.
    pub(crate) fn keep(&mut self, flow: FlowId, remote: SocketAddr, bytes: &[u8], datagrams_max: u16) -> bool {
        let fits = self.datagrams.len() < usize::from(datagrams_max);
        if fits {
            self.datagrams.push_back((flow, remote, bytes.into()));
        }
        fits
    }

    /// The oldest.
    pub(crate) fn take(&mut self) -> Option<(FlowId, SocketAddr, Box<[u8]>)> {
        self.datagrams.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.datagrams = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut early = Early::default();
        let remote = SocketAddr::from(([192, 0, 2, 1], 1));
        assert!(early.keep(FlowId(0), remote, &[20; 1500], 2));
        assert!(early.keep(FlowId(0), remote, &[21], 2));
        assert!(!early.keep(FlowId(0), remote, &[22], 2));
        assert_eq!(early.take().map(|(_, _, bytes)| bytes.len()), Some(1500));
        early.clear();
        assert!(early.take().is_none());
    }
}
