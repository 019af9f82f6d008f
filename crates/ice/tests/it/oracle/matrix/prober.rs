//! Finds by brute force which paths work: it sends real datagrams from all that it has to all that it has heard of,
//! again and again, so that both sides punch holes for each other. It knows nothing of ICE.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use plenary_wire::FlowId;

use super::wire::{ECHO, HEAD, PROBE, Piece, TELL, TOLD, address_of, framed, with_address};

#[derive(Debug)]
pub(crate) struct Prober {
    me: u8,
    /// It asks nothing, and answers where it was asked from: what is behind a lite agent.
    passive: bool,
    bases: Vec<(FlowId, SocketAddr)>,
    remotes: BTreeSet<SocketAddr>,
    /// Where the peer was heard, and on what.
    heard: BTreeSet<(FlowId, SocketAddr)>,
    /// Paths on which a question was answered, by whom it was sent to.
    pub(crate) found: BTreeSet<(FlowId, SocketAddr)>,
    /// How a server saw each base.
    pub(crate) mapped: BTreeMap<FlowId, SocketAddr>,
    pub(crate) out: VecDeque<Piece>,
}

impl Prober {
    pub(crate) const fn new(me: u8, passive: bool) -> Self {
        Self {
            me,
            passive,
            bases: Vec::new(),
            remotes: BTreeSet::new(),
            heard: BTreeSet::new(),
            found: BTreeSet::new(),
            mapped: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    pub(crate) fn add_base(&mut self, flow: FlowId, local: SocketAddr) {
        self.bases.push((flow, local));
    }

    pub(crate) fn add_remote(&mut self, remote: SocketAddr) {
        self.remotes.insert(remote);
    }

    /// Asks how a base is seen from outside.
    pub(crate) fn ask_address(&mut self, (flow, local): (FlowId, SocketAddr), server: SocketAddr) {
        self.out.push_back(Piece { flow, local, remote: server, bytes: with_address(TELL, server, &[]) });
    }

    /// Asks on all paths.
    pub(crate) fn round(&mut self) {
        if self.passive {
            return;
        }
        for &(flow, local) in &self.bases {
            let heard = self.heard.iter().filter(|(on, _)| *on == flow).map(|(_, remote)| remote);
            let remotes = self.remotes.iter().chain(heard).filter(|remote| remote.is_ipv4() == local.is_ipv4());
            for remote in remotes.copied().collect::<BTreeSet<_>>() {
                self.out.push_back(Piece { flow, local, remote, bytes: with_address(PROBE, remote, &[self.me]) });
            }
        }
    }

    pub(crate) fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr) {
        let bytes = framed(&with_address(PROBE, remote, &[self.me]));
        self.out.push_back(Piece { flow, local, remote, bytes });
    }

    pub(crate) fn handle(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, bytes: &[u8], stream: bool) {
        let asked = address_of(bytes);
        let ours = bytes.get(HEAD) == Some(&self.me);
        match bytes[0] {
            TOLD => _ = self.mapped.insert(flow, asked),
            PROBE if !ours => {
                if stream {
                    self.found.insert((flow, remote));
                } else {
                    self.heard.insert((flow, remote));
                }
                let echo = with_address(ECHO, asked, &bytes[HEAD..]);
                let bytes = if stream { framed(&echo) } else { echo };
                self.out.push_back(Piece { flow, local, remote, bytes });
            }
            ECHO if ours && asked == remote => {
                self.found.insert((flow, remote));
            }
            _ => {}
        }
    }
}
