use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Parser;
use plenary_relay::{Identity, RelayAddress};
use plenary_rtp::payload::Codec;
use plenary_sfu_core::RoomConfig;

use crate::meeting::{PARTICIPANTS_MAX, Rules};
use crate::protocol::CODECS;

/// Media threads at most: each has a socket, and 2 MB of buffers.
pub(crate) const THREADS_MAX: usize = 256;

/// Where clients look for TURN (RFC 8656 §4).
const TURN_PORT: u16 = 3478;

/// Meetings in a browser.
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-server")]
pub(crate) struct Options {
    /// Where the page and the signalling are served
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// Where the first media thread receives; the others have the ports after it. With port 0 each has any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) udp: SocketAddr,
    /// The address that clients are told, if it is not that of --udp: that of a NAT which keeps ports
    #[arg(long)]
    pub(crate) public_ip: Option<IpAddr>,
    /// Media threads. Without it: one for each core
    #[arg(long)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where clients come in that need a relay (TURN), by UDP and TCP. Without it: at the address of --udp, with port 3478,
    /// or any free one if that of --udp is
    #[arg(long)]
    pub(crate) turn: Option<SocketAddr>,
    /// Where they come in by TLS and DTLS: port 443 is let through by most firewalls
    #[arg(long, requires = "turn_certificate")]
    pub(crate) turn_tls: Option<SocketAddr>,
    /// The relay's certificate and those that it is signed by, in PEM
    #[arg(long, requires_all = ["turn_key", "turn_tls"])]
    pub(crate) turn_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, requires = "turn_certificate")]
    pub(crate) turn_key: Option<PathBuf>,
    /// The host name that clients are told of the relay, which is to be in the certificate. Without it: the address, at which
    /// Firefox uses no TLS
    #[arg(long)]
    pub(crate) turn_name: Option<String>,
    /// Without a relay
    #[arg(long, conflicts_with_all = ["turn", "turn_tls", "turn_ports", "turn_secret", "turn_name"])]
    pub(crate) no_turn: bool,
    /// Ports of relays
    #[arg(long, default_value = "49152-65535", value_parser = ports)]
    pub(crate) turn_ports: RangeInclusive<u16>,
    /// The secret of the names by which clients use it, if others share it. Without it: one that nobody knows
    #[arg(long)]
    pub(crate) turn_secret: Option<String>,
    /// Participants of one meeting at most
    #[arg(long, default_value_t = PARTICIPANTS_MAX as u16, value_parser = clap::value_parser!(u16).range(2..=2000))]
    pub(crate) participants: u16,
    /// Codecs of all meetings, the preferred first: opus, and some of vp8, vp9, h264, av1
    #[arg(long, default_value = "vp8,opus", value_delimiter = ',', value_parser = codec)]
    pub(crate) codecs: Vec<Codec>,
}

fn codec(text: &str) -> Result<Codec, String> {
    let known = CODECS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|(_, codec)| *codec).ok_or_else(|| format!("it is none of {}", CODECS.map(|(name, _)| name).join(", ")))
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let ends = text.split_once('-').map(|(first, last)| (first.parse(), last.parse()));
    match ends {
        Some((Ok(first), Ok(last))) if first <= last => Ok(first..=last),
        _ => Err("it is not first-last, such as 49152-65535".to_owned()),
    }
}

/// What is wrong with a command line that reads well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("clients can't send to {0}: give --udp an address of this machine, or --public-ip")]
    Address(IpAddr),
    #[error("relays can't be reached at {0}: give --turn an address of this machine, and of --public-ip's family")]
    Turn(IpAddr),
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, String),
    #[error("{0} media threads: at most {THREADS_MAX}")]
    Threads(usize),
    #[error("there are not {threads} ports from {first} on")]
    Ports { first: u16, threads: usize },
    #[error("a meeting needs opus and a codec of pictures, each once")]
    Codecs,
}

/// The address of a media thread's socket, and the one that clients are told: its port may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bind: SocketAddr,
    pub(crate) told: IpAddr,
}

impl Options {
    /// What holds for all meetings.
    pub(crate) fn rules(&self) -> Result<Rules, OptionsError> {
        let is_repeated = |(index, codec): (usize, &Codec)| self.codecs[..index].contains(codec);
        // Beside opus there are pictures only.
        if self.codecs.iter().enumerate().any(is_repeated)
            || self.codecs.len() < 2
            || !self.codecs.contains(&Codec::Opus)
        {
            return Err(OptionsError::Codecs);
        }
        let codecs = self.codecs.iter().map(|codec| (*codec).into()).collect();
        Ok(Rules { participants_max: self.participants.into(), room: RoomConfig { codecs } })
    }

    /// The relay's configuration, if there is to be one.
    pub(crate) fn turn(&self) -> Result<Option<plenary_relay::Config>, OptionsError> {
        if self.no_turn {
            return Ok(None);
        }
        let port = if self.udp.port() == 0 { 0 } else { TURN_PORT };
        let listen = self.turn.unwrap_or_else(|| SocketAddr::new(self.udp.ip(), port));
        let told = self.public_ip.unwrap_or_else(|| listen.ip());
        if told.is_unspecified() || told.is_ipv4() != listen.is_ipv4() {
            return Err(OptionsError::Turn(told));
        }
        let secrets = self.turn_secret.iter().map(|secret| secret.clone().into_bytes()).collect();
        Ok(Some(plenary_relay::Config {
            listen: vec![listen],
            listen_tls: self.turn_tls.into_iter().collect(),
            identity: self.turn_identity()?,
            told: Some(told),
            relays: vec![RelayAddress { bind: listen.ip(), told }],
            ports: self.turn_ports.clone(),
            threads: self.threads,
            turn: plenary_turn::Config { secrets, ..plenary_turn::Config::default() },
        }))
    }

    fn turn_identity(&self) -> Result<Option<Identity>, OptionsError> {
        let (Some(certificate), Some(key)) = (&self.turn_certificate, &self.turn_key) else { return Ok(None) };
        let read = |path: &PathBuf| fs::read(path).map_err(|error| OptionsError::File(path.clone(), error.to_string()));
        let identity = Identity::from_pem(&read(certificate)?, &read(key)?);
        identity.map(Some).map_err(|error| OptionsError::File(certificate.clone(), error.to_string()))
    }

    /// One place for each media thread.
    pub(crate) fn places(&self) -> Result<Vec<Place>, OptionsError> {
        let told = self.public_ip.unwrap_or_else(|| self.udp.ip());
        if told.is_unspecified() || told.is_multicast() || self.udp.ip().is_multicast() {
            return Err(OptionsError::Address(told));
        }
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
        let threads = self.threads.map_or_else(cores, NonZeroUsize::get);
        if threads > THREADS_MAX {
            return Err(OptionsError::Threads(threads));
        }
        let first = self.udp.port();
        let places = (0..threads as u16).map(|index| {
            let port = if first == 0 { Some(0) } else { first.checked_add(index) };
            port.map(|port| Place { bind: SocketAddr::new(self.udp.ip(), port), told })
        });
        places.collect::<Option<_>>().ok_or(OptionsError::Ports { first, threads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(line: &str) -> Result<Vec<String>, OptionsError> {
        let options = Options::try_parse_from(format!("plenary-server {line}").split_whitespace());
        let places = options.expect("a good line").places()?;
        Ok(places.iter().map(|place| format!("{} {}", place.bind, place.told)).collect())
    }

    #[test]
    fn each_thread_has_a_port() {
        assert_eq!(places("--threads 2"), Ok(vec!["127.0.0.1:0 127.0.0.1".to_owned(); 2]));
        let told = places("--threads 2 --udp [::1]:65534").unwrap();
        assert_eq!(told, ["[::1]:65534 ::1", "[::1]:65535 ::1"]);
        assert_eq!(places("--threads 3 --udp [::1]:65534"), Err(OptionsError::Ports { first: 65534, threads: 3 }));
        assert_eq!(places("--threads 257"), Err(OptionsError::Threads(257)));
        assert!(!places("").unwrap().is_empty(), "one for each core");
    }

    #[test]
    fn a_meeting_may_be_larger_if_it_is_asked_for() {
        let participants = |line: &str| {
            let options = Options::try_parse_from(line.split_whitespace());
            options.map(|options| options.participants).ok()
        };
        assert_eq!(participants("plenary-server"), Some(100));
        assert_eq!(participants("plenary-server --participants 2000"), Some(2000));
        assert_eq!(participants("plenary-server --participants 2001"), None);
    }

    #[test]
    fn a_meeting_has_the_codecs_that_are_asked_for() {
        let room = |line: &str| {
            let options = Options::try_parse_from(format!("plenary-server {line}").split_whitespace());
            options.ok().map(|options| options.rules().map(|rules| rules.room))
        };
        assert_eq!(room(""), Some(Ok(RoomConfig::default())));
        let all = [Codec::Opus, Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1].map(Into::into).to_vec();
        assert_eq!(room("--codecs opus,vp8,H264,vp9,av1"), Some(Ok(RoomConfig { codecs: all })));
        for wrong in ["opus", "vp8", "opus,vp8,opus", "vp8,vp9"] {
            assert_eq!(room(&format!("--codecs {wrong}")), Some(Err(OptionsError::Codecs)), "{wrong}");
        }
        assert_eq!(room("--codecs opus,theora"), None);
    }

    #[test]
    fn clients_are_told_an_address_that_they_can_send_to() {
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        assert_eq!(places("--udp 0.0.0.0:5000"), Err(OptionsError::Address(any)));
        let told = places("--udp 0.0.0.0:5000 --public-ip 192.0.2.1 --threads 1").unwrap();
        assert_eq!(told, ["0.0.0.0:5000 192.0.2.1"]);
        let multicast = "224.0.0.1".parse().unwrap();
        assert_eq!(places("--udp 224.0.0.1:5000"), Err(OptionsError::Address(multicast)));
    }

    fn turn(line: &str) -> Result<Option<String>, String> {
        let options = Options::try_parse_from(format!("plenary-server {line}").split_whitespace());
        let turn = options.map_err(|error| error.to_string())?.turn().map_err(|error| error.to_string())?;
        Ok(turn.map(|turn| {
            let relay = turn.relays[0];
            format!("{} told {:?}, relays at {} told {}", turn.listen[0], turn.told, relay.bind, relay.told)
        }))
    }

    #[test]
    fn a_relay_is_where_the_media_are_unless_told() {
        for (line, place) in [
            ("", "127.0.0.1:0 told Some(127.0.0.1), relays at 127.0.0.1 told 127.0.0.1"),
            ("--udp [::1]:5000", "[::1]:3478 told Some(::1), relays at ::1 told ::1"),
            (
                "--udp 0.0.0.0:5000 --public-ip 198.51.100.1",
                "0.0.0.0:3478 told Some(198.51.100.1), relays at 0.0.0.0 told 198.51.100.1",
            ),
            ("--turn 127.0.0.2:443", "127.0.0.2:443 told Some(127.0.0.2), relays at 127.0.0.2 told 127.0.0.2"),
        ] {
            assert_eq!(turn(line), Ok(Some(place.to_owned())), "{line}");
        }
        assert_eq!(turn("--no-turn"), Ok(None));
    }

    #[test]
    fn what_is_wrong_with_a_relay_is_named() {
        for (line, part) in [
            ("--udp 0.0.0.0:5000", "can't be reached at 0.0.0.0"),
            ("--public-ip ::1", "can't be reached at ::1"),
            ("--no-turn --turn 127.0.0.1:1", "--no-turn"),
            ("--turn-ports 5-4", "first-last"),
            ("--turn-tls 127.0.0.1:443", "--turn-certificate"),
            ("--turn-tls 127.0.0.1:443 --turn-certificate no.pem", "--turn-key"),
            ("--turn-tls 127.0.0.1:443 --turn-certificate no.pem --turn-key no.pem", "no.pem: No such file"),
        ] {
            let error = turn(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
