//! A client with a way to a peer, and back.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use plenary_stun::ErrorCode;
use plenary_turn::client::{Client, Config, Event, Failure as End, Handled};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use crate::options::Target;
use crate::{Failure, Result};

/// Until a channel is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Insufficient Capacity: a server at its limit makes no allocations until it has had some rest.
pub(crate) const BUSY: End = End::Refused(ErrorCode::INSUFFICIENT_CAPACITY);
pub(crate) const REST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: UdpSocket,
    /// Whom the client sends to.
    pub(crate) server: SocketAddrV4,
    /// Whom the peer sends to.
    pub(crate) relayed: SocketAddrV4,
    /// What the client's datagrams begin with, if anything lies between the two.
    pub(crate) channel: Option<[u8; 2]>,
    /// With a TURN server.
    client: Option<Client>,
}

impl Line {
    /// By the server, be it TURN's or a floor. One that is too busy for it is asked again.
    pub(crate) fn open(target: &Target, peer: SocketAddrV4) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_open(target, peer) {
                Err(Failure::Refused(BUSY)) if Instant::now() < deadline => std::thread::sleep(REST),
                opened => return opened,
            }
        }
    }

    fn try_open(target: &Target, peer: SocketAddrV4) -> Result<Self> {
        let socket = socket()?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let server = v4(target.server);
        let Some(user) = &target.user else { return Self::register(socket, server, peer) };
        let mut client = client(user, server, v4(socket.local_addr()?), [0, 0])?;
        let channel = drive(&socket, &mut client, |client, now| channel(client, peer, now))?;
        let relayed = client.allocated().and_then(|it| it.ipv4).map(v4).ok_or(Failure::Silent(target.server))?;
        Ok(Self { socket, server, relayed, channel: Some(channel), client: Some(client) })
    }

    /// A floor is told the peer's port, and tells its own: see `floor`.
    fn register(socket: UdpSocket, server: SocketAddrV4, peer: SocketAddrV4) -> Result<Self> {
        let [high, low] = peer.port().to_be_bytes();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            socket.send_to(&[0, 0, high, low], server)?;
            let mut answer = [0; 8];
            if let Ok(4) = socket.recv(&mut answer) {
                let relayed = SocketAddrV4::new(*server.ip(), u16::from_be_bytes([answer[2], answer[3]]));
                return Ok(Self { socket, server, relayed, channel: Some([0x40, 0]), client: None });
            }
        }
        Err(Failure::Silent(server.into()))
    }

    /// With nothing between.
    pub(crate) fn direct(peer: SocketAddrV4) -> Result<Self> {
        let socket = socket()?;
        let relayed = v4(socket.local_addr()?);
        Ok(Self { socket, server: peer, relayed, channel: None, client: None })
    }

    pub(crate) fn close(self) -> Result<()> {
        let Some(mut client) = self.client else { return Ok(()) };
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        client.close(Instant::now());
        drive(&self.socket, &mut client, |client, _| Ok(client.is_ended().then_some(())))
    }
}

/// A client of these credentials; what is drawn for it begins with these bytes, so that no two are alike.
pub(crate) fn client(
    user: &(String, String),
    server: SocketAddrV4,
    local: SocketAddrV4,
    number: [u8; 2],
) -> Result<Client> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).expect("nothing here can be done without entropy");
    entropy[..2].copy_from_slice(&number);
    let (username, password) = user.clone();
    let (server, local) = (server.into(), local.into());
    let config = Config { entropy, server, local, username, password, ..Config::default() };
    Client::new(config, Instant::now()).map_err(Failure::Config)
}

/// The number of the channel to a peer, which is asked for if it is not there.
pub(crate) fn channel(client: &mut Client, peer: SocketAddrV4, now: Instant) -> Result<Option<[u8; 2]>> {
    if client.allocated().is_none() {
        return Ok(None);
    }
    client.bind(peer.into(), now).map_err(Failure::Client)?;
    let envelope = client.wrap(peer.into(), 0, now).map_err(Failure::Client)?;
    Ok(match *envelope.head.as_bytes() {
        [high @ 0x40..=0x4f, low, _, _] => Some([high, low]),
        _ => None,
    })
}

/// Goes on until there is something.
fn drive<T>(
    socket: &UdpSocket,
    client: &mut Client,
    found: impl Fn(&mut Client, Instant) -> Result<Option<T>>,
) -> Result<T> {
    let (mut buffer, mut out) = ([0; 2048], Vec::new());
    let (server, local) = (client.server(), socket.local_addr()?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = Instant::now();
        client.handle_timeout(now);
        let done = found(client, now)?;
        while let Some(transmit) = client.poll_transmit(now, Limit::DATAGRAM, &mut out) {
            socket.send_to(transmit.bytes(&out), transmit.remote)?;
            out.clear();
        }
        if let Some(done) = done {
            return Ok(done);
        }
        while let Some(event) = client.poll_event() {
            if let Event::Failed(why) = event {
                return Err(Failure::Refused(why));
            }
        }
        if now > deadline {
            return Err(Failure::Silent(server));
        }
        match socket.recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let bytes = &mut buffer[..length];
                let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes };
                // What peers have sent meanwhile is of no use.
                let (Handled::Consumed | Handled::Dropped(_) | Handled::Data { .. } | Handled::Icmp { .. }) =
                    client.handle_datagram(datagram, Instant::now());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A socket of a client, or of whoever relays.
pub(crate) fn socket() -> Result<UdpSocket> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?)
}

/// Where peers are: a server lets nobody send to its own address.
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// All here is in 127.0.0.0/8.
pub(crate) fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, address.port()),
    }
}
