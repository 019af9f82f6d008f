//! One RTP packet, protected and unprotected, by plenary-srtp, rtc-srtp, libsrtp, and the bare cipher in place.
//!
//! Each packet has a sequence number of its own. Packets to unprotect are protected outside of the measured time.

use std::cell::Cell;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use divan::{Bencher, black_box};
use hmac::{Hmac, Mac};
use plenary_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};
use plenary_srtp_peers::{Direction, Session, key_and_salt};
use rtc_srtp::context::Context;
use sha1::Sha1;

/// Bytes of the packet, header included, tag not.
const LENGTHS: [usize; 2] = [1200, 100];
const HEADER_LEN: usize = 12;
const TAG_LEN_MAX: usize = 16;

fn main() {
    divan::main();
}

/// A packet with room for a tag.
fn packet(len: usize) -> Vec<u8> {
    let mut packet = vec![0x5a; len + TAG_LEN_MAX];
    packet[..HEADER_LEN].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe]);
    packet
}

/// The next number, written to the packet.
fn number(sequence: &Cell<u16>, packet: &mut [u8]) {
    sequence.set(sequence.get().wrapping_add(1));
    packet[2..4].copy_from_slice(&sequence.get().to_be_bytes());
}

fn master(profile: Profile) -> MasterKey {
    let (key, salt) = key_and_salt(profile);
    MasterKey::new(profile, &key, &salt).unwrap()
}

fn rtc_srtp(profile: Profile) -> Context {
    let (key, salt) = key_and_salt(profile);
    plenary_srtp_peers::rtc_srtp(profile, &key, &salt)
}

fn libsrtp(profile: Profile, direction: Direction) -> Session {
    let (key, salt) = key_and_salt(profile);
    Session::new(profile, &key, &salt, direction)
}

/// The ciphers alone, as the layers above them can't be without.
#[allow(clippy::large_enum_variant, reason = "one lives at a time")]
enum Raw {
    Gcm(LessSafeKey),
    Cm { stream: EncryptingKey, mac: Hmac<Sha1>, tag_len: usize },
}

impl Raw {
    fn new(profile: Profile) -> Self {
        let (key, _) = key_and_salt(profile);
        let gcm = |algorithm| Self::Gcm(LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()));
        match profile {
            Profile::AeadAes128Gcm => gcm(&AES_128_GCM),
            Profile::AeadAes256Gcm => gcm(&AES_256_GCM),
            _ => Self::Cm {
                stream: EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &key).unwrap()).unwrap(),
                mac: Hmac::new_from_slice(&[7; 20]).unwrap(),
                tag_len: profile.rtp_overhead(),
            },
        }
    }

    fn protect(&self, packet: &mut [u8]) {
        let number = [packet[2], packet[3]];
        match self {
            Self::Gcm(key) => {
                let (header, body) = packet.split_at_mut(HEADER_LEN);
                let (text, tag) = body.split_last_chunk_mut::<16>().unwrap();
                key.seal_in_place_scatter(nonce(number), Aad::from(&*header), text, &[], tag).unwrap();
            }
            Self::Cm { stream, mac, tag_len } => {
                let (packet, tag) = packet.split_at_mut(packet.len() - tag_len);
                stream.less_safe_encrypt(&mut packet[HEADER_LEN..], counter(number)).unwrap();
                let expected = mac.clone().chain_update(packet).chain_update([0; 4]).finalize().into_bytes();
                tag.copy_from_slice(&expected[..*tag_len]);
            }
        }
    }

    fn unprotect(&self, packet: &mut [u8]) {
        let number = [packet[2], packet[3]];
        match self {
            Self::Gcm(key) => {
                let (header, body) = packet.split_at_mut(HEADER_LEN);
                let (text, tag) = body.split_last_chunk_mut::<16>().unwrap();
                key.open_in_place_separate_tag(nonce(number), Aad::from(&*header), tag, text).unwrap();
            }
            Self::Cm { stream, mac, tag_len } => {
                let (packet, tag) = packet.split_at_mut(packet.len() - tag_len);
                let expected = mac.clone().chain_update(&*packet).chain_update([0; 4]).finalize().into_bytes();
                verify_slices_are_equal(&expected[..*tag_len], tag).unwrap();
                stream.less_safe_encrypt(&mut packet[HEADER_LEN..], counter(number)).unwrap();
            }
        }
    }
}

/// Not inlined, for the reason that plenary-srtp has: stores of single bytes would stall the cipher's loads.
#[inline(never)]
fn nonce([high, low]: [u8; 2]) -> Nonce {
    let mut nonce = [3; 12];
    nonce[8..].copy_from_slice(&[3, 3, high, low]);
    Nonce::assume_unique_for_key(nonce)
}

fn counter(number: [u8; 2]) -> EncryptionContext {
    let mut counter = [0; 16];
    counter[12..14].copy_from_slice(&number);
    EncryptionContext::Iv128(FixedLength::from(counter))
}

#[allow(clippy::disallowed_methods, reason = "an instant to start from; it stands still")]
fn start() -> Instant {
    Instant::now()
}

macro_rules! profile {
    ($name:ident, $profile:ident) => {
        #[divan::bench_group(sample_count = 2000, sample_size = 32)]
        mod $name {
            use super::*;

            const PROFILE: Profile = Profile::$profile;

            /// A packet of this length, protected by us: all of them speak the same.
            fn protected(len: usize) -> impl FnMut() -> Vec<u8> {
                let mut sender = Sender::new(master(PROFILE), SenderConfig::default()).unwrap();
                let sequence = Cell::new(0);
                move || {
                    let mut packet = packet(len);
                    number(&sequence, &mut packet);
                    packet.truncate(len + PROFILE.rtp_overhead());
                    sender.protect_rtp(&mut packet, None).unwrap();
                    packet
                }
            }

            #[divan::bench(args = LENGTHS)]
            fn protect_raw(bencher: Bencher<'_, '_>, len: usize) {
                let (raw, mut packet, sequence) = (Raw::new(PROFILE), packet(len), Cell::new(0));
                packet.truncate(len + PROFILE.rtp_overhead());
                bencher.bench_local(|| {
                    number(&sequence, &mut packet);
                    raw.protect(black_box(&mut packet));
                });
            }

            #[divan::bench(args = LENGTHS)]
            fn protect_plenary(bencher: Bencher<'_, '_>, len: usize) {
                let mut sender = Sender::new(master(PROFILE), SenderConfig::default()).unwrap();
                let (mut packet, sequence) = (packet(len), Cell::new(0));
                packet.truncate(len + PROFILE.rtp_overhead());
                bencher.bench_local(|| {
                    number(&sequence, &mut packet);
                    sender.protect_rtp(black_box(&mut packet), None).unwrap();
                });
            }

            #[divan::bench(args = LENGTHS)]
            fn protect_rtc_srtp(bencher: Bencher<'_, '_>, len: usize) {
                let mut context = super::rtc_srtp(PROFILE);
                let (mut packet, sequence) = (packet(len), Cell::new(0));
                packet.truncate(len);
                bencher.bench_local(|| {
                    number(&sequence, &mut packet);
                    context.encrypt_rtp(black_box(&packet)).unwrap()
                });
            }

            #[divan::bench(args = LENGTHS)]
            fn protect_libsrtp(bencher: Bencher<'_, '_>, len: usize) {
                let mut session = super::libsrtp(PROFILE, Direction::Outbound);
                let (mut packet, sequence) = (packet(len), Cell::new(0));
                bencher.bench_local(|| {
                    number(&sequence, &mut packet);
                    session.protect_rtp(black_box(&mut packet), len).unwrap()
                });
            }

            #[divan::bench(args = LENGTHS)]
            fn unprotect_raw(bencher: Bencher<'_, '_>, len: usize) {
                let (raw, sequence) = (Raw::new(PROFILE), Cell::new(0));
                let fresh = || {
                    let mut packet = packet(len);
                    number(&sequence, &mut packet);
                    packet.truncate(len + PROFILE.rtp_overhead());
                    raw.protect(&mut packet);
                    packet
                };
                bencher.with_inputs(fresh).bench_local_refs(|packet| raw.unprotect(packet));
            }

            #[divan::bench(args = LENGTHS)]
            fn unprotect_plenary(bencher: Bencher<'_, '_>, len: usize) {
                let mut receiver = Receiver::new(&master(PROFILE), ReceiverConfig::default()).unwrap();
                let now = start();
                bencher.with_inputs(protected(len)).bench_local_refs(|packet| {
                    receiver.unprotect_rtp(packet, now).unwrap();
                });
            }

            #[divan::bench(args = LENGTHS)]
            fn unprotect_rtc_srtp(bencher: Bencher<'_, '_>, len: usize) {
                let mut context = super::rtc_srtp(PROFILE);
                bencher.with_inputs(protected(len)).bench_local_refs(|packet| context.decrypt_rtp(packet).unwrap());
            }

            #[divan::bench(args = LENGTHS)]
            fn unprotect_libsrtp(bencher: Bencher<'_, '_>, len: usize) {
                let mut session = super::libsrtp(PROFILE, Direction::Inbound);
                bencher.with_inputs(protected(len)).bench_local_refs(|packet| session.unprotect_rtp(packet).unwrap());
            }
        }
    };
}

profile!(aead_aes_128_gcm, AeadAes128Gcm);
profile!(aead_aes_256_gcm, AeadAes256Gcm);
profile!(aes128_cm_hmac_sha1_80, Aes128CmHmacSha1_80);
profile!(aes128_cm_hmac_sha1_32, Aes128CmHmacSha1_32);
