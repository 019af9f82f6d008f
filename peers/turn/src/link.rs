use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use plenary_turn::client::{Client, Config, Deframer, DropReason, Event, Handled};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

/// How the server is reached.
#[derive(Debug)]
pub enum Link {
    /// By a socket.
    Udp(UdpSocket),
    /// By a connection, and what of a message is here.
    Tcp(TcpStream, Deframer),
}

impl Link {
    /// A socket of its own.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
        Self::Udp(socket)
    }

    /// A connection.
    pub fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
        Self::Tcp(stream, Deframer::new(65_555))
    }

    /// The address here.
    pub fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream, _) => stream.local_addr(),
        }
        .expect("it is bound")
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        match self {
            Self::Udp(socket) => _ = socket.send_to(bytes, to).expect("the loopback takes it"),
            Self::Tcp(stream, _) => stream.write_all(bytes).expect("the loopback takes it"),
        }
    }
}

/// A client on its links, by the numbers of their flows.
#[derive(Debug)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// The links.
    pub links: Vec<Link>,
    /// What it has told.
    pub events: Vec<Event>,
    /// What has come.
    pub heard: Heard,
}

/// What has come in, but for what the client keeps to itself.
#[derive(Debug, Default)]
pub struct Heard {
    /// What peers have sent.
    pub data: Vec<(SocketAddr, Vec<u8>)>,
    /// Why something was dropped.
    pub dropped: Vec<DropReason>,
}

impl Session {
    /// A client for the server, by this link.
    pub fn new(server: SocketAddr, link: Link, config: Config) -> Self {
        let config = Config { server, local: link.local(), flow: FlowId(0), username: "user".into(), ..config };
        let client = Client::new(config, Instant::now()).expect("in range");
        Self { client, links: vec![link], events: Vec::new(), heard: Heard::default() }
    }

    /// Goes on until this is so, for 10 s at most: whether it is so.
    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        self.until_for(Duration::from_secs(10), is_so)
    }

    /// Goes on until this is so, for so long at most: whether it is so.
    pub fn until_for(&mut self, time: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + time;
        while !is_so(self) {
            if Instant::now() > deadline {
                return false;
            }
            self.turn();
        }
        true
    }

    /// Sends a peer a datagram.
    pub fn send(&mut self, peer: SocketAddr, bytes: &[u8]) -> usize {
        let mut out = Vec::new();
        let transmit = self.client.send(peer, bytes, Instant::now(), &mut out).expect("there is an allocation");
        self.links[transmit.flow.0 as usize].send(&out, transmit.remote);
        out.len()
    }

    fn turn(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = self.client.poll_transmit(Instant::now(), Limit::DATAGRAM, &mut out) {
            self.links[transmit.flow.0 as usize].send(transmit.bytes(&out), transmit.remote);
            out.clear();
        }
        let mut buffer = [0; 65_536];
        for number in 0..self.links.len() {
            let flow = FlowId(number as u32);
            let local = self.links[number].local();
            match &mut self.links[number] {
                Link::Udp(socket) => match socket.recv_from(&mut buffer) {
                    Ok((len, remote)) => {
                        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut buffer[..len] };
                        take(&mut self.client, &mut self.heard, datagram);
                    }
                    Err(error) => assert!(is_timeout(error.kind()), "{error}"),
                },
                Link::Tcp(stream, deframer) => match stream.read(&mut buffer) {
                    Ok(0) => self.client.handle_closed(flow),
                    Ok(len) => {
                        let (mut bytes, remote) = (&buffer[..len], self.client.server());
                        while let Some(bytes) = deframer.take(&mut bytes).expect("coturn speaks TURN") {
                            let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes };
                            take(&mut self.client, &mut self.heard, datagram);
                        }
                    }
                    Err(error) => assert!(is_timeout(error.kind()), "{error}"),
                },
            }
        }
        self.client.handle_timeout(Instant::now());
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }
}

/// What is kept of what comes in.
fn take(client: &mut Client, heard: &mut Heard, datagram: Datagram<'_>) {
    match client.handle_datagram(datagram, Instant::now()) {
        Handled::Data { peer, bytes } => heard.data.push((peer, bytes.to_vec())),
        Handled::Consumed => {}
        Handled::Dropped(reason) => heard.dropped.push(reason),
        Handled::Icmp { peer, .. } => panic!("{peer} is there"),
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
