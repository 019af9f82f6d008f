//! libsrtp, behind a safe session, and rtc-srtp, for the tests and benchmarks of `plenary-srtp` in this package.
//!
//! It needs Debian's packages `libsrtp2-dev` and `pkg-config`.

mod ffi;
mod rtc;

use plenary_srtp::Profile;

pub use ffi::{Direction, Failed, Session};
pub use rtc::rtc_srtp;

/// A master key and salt of the profile's lengths; all tests and benchmarks use the same.
#[must_use]
pub fn key_and_salt(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    ((1..).take(profile.key_len()).collect(), (101..).take(profile.salt_len()).collect())
}
