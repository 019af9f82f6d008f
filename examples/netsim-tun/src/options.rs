use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use plenary_netsim::{LinkConfig, Loss, Probability, QueueLimit};
use plenary_wire::{Bitrate, DataSize};

use crate::forward::Links;

/// Makes two network namespaces, with a simulated link between them, for as long as a command runs.
///
/// Each figure is for both directions, or is two with a comma: from left to right, and back.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Packets lost at random: 2%, 0.5%
    #[arg(long, default_value = "0%", allow_hyphen_values = true)]
    loss: Each<Percent>,
    /// One-way delay: 50ms, 1.5s, 200us
    #[arg(long, default_value = "0ms", allow_hyphen_values = true)]
    delay: Each<Time>,
    /// Standard deviation of what each packet is delayed more, without reordering
    #[arg(long, default_value = "0ms", allow_hyphen_values = true)]
    jitter: Each<Time>,
    /// Rate, of IP packets: 1mbit, 500kbit, 2.5gbit, or unlimited
    #[arg(long, default_value = "unlimited", allow_hyphen_values = true)]
    rate: Each<Rate>,
    /// What waits before a packet is dropped: 300ms, or 30kB
    #[arg(long, default_value = "300ms", allow_hyphen_values = true)]
    queue: Each<Queue>,
    /// Lets no UDP through, as some firewalls do
    #[arg(long)]
    pub(crate) no_udp: bool,
    /// The largest IP packet, in bytes
    #[arg(long, default_value = "1500", value_parser = mtu, allow_hyphen_values = true)]
    pub(crate) mtu: u64,
    /// What all chance comes from
    #[arg(long, default_value = "0", value_parser = seed, allow_hyphen_values = true)]
    pub(crate) seed: u64,
    /// Name of the one namespace, which has the addresses 10.77.0.1 and fd77::1
    #[arg(long, default_value = "netsim-left")]
    pub(crate) left: String,
    /// Name of the other, with 10.77.0.2 and fd77::2
    #[arg(long, default_value = "netsim-right")]
    pub(crate) right: String,
    /// What to run meanwhile, outside of both: it reaches into them with `ip netns exec`. Without it, until SIGINT
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

impl Options {
    /// The links from left to right, and back.
    pub(crate) fn links(&self) -> Links {
        let both = [0, 1].map(|direction| LinkConfig {
            rate: self.rate.0[direction].0.into(),
            delay: self.delay.0[direction].0,
            jitter: self.jitter.0[direction].0,
            loss: Loss::Random(self.loss.0[direction].0),
            queue: self.queue.0[direction].0,
            mtu: DataSize::from_bytes(self.mtu),
            ..LinkConfig::default()
        });
        Links { both, blocks_udp: self.no_udp, seed: self.seed }
    }
}

/// One value for both directions, or two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Each<T>([T; 2]);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Percent(Probability);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Time(Duration);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate(Bitrate);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Queue(QueueLimit);

/// What a value should look like.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected(&'static str);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for Expected {}

impl<T: FromStr + Copy> FromStr for Each<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text.split_once(',') {
            Some((forward, back)) => Ok(Self([forward.parse()?, back.parse()?])),
            None => text.parse().map(|both| Self([both; 2])),
        }
    }
}

/// IPv6 needs 1280 bytes.
fn mtu(text: &str) -> Result<u64, Expected> {
    let bytes = text.parse().ok().filter(|bytes| (1_280..=9_000).contains(bytes));
    bytes.ok_or(Expected("a number of bytes from 1280 to 9000"))
}

fn seed(text: &str) -> Result<u64, Expected> {
    text.parse().map_err(|_| Expected("a whole number from 0 to 18446744073709551615"))
}

/// A number before one of the units, times what that unit is in the smallest.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        // Above this, a float no longer counts every unit.
        Some(number * factor).filter(|product| (0.0..=9e15).contains(product))
    })
}

impl FromStr for Percent {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let ppm = with_unit(text, &[("%", 10_000.0)]).filter(|ppm| *ppm <= 1_000_000.0);
        ppm.map(|ppm| Self(Probability::from_ppm(ppm.round() as u32))).ok_or(Expected("0% to 100%"))
    }
}

impl FromStr for Time {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let nanos = with_unit(text, &[("ms", 1e6), ("us", 1e3), ("s", 1e9)]).filter(|nanos| *nanos <= 60e9);
        nanos.map(|nanos| Self(Duration::from_nanos(nanos as u64))).ok_or(Expected("a time up to 60s, such as 50ms"))
    }
}

impl FromStr for Rate {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        if text == "unlimited" {
            return Ok(Self(Bitrate::MAX));
        }
        let bits = with_unit(text, &[("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)]);
        let bits = bits.map(|bits| bits as u64).filter(|bits| *bits > 0);
        bits.map(|bits| Self(Bitrate::from_bps(bits))).ok_or(Expected("a rate above zero such as 1mbit, or unlimited"))
    }
}

impl FromStr for Queue {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        if let Ok(Time(time)) = text.parse() {
            return Ok(Self(QueueLimit::Time(time)));
        }
        let bytes = with_unit(text, &[("kB", 1e3), ("MB", 1e6), ("B", 1.0)]);
        let limit = bytes.map(|bytes| QueueLimit::Bytes(DataSize::from_bytes(bytes as u64)));
        limit.map(Self).ok_or(Expected("a time up to 60s such as 300ms, or a size such as 30kB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_their_units() {
        let line = "netsim-tun --loss 2%,0.5% --delay 50ms --rate 1mbit,unlimited --queue 300ms,30kB -- ping -c 1";
        let options = Options::try_parse_from(line.split(' ')).expect("a good command line");
        let [forward, back] = options.links().both;
        assert_eq!(forward.loss, Loss::percent(2));
        assert_eq!(back.loss, Loss::Random(Probability::from_ppm(5_000)));
        assert_eq!((forward.delay, back.delay), (Duration::from_millis(50), Duration::from_millis(50)));
        assert_eq!((forward.rate, back.rate), (Bitrate::from_mbps(1).into(), Bitrate::MAX.into()));
        assert_eq!(forward.queue, QueueLimit::ms(300));
        assert_eq!(back.queue, QueueLimit::Bytes(DataSize::from_bytes(30_000)));
        assert_eq!(options.command, ["ping", "-c", "1"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (arguments, parts) in [
            ("--loss 101%", ["'101%' for '--loss", "expected 0% to 100%"]),
            ("--loss 5", ["'5' for '--loss", "expected 0% to 100%"]),
            ("--delay -1ms", ["'-1ms' for '--delay", "expected a time up to 60s"]),
            ("--jitter NaNs", ["'NaNs' for '--jitter", "expected a time up to 60s"]),
            ("--rate 5", ["'5' for '--rate", "expected a rate above zero such as 1mbit"]),
            ("--rate 0mbit", ["'0mbit' for '--rate", "expected a rate above zero"]),
            ("--rate 1mbit,", ["'1mbit,' for '--rate", "expected a rate above zero"]),
            ("--rate 1e300gbit", ["'1e300gbit' for '--rate", "or unlimited"]),
            ("--queue 5parsecs", ["'5parsecs' for '--queue", "or a size such as 30kB"]),
            ("--queue 1e300MB", ["'1e300MB' for '--queue", "or a size such as 30kB"]),
            ("--mtu 576", ["'576' for '--mtu", "expected a number of bytes from 1280 to 9000"]),
            ("--seed -1", ["'-1' for '--seed", "expected a whole number from 0"]),
            ("--los 2%", ["'--los'", "--help"]),
        ] {
            let error = Options::try_parse_from(format!("netsim-tun {arguments}").split(' ')).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{arguments}: {error}");
        }
    }
}
