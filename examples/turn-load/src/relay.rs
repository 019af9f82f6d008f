//! The closed loop: no more is on the way than the window holds, so that nothing is lost and the server is never idle
//! for long.

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;
use serde_json::{Value, json};

use crate::burst::{Burst, HEAD};
use crate::figures;
use crate::line::{Line, PEER, v4};
use crate::options::{Load, Relay, Send, Way};
use crate::receiver::Receiver;
use crate::{Failure, Result};

/// What is on the way after so long without a sign is lost.
const LOST_AFTER_MS: u8 = 100;

/// What the kernel keeps for whoever receives: more than a window.
const KERNEL_BYTES: usize = 4 << 20;

/// Clients with their lines, and the peer of all.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    peer: UdpSocket,
    sources: Vec<Source>,
    next: usize,
    receiver: Receiver,
    way: Way,
    how: Send,
    /// Of each payload, where all are alike.
    payload: Option<usize>,
}

/// What one end of a line sends, by turns.
#[derive(Debug)]
struct Source {
    line: usize,
    is_client: bool,
    to: SocketAddrV4,
    bursts: Vec<Burst>,
    next: usize,
}

/// Counted in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    sent: u64,
    received: u64,
}

/// Says what was sent and received in the time that was measured, and the server's CPU for it.
pub(crate) fn run(options: &Relay) -> Result<Value> {
    let pid = options.target.pid;
    let mut lines = Lines::open(&options.load, |peer| Line::open(&options.target, peer))?;
    let window = usize::from(options.window);
    lines.flow(window, options.warmup())?;
    let (cpu, start) = (figures::cpu_ns(pid)?, Instant::now());
    let Count { sent, received } = lines.flow(window, options.time())?;
    let (cpu, seconds) = (figures::cpu_ns(pid)?.saturating_sub(cpu), start.elapsed().as_secs_f64());
    lines.close()?;
    if received == 0 {
        return Err(Failure::NothingArrived(sent));
    }
    let lost = sent.saturating_sub(received);
    Ok(json!({ "sent": sent, "received": received, "lost": lost, "seconds": seconds, "cpu_ns": cpu }))
}

impl Lines {
    pub(crate) fn open(load: &Load, open: impl Fn(SocketAddrV4) -> Result<Line>) -> Result<Self> {
        let (peer, receiver) = (UdpSocket::bind((PEER, 0))?, Receiver::new(load.gro));
        receiver.prepare(&peer)?;
        setsockopt(&peer, RcvBuf, &KERNEL_BYTES)?;
        let address = v4(peer.local_addr()?);
        let lines = (0..load.clients).map(|_| open(address)).collect::<Result<Vec<_>>>()?;
        let mut sources = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            receiver.prepare(&line.socket)?;
            setsockopt(&line.socket, RcvBuf, &KERNEL_BYTES)?;
            if load.way != Way::In {
                let bursts = Burst::all(load, line.channel);
                sources.push(Source { line: number, is_client: true, to: line.server, bursts, next: 0 });
            }
            if load.way != Way::Out {
                let bursts = Burst::all(load, None);
                sources.push(Source { line: number, is_client: false, to: line.relayed, bursts, next: 0 });
            }
        }
        let payload = (!load.media).then_some(usize::from(load.bytes));
        Ok(Self { lines, peer, sources, next: 0, receiver, way: load.way, how: load.send, payload })
    }

    /// Has packets flow for so long, a burst at least, and waits for the last of them.
    fn flow(&mut self, window: usize, time: Duration) -> Result<Count> {
        let end = Instant::now() + time;
        let mut count = Count::default();
        let mut under_way = 0;
        loop {
            let goes_on = count.sent == 0 || Instant::now() < end;
            while goes_on && (under_way == 0 || under_way + self.next_packets() <= window) {
                let sent = self.send(None)?;
                count.sent += sent as u64;
                under_way += sent;
                if sent == 0 {
                    break;
                }
            }
            if under_way == 0 && !goes_on {
                return Ok(count);
            }
            let mut received = self.receive(|_| ())?;
            if received == 0 {
                received = if self.wait()? { self.receive(|_| ())? } else { 0 };
                if received == 0 {
                    under_way = 0;
                }
            }
            count.received += received as u64;
            under_way = under_way.saturating_sub(received);
        }
    }

    fn next_packets(&self) -> usize {
        let source = &self.sources[self.next];
        source.bursts[source.next].packets()
    }

    /// Sends the next burst, with the time if one is given; answers how many packets it had.
    pub(crate) fn send(&mut self, time: Option<Duration>) -> Result<usize> {
        let source = &mut self.sources[self.next];
        let burst = &mut source.bursts[source.next];
        if let Some(time) = time {
            burst.stamp(time);
        }
        let socket = if source.is_client { &self.lines[source.line].socket } else { &self.peer };
        let sent = burst.send(socket, source.to, self.how)?;
        source.next = (source.next + 1) % source.bursts.len();
        self.next = (self.next + 1) % self.sources.len();
        Ok(sent)
    }

    /// Takes what has arrived, anywhere, and hands out each payload; answers how many there were.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<usize> {
        let payload = self.payload;
        // What is of another length is not what was sent: it may be late, of an earlier run by the same floor.
        let mut check = |bytes: &[u8]| {
            let is_as_sent = payload.is_none_or(|payload| payload == bytes.len());
            if is_as_sent {
                take(bytes);
            }
            is_as_sent
        };
        let mut received = 0;
        if self.way != Way::In {
            received += self.receiver.receive(&self.peer, &mut check)?;
        }
        if self.way != Way::Out {
            for line in &self.lines {
                let mut skip = |bytes: &[u8]| match line.channel {
                    // The server may still answer a request.
                    Some(_) => bytes[0] >= 0x40 && check(bytes.get(HEAD..).unwrap_or_default()),
                    None => check(bytes),
                };
                received += self.receiver.receive(&line.socket, &mut skip)?;
            }
        }
        Ok(received)
    }

    /// Until something arrives; false if nothing does.
    fn wait(&self) -> Result<bool> {
        let peer = (self.way != Way::In).then_some(&self.peer);
        let clients = self.lines.iter().filter(|_| self.way != Way::Out).map(|line| &line.socket);
        let mut waiting: Vec<_> =
            clients.chain(peer).map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        Ok(poll(&mut waiting, PollTimeout::from(LOST_AFTER_MS))? > 0)
    }

    pub(crate) fn close(self) -> Result<()> {
        self.lines.into_iter().try_for_each(Line::close)
    }
}
