//! What is at the host's own addresses.

use std::num::NonZeroUsize;
use std::time::Instant;

use crate::client::Client;
use crate::socket::Socket;
use crate::start::{MOMENT, figure, figures, relay, wait_until};

/// A client of each of two threads: the kernel sends it to either by its port.
pub(crate) fn clients(relay: &plenary_relay::Relay) -> [Client; 2] {
    let mut found: [Vec<Client>; 2] = [Vec::new(), Vec::new()];
    while found.iter().any(Vec::is_empty) {
        let before = figures(relay, "allocations_total", "");
        let client = Client::udp(relay);
        let after = || figures(relay, "allocations_total", "");
        wait_until("it is counted", || after() != before);
        let thread = usize::from(after()[1] != before[1]);
        found[thread].push(client);
        assert!(found.iter().map(Vec::len).sum::<usize>() < 100, "the kernel sends all to one thread");
    }
    found.map(|mut of_one| of_one.pop().unwrap())
}

#[test]
fn relays_of_two_threads_talk_to_each_other() {
    let relay = relay(|config| config.threads = NonZeroUsize::new(2));
    let [mut one, mut other] = clients(&relay);
    for is_bound in [false, true] {
        if is_bound {
            one.bind(other.relayed());
            other.bind(one.relayed());
        } else {
            one.permit(other.relayed().ip());
            other.permit(one.relayed().ip());
        }
        for number in 0..10_u8 {
            one.send(other.relayed(), &[number; 100]);
            let arrived = other.expect();
            assert_eq!((arrived.from, &arrived.bytes[..]), (one.relayed(), &[number; 100][..]));
            other.send(one.relayed(), &[number; 50]);
            let arrived = one.expect();
            assert_eq!((arrived.from, &arrived.bytes[..]), (other.relayed(), &[number; 50][..]));
        }
    }
}

#[test]
fn nothing_else_is_reached_on_the_host() {
    let relay = relay(|config| config.threads = NonZeroUsize::new(2));
    let mut client = Client::udp(&relay);
    let interfaces = nix::ifaddrs::getifaddrs().unwrap();
    let ips = interfaces.filter_map(|it| it.address?.as_sockaddr_in().map(|it| it.ip().to_string()));
    // In the range of relays, where one of another thread might be.
    let mut victims: Vec<Socket> = ips.map(|ip| victim(&ip)).collect();
    assert!(victims.iter().any(|victim| victim.ip().to_string() == "127.0.0.1"));
    for victim in &victims {
        client.permit(victim.ip());
        client.send(victim.address(), b"let me in");
    }
    let listener = relay.listeners()[0];
    client.send(listener, b"round and round");
    let kept_out = |relay: &_| figure(relay, "nowhere_datagrams_total") + own_addresses(relay);
    wait_until("each is counted", || kept_out(&relay) == victims.len() as u64 + 1);
    for victim in &mut victims {
        assert_eq!(victim.next(Instant::now() + MOMENT), None, "{}", victim.address());
    }
}

fn own_addresses(relay: &plenary_relay::Relay) -> u64 {
    figures(relay, "dropped_total", "reason=\"own-address\"").iter().sum()
}

fn victim(ip: &str) -> Socket {
    let at = |port: u16| Socket::bind_at(format!("{ip}:{port}").parse().unwrap());
    (61_000..65_000).find_map(|port| at(port).ok()).expect("a port that is free")
}
