use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::runs::Runs;

/// Load for a plenary-server on this machine
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-load")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Publishers and subscribers in one meeting
    Call(Call),
    /// The least that sending as much costs: a copy, a tag and a system call
    Floor(Floor),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Call {
    /// Where the server's signalling is; on loopback
    #[arg(long, value_parser = loopback)]
    pub(crate) server: SocketAddr,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) publishers: u16,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) subscribers: u16,
    #[command(flatten)]
    pub(crate) media: Media,
    /// Only the first subscriber decrypts; the others count by the headers
    #[arg(long)]
    pub(crate) light: bool,
    /// Seconds that media flows before it is measured
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub(crate) warmup: u64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) seconds: u64,
}

/// What a publisher sends
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Media {
    #[arg(long, value_enum, default_value_t = Kind::Video)]
    pub(crate) kind: Kind,
    /// Packets of a picture; sound has one
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) burst: u16,
    /// Bytes of payload [default: 1150, and 100 of sound]
    #[arg(long, value_parser = clap::value_parser!(u16).range(32..=1200))]
    pub(crate) payload: Option<u16>,
    /// By how many bytes the packets of a picture differ at most
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=16))]
    pub(crate) uneven: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Audio,
    Video,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Floor {
    /// Runs by their length, as `length:count,…`
    #[arg(long)]
    pub(crate) runs: Runs,
    /// Bytes of each datagram
    #[arg(long, value_parser = clap::value_parser!(u16).range(48..=1472))]
    pub(crate) datagram: u16,
    /// Of the single datagrams, so many leave in one call
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) together: u8,
    /// Destinations
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) subscribers: u16,
    /// Milliseconds between two bursts
    #[arg(long, default_value_t = 33, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) tick: u64,
    /// Seconds that the runs are spread over
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) seconds: u64,
}

impl Media {
    /// From one burst to the next.
    pub(crate) const fn interval(&self) -> Duration {
        match self.kind {
            Kind::Audio => Duration::from_millis(20),
            Kind::Video => Duration::from_nanos(1_000_000_000 / 30),
        }
    }

    pub(crate) const fn packets(&self) -> u16 {
        match self.kind {
            Kind::Audio => 1,
            Kind::Video => self.burst,
        }
    }

    pub(crate) fn payload_bytes(&self) -> u16 {
        self.payload.unwrap_or(if self.kind == Kind::Audio { 100 } else { 1150 })
    }
}

/// Load is for one's own machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
    if address.ip().is_loopback() { Ok(address) } else { Err(format!("{address} is not on loopback")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Mode, String> {
        let words = format!("plenary-load {line}");
        Options::try_parse_from(words.split_whitespace()).map(|it| it.mode).map_err(|error| error.to_string())
    }

    #[test]
    fn load_is_bounded_and_stays_on_the_machine() {
        let Ok(Mode::Call(call)) = parse("call --server 127.0.0.1:8080 --kind audio") else { panic!("a good line") };
        assert_eq!((call.media.packets(), call.media.payload_bytes()), (1, 100));
        assert_eq!(call.media.interval(), Duration::from_millis(20));
        for (line, why) in [
            ("call --server 192.0.2.1:80", "is not on loopback"),
            ("call --server 127.0.0.1:80 --subscribers 1001", "is not in 1..=1000"),
            ("call --server 127.0.0.1:80 --seconds 301", "is not in 1..=300"),
            ("floor --runs 65:1 --datagram 1200 --subscribers 1", "1 to 64"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
