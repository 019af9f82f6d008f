use std::time::Duration;

use plenary_wire::{DataSize, Ecn};

use crate::stream::{Connection, Segment};
use crate::traffic::Tcp;

/// IPv4's and TCP's, without options.
const HEADERS: DataSize = DataSize::from_bytes(40);

/// Both ends of one TCP flow of cross traffic, for those who drive [`Link`](crate::Link)s without a
/// [`Network`](crate::Network): they carry segments from one end to the other.
///
/// After each call of `handle_*`, ask [`poll_segment`](Self::poll_segment) of that end until it has none.
#[derive(Debug)]
pub struct TcpFlow {
    tcp: Tcp,
    sender: Connection,
    /// There is none before the first segment has come.
    receiver: Option<Connection>,
    received: DataSize,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpEnd {
    /// It opens the flow, and has all that is to be sent.
    Sender,
    /// It acknowledges.
    Receiver,
}

/// What one end has for the other.
#[derive(Clone, Debug)]
pub struct TcpSegment(Segment);

impl TcpSegment {
    /// With TCP and IPv4 headers.
    pub const fn size(&self) -> DataSize {
        HEADERS.saturating_add(DataSize::from_bytes(self.0.length()))
    }

    /// The bits that its packet leaves with.
    pub const fn ecn(&self) -> Ecn {
        self.0.ecn
    }
}

impl TcpFlow {
    /// A flow that sends so much, or without an end.
    pub fn new(tcp: Tcp, length: Option<DataSize>) -> Self {
        let mut sender = Connection::connect(tcp.stream());
        sender.fill(length.map_or(u64::MAX >> 1, DataSize::as_bytes));
        Self { tcp, sender, receiver: None, received: DataSize::ZERO }
    }

    /// What an end sends now.
    pub fn poll_segment(&mut self, end: TcpEnd, now: Duration) -> Option<TcpSegment> {
        let connection = match end {
            TcpEnd::Sender => &mut self.sender,
            TcpEnd::Receiver => self.receiver.as_mut()?,
        };
        connection.poll_segment(now).map(TcpSegment)
    }

    /// A segment of the other end has come to this one, in a packet with these bits.
    pub fn handle_segment(&mut self, end: TcpEnd, segment: TcpSegment, ecn: Ecn, now: Duration) {
        let segment = Segment { ecn, ..segment.0 };
        match (end, &mut self.receiver) {
            (TcpEnd::Sender, _) => self.sender.handle_segment(segment, now),
            (TcpEnd::Receiver, Some(receiver)) => {
                receiver.handle_segment(segment, now);
                self.received = self.received.saturating_add(DataSize::from_bytes(receiver.take_filler()));
            }
            (TcpEnd::Receiver, none) => *none = Some(Connection::accept(self.tcp.stream())),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called for an end; every call may change it.
    pub fn poll_timeout(&self, end: TcpEnd) -> Option<Duration> {
        match end {
            TcpEnd::Sender => self.sender.poll_timeout(),
            TcpEnd::Receiver => self.receiver.as_ref().and_then(Connection::poll_timeout),
        }
    }

    /// Time has come to [`poll_timeout`](Self::poll_timeout) of an end, or beyond it.
    pub fn handle_timeout(&mut self, end: TcpEnd, now: Duration) {
        match end {
            TcpEnd::Sender => self.sender.handle_timeout(now),
            TcpEnd::Receiver => self.receiver.iter_mut().for_each(|receiver| receiver.handle_timeout(now)),
        }
    }

    /// Ends it with what it has sent.
    pub fn cut(&mut self) {
        self.sender.cut();
    }

    /// Whether all has been sent and acknowledged, or was given up.
    pub fn is_done(&self) -> bool {
        self.sender.is_done()
    }

    /// What has arrived, in order and once, without headers.
    pub const fn received(&self) -> DataSize {
        self.received
    }

    /// How many segments carried something, and how many of these had been sent before.
    pub const fn sent(&self) -> (u64, u64) {
        let counters = self.sender.counters();
        (counters.sent, counters.resent)
    }
}

#[cfg(test)]
mod tests {
    use plenary_wire::Bitrate;

    use super::*;
    use crate::{Link, LinkConfig, Packet};

    /// Both ends over a link each way, until the flow is done, which is cut at some time. Says when.
    fn run(flow: &mut TcpFlow, config: &LinkConfig, cut_at: Duration) -> Duration {
        let mut links = [Link::new(config.clone(), 1, 0), Link::new(LinkConfig::delay(config.delay), 1, 1)];
        let ends = [TcpEnd::Sender, TcpEnd::Receiver];
        let mut now = Duration::ZERO;
        while !flow.is_done() {
            if now >= cut_at {
                flow.cut();
            }
            for (index, end) in ends.into_iter().enumerate() {
                while let Some(arrival) = links[1 - index].poll_arrival(now) {
                    flow.handle_segment(end, arrival.packet.payload, arrival.packet.ecn, now);
                }
                flow.handle_timeout(end, now);
                while let Some(payload) = flow.poll_segment(end, now) {
                    let (size, ecn): (DataSize, Ecn) = (TcpSegment::size(&payload), payload.ecn());
                    let _ = links[index].send(Packet { size, ecn, payload }, now);
                }
            }
            let timeouts = ends.map(|end| flow.poll_timeout(end));
            let due = links.iter().map(Link::poll_timeout).chain(timeouts).flatten();
            now = due.min().expect("something is due");
        }
        now
    }

    #[test]
    fn a_file_arrives_and_ends_the_flow() {
        let mut flow = TcpFlow::new(Tcp::default(), Some(DataSize::from_bytes(50_000)));
        let end = run(&mut flow, &LinkConfig::delay(Duration::from_millis(50)), Duration::MAX);
        assert_eq!(flow.received(), DataSize::from_bytes(50_000));
        // The handshake, then 10, 20 and 40 segments, and the acknowledgement of the end.
        assert!((400..=600).contains(&end.as_millis()), "{end:?}");
    }

    #[test]
    fn a_long_flow_fills_its_link_and_is_cut() {
        let rate = Bitrate::from_mbps(2).into();
        let config = LinkConfig { rate, ..LinkConfig::delay(Duration::from_millis(50)) };
        let mut flow = TcpFlow::new(Tcp::default(), None);
        let end = run(&mut flow, &config, Duration::from_secs(60));
        // 2 Mb/s with 40 bytes of headers to 1200: 14.5 MB in a minute.
        let share = flow.received().as_bytes() as f64 / 14.52e6;
        assert!((0.95..1.01).contains(&share), "{share}");
        assert!(flow.sent().1 > 0, "a full queue drops");
        assert!((60..65).contains(&end.as_secs()), "{end:?}");
    }
}
