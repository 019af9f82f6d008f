//! Relays of TCP connections: these apply to servers that have them. Clients speak TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, Class, Message, Method};

use crate::answer::{Answer, describe};
use crate::client::{Client, NOTHING};
use crate::draft::{Draft, draw};
use crate::outcome::{Stop, Verdict, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want::{self, AnyError, Error};
use crate::{Probe, Target};

const ALLOCATE: Rule =
    rule("RFC 6062 §5.1", "a TCP allocation has no EVEN-PORT, DONT-FRAGMENT or RESERVATION-TOKEN: 400");
const RELAYED: Rule = rule("RFC 6062 §5.1", "a TCP allocation has a relayed address");
const CONNECT: Rule = rule("RFC 6062 §5.2", "a Connect opens a connection from the relayed address, and has its id");
const REFUSED: Rule =
    rule("RFC 6062 §5.2", "a Connect has a peer (400), an allocation (437), and one connection a peer (446)");
const FAILED: Rule = rule("RFC 6062 §5.2", "a peer that can't be reached: 447");
const ATTEMPT: Rule = rule("RFC 6062 §5.3", "a permitted peer that connects is told of, and another is closed");
const BIND: Rule = rule("RFC 6062 §5.4", "a ConnectionBind has an id that was given, once, else 400");
const DATA: Rule = rule("RFC 6062 §5.5", "bytes go both ways, and the end of one connection ends the other");
const CHANNEL: Rule = rule("RFC 6062 §5.1", "a TCP allocation has no channels");

/// TCP in REQUESTED-TRANSPORT.
const TCP: [u8; 4] = [6, 0, 0, 0];

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = allocations();
    probes.extend(connects());
    probes.extend(binds());
    probes.extend(joined());
    probes.extend(attempts());
    probes
}

fn allocate() -> Draft {
    Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &TCP)
}

fn connect(peer: SocketAddr) -> Draft {
    Draft::request(Method::CONNECT).peer(peer)
}

fn connection_bind(id: &[u8]) -> Draft {
    Draft::request(Method::CONNECTION_BIND).with(Attribute::CONNECTION_ID, id)
}

/// A client with a TCP allocation, if the server makes such.
fn allocated(target: &Target) -> Result<Client<'_>, Stop> {
    let mut client = Client::known(target).map_err(|stop| match stop {
        Stop::Setup(seen) if seen.starts_with("no connection") => Stop::Skipped(format!("no TCP: {seen}")),
        other => other,
    })?;
    let answer = client.ask(&allocate()).map_err(Stop::before)?;
    match answer.code() {
        400 | 403 | 442 if !answer.is_success() => Err(Stop::Skipped(format!("the server relays no TCP: {answer}"))),
        _ => {
            client.adopt(answer.address(Attribute::XOR_RELAYED_ADDRESS).map_err(Stop::before)?);
            Ok(client)
        }
    }
}

/// A probe of a client with a TCP allocation.
fn probe(name: &str, rule: Rule, input: &str, expected: impl ToString, script: fn(Client<'_>) -> Verdict) -> Probe {
    Probe::scripted(format!("tcp.{name}"), rule, input, expected, move |target| {
        let target = target.by_stream();
        script(allocated(&target)?)
    })
}

fn judged(name: &str, rule: Rule, input: &str, want: Want, make: fn(&Client<'_>) -> Draft) -> Probe {
    Probe::scripted(format!("tcp.{name}"), rule, input, want, move |target| {
        let target = target.by_stream();
        let mut client = allocated(&target)?;
        let bytes = client.sign(&make(&client));
        client.judge(&bytes, want)
    })
}

/// A peer that listens.
struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    fn bind(target: &Target) -> Result<Self, Stop> {
        let cannot = |error| Stop::Skipped(format!("no peer can listen at {}: {error}", target.peer_bind));
        let listener = TcpListener::bind((target.peer_bind, 0)).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { listener, address })
    }

    fn accept(&self, within: Duration) -> Option<(TcpStream, SocketAddr)> {
        let deadline = Instant::now() + within;
        loop {
            if let Ok((stream, from)) = self.listener.accept() {
                stream.set_nonblocking(false).ok()?;
                return Some((stream, from));
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What comes within a while; `None` if that is the end or a failure.
fn read(stream: &mut TcpStream, len: usize, within: Duration) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.set_read_timeout(Some(within)).ok()?;
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether it ends within a while.
fn ends(stream: &mut TcpStream, within: Duration) -> bool {
    let is_set = stream.set_read_timeout(Some(within)).is_ok();
    is_set
        && match stream.read(&mut [0; 1]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
}

/// A connection to a peer, and its id. That peers are denied is no fault.
fn connected(client: &mut Client<'_>) -> Result<(TcpStream, SocketAddr, Vec<u8>), Stop> {
    let listener = Listener::bind(client.target)?;
    let answer = client.ask(&connect(listener.address))?;
    if answer.code() == 403 && !answer.is_success() {
        return Err(Stop::Skipped(format!("the server denies peers at {}: see --peer-bind", client.target.peer_bind)));
    }
    let accepted = listener.accept(client.target.patience);
    let (true, Some((stream, from))) = (answer.is_success(), accepted) else {
        return Err(Stop::Fault(format!("{answer}, or no connection at the peer")));
    };
    let id = answer.get(Attribute::CONNECTION_ID).map(<[u8]>::to_vec);
    Ok((stream, from, id.ok_or_else(|| Stop::Fault("no CONNECTION-ID".to_owned()))?))
}

/// Another connection of the client, and what its ConnectionBind was answered with.
fn bound<'t>(client: &Client<'t>, draft: &Draft) -> Result<(Client<'t>, Answer), Stop> {
    let mut data = Client::fresh(client.target)?;
    // Some servers want the nonce of the allocation's connection, and others that of this one.
    (data.realm, data.nonce) = (client.realm.clone(), client.nonce.clone());
    let mut answer = data.ask(draft)?;
    if answer.code() == 438 {
        data.learn(&answer)?;
        answer = data.ask(&draft.clone().transaction(draw()))?;
    }
    Ok((data, answer))
}

fn allocations() -> Vec<Probe> {
    let mut probes = vec![
        probe("allocate", RELAYED, "an Allocate of protocol 6", "a relayed address", |client| {
            let relayed = client.relayed();
            ensure(relayed.port() > 1023 && !relayed.ip().is_unspecified(), relayed.to_string())
        }),
        judged("channel", CHANNEL, "a ChannelBind of a TCP allocation", AnyError, |client| {
            Draft::channel(0x4000, (client.target.peer_bind, 9).into())
        }),
    ];
    for (name, attribute, value) in [
        ("even-port", Attribute::EVEN_PORT, &[0_u8][..]),
        ("dont-fragment", Attribute::DONT_FRAGMENT, b""),
        ("token", Attribute::RESERVATION_TOKEN, &[1; 8]),
    ] {
        let input = format!("an Allocate of protocol 6 with {attribute:?}");
        // DONT-FRAGMENT may be unknown to the server.
        let want = if value.is_empty() { Error(&[400, 420]) } else { Error(&[400]) };
        probes.push(Probe::scripted(format!("tcp.{name}"), ALLOCATE, input, want, move |target| {
            let target = target.by_stream();
            drop(allocated(&target)?);
            let mut client = Client::known(&target)?;
            let bytes = client.sign(&allocate().with(attribute, value));
            client.judge(&bytes, want)
        }));
    }
    probes
}

fn connects() -> Vec<Probe> {
    vec![
        probe("connect", CONNECT, "a Connect", "a connection from the relayed address", |mut client| {
            let (_stream, from, _) = connected(&mut client)?;
            ensure(from == client.relayed(), format!("{from}, relayed {}", client.relayed()))
        }),
        judged("connect-nobody", REFUSED, "a Connect without XOR-PEER-ADDRESS", Error(&[400]), |_| {
            Draft::request(Method::CONNECT)
        }),
        judged("connect-malformed", REFUSED, "a Connect to a peer of 7 bytes", Error(&[400]), |_| {
            Draft::request(Method::CONNECT).with(Attribute::XOR_PEER_ADDRESS, &[0, 1, 0, 9, 1, 2, 3])
        }),
        probe("connect-twice", REFUSED, "a second Connect to the same peer", 446, |mut client| {
            let listener = Listener::bind(client.target)?;
            let answer = client.ask(&connect(listener.address))?;
            if !answer.is_success() {
                return Err(Stop::Skipped(format!("the first was answered with {answer}: see --peer-bind")));
            }
            let bytes = client.sign(&connect(listener.address));
            client.judge(&bytes, Error(&[446]))
        }),
        probe("connect-closed", FAILED, "a Connect to a port at which no one listens", 447, |mut client| {
            let listener = Listener::bind(client.target)?;
            let address = listener.address;
            drop(listener);
            let answer = client.ask(&connect(address))?;
            match answer.code() {
                403 if !answer.is_success() => {
                    Err(Stop::Skipped("the server denies peers here: see --peer-bind".to_owned()))
                }
                code => ensure(code == 447 && !answer.is_success(), answer.to_string()),
            }
        }),
        probe("connect-never", REFUSED, "a Connect of a client without allocation", 437, |client| {
            let mut other = Client::known(client.target)?;
            let bytes = other.sign(&connect((client.target.peer_bind, 9).into()));
            other.judge(&bytes, Error(&[437]))
        }),
        probe("connect-unsigned", REFUSED, "an unsigned Connect", 401, |mut client| {
            let draft = connect((client.target.peer_bind, 9).into()).with(Attribute::SOFTWARE, &[b'.'; 60]);
            client.judge(&draft.unsigned(), Error(&[401]))
        }),
        probe("connect-of-udp", REFUSED, "a Connect of a UDP allocation", AnyError, |client| {
            let mut other = Client::allocated(client.target)?;
            let bytes = other.sign(&connect((client.target.peer_bind, 9).into()));
            other.judge(&bytes, AnyError)
        }),
    ]
}

fn binds() -> Vec<Probe> {
    let of = |name: &str, input: &str, id: fn(&[u8]) -> Vec<u8>| {
        Probe::scripted(format!("tcp.bind-{name}"), BIND, input, 400, move |target| {
            let target = target.by_stream();
            let mut client = allocated(&target)?;
            let (_peer, _, given) = connected(&mut client).map_err(Stop::before)?;
            let (_data, answer) = bound(&client, &connection_bind(&id(&given)))?;
            ensure(answer.code() == 400 && !answer.is_success(), answer.to_string())
        })
    };
    vec![
        of("zero", "a ConnectionBind with the id 0", |_| vec![0; 4]),
        of("next", "a ConnectionBind with another id", |id| id.iter().map(|byte| !byte).collect()),
        of("short", "a ConnectionBind with 3 bytes of the id", |id| id[..3].to_vec()),
        of("long", "a ConnectionBind with 5 bytes", |id| [id, &[0]].concat()),
        probe("bind-none", BIND, "a ConnectionBind without an id", 400, |client| {
            let (_data, answer) = bound(&client, &Draft::request(Method::CONNECTION_BIND))?;
            ensure(answer.code() == 400 && !answer.is_success(), answer.to_string())
        }),
        probe("bind-unsigned", BIND, "an unsigned ConnectionBind", 401, |mut client| {
            let (_peer, _, id) = connected(&mut client).map_err(Stop::before)?;
            let draft = connection_bind(&id).with(Attribute::SOFTWARE, &[b'.'; 60]);
            Client::fresh(client.target)?.judge(&draft.unsigned(), Error(&[401]))
        }),
        probe("bind-control", BIND, "a ConnectionBind on the connection of the allocation", 400, |mut client| {
            let (_peer, _, id) = connected(&mut client).map_err(Stop::before)?;
            let bytes = client.sign(&connection_bind(&id));
            client.judge(&bytes, Error(&[400]))
        }),
        probe("bind-twice", BIND, "two ConnectionBinds with one id", 400, |mut client| {
            let (_peer, _, id) = connected(&mut client).map_err(Stop::before)?;
            let (_data, first) = bound(&client, &connection_bind(&id))?;
            if !first.is_success() {
                return Err(Stop::Setup(first.to_string()));
            }
            let (_other, second) = bound(&client, &connection_bind(&id))?;
            ensure(second.code() == 400 && !second.is_success(), second.to_string())
        }),
    ]
}

/// A probe of two connections that are one.
fn joined_probe(
    name: &str,
    input: &str,
    expected: &str,
    script: fn(&mut TcpStream, Client<'_>, Client<'_>) -> Verdict,
) -> Probe {
    Probe::scripted(format!("tcp.{name}"), DATA, input, expected, move |target| {
        let target = target.by_stream();
        let mut client = allocated(&target)?;
        let (mut peer, _, id) = connected(&mut client)?;
        let (data, answer) = bound(&client, &connection_bind(&id))?;
        if !answer.is_success() {
            return Err(Stop::Fault(format!("a ConnectionBind was answered with {answer}")));
        }
        script(&mut peer, client, data)
    })
}

fn joined() -> Vec<Probe> {
    vec![
        joined_probe("out", "bytes of the client", "come to the peer", |peer, client, mut data| {
            data.link.send(b"hello");
            let seen = read(peer, 5, 3 * client.target.patience);
            ensure(seen.as_deref() == Some(b"hello"), format!("{seen:?}"))
        }),
        joined_probe("in", "bytes of the peer", "come to the client", |peer, client, mut data| {
            // They are whole messages to who reads them here.
            let message = Draft::binding().unsigned();
            peer.write_all(&message).map_err(|error| Stop::Fault(error.to_string()))?;
            let seen = data.next(3 * client.target.patience).ok_or_else(|| Stop::Fault(NOTHING.to_owned()))?;
            ensure(seen == message, describe(&seen))
        }),
        joined_probe("much", "300,000 bytes of the client", "come to the peer", |peer, client, mut data| {
            let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
            let seen = thread::scope(|scope| {
                let reading = scope.spawn(|| read(peer, bytes.len(), 3 * client.target.patience));
                data.link.send(&bytes);
                reading.join().ok().flatten()
            });
            let same = seen.as_ref() == Some(&bytes);
            ensure(same, format!("{:?} bytes, the same: {same}", seen.map(|seen| seen.len())))
        }),
        joined_probe("end-out", "the client closes", "the peer's connection ends", |peer, client, data| {
            drop(data);
            let is_over = ends(peer, 3 * client.target.patience);
            ensure(is_over, format!("over: {is_over}"))
        }),
        joined_probe("end-in", "the peer closes", "the client's connection ends", |peer, client, mut data| {
            let _ = peer.shutdown(std::net::Shutdown::Both);
            let is_over = matches!(data.link.receive(3 * client.target.patience), crate::link::Received::Closed);
            ensure(is_over, format!("over: {is_over}"))
        }),
        joined_probe("end-all", "the allocation ends", "the peer's connection ends", |peer, mut client, _data| {
            client.succeed(&Draft::refresh(0)).map_err(Stop::before)?;
            let is_over = ends(peer, 3 * client.target.patience);
            ensure(is_over, format!("over: {is_over}"))
        }),
    ]
}

/// What tells the client of a peer.
fn attempt(client: &mut Client<'_>) -> Result<(SocketAddr, Vec<u8>), Stop> {
    let bytes = client.next(3 * client.target.patience).ok_or_else(|| Stop::Fault(NOTHING.to_owned()))?;
    let message = Message::parse(&bytes).map_err(|_| Stop::Fault(describe(&bytes)))?;
    let peer = message.get_xor_address(Attribute::XOR_PEER_ADDRESS).ok().flatten();
    let id = message.get(Attribute::CONNECTION_ID).map(<[u8]>::to_vec);
    match (message.class(), message.method(), peer, id) {
        (Class::Indication, Method::CONNECTION_ATTEMPT, Some(peer), Some(id)) => Ok((peer, id)),
        _ => Err(Stop::Fault(describe(&bytes))),
    }
}

/// A connection of a peer to the relayed address.
fn arrives(client: &Client<'_>) -> Result<TcpStream, Stop> {
    TcpStream::connect_timeout(&client.relayed(), 3 * client.target.patience)
        .map_err(|error| Stop::Fault(format!("no connection with the relay: {error}")))
}

fn attempts() -> Vec<Probe> {
    vec![
        probe("attempt", ATTEMPT, "a peer connects that is permitted", "a ConnectionAttempt from it", |mut client| {
            // Who connects from this machine has the address that it connects to, or the usual one.
            client.permit(client.relayed().ip())?;
            let stream = arrives(&client)?;
            let (peer, _) = attempt(&mut client)?;
            let from = stream.local_addr().map_err(|error| Stop::Setup(error.to_string()))?;
            ensure(peer == from, format!("{peer}, connected from {from}"))
        }),
        probe("attempt-data", ATTEMPT, "its id in a ConnectionBind, and bytes", "come to the peer", |mut client| {
            client.permit(client.relayed().ip())?;
            let mut stream = arrives(&client)?;
            let (_, id) = attempt(&mut client)?;
            let (mut data, answer) = bound(&client, &connection_bind(&id))?;
            if !answer.is_success() {
                return Err(Stop::Fault(answer.to_string()));
            }
            data.link.send(b"hello");
            let seen = read(&mut stream, 5, 3 * client.target.patience);
            ensure(seen.as_deref() == Some(b"hello"), format!("{seen:?}"))
        }),
        probe(
            "attempt-stranger",
            ATTEMPT,
            "a peer connects that is not permitted",
            "its end, and no word of it",
            |mut client| {
                let ended = arrives(&client).is_ok_and(|mut stream| ends(&mut stream, 3 * client.target.patience));
                let told = client.next(client.target.grace()).map(|bytes| describe(&bytes));
                ensure(ended && told.is_none(), format!("ended: {ended}; told: {told:?}"))
            },
        ),
    ]
}
