use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use plenary_transport::DtlsVersions;

/// Answers the offer of a page, and sends its audio, video and messages back.
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-echo")]
pub(crate) struct Options {
    /// Where pages and descriptions are served
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// The one socket for the media of all peers: an address that they reach, and not 0.0.0.0
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    pub(crate) udp: SocketAddr,
    /// Full ICE agents, which check paths themselves, in place of lite ones
    #[arg(long)]
    pub(crate) full: bool,
    /// Versions of DTLS, in both roles. Without it: 1.2 as server, which yields GCM, and both as client
    #[arg(long)]
    pub(crate) dtls: Option<Dtls>,
    /// Be the DTLS client, where the peer leaves us the choice
    #[arg(long)]
    pub(crate) active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtls {
    #[value(name = "1.2")]
    Dtls12,
    #[value(name = "1.3")]
    Dtls13,
    Both,
}

impl From<Dtls> for DtlsVersions {
    fn from(dtls: Dtls) -> Self {
        match dtls {
            Dtls::Dtls12 => Self::Dtls12,
            Dtls::Dtls13 => Self::Dtls13,
            Dtls::Both => Self::Both,
        }
    }
}

/// A candidate names the address that it is reached at.
fn address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:0")?;
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(format!("{} is no address that a peer could send to", address.ip()));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(format!("plenary-echo {line}").split_whitespace())
    }

    #[test]
    fn the_command_line_is_read() {
        let options = parse("").expect("all has a default");
        assert_eq!((options.http.port(), options.udp.port(), options.dtls), (8080, 0, None));
        let options = parse("--http 127.0.0.1:0 --udp [::1]:5000 --full --dtls 1.3 --active").expect("a good line");
        assert_eq!((options.udp.port(), options.full, options.active), (5000, true, true));
        assert_eq!(options.dtls, Some(Dtls::Dtls13));
    }

    #[test]
    fn an_address_that_no_peer_can_use_is_refused() {
        for address in ["0.0.0.0:5000", "[::]:5000", "224.0.0.1:5000"] {
            let error = parse(&format!("--udp {address}")).unwrap_err().to_string();
            assert!(error.contains("no address that a peer could send to"), "{error}");
        }
    }
}
