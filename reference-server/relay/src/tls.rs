//! TLS by `rustls`, which stays in this file and in `identity.rs`: bytes of the socket in, bytes of the client out, and back.
//! It keeps nothing of either: what waits does so where all waits, encrypted.

use std::fmt;
use std::io::{self, Read};

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use crate::identity::Identity;
use crate::streams::CARRIED_BYTES;

/// What waits for its end: a record has 18,437 bytes at most (RFC 5246 §6.2.3), and a ClientHello in pieces is shorter.
pub(crate) const RECEIVED_MAX: usize = 20_000;

/// This, and what is read behind it at once.
const INCOMING_BYTES: usize = RECEIVED_MAX + CARRIED_BYTES;

/// What is encrypted before it is written.
pub(crate) const TOGETHER_MAX: usize = 32 << 10;

/// Bytes of a record before it is encrypted, and what is added to them at most: a head, a nonce or a type, and a tag.
const RECORD_BYTES: usize = 16 << 10;
const RECORD_ADDED: usize = 5 + 8 + 16;

/// What is encrypted and decrypted in: one for all connections of a thread.
#[derive(Debug)]
pub(crate) struct Scratch {
    incoming: Vec<u8>,
    /// What is to be encrypted.
    pub(crate) plain: Vec<u8>,
    pub(crate) outgoing: Outgoing,
}

/// What is encrypted, and is to be written.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    used: usize,
}

/// One side of a TLS connection: the server's.
pub(crate) struct Tls {
    session: UnbufferedServerConnection,
    /// The beginning of a record, or of a message of the handshake.
    received: Vec<u8>,
    is_ended: bool,
    /// After an error nothing is asked of `rustls` but the alert that it has: it would read on, and panic.
    has_failed: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self { incoming: vec![0; INCOMING_BYTES], plain: Vec::new(), outgoing: Outgoing::default() }
    }
}

impl Outgoing {
    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    /// What was encrypted since it was asked for the last time.
    pub(crate) fn take(&mut self) -> &[u8] {
        &self.bytes[..std::mem::take(&mut self.used)]
    }

    /// Appends what is written into a room that is large enough. It is told how large that is if it is not.
    fn append(&mut self, mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) -> bool {
        loop {
            match write(&mut self.bytes[self.used..]) {
                Ok(count) => {
                    self.used += count;
                    return true;
                }
                Err(Some(needed)) => self.bytes.resize(self.used + needed, 0),
                Err(None) => return false,
            }
        }
    }
}

impl Tls {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self { session: identity.session(), received: Vec::new(), is_ended: false, has_failed: false }
    }

    /// How many bytes so many become at most.
    pub(crate) const fn sealed_len(plain: usize) -> usize {
        // A nonce is explicit in 1.2 only: what that is too much leaves room for an alert.
        plain + (plain.div_ceil(RECORD_BYTES) + 1) * RECORD_ADDED
    }

    /// Whether the client has said that it will send no more, or has broken a rule, or the key has encrypted what it may.
    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Reads what there is, and decrypts as much of it as is whole; 0 is the end. What TLS has to say itself is
    /// in `scratch.outgoing` then.
    pub(crate) fn read(
        &mut self,
        mut stream: impl Read,
        buffer: &mut [u8],
        scratch: &mut Scratch,
    ) -> io::Result<usize> {
        if self.is_ended {
            return Ok(0);
        }
        let kept = self.received.len();
        // No more than finds room once it is decrypted.
        let most = INCOMING_BYTES.min(buffer.len());
        let incoming = &mut scratch.incoming[..most];
        incoming[..kept].copy_from_slice(&self.received);
        let count = stream.read(&mut incoming[kept..])?;
        if count == 0 {
            return Ok(0);
        }
        let decrypted = self.decrypt(&mut incoming[..kept + count], buffer, &mut scratch.outgoing);
        let filled = match decrypted {
            Some((used, filled)) if kept + count - used <= RECEIVED_MAX => {
                self.received = incoming[used..kept + count].to_vec();
                filled
            }
            _ => {
                self.fail(&mut scratch.outgoing);
                return Err(io::ErrorKind::InvalidData.into());
            }
        };
        if filled == 0 && !self.is_ended { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(filled) }
    }

    /// Says how many bytes were used, and how many came of them; `None` if they break a rule.
    fn decrypt(&mut self, incoming: &mut [u8], buffer: &mut [u8], outgoing: &mut Outgoing) -> Option<(usize, usize)> {
        let (mut used, mut filled) = (0, 0);
        loop {
            let UnbufferedStatus { mut discard, state } = self.session.process_tls_records(&mut incoming[used..]);
            let mut is_done = false;
            match state.ok()? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        buffer[filled..filled + record.payload.len()].copy_from_slice(record.payload);
                        filled += record.payload.len();
                        discard += record.discard;
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, outgoing),
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => is_done = true,
                // It is closed. Data before the handshake is not allowed to come.
                _ => (is_done, self.is_ended) = (true, true),
            }
            used += discard;
            if is_done {
                return Some((used, filled));
            }
        }
    }

    /// Says why it has failed.
    fn fail(&mut self, outgoing: &mut Outgoing) {
        while !self.has_failed && self.session.wants_write() {
            match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, outgoing),
                _ => break,
            }
        }
        (self.has_failed, self.is_ended, self.received) = (true, true, Vec::new());
    }

    /// Encrypts what is plain, and appends it to what is to be written. Nothing comes of it if the client can't read it yet, or
    /// any more.
    pub(crate) fn seal(&mut self, plain: &[u8], outgoing: &mut Outgoing) {
        self.speak(outgoing, |traffic, room| traffic.encrypt(plain, room));
    }

    /// Says that no more will come.
    pub(crate) fn close(&mut self, outgoing: &mut Outgoing) {
        self.speak(outgoing, |traffic, room| traffic.queue_close_notify(room));
    }

    fn speak(
        &mut self,
        outgoing: &mut Outgoing,
        mut write: impl FnMut(&mut WriteTraffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) {
        let mut is_written = false;
        while !self.has_failed && !is_written {
            // What waits for its end is asked for even if it is not looked at.
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(&mut self.received);
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let fits = outgoing.append(|room| {
                        write(&mut traffic, room).map_err(|error| match error {
                            EncryptError::InsufficientSize(needed) => Some(needed.required_size),
                            EncryptError::EncryptExhausted => None,
                        })
                    });
                    (is_written, self.is_ended) = (true, self.is_ended || !fits);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, outgoing),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
            self.received.drain(..discard);
        }
    }
}

fn encode(mut data: EncodeTlsData<'_>, outgoing: &mut Outgoing) {
    outgoing.append(|room| {
        data.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(needed) => Some(needed.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    });
}

type EncodeTlsData<'c> = rustls::unbuffered::EncodeTlsData<'c, rustls::server::ServerConnectionData>;
type WriteTraffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::identity::tests::identity;

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }
    }

    struct Pair {
        server: Tls,
        client: ClientConnection,
        scratch: Scratch,
        got: Vec<u8>,
    }

    impl Pair {
        /// Hands over what the client has sent, in pieces; says whether the server goes on.
        fn deliver(&mut self, mut bytes: &[u8], chance: &mut Chance) -> bool {
            let mut buffer = vec![0; 32 << 10];
            while !bytes.is_empty() {
                let (mut piece, rest) = bytes.split_at(1 + chance.below(bytes.len().min(3000)));
                bytes = rest;
                match self.server.read(&mut piece, &mut buffer, &mut self.scratch) {
                    Ok(count) => self.got.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => {
                        assert!(self.server.is_ended());
                        // It is asked again by who does not know yet.
                        self.server.seal(b"more", &mut self.scratch.outgoing);
                        self.server.close(&mut self.scratch.outgoing);
                        return false;
                    }
                }
                assert!(self.server.received.len() <= RECEIVED_MAX);
            }
            self.answer();
            true
        }

        fn answer(&mut self) {
            let mut answer = self.scratch.outgoing.take();
            while !answer.is_empty() && self.client.read_tls(&mut answer).is_ok() {
                let _ = self.client.process_new_packets();
            }
        }
    }

    fn pair(certificate: &[u8], identity: &Identity, version: usize) -> Pair {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.to_vec().into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let versions = &[[&rustls::version::TLS12, &rustls::version::TLS13][version]];
        let config = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        let client = ClientConnection::new(Arc::new(config.with_no_client_auth()), "localhost".try_into().unwrap());
        let (scratch, got) = (Scratch::default(), Vec::new());
        Pair { server: Tls::new(identity), client: client.unwrap(), scratch, got }
    }

    fn flight(client: &mut ClientConnection) -> Vec<u8> {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Cuts the records of a handshake that are not encrypted in two.
    fn cut(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
        let (mut rest, mut out) = (bytes, Vec::new());
        while let [22, 3, minor, l1, l2, record @ ..] = rest {
            let (record, behind) = record.split_at(usize::from(u16::from_be_bytes([*l1, *l2])));
            let (one, two) = record.split_at(1 + chance.below(record.len() - 1));
            for part in [one, two] {
                out.extend_from_slice(&[22, 3, *minor]);
                out.extend_from_slice(&(part.len() as u16).to_be_bytes());
                out.extend_from_slice(part);
            }
            rest = behind;
        }
        out.extend_from_slice(rest);
        out
    }

    #[test]
    fn pieces_and_cuts_of_any_kind_are_put_together() {
        let (identity, certificate) = identity();
        for seed in 0..200 {
            let mut chance = Chance(seed);
            let mut pair = pair(&certificate, &identity, seed as usize % 2);
            let hello = flight(&mut pair.client);
            let hello = cut(&hello, &mut chance);
            assert!(pair.deliver(&hello, &mut chance), "seed {seed}");
            let mut sent = Vec::new();
            while pair.got.len() < 60_000 {
                if chance.below(4) == 0 && seed % 2 == 1 && !pair.client.is_handshaking() {
                    pair.client.refresh_traffic_keys().unwrap();
                }
                let bytes = vec![chance.below(256) as u8; chance.below(20_000)];
                pair.client.writer().write_all(&bytes).unwrap();
                sent.extend_from_slice(&bytes);
                let records = flight(&mut pair.client);
                assert!(pair.deliver(&records, &mut chance), "seed {seed}");
                if pair.client.is_handshaking() {
                    continue;
                }
                // And back.
                pair.server.seal(&bytes, &mut pair.scratch.outgoing);
                assert!(pair.scratch.outgoing.used <= Tls::sealed_len(bytes.len()) + 100, "seed {seed}");
                pair.answer();
                let mut back = vec![0; bytes.len()];
                if !back.is_empty() {
                    Read::read_exact(&mut pair.client.reader(), &mut back).unwrap();
                }
                assert_eq!(back, bytes, "seed {seed}");
            }
            while pair.got.len() < sent.len() {
                let records = flight(&mut pair.client);
                assert!(pair.deliver(&records, &mut chance), "seed {seed}");
            }
            assert_eq!(pair.got, sent, "seed {seed}");
        }
    }

    #[test]
    fn nonsense_ends_it_and_nothing_else() {
        let (identity, certificate) = identity();
        let mut failed = 0;
        for seed in 0..3000 {
            let mut chance = Chance(seed);
            let mut pair = pair(&certificate, &identity, seed as usize % 2);
            let bad = chance.below(4);
            pair.client.writer().write_all(&[1; 500]).unwrap();
            for turn in 0..4 {
                let mut bytes = flight(&mut pair.client);
                if chance.below(4) == 0 {
                    bytes = cut(&bytes, &mut chance);
                }
                if turn == bad {
                    for _ in 0..chance.below(4) {
                        let at = chance.below(bytes.len().max(1));
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 1 << chance.below(8);
                        }
                    }
                    let more = chance.below(100);
                    let at = chance.below(bytes.len() + 1);
                    let noise: Vec<u8> = (0..more).map(|_| [0, 3, 22, 23, 255][chance.below(5)]).collect();
                    bytes.splice(at..at, noise);
                }
                if !pair.deliver(&bytes, &mut chance) {
                    failed += 1;
                    assert!(pair.server.read(&mut &[1][..], &mut [0; 100], &mut pair.scratch).is_ok_and(|it| it == 0));
                    break;
                }
            }
        }
        assert!((1000..2999).contains(&failed), "{failed}");
    }
}
