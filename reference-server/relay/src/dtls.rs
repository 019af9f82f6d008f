//! DTLS 1.2 by `dimpl`, which stays in this file: datagrams of the socket in, datagrams of the client out, and back.

mod cookie;

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dimpl::crypto::aws_lc_rs::default_provider;
use dimpl::crypto::{CryptoProvider, HashAlgorithm, HmacProvider};
use dimpl::{CryptoError, Dtls, DtlsCertificate, Output};
use plenary_wire::Ecn;

pub(crate) use cookie::{COOKIE_BYTES, Cookies, Hello};

/// Bytes that are sent together in one record (RFC 6347 §4.1).
pub(crate) const RECORD_MAX: usize = 16 << 10;

/// Bytes of the largest datagram of a handshake: room for IPv6 and UDP in the 1280 that every path of IPv6 carries.
const MTU: usize = 1230;

/// Records of the handshake that came out of order; with one more it ends.
const INBOX_MAX: usize = 16;

/// Beyond this, a timer of `dimpl` means that there is none.
const IDLE: Duration = Duration::from_secs(3600);

/// An alert, in the clear, with a number that no other record has had (RFC 6347 §4.1).
const HANDSHAKE_FAILURE: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 2, 40];

/// The least time between two timers.
const PAUSE: Duration = Duration::from_millis(50);

/// Who the relay is to clients of DTLS.
#[derive(Clone)]
pub(crate) struct Certificate {
    certificate: DtlsCertificate,
}

/// What came of calls: datagrams for the client, and what it has sent.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<u8>,
    /// What is to be sent.
    pub(crate) packets: Vec<(Range<usize>, Ecn)>,
    /// What was received.
    pub(crate) data: Vec<Range<usize>>,
    /// How the next is to be sent.
    pub(crate) ecn: Ecn,
    buffer: Vec<u8>,
    /// It has ended: the client has said goodbye, or a rule was broken.
    pub(crate) is_over: bool,
    pub(crate) has_failed: bool,
}

/// One client.
pub(crate) struct Association {
    dtls: Box<Dtls>,
    /// Of the hello that it began with.
    pub(crate) random: [u8; 32],
    pub(crate) is_connected: bool,
    /// When it is to be looked at again.
    pub(crate) due: Option<Instant>,
}

impl Certificate {
    /// `None` if the key is of a kind that `dimpl` does not take: all but ECDSA on P-256 and P-384.
    pub(crate) fn new(certificate: &[u8], key: &[u8]) -> Option<Self> {
        default_provider().key_provider.load_private_key(key).ok()?;
        let certificate = DtlsCertificate { certificate: certificate.to_vec(), private_key: key.to_vec() };
        Some(Self { certificate })
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            packets: Vec::new(),
            data: Vec::new(),
            ecn: Ecn::NotEct,
            buffer: vec![0; RECORD_MAX + 100],
            is_over: false,
            has_failed: false,
        }
    }
}

impl Outcome {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
        self.data.clear();
        (self.ecn, self.is_over, self.has_failed) = (Ecn::NotEct, false, false);
    }
}

fn append(all: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = all.len();
    all.extend_from_slice(bytes);
    start..all.len()
}

impl Association {
    /// One for a hello whose cookie is ours, to [`begin`](Self::begin) with.
    pub(crate) fn new(certificate: &Certificate, hello: &Hello<'_>, now: Instant) -> Self {
        let dtls = Box::new(Dtls::new_12(configuration(), certificate.certificate.clone(), now));
        Self { dtls, random: hello.random, is_connected: false, due: None }
    }

    /// Takes in the datagram that this hello is in.
    pub(crate) fn begin(&mut self, hello: &Hello<'_>, datagram: &[u8], now: Instant, outcome: &mut Outcome) {
        // To `dimpl` the first hello is told again, so that it counts on from there; its own cookie goes nowhere.
        self.handle(&first_hello(), now, outcome);
        outcome.clear();
        PROVEN.set(Some((hello.random, hello.cookie())));
        self.handle(datagram, now, outcome);
        PROVEN.set(None);
        // It is whole, and `dimpl` passes over what it can't read.
        if outcome.packets.is_empty() {
            self.fail(outcome);
        }
    }

    /// Takes in a datagram.
    pub(crate) fn handle(&mut self, datagram: &[u8], now: Instant, outcome: &mut Outcome) {
        let mut result = self.dtls.handle_timeout(now);
        // One by one: of several, `dimpl` judges all by the first, and passes over what is new behind what is old.
        for record in records(datagram) {
            result = result.and_then(|()| self.dtls.handle_packet(record));
            if result.is_ok() {
                self.drain(now, outcome);
            }
        }
        self.settle(&result, now, outcome);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, outcome: &mut Outcome) {
        let result = self.dtls.handle_timeout(now);
        self.settle(&result, now, outcome);
    }

    /// Encrypts a message into one datagram. It is lost if it is too long for a record.
    pub(crate) fn send(&mut self, message: &[u8], outcome: &mut Outcome) -> bool {
        let is_sent =
            self.is_connected && message.len() <= RECORD_MAX && self.dtls.send_application_data(message).is_ok();
        if is_sent {
            self.drain_into(outcome);
        }
        is_sent
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, outcome: &mut Outcome) {
        if self.is_connected && self.dtls.close().is_ok() {
            self.drain_into(outcome);
        }
    }

    fn settle(&mut self, result: &Result<(), dimpl::Error>, now: Instant, outcome: &mut Outcome) {
        if result.is_ok() {
            self.drain(now, outcome);
        } else {
            self.fail(outcome);
        }
    }

    /// Nothing may be asked of it any more. Who waits for its handshake is told.
    fn fail(&mut self, outcome: &mut Outcome) {
        if !self.is_connected && !outcome.has_failed {
            outcome.packets.push((append(&mut outcome.bytes, &HANDSHAKE_FAILURE), Ecn::NotEct));
        }
        (outcome.is_over, outcome.has_failed) = (true, true);
        (self.is_connected, self.due) = (false, None);
    }

    fn drain(&mut self, now: Instant, outcome: &mut Outcome) {
        let due = self.drain_into(outcome);
        self.due = Some(due.max(now + PAUSE)).filter(|due| *due < now + IDLE);
    }

    fn drain_into(&mut self, outcome: &mut Outcome) -> Instant {
        let Outcome { bytes: all, packets, data, buffer, .. } = outcome;
        loop {
            match self.dtls.poll_output(buffer) {
                Output::Packet(bytes) => packets.push((append(all, bytes), outcome.ecn)),
                Output::ApplicationData(bytes) => data.push(append(all, bytes)),
                Output::Connected => self.is_connected = true,
                Output::CloseNotify => outcome.is_over = true,
                Output::Timeout(due) => return due,
                _ => {}
            }
        }
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association").field("is_connected", &self.is_connected).finish_non_exhaustive()
    }
}

/// Takes a datagram apart (RFC 6347 §4.1). What is cut short is one with what is there.
fn records(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = match *datagram {
            [] => return None,
            [_, _, _, _, _, _, _, _, _, _, _, l1, l2, ..] => 13 + usize::from(u16::from_be_bytes([l1, l2])),
            _ => datagram.len(),
        };
        let (record, rest) = datagram.split_at(length.min(datagram.len()));
        datagram = rest;
        Some(record)
    })
}

/// A ClientHello as short as can be: what it says is not looked at.
fn first_hello() -> Vec<u8> {
    const BODY: u8 = 2 + 32 + 1 + 1 + 4 + 2;
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + BODY];
    hello.extend([1, 0, 0, BODY, 0, 0, 0, 0, 0, 0, 0, BODY, 0xfe, 0xfd]);
    hello.extend([0; 32 + 2]);
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression.
    hello.extend([0, 2, 0xc0, 0x2b, 1, 0]);
    hello
}

/// What a server of `dimpl` is configured with: made once, as it tries all its algorithms then.
fn configuration() -> Arc<dimpl::Config> {
    static MADE: LazyLock<Arc<dimpl::Config>> = LazyLock::new(|| {
        let config = dimpl::Config::builder()
            .with_crypto_provider(CryptoProvider { hmac_provider: &CookieKnower, ..default_provider() })
            .mtu(MTU)
            .max_queue_rx(INBOX_MAX)
            .require_client_certificate(false)
            .use_server_cookie(true)
            .build();
        Arc::new(config.expect("the provider has what is needed"))
    });
    Arc::clone(&MADE)
}

thread_local! {
    /// The random of a hello that is being taken in, and its cookie, which is ours.
    static PROVEN: Cell<Option<([u8; 32], [u8; COOKIE_BYTES])>> = const { Cell::new(None) };
}

/// A server of `dimpl` wants a cookie of its own, a MAC of the client's random under a key that each has for itself: it would
/// have to be kept before it was answered. For a hello that has proven itself already, and only while that is taken in, this
/// MAC is the cookie that it has. All others are what they are.
#[derive(Debug)]
struct CookieKnower;

impl HmacProvider for CookieKnower {
    fn hmac(&self, hash: HashAlgorithm, key: &[u8], data: &[u8], out: &mut [u8]) -> Result<usize, CryptoError> {
        if let Some((random, cookie)) = PROVEN.get()
            && data == random
            && let Some(out) = out.first_chunk_mut()
        {
            PROVEN.set(None);
            *out = cookie;
            return Ok(COOKIE_BYTES);
        }
        static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(default_provider);
        PROVIDER.hmac_provider.hmac(hash, key, data, out)
    }
}
