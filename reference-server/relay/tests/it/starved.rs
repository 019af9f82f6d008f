//! No descriptors.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use plenary_stun::{Class, Method, TransactionId, Writer};
use rustix::event::PollFlags;
use rustix::net::{self, AddressFamily, SocketType};

use crate::socket::wait;
use crate::start::{MOMENT, figure, relay, wait_until};

/// Says that this is the process whose descriptors may run out.
const CHILD: &str = "PLENARY_RELAY_STARVED";

#[test]
fn who_has_no_descriptor_waits_and_goes_on() {
    if env::var_os(CHILD).is_some() {
        return starve();
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "starved::who_has_no_descriptor_waits_and_goes_on", "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()).cast_unsigned();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn starve() {
    let relay = relay(|_| ());
    let server: SocketAddr = relay.listeners()[0];
    // All have their descriptors before the relay has none for the other ends of more than eight.
    let sockets: Vec<_> =
        (0..20).map(|_| net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()).collect();
    let next = std::fs::File::open("/dev/null").unwrap();
    let limit = u64::from(std::os::fd::AsRawFd::as_raw_fd(&next).cast_unsigned()) + 8;
    drop(next);
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
    let mut clients: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            net::connect(&socket, &server).unwrap();
            std::net::TcpStream::from(socket)
        })
        .collect();
    wait_until("there is none left", || figure(&relay, "accept_errors_total") > 0);
    let before = cpu_time();
    std::thread::sleep(Duration::from_secs(1));
    let used = cpu_time() - before;
    assert!(used < Duration::from_millis(300), "{used:?} of a second to do nothing");
    assert!((2..30).contains(&figure(&relay, "accept_errors_total")), "tried again now and then");
    let mut request = Vec::new();
    Writer::new(Class::Request, Method::BINDING, TransactionId([1; 12]), &mut request).fingerprint();
    clients.iter_mut().for_each(|client| client.write_all(&request).unwrap());
    let mut answer = [0; 200];
    // Those that are taken are answered, and make room for the others, until all were.
    let mut answered = 0;
    while let Some(mut client) = clients.pop() {
        client.set_nonblocking(true).unwrap();
        wait(&client, PollFlags::IN, MOMENT);
        match client.read(&mut answer) {
            Ok(count) => {
                assert!(count > 32);
                answered += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                clients.insert(0, client);
            }
        }
    }
    assert_eq!(answered, 20);
}
