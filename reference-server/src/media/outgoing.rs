//! What was polled and is to be sent. Its bytes are spent, and its numbers with them: it is kept until there is room.

use plenary_wire::Transmit;

use super::counters::Counters;
use super::messages::{MESSAGES_MAX, is_single};
use super::socket::Sent;

/// What was written and has not left, in the order in which it was.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    waiting: Vec<Transmit>,
    /// Of those that wait, how many have left.
    left: usize,
}

impl Outgoing {
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Where the next one is written to, behind those that wait.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes what was written; says whether it is time to send. Single datagrams wait for others to leave with. A run
    /// gains nothing by it.
    pub(super) fn push(&mut self, transmit: Transmit) -> bool {
        let is_due = !is_single(&transmit) || self.waiting.len() + 1 >= MESSAGES_MAX;
        self.waiting.push(transmit);
        is_due
    }

    /// Sends what waits, by a call that takes some of the first; says whether there is room for more. What found none
    /// is kept, and nothing is to be pushed before it has left.
    pub(super) fn send(&mut self, counters: &Counters, mut call: impl FnMut(&[Transmit], &[u8]) -> Sent) -> bool {
        while self.left < self.waiting.len() {
            let waiting = &self.waiting[self.left..];
            match call(waiting, &self.bytes) {
                Sent::Whole(count) => {
                    counters.add_call(&waiting[..count]);
                    self.left += count;
                }
                Sent::Singly { datagrams, refused } => self.pass(datagrams, refused, counters),
                Sent::Blocked => {
                    counters.add_blocked();
                    return false;
                }
            }
        }
        self.bytes.clear();
        self.waiting.clear();
        self.left = 0;
        true
    }

    /// So many datagrams of the first are seen to: the others of it wait on.
    fn pass(&mut self, datagrams: usize, refused: usize, counters: &Counters) {
        let first = &mut self.waiting[self.left];
        let bytes = (datagrams * first.segment).min(first.range.len());
        counters.add_singly(datagrams, refused, bytes);
        first.range.start += bytes;
        self.left += usize::from(first.range.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::Ordering;

    use plenary_wire::{Ecn, FlowId};

    use super::*;

    /// Writes so many datagrams of 10 bytes with this mark to a port; says whether it is time to send.
    fn push(outgoing: &mut Outgoing, (port, mark, datagrams): (u16, u8, usize)) -> bool {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let buffer = outgoing.buffer();
        let start = buffer.len();
        buffer.resize(start + 10 * datagrams, mark);
        let range = start..buffer.len();
        outgoing.push(Transmit {
            flow: FlowId(0),
            local: address,
            remote: address,
            range,
            segment: 10,
            ecn: Ecn::NotEct,
        })
    }

    /// A socket with room for so many calls, each of which takes so many of the first.
    struct Narrow {
        room: usize,
        takes: fn(&[Transmit]) -> Sent,
        /// Port and mark of each datagram that has left.
        left: Vec<(u16, u8)>,
    }

    impl Narrow {
        fn call(&mut self, transmits: &[Transmit], out: &[u8]) -> Sent {
            if self.room == 0 {
                return Sent::Blocked;
            }
            self.room -= 1;
            let sent = (self.takes)(transmits);
            let taken: Vec<&[u8]> = match sent {
                Sent::Whole(count) => transmits[..count].iter().flat_map(|it| it.datagrams(out)).collect(),
                Sent::Singly { datagrams, .. } => transmits[0].datagrams(out).take(datagrams).collect(),
                Sent::Blocked => Vec::new(),
            };
            let mut ports = transmits.iter().flat_map(|it| it.datagrams(out).map(|_| it.remote.port()));
            self.left.extend(taken.iter().map(|bytes| (ports.next().unwrap(), bytes[0])));
            sent
        }
    }

    #[test]
    fn single_datagrams_wait_for_each_other_and_a_run_for_none() {
        let mut outgoing = Outgoing::default();
        for mark in 1..MESSAGES_MAX {
            assert!(!push(&mut outgoing, (1, mark as u8, 1)), "{mark}");
        }
        assert!(push(&mut outgoing, (1, 0, 1)), "as many as one call takes");
        let counters = Counters::default();
        let mut socket = Narrow { room: 1, takes: |it| Sent::Whole(it.len()), left: Vec::new() };
        assert!(outgoing.send(&counters, |transmits, out| socket.call(transmits, out)));
        assert!(push(&mut outgoing, (1, 0, 2)), "a run");
        assert_eq!([&counters.calls, &counters.sent].map(|it| it.load(Ordering::Relaxed)), [1, MESSAGES_MAX as u64]);
    }

    #[test]
    fn what_finds_no_room_is_kept_in_order_whatever_the_kernel_takes() {
        let kernels: [fn(&[Transmit]) -> Sent; 3] = [
            |_| Sent::Whole(1),
            |it| Sent::Whole(it.len().min(2)),
            // No runs: of each, the first two datagrams go, one of them is refused.
            |it| Sent::Singly { datagrams: it[0].range.len().div_ceil(10).min(2), refused: 1 },
        ];
        let parts = [(1, 1, 1), (2, 2, 1), (1, 3, 3), (3, 4, 1), (1, 5, 1), (2, 6, 2)];
        let whole: Vec<_> = parts.iter().flat_map(|part| vec![(part.0, part.1); part.2]).collect();
        for (index, takes) in kernels.into_iter().enumerate() {
            let (mut outgoing, counters) = (Outgoing::default(), Counters::default());
            for part in parts {
                push(&mut outgoing, part);
            }
            let mut socket = Narrow { room: 0, takes, left: Vec::new() };
            let mut tries = 0;
            while !outgoing.send(&counters, |transmits, out| socket.call(transmits, out)) {
                assert!(!outgoing.is_empty());
                (socket.room, tries) = (1, tries + 1);
            }
            assert!(outgoing.is_empty() && outgoing.buffer().is_empty(), "kernel {index}");
            assert_eq!(socket.left, whole, "kernel {index}");
            assert_eq!(counters.blocked.load(Ordering::Relaxed), tries, "kernel {index}");
            let seen = [&counters.sent, &counters.refused].map(|it| it.load(Ordering::Relaxed));
            assert_eq!(seen.iter().sum::<u64>(), whole.len() as u64, "kernel {index}: {seen:?}");
        }
    }
}
