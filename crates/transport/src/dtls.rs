//! DTLS by `dimpl`, which stays in this file: datagrams and time in, datagrams and facts out.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use plenary_srtp::Profile;

use crate::{Certificate, CloseReason, Config, DtlsRole, DtlsVersion, DtlsVersions};

mod hello;
mod reason;
mod record;

pub(crate) use hello::{Assembly, Hello};

use hello::First;

/// Datagrams that wait to be sent; a flight has 3 at most, and its repetition comes with the timer. The oldest goes.
const OUTBOX_MAX: usize = 32;

/// Records of handshake messages that are not whole or not in order; with one more the handshake ends. A flight has some
/// 6, and of its repetition only what was missing is kept. `dimpl` takes 5 kB for each, and 9 kB in 1.3.
const INBOX_MAX: usize = 16;

/// Bytes of the largest certificate that can come: all records that wait are part of it.
const CERTIFICATE_MAX: usize = INBOX_MAX * Config::DATAGRAM_MAX;

/// Bytes of the largest datagram that is written. Leaves room for IPv6, UDP and a TURN header in the 1280 bytes that
/// every path of IPv6 carries.
const MTU: usize = 1180;

/// Beyond this, a timer of `dimpl` means that there is none.
const IDLE: Duration = Duration::from_secs(86_400);

/// What a handshake is begun with.
pub(crate) struct Start<'a> {
    pub(crate) role: DtlsRole,
    pub(crate) versions: DtlsVersions,
    pub(crate) certificate: &'a Certificate,
    /// The first retransmission of each flight.
    pub(crate) retransmit: Duration,
}

/// What came of a call.
#[derive(Default)]
pub(crate) struct Progress {
    /// The peer's certificate in DER, not yet compared with anything.
    pub(crate) certificate: Option<Vec<u8>>,
    /// The profile, and what was exported for it.
    pub(crate) keys: Option<(Profile, Vec<u8>)>,
    pub(crate) connected: bool,
    /// What the peer sent as application data: packets of SCTP.
    pub(crate) packets: Vec<Bytes>,
    /// The peer has sent its close alert.
    pub(crate) goodbye: bool,
    pub(crate) failed: Option<CloseReason>,
}

/// One DTLS association.
pub(crate) struct Association {
    dtls: Dtls,
    role: DtlsRole,
    outbox: VecDeque<Vec<u8>>,
    due: Option<Instant>,
    /// The least time between two timers.
    pause: Duration,
    /// When the last timer was due.
    woken_at: Instant,
    /// Whether the peer's certificate has come.
    has_certificate: bool,
}

impl Association {
    pub(crate) fn start(start: &Start<'_>, now: Instant) -> (Self, Progress) {
        let certificate = DtlsCertificate {
            certificate: start.certificate.der().to_vec(),
            private_key: start.certificate.private_key().to_vec(),
        };
        let new = match start.versions {
            DtlsVersions::Dtls12 => Dtls::new_12,
            DtlsVersions::Dtls13 => Dtls::new_13,
            DtlsVersions::Both => Dtls::new_auto,
        };
        let mut dtls = new(configuration(start.retransmit), certificate, now);
        dtls.set_active(start.role == DtlsRole::Client);
        let mut association = Self {
            dtls,
            role: start.role,
            outbox: VecDeque::new(),
            due: None,
            // Half of what a retransmission waits at least, as its time is varied by a quarter.
            pause: start.retransmit / 2,
            woken_at: now,
            has_certificate: false,
        };
        let progress = association.handle_timeout(now);
        (association, progress)
    }

    pub(crate) const fn role(&self) -> DtlsRole {
        self.role
    }

    /// `None` before it is negotiated.
    pub(crate) fn version(&self) -> Option<DtlsVersion> {
        let version = self.dtls.protocol_version()?;
        Some(if version == dimpl::ProtocolVersion::DTLS1_3 { DtlsVersion::Dtls13 } else { DtlsVersion::Dtls12 })
    }

    /// Takes a datagram in; `None` if it is passed over.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Option<Progress> {
        if self.role == DtlsRole::Client && self.version().is_none() {
            // A client of both versions takes any first datagram but the server's hello for the end of it all: one that
            // came out of order must not be that.
            match First::of(datagram) {
                First::Hello => {}
                First::Alert(alert) => {
                    return Some(Progress { failed: Some(CloseReason::Alert(alert)), ..Progress::default() });
                }
                First::Other => return None,
            }
        }
        Some(self.handle_records(datagram, now))
    }

    /// Takes in what a server begins with.
    pub(crate) fn handle_hello(&mut self, hello: &Hello, now: Instant) -> Progress {
        self.handle_records(hello.record(), now)
    }

    fn handle_records(&mut self, datagram: &[u8], now: Instant) -> Progress {
        let mut result = self.dtls.handle_timeout(now);
        // One by one: of several, `dimpl` judges all by the first, and passes over what is new behind what is old.
        for record in record::records(datagram) {
            result = result.and_then(|()| self.dtls.handle_packet(record));
        }
        self.settle(result, now)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Progress {
        self.woken_at = now;
        let result = self.dtls.handle_timeout(now);
        self.settle(result, now)
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Says goodbye, if the handshake is done; else there is nothing to say.
    pub(crate) fn close(&mut self, now: Instant) {
        let result = self.dtls.handle_timeout(now).and_then(|()| self.dtls.close());
        self.settle(result, now);
    }

    /// Tells the peer why it ends, and nothing else any more.
    ///
    /// `dimpl` has no call for it. In 1.2 the peer reads what is in the clear until the last flight; in 1.3 it passes over
    /// it, but a client can be said goodbye to, as it has come to an end with its handshake.
    pub(crate) fn refuse(&mut self, reason: CloseReason, now: Instant) {
        let Some(alert) = reason::alert(reason) else { return };
        self.outbox.clear();
        // RFC 6347 §4.1: of epoch 0, with a number that no other record of ours has had.
        self.outbox.push_back(vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 2, alert]);
        // After any other failure `dimpl` may not be asked.
        if reason == CloseReason::Fingerprint && self.role == DtlsRole::Server {
            self.close(now);
        }
        self.due = None;
    }

    /// Sends application data, of less than the MTU as a rule.
    pub(crate) fn send(&mut self, packet: &[u8], now: Instant) -> Progress {
        let result = self.dtls.handle_timeout(now).and_then(|()| self.dtls.send_application_data(packet));
        self.settle(result.map(drop), now)
    }

    /// The next datagram to send.
    pub(crate) fn next(&self) -> Option<&[u8]> {
        self.outbox.front().map(Vec::as_slice)
    }

    /// The next datagram was sent.
    pub(crate) fn sent(&mut self) {
        self.outbox.pop_front();
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }

    fn settle(&mut self, result: Result<(), dimpl::Error>, now: Instant) -> Progress {
        let failed = result.err().map(|error| reason::of(&error));
        match failed {
            None => self.drain(now),
            // The one failure that is followed by an alert for the peer; after others nothing may be asked.
            Some(CloseReason::NoCertificate) => {
                self.drain(now);
                Progress { failed, ..Progress::default() }
            }
            Some(_) => {
                self.due = None;
                Progress { failed, ..Progress::default() }
            }
        }
    }

    fn drain(&mut self, now: Instant) -> Progress {
        let mut progress = Progress::default();
        let mut small = [0; Config::DATAGRAM_MAX];
        // `dimpl` panics where a certificate finds no room, and says so only of other things.
        let mut large = if self.has_certificate { Vec::new() } else { vec![0; CERTIFICATE_MAX] };
        loop {
            let buffer = if large.is_empty() { &mut small[..] } else { &mut large };
            match self.dtls.poll_output(buffer) {
                Output::Packet(bytes) => {
                    if self.outbox.len() == OUTBOX_MAX {
                        self.outbox.pop_front();
                    }
                    self.outbox.push_back(bytes.to_vec());
                }
                Output::BufferTooSmall { needed } => large.resize(needed, 0),
                Output::PeerCert(der) => {
                    self.has_certificate = true;
                    progress.certificate = Some(der.to_vec());
                }
                Output::KeyingMaterial(keys, profile) => progress.keys = Some((profile_of(profile), keys.to_vec())),
                Output::Connected => progress.connected = true,
                Output::ApplicationData(bytes) => progress.packets.push(Bytes::copy_from_slice(bytes)),
                Output::CloseNotify => progress.goodbye = true,
                Output::Timeout(due) => {
                    // In 1.3 `dimpl` is due at once as long as a part of the peer's flight is missing, each time for
                    // one more ACK.
                    self.due = (due < now + IDLE).then(|| due.max(self.woken_at + self.pause));
                    return progress;
                }
                _ => {}
            }
        }
    }
}

fn profile_of(profile: SrtpProfile) -> Profile {
    match profile {
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        // The other that `dimpl` offers and accepts.
        _ => Profile::Aes128CmHmacSha1_80,
    }
}

/// What `dimpl` is configured with. Each time one is made it tries all its algorithms, which takes longer than a handshake:
/// so there are a few, made once, and the next longer one is taken.
fn configuration(retransmit: Duration) -> Arc<dimpl::Config> {
    static MADE: [OnceLock<Arc<dimpl::Config>>; 50] = [const { OnceLock::new() }; 50];
    let (mut first, mut step) = (Duration::from_millis(10), 0);
    while first < retransmit && step + 1 < MADE.len() {
        first += first / 8;
        step += 1;
    }
    let make = || {
        let config = dimpl::Config::builder()
            .mtu(MTU)
            .max_queue_rx(INBOX_MAX)
            // ICE has proven the address already, and a cookie would cost a round trip.
            .use_server_cookie(false)
            .flight_start_rto(first)
            // The transport ends it sooner.
            .flight_retries(20)
            .handshake_timeout(IDLE)
            .build();
        Arc::new(config.expect("the durations are within their ranges"))
    };
    Arc::clone(MADE[step].get_or_init(make))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retransmission_is_a_little_later_and_never_sooner() {
        for milliseconds in [10, 11, 20, 95, 200, 1000, 2999, 3000] {
            let asked = Duration::from_millis(milliseconds);
            let first = configuration(asked).flight_start_rto();
            assert!(first >= asked && first <= asked * 9 / 8, "{asked:?}: {first:?}");
        }
        assert!(Arc::ptr_eq(&configuration(Duration::from_millis(95)), &configuration(Duration::from_millis(100))));
    }
}
