//! A client of the relay, on a socket: it waits, with a deadline.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use plenary_relay::Relay;
use plenary_turn::client::{self, Deframer, Event, Failure, Handled, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};
use rustix::event::PollFlags;

use crate::socket::{Arrived, Socket, wait};
use crate::start::PATIENCE;

const FLOW: FlowId = FlowId(0);

pub(crate) struct Client {
    machine: client::Client,
    way: Way,
    /// Requests that were sent, and answers that came.
    asked: u64,
    answered: u64,
    failure: Option<Failure>,
    data: VecDeque<Arrived>,
    icmp: VecDeque<Icmp>,
}

enum Way {
    Datagrams(Socket),
    Stream(TcpStream, Deframer),
}

/// What the client was told of a datagram: to whom, type, code, and what is behind.
pub(crate) type Icmp = (SocketAddr, u8, u16, [u8; 4]);

impl Client {
    /// One by UDP, with an allocation.
    pub(crate) fn udp(relay: &Relay) -> Self {
        Self::by_udp(relay.listeners()[0], |_| ()).unwrap()
    }

    /// One by TCP, with an allocation.
    pub(crate) fn tcp(relay: &Relay) -> Self {
        Self::tcp_at(relay.listeners()[0])
    }

    pub(crate) fn tcp_at(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let local = stream.local_addr().unwrap();
        Self::new(Way::Stream(stream, Deframer::new(65_555)), server, local, |_| ()).unwrap()
    }

    pub(crate) fn by_udp(server: SocketAddr, change: impl FnOnce(&mut client::Config)) -> Result<Self, Failure> {
        let socket = Socket::bind(if server.is_ipv4() { "127.0.0.1" } else { "::1" });
        let local = socket.address();
        Self::new(Way::Datagrams(socket), server, local, change)
    }

    fn new(
        way: Way,
        server: SocketAddr,
        local: SocketAddr,
        change: impl FnOnce(&mut client::Config),
    ) -> Result<Self, Failure> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).unwrap();
        let transport = if let Way::Datagrams(_) = way { Transport::Datagrams } else { Transport::Stream };
        let (username, password) = ("user".to_owned(), "secret".to_owned());
        let mut config = client::Config {
            entropy,
            server,
            flow: FLOW,
            local,
            transport,
            username,
            password,
            // No request is sent twice, so that answers can be counted.
            retransmit: Duration::from_secs(3),
            ..client::Config::default()
        };
        change(&mut config);
        let machine = client::Client::new(config, Instant::now()).unwrap();
        let (data, icmp) = (VecDeque::new(), VecDeque::new());
        let mut client = Self { machine, way, asked: 0, answered: 0, failure: None, data, icmp };
        client.settle();
        client.failure.map_or(Ok(client), Err)
    }

    /// The address by which peers reach it.
    pub(crate) fn relayed(&self) -> SocketAddr {
        self.machine.allocated().and_then(|told| told.ipv4).expect("an allocation")
    }

    /// The one of a peer's family.
    pub(crate) fn relayed_like(&self, peer: SocketAddr) -> SocketAddr {
        let told = self.machine.allocated().expect("an allocation");
        if peer.is_ipv4() { told.ipv4.unwrap() } else { told.ipv6.unwrap() }
    }

    /// Its own address, as the relay knows it.
    pub(crate) fn mapped(&self) -> SocketAddr {
        self.machine.allocated().expect("an allocation").mapped
    }

    /// Requests that were sent.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    pub(crate) fn permit(&mut self, ip: IpAddr) {
        self.machine.permit(ip, Instant::now()).unwrap();
        self.settle();
    }

    /// Has a channel bound.
    pub(crate) fn bind(&mut self, peer: SocketAddr) {
        self.machine.bind(peer, Instant::now()).unwrap();
        self.settle();
        let head = self.machine.wrap(peer, 0, Instant::now()).unwrap().head;
        assert_eq!(head.as_bytes().len(), 4, "there is no channel to {peer}");
    }

    /// Gives the allocation back.
    pub(crate) fn close(mut self) {
        self.machine.close(Instant::now());
        self.settle();
        assert!(self.machine.is_ended());
    }

    pub(crate) fn send(&mut self, peer: SocketAddr, bytes: &[u8]) {
        self.send_with(peer, bytes, Ecn::NotEct);
    }

    pub(crate) fn send_with(&mut self, peer: SocketAddr, bytes: &[u8], ecn: Ecn) {
        let mut out = Vec::new();
        self.machine.send(peer, bytes, Instant::now(), &mut out).unwrap();
        self.write(&out, None, ecn);
    }

    /// Sends datagrams, all as long as the first but for the last, by one call.
    pub(crate) fn send_run(&mut self, peer: SocketAddr, datagrams: &[Vec<u8>]) {
        let (mut out, mut segment) = (Vec::new(), None);
        for bytes in datagrams {
            self.machine.send(peer, bytes, Instant::now(), &mut out).unwrap();
            segment.get_or_insert(out.len());
        }
        self.write(&out, segment, Ecn::NotEct);
    }

    /// Sends these bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8], segment: Option<usize>, ecn: Ecn) {
        match &mut self.way {
            Way::Datagrams(socket) => {
                let (_, server) = (self.machine.path(), self.machine.server());
                socket.send_run(server, bytes, segment, ecn);
            }
            Way::Stream(stream, _) => write_all(stream, bytes),
        }
    }

    /// The next datagram of a peer, as it arrives until then.
    pub(crate) fn next(&mut self, until: Instant) -> Option<Arrived> {
        while self.data.is_empty() && Instant::now() < until {
            self.step(until);
        }
        self.data.pop_front()
    }

    pub(crate) fn expect(&mut self) -> Arrived {
        self.next(Instant::now() + PATIENCE).expect("a datagram of a peer")
    }

    pub(crate) fn expect_icmp(&mut self) -> Icmp {
        let until = Instant::now() + PATIENCE;
        while self.icmp.is_empty() && Instant::now() < until {
            self.step(until);
        }
        self.icmp.pop_front().expect("word of ICMP")
    }

    /// Waits until all requests are answered.
    pub(crate) fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        self.ask();
        while self.answered < self.asked && self.failure.is_none() {
            assert!(Instant::now() < deadline, "{} of {} requests are answered", self.answered, self.asked);
            self.step(deadline);
        }
    }

    fn ask(&mut self) {
        let mut out = Vec::new();
        while self.machine.poll_transmit(Instant::now(), Limit::DATAGRAM, &mut out).is_some() {
            self.write(&out, None, Ecn::NotEct);
            self.asked += 1;
            out.clear();
        }
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Failed(failure) => self.failure = Some(failure),
                Event::PermissionRefused(peer, code) => panic!("{peer} is refused: {code:?}"),
                _ => {}
            }
        }
    }

    /// Takes in what comes until then, if anything does.
    fn step(&mut self, until: Instant) {
        let server = self.machine.server();
        match &mut self.way {
            Way::Datagrams(socket) => {
                if let Some(arrived) = socket.next(until) {
                    self.take(arrived);
                }
            }
            Way::Stream(stream, deframer) => {
                let mut buffer = vec![0; 65_536];
                let count = read(stream, &mut buffer, until);
                let (mut rest, mut messages) = (&buffer[..count], Vec::new());
                while let Some(message) = deframer.take(&mut rest).unwrap() {
                    messages.push(message.to_vec());
                }
                for bytes in messages {
                    self.take(Arrived { from: server, ecn: Ecn::NotEct, bytes });
                }
            }
        }
        self.ask();
    }

    fn take(&mut self, mut arrived: Arrived) {
        let local = self.machine.path().1;
        let Arrived { from: remote, ecn, bytes } = &mut arrived;
        let datagram = Datagram { flow: FLOW, local, remote: *remote, ecn: *ecn, bytes };
        match self.machine.handle_datagram(datagram, Instant::now()) {
            Handled::Consumed => self.answered += 1,
            Handled::Data { peer, bytes } => {
                let bytes = bytes.to_vec();
                self.data.push_back(Arrived { from: peer, ecn: arrived.ecn, bytes });
            }
            Handled::Icmp { peer, kind, code, data } => self.icmp.push_back((peer, kind, code, data)),
            Handled::Dropped(reason) => panic!("{reason:?} of {arrived:?}"),
        }
    }
}

/// Reads what comes until then; 0 is nothing, or the end.
fn read(stream: &mut TcpStream, buffer: &mut [u8], until: Instant) -> usize {
    wait(&*stream, PollFlags::IN, until.saturating_duration_since(Instant::now()));
    match stream.read(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        read => read.unwrap(),
    }
}

/// Writes all, as soon as there is room.
pub(crate) fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) {
    let deadline = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        assert!(Instant::now() < deadline, "{} bytes are not taken", bytes.len());
        match stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&*stream, PollFlags::OUT, Duration::from_millis(100));
            }
            written => bytes = &bytes[written.unwrap()..],
        }
    }
}
