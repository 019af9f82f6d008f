use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Load for a TURN server on this machine
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-turn-load")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// As much as the server relays: a window of packets that have not arrived yet
    Relay(Relay),
    /// A fixed rate: how long packets take
    Latency(Latency),
    /// Requests without credentials from many addresses
    Strangers(Strangers),
    /// Allocations that do nothing
    Idle(Lives),
    /// Allocations that are released at once
    Churn(Lives),
    /// A relay without TURN; it says where it listens, and ends when it is ended
    Floor {
        #[arg(value_enum)]
        kind: Kind,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A call to receive and a call to send each packet
    Call,
    /// recvmmsg and sendmmsg
    Batch,
    /// UDP_GRO in, UDP_SEGMENT out
    Segments,
}

/// Whom to load, and whose figures to read
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// On loopback
    #[arg(long, value_parser = loopback)]
    pub(crate) server: SocketAddr,
    /// Name and password; without them the server is a floor
    #[arg(long, value_parser = credentials)]
    pub(crate) user: Option<(String, String)>,
    /// The server's process
    #[arg(long)]
    pub(crate) pid: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Relay {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) load: Load,
    /// Packets on the way at most, but one burst in any case
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=2048))]
    pub(crate) window: u16,
    /// Milliseconds before what is measured
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) warmup: u64,
    /// Milliseconds that are measured
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=300_000))]
    pub(crate) millis: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Latency {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) load: Load,
    /// Nothing lies between: what loopback itself takes
    #[arg(long)]
    pub(crate) direct: bool,
    /// Packets a second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=300_000))]
    pub(crate) millis: u64,
}

/// What is sent
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Load {
    /// Allocations, which take turns
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) clients: u16,
    /// Bytes of payload
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(16..=1400))]
    pub(crate) bytes: u16,
    /// Packets that leave together, of one client
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=40))]
    pub(crate) burst: u16,
    /// Sound and pictures in place of bursts of one size
    #[arg(long)]
    pub(crate) media: bool,
    #[arg(long, value_enum, default_value_t = Send::Plain)]
    pub(crate) send: Send,
    #[arg(long, value_enum, default_value_t = Way::Out)]
    pub(crate) way: Way,
    /// Whoever receives takes runs of datagrams (UDP_GRO): loopback does not cut them then on the server's account
    #[arg(long)]
    pub(crate) gro: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Send {
    /// A call for each packet
    Plain,
    /// A call for each burst: sendmmsg
    Batch,
    /// A call for each burst: UDP_SEGMENT; loopback hands it on whole to who can take it
    Segments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// From clients to a peer
    Out,
    /// From a peer to clients
    In,
    /// By turns
    Both,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Strangers {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Each has an address of its own
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sources: u32,
    /// Requests in all, of which the sources take turns
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) requests: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Lives {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) allocations: u32,
    /// Clients that wait for the server at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) together: u16,
}

impl Relay {
    pub(crate) const fn warmup(&self) -> Duration {
        Duration::from_millis(self.warmup)
    }

    pub(crate) const fn time(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

/// Load is for one's own machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
    if address.is_ipv4() && address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{address} is not in 127.0.0.0/8"))
    }
}

fn credentials(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or_else(|| format!("`{text}` is not `name:password`"))?;
    Ok((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Mode, String> {
        let words = format!("plenary-turn-load {line}");
        Options::try_parse_from(words.split_whitespace()).map(|it| it.mode).map_err(|error| error.to_string())
    }

    #[test]
    fn load_is_bounded_and_stays_on_the_machine() {
        let Ok(Mode::Relay(relay)) = parse("relay --server 127.0.0.1:3478 --pid 1 --user a:b:c --burst 32") else {
            panic!("a good line")
        };
        assert_eq!(relay.target.user, Some(("a".to_owned(), "b:c".to_owned())));
        assert_eq!((relay.load.burst, relay.load.send, relay.load.way), (32, Send::Plain, Way::Out));
        for (line, why) in [
            ("relay --pid 1 --server 192.0.2.1:80", "is not in 127.0.0.0/8"),
            ("relay --pid 1 --server [::1]:80", "is not in 127.0.0.0/8"),
            ("relay --pid 1 --server 127.0.0.1:80 --burst 41", "is not in 1..=40"),
            ("idle --pid 1 --server 127.0.0.1:80 --user a", "is not `name:password`"),
            ("latency --pid 1 --server 127.0.0.1:80 --rate 0", "is not in 1..=1000000"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
