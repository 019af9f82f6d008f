use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

/// How long a run may take, in seconds. It waits up to six before its first message, and ten for one that was lost.
const PATIENCE: &str = "60";

/// A run of `turnutils_uclient` that is over.
#[derive(Debug)]
pub struct Uclient {
    /// Whether it went well, as it says itself: also if messages were lost.
    pub is_good: bool,
    /// All that it printed.
    pub printed: String,
}

impl Uclient {
    /// Runs one against this server.
    pub fn run(server: SocketAddr, arguments: &[&str]) -> Self {
        let (ip, port) = (server.ip().to_string(), server.port().to_string());
        let ran = Command::new("timeout")
            .args(["--kill-after=5", PATIENCE, "turnutils_uclient", "-v", "-L", &ip, "-p", &port])
            .args(arguments)
            .arg(&ip)
            .stdin(Stdio::null())
            .output()
            .expect("timeout, of coreutils");
        let printed = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Self { is_good: ran.status.success(), printed }
    }

    /// How many messages it has sent, and how many have come back or to its other side.
    pub fn messages(&self) -> Option<(u64, u64)> {
        Some((self.last("tot_send_msgs=")?, self.last("tot_recv_msgs=")?))
    }

    /// How many messages did not come back, and how many it could not send.
    pub fn lost(&self) -> Option<(u64, u64)> {
        Some((self.last("Total lost packets ")?, self.last("total send dropped ")?))
    }

    /// The numbers of its channels, each time that one was bound.
    pub fn channels(&self) -> Vec<u16> {
        let numbers = self.printed.split("success: 0x").skip(1);
        numbers.filter_map(|rest| u16::from_str_radix(rest.get(..4)?, 16).ok()).collect()
    }

    /// The relays that it was given, one after the other.
    pub fn relayed(&self) -> Vec<SocketAddr> {
        let told = self.printed.split("Received relay addr: ").skip(1);
        let addresses = told.map(|rest| {
            // An IPv6 address stands without brackets.
            let (ip, port) = rest.lines().next()?.trim().rsplit_once(':')?;
            Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
        });
        addresses.map(|address| address.unwrap_or_else(|| panic!("no address: {}", self.printed))).collect()
    }

    /// The number behind the last of these words.
    fn last(&self, words: &str) -> Option<u64> {
        let (_, rest) = self.printed.rsplit_once(words)?;
        rest.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
    }
}

/// Two sockets of an address that send everything back, the second at the port above the first, which is answered: where
/// `turnutils_uclient` has RTP and RTCP. They run as long as the program.
pub fn echo(ip: &str) -> SocketAddr {
    let sockets = std::iter::repeat_with(|| pair(ip)).flatten().next().expect("it does not end");
    let address = sockets[0].local_addr().expect("it is bound");
    for socket in sockets {
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                socket.send_to(&buffer[..len], from).ok();
            }
        });
    }
    address
}

fn pair(ip: &str) -> Option<[UdpSocket; 2]> {
    let first = UdpSocket::bind((ip, 0)).expect("an address of this machine");
    let port = first.local_addr().expect("it is bound").port().checked_add(1)?;
    Some([first, UdpSocket::bind((ip, port)).ok()?])
}
