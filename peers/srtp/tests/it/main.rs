//! `plenary-srtp` against rtc-srtp and libsrtp, both ways: 10^5 packets of several streams per profile, with skipped
//! numbers, loss, reordering, duplicates, and rollover counters far above 0.

mod peers;
mod traffic;

use std::time::Instant;

use peers::Peer;
use plenary_srtp::{DropReason, Profile};
use traffic::{Delivery, Traffic};

const PACKETS: usize = 100_000;

/// Sends traffic from `sender` to `receiver`: each packet must arrive once, as it was, and no copy of it again.
fn check(mut sender: Peer, mut receiver: Peer, seed: u64) {
    let mut traffic = Traffic::new(seed);
    let (mut arrived, mut copies) = (0, 0);
    while let Some(packet) = traffic.next(PACKETS) {
        let protected = sender.protect(&packet);
        for Delivery { clear, bytes, copy } in traffic.carry(packet, protected) {
            let unprotected = receiver.unprotect(&clear, &bytes);
            if copy {
                assert_eq!(unprotected, None, "seed {seed}: a copy is refused");
                copies += 1;
            } else {
                assert_eq!(unprotected.as_deref(), Some(&clear.bytes[..]), "seed {seed}: {clear:x?}");
                arrived += 1;
            }
        }
    }
    assert!(arrived > PACKETS * 9 / 10 && arrived < PACKETS, "some are lost: {arrived}");
    assert!(copies > PACKETS / 100, "some come twice: {copies}");
    assert!(traffic.rollovers() >= 5, "each stream has wrapped: {}", traffic.rollovers());
    if let Peer::Plenary(receiver) = receiver {
        assert_eq!(receiver.receiver.stats().dropped(DropReason::Replayed), copies as u64);
        assert_eq!(receiver.receiver.stats().dropped_total(), copies as u64);
    }
}

macro_rules! cross {
    ($($name:ident: $profile:ident, $peer:ident;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn to_the_peer() {
                check(Peer::plenary(Profile::$profile), Peer::$peer(Profile::$profile), 1);
            }

            #[test]
            fn from_the_peer() {
                check(Peer::$peer(Profile::$profile), Peer::plenary(Profile::$profile), 2);
            }
        }
    )*};
}

cross! {
    rtc_srtp_aead_aes_128_gcm: AeadAes128Gcm, rtc_srtp;
    rtc_srtp_aead_aes_256_gcm: AeadAes256Gcm, rtc_srtp;
    rtc_srtp_aes128_cm_hmac_sha1_80: Aes128CmHmacSha1_80, rtc_srtp;
    rtc_srtp_aes128_cm_hmac_sha1_32: Aes128CmHmacSha1_32, rtc_srtp;
    libsrtp_aead_aes_128_gcm: AeadAes128Gcm, libsrtp;
    libsrtp_aead_aes_256_gcm: AeadAes256Gcm, libsrtp;
    libsrtp_aes128_cm_hmac_sha1_80: Aes128CmHmacSha1_80, libsrtp;
    libsrtp_aes128_cm_hmac_sha1_32: Aes128CmHmacSha1_32, libsrtp;
}

#[allow(clippy::disallowed_methods, reason = "an instant to start from; it stands still")]
fn start() -> Instant {
    Instant::now()
}
