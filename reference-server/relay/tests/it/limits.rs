//! What runs out, and what comes back.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plenary_relay::{Config, Relay, StartError};
use plenary_turn::client::Failure;
use plenary_turn::{Admission, TimeLimited};
use plenary_wire::Bitrate;

use crate::client::Client;
use crate::socket::Socket;
use crate::start::{FAR, bound, config, figure, figures, ports, relay, wait_until};

#[test]
fn where_no_relay_can_be_is_found_at_the_start() {
    let mut config = config();
    config.relays[0].bind = "198.51.100.9".parse().unwrap();
    let error = Relay::start(config).unwrap_err();
    assert!(error.to_string().starts_with("198.51.100.9:0: "), "{error}");
}

fn config_at(listen: Vec<SocketAddr>) -> Config {
    Config { listen, ..config() }
}

/// The code with which a new client is refused, if it is.
fn refusal(server: SocketAddr) -> Option<u16> {
    match Client::by_udp(server, |_| ()) {
        Ok(client) => {
            client.close();
            None
        }
        Err(Failure::Refused(code)) => Some(code.0),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn who_uses_the_last_ports_closes_the_server_and_who_gives_them_back_opens_it() {
    let few = ports(0..20);
    let relay = relay(|config| config.ports = few.clone());
    let server = relay.listeners()[0];
    let mut clients: Vec<_> = (0..20).map(|_| Client::udp(&relay)).collect();
    let mut ports: Vec<u16> = clients.iter().map(|client| client.relayed().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, few.collect::<Vec<_>>());
    wait_until("it is closed", || figure(&relay, "admits") == 0);
    assert_eq!(figure(&relay, "saturation"), 1000);
    assert!((relay.saturation() - 1.0).abs() < 0.001);
    assert_eq!(refusal(server), Some(508));
    // With 18 of 20 it stays closed: it opens below 900.
    clients.drain(..2).for_each(Client::close);
    wait_until("two are free", || figure(&relay, "saturation") == 900);
    assert_eq!((figure(&relay, "admits"), refusal(server)), (0, Some(508)));
    clients.drain(..2).for_each(Client::close);
    wait_until("it is open", || figure(&relay, "admits") == 1);
    assert_eq!(refusal(server), None);
}

#[test]
fn who_is_told_to_close_closes() {
    let relay = relay(|_| ());
    let server = relay.listeners()[0];
    let mut client = Client::udp(&relay);
    relay.set_admission(Admission::Closed);
    wait_until("it is closed", || figure(&relay, "admits") == 0);
    assert_eq!(refusal(server), Some(508));
    // Those that there are go on.
    let mut peer = Socket::bind(FAR);
    client.bind(peer.address());
    client.send(peer.address(), b"on");
    assert_eq!(peer.expect().bytes, b"on");
    relay.set_admission(Admission::Open);
    wait_until("it is open", || figure(&relay, "admits") == 1);
    assert_eq!(refusal(server), None);
}

#[test]
fn who_is_sent_elsewhere_goes_there() {
    let (here, there) = (relay(|_| ()), relay(|_| ()));
    here.set_admission(Admission::Elsewhere(there.listeners()[0]));
    wait_until("it is closed", || figure(&here, "admits") == 0);
    let client = Client::udp(&here);
    assert_eq!((figure(&here, "allocations_total"), figures(&here, "refused_total", "code=\"300\"")), (0, vec![1]));
    wait_until("it is counted", || figure(&there, "allocations") == 1);
    client.close();
    wait_until("it is gone", || figure(&there, "allocations") == 0);
}

#[test]
fn a_churn_leaves_no_socket_and_takes_no_port() {
    let ports = ports(40..200);
    let relay = relay(|config| config.ports = ports.clone());
    for _ in 0..30 {
        let clients: Vec<_> = (0..100).map(|_| Client::udp(&relay)).collect();
        wait_until("the last ones are gone", || bound("udp", ports.clone()) == 100);
        clients.into_iter().for_each(Client::close);
    }
    wait_until("all are gone", || bound("udp", ports.clone()) == 0);
    wait_until("it is counted", || figure(&relay, "allocations") == 0);
    assert_eq!(figure(&relay, "allocations_total"), 3_000);
    // All ports are there again.
    let clients: Vec<_> = (0..160).map(|_| Client::udp(&relay)).collect();
    assert_eq!(clients.len(), bound("udp", ports));
}

#[test]
fn bandwidth_is_shared_out_among_the_threads() {
    let relay = relay(|config| {
        config.threads = NonZeroUsize::new(2);
        config.turn.total_bitrate = Some(Bitrate::from_kbps(160)); // 10 kB a second, and at once, of each
    });
    let (mut client, peer) = (Client::udp(&relay), Socket::bind(FAR));
    client.bind(peer.address());
    for _ in 0..40 {
        client.send(peer.address(), &[7; 1000]);
    }
    let figure = |name: &str, label| figures(&relay, name, label).iter().sum::<u64>();
    let passed = || figure("to_peers_datagrams_total", "");
    wait_until("all are counted", || passed() + figure("dropped_total", "reason=\"bandwidth\"") == 40);
    // Half of what a second lets through, and what a busy machine regains while it sends.
    assert!((8..16).contains(&passed()), "{}", passed());
}

#[test]
fn who_stops_frees_all_sockets() {
    let ports = ports(20..30);
    let relay = relay(|config| {
        config.ports = ports.clone();
        config.threads = NonZeroUsize::new(2);
    });
    let listener = relay.listeners()[0];
    let port = listener.port();
    let (_one, _other) = (Client::udp(&relay), Client::tcp(&relay));
    assert_eq!((bound("udp", port..=port), bound("udp", ports.clone())), (2, 2));
    assert!(relay.is_running());
    relay.stop();
    assert!(!relay.is_running());
    assert_eq!((bound("udp", port..=port), bound("udp", ports.clone())), (0, 0));
    let _ = (UdpSocket::bind(listener).unwrap(), TcpListener::bind(listener).unwrap());
    // A second time is no harm.
    relay.stop();
    relay.set_admission(Admission::Open);
}

#[test]
fn both_families_are_listened_at_on_the_same_port() {
    let port = *ports(35..36).start();
    let listen = [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()].to_vec();
    let relay = relay(|config| (config.listen, config.told) = (listen.clone(), Some("192.0.2.1".parse().unwrap())));
    assert_eq!(relay.listeners(), [(Ipv4Addr::new(192, 0, 2, 1), port).into(), listen[1]]);
    let client = Client::by_udp((Ipv4Addr::LOCALHOST, port).into(), |_| ()).unwrap();
    assert_eq!(client.relayed().ip().to_string(), "127.0.0.1");
    let taken = config_at(listen);
    assert!(matches!(Relay::start(taken), Err(StartError::Listen(..))), "another one listens there");
}

#[test]
fn secrets_are_replaced() {
    let relay = relay(|config| config.turn.secrets = vec![b"old".to_vec()]);
    let server = relay.listeners()[0];
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let code = |secret: &[u8]| {
        let TimeLimited { username, password } = TimeLimited::new(secret, expires, "user");
        let client = Client::by_udp(server, |config| (config.username, config.password) = (username, password));
        client.map(Client::close).map_err(|failure| match failure {
            Failure::Refused(code) => code.0,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!((code(b"old"), code(b"new")), (Ok(()), Err(401)));
    relay.set_secrets(&[b"new".to_vec()]).unwrap();
    assert_eq!((code(b"old"), code(b"new")), (Err(401), Ok(())));
    assert!(relay.set_secrets(&vec![Vec::new(); 9]).is_err());
    assert_eq!(code(b"new"), Ok(()), "the others hold");
}

#[test]
fn keys_of_nonces_are_replaced() {
    let relay = relay(|config| config.turn.nonce_keys = vec![[1; 32]]);
    let mut client = Client::udp(&relay);
    let ip = FAR.parse().unwrap();
    let stale = |relay: &_| figures(relay, "refused_total", "code=\"438\"")[0];
    // With the old key the old nonce is good.
    relay.set_nonce_keys(&[[2; 32], [1; 32]]).unwrap();
    client.permit(ip);
    assert_eq!(stale(&relay), 0);
    relay.set_nonce_keys(&[[3; 32]]).unwrap();
    client.permit("127.0.0.8".parse().unwrap());
    wait_until("the nonce is stale", || stale(&relay) == 1);
    assert!(relay.set_nonce_keys(&[]).is_err() && relay.set_nonce_keys(&[[0; 32]; 5]).is_err());
}
