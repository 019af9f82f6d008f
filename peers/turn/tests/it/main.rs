//! The client against coturn, and coturn's client against the relay, on the loopback.

mod uclient;

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plenary_stun::ErrorCode;
use plenary_turn::client::{Config, DropReason, Event, Failure, Transport};
use plenary_turn_peers::{Coturn, Link, Session};
use plenary_wire::FlowId;

fn folder(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

fn config() -> Config {
    Config { entropy: [9; 32], password: "secret".into(), ..Config::default() }
}

fn is_allocated(session: &Session) -> bool {
    session.client.allocated().is_some()
}

/// A peer that sends everything back, for as long as the test runs.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..len], from).ok();
        }
    });
    address
}

/// One datagram after the other, each until it is back; answers how many bytes each took on its way to the server.
fn exchange(session: &mut Session, peer: SocketAddr, datagrams: u8) -> Vec<usize> {
    let mut sizes = Vec::new();
    for number in 0..datagrams {
        let data = [number; 101];
        let mut size = 0;
        // What comes before the permission is dropped.
        let is_back = (0..3).any(|_| {
            size = session.send(peer, &data);
            session.until_for(Duration::from_secs(1), |session| !session.heard.data.is_empty())
        });
        assert!(is_back, "datagram {number}");
        assert_eq!(session.heard.data.pop(), Some((peer, data.to_vec())));
        sizes.push(size);
    }
    sizes
}

/// 20 of header, 12 of XOR-PEER-ADDRESS, 4 of DATA, and the 101 bytes with their padding.
const INDICATION: usize = 20 + 12 + 4 + 104;

#[test]
fn data_goes_there_and_back_over_udp() {
    let coturn = Coturn::start(&folder("udp"), &[]);
    let peer = echo();
    let mut session = Session::new(coturn.address(), Link::udp(), config());
    let local = session.links[0].local();
    assert!(session.until(is_allocated), "{:?}", session.events);
    assert_eq!(session.client.allocated().unwrap().mapped, local);
    let sizes = exchange(&mut session, peer, 20);
    assert_eq!((sizes[0], sizes[19]), (INDICATION, 4 + 101), "{sizes:?}");

    assert_eq!(session.heard.dropped, []);

    // What was released may be had again by the same address, as soon as coturn has cleared up.
    session.client.close(std::time::Instant::now());
    assert!(session.until(|session| session.events.last() == Some(&Event::Closed)));
    let is_there_again = (0..20).any(|number| {
        session.until_for(Duration::from_millis(500), |_| false);
        session = anew(&mut session, number);
        session.until(|session| session.client.is_ended() || is_allocated(session)) && is_allocated(&session)
    });
    assert!(is_there_again, "{:?}", session.events);

    // What was not may not.
    let mut session = anew(&mut session, 100);
    assert!(session.until(|session| session.client.is_ended()));
    assert_eq!(session.events, [Event::Failed(Failure::Refused(ErrorCode::ALLOCATION_MISMATCH))]);
}

/// Another client on the same socket.
fn anew(session: &mut Session, number: u8) -> Session {
    let link = session.links.pop().unwrap();
    Session::new(session.client.server(), link, Config { entropy: [number; 32], ..config() })
}

#[test]
fn data_goes_there_and_back_over_tcp() {
    let coturn = Coturn::start(&folder("tcp"), &[]);
    let peer = echo();
    let config = Config { transport: Transport::Stream, ..config() };
    let mut session = Session::new(coturn.address(), Link::tcp(coturn.address()), config);
    assert!(session.until(is_allocated), "{:?}", session.events);
    let sizes = exchange(&mut session, peer, 20);
    assert_eq!((sizes[0], sizes[19]), (INDICATION, 4 + 104), "padded: {sizes:?}");
    session.client.close(std::time::Instant::now());
    assert!(session.until(|session| session.events.last() == Some(&Event::Closed)));
}

#[test]
fn a_wrong_password_is_refused() {
    let coturn = Coturn::start(&folder("password"), &[]);
    let config = Config { password: "guess".into(), ..config() };
    let mut session = Session::new(coturn.address(), Link::udp(), config);
    assert!(session.until(|session| session.client.is_ended()));
    assert_eq!(session.events, [Event::Failed(Failure::Refused(ErrorCode::UNAUTHENTICATED))]);
}

#[test]
fn stale_nonces_are_renewed() {
    let coturn = Coturn::start(&folder("nonce"), &["--stale-nonce=1"]);
    let mut session = Session::new(coturn.address(), Link::udp(), config());
    assert!(session.until(is_allocated), "{:?}", session.events);
    session.until_for(Duration::from_secs(2), |_| false);
    assert_eq!(exchange(&mut session, echo(), 2), [INDICATION; 2]);
}

#[test]
fn an_allocation_moves_to_another_socket() {
    let coturn = Coturn::start(&folder("mobility"), &["--mobility"]);
    let peer = echo();
    let mut session = Session::new(coturn.address(), Link::udp(), Config { mobility: true, ..config() });
    assert!(session.until(is_allocated), "{:?}", session.events);
    exchange(&mut session, peer, 2);
    let link = Link::udp();
    let local = link.local();
    session.links.push(link);
    session.client.migrate(FlowId(1), local, std::time::Instant::now()).unwrap();
    assert!(session.until(|session| session.events.last() == Some(&Event::Migrated)), "{:?}", session.events);
    assert_eq!(session.client.path(), (FlowId(1), local));
    exchange(&mut session, peer, 20);
    // coturn 4.6.1 sends a MESSAGE-INTEGRITY without a message to the new address.
    assert!(session.heard.dropped.iter().all(|reason| *reason == DropReason::NotTurn), "{:?}", session.heard.dropped);
}
