use std::time::Duration;

use plenary_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};

use crate::{Certificate, ConfigError, DataConfig, Setup};

/// Which versions of DTLS one side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsVersions {
    /// 1.2 only.
    Dtls12,
    /// 1.3 only.
    Dtls13,
    /// Both: 1.3 if the peer has it.
    Both,
}

/// How a transport behaves, and what it may hold.
///
/// Before a path is proven it holds `early_datagrams_max` datagrams (12 kB) beside what ICE holds. DTLS has state only
/// from then on: less than 250 kB under the worst that a peer with the ICE password can do, which ends the handshake.
/// SRTP's tables and those of data channels are in their own configurations.
#[derive(Clone, Debug)]
pub struct Config {
    /// ICE: mode, role, limits. Its `entropy` is the transport's too: 32 bytes from the operating system.
    pub ice: plenary_ice::Config,
    /// Who this side is. One may serve any number of transports.
    pub certificate: Certificate,
    /// What the first description says: `actpass` in an offer; in an answer `active` or `passive`. `ActPass` by default,
    /// which in an answer becomes `active`, as RFC 8842 §5.3 recommends.
    pub setup: Setup,
    /// As DTLS client: both versions by default.
    pub dtls_client: DtlsVersions,
    /// As DTLS server: 1.2 by default. In 1.3 the server takes the *client's* first SRTP profile, which of Chromium is
    /// AES-CM: several times dearer than the GCM that the server takes in 1.2.
    pub dtls_server: DtlsVersions,
    /// How long it may take from the first path to keys; from 1 s to 10 minutes. 30 s by default.
    pub handshake_timeout: Duration,
    /// The first retransmission of DTLS where no round-trip time is known; from 10 ms to 3 s. 200 ms by default. Else it
    /// is 1.5 times that of ICE, and 20 ms; a lite agent, which measures none, takes the time from the peer's first check
    /// to the start of DTLS for it, if that is less. Up to an eighth is added, each is varied by a quarter, and each
    /// after it in a flight doubled.
    pub retransmit: Duration,
    /// DTLS datagrams kept until ICE has a path: their sender may have one sooner. 8 by default, at most 64, of
    /// [`DATAGRAM_MAX`](Self::DATAGRAM_MAX) bytes each.
    pub early_datagrams_max: u16,
    /// TURN allocations at one time: one for each interface, family and server as a rule. 8 by default; each holds less
    /// than 40 kB at worst.
    pub relays_max: u8,
    /// Data channels; `None`, so that there are none, by default.
    pub data: Option<DataConfig>,
    /// Limits of sending.
    pub srtp_sender: SenderConfig,
    /// Limits of receiving.
    pub srtp_receiver: ReceiverConfig,
}

impl Config {
    /// Bytes of the largest DTLS datagram that is taken: what Ethernet carries. Peers stay below, as DTLS knows no
    /// fragments but those of its handshake.
    pub const DATAGRAM_MAX: usize = 1500;

    /// The defaults. `entropy` is 32 bytes from the operating system's random source, for this transport alone.
    pub fn new(certificate: Certificate, entropy: [u8; 32]) -> Self {
        Self {
            ice: plenary_ice::Config { entropy, ..plenary_ice::Config::default() },
            certificate,
            setup: Setup::ActPass,
            dtls_client: DtlsVersions::Both,
            dtls_server: DtlsVersions::Dtls12,
            handshake_timeout: Duration::from_secs(30),
            retransmit: Duration::from_millis(200),
            early_datagrams_max: 8,
            relays_max: 8,
            data: None,
            srtp_sender: SenderConfig::default(),
            srtp_receiver: ReceiverConfig::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&self.handshake_timeout) {
            return Err(ConfigError::HandshakeTimeout);
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(3)).contains(&self.retransmit) {
            return Err(ConfigError::Retransmit);
        }
        if self.early_datagrams_max > 64 {
            return Err(ConfigError::EarlyDatagrams);
        }
        self.data.as_ref().map_or(Ok(()), DataConfig::check)?;
        let any = MasterKey::new(Profile::AeadAes128Gcm, &[0; 16], &[0; 12]).expect("of the profile's lengths");
        Receiver::new(&any, self.srtp_receiver.clone())?;
        Sender::new(any, self.srtp_sender.clone())?;
        Ok(())
    }
}
