//! libsrtp, behind a safe session, for the tests and benchmarks of `plenary-srtp` in this package.
//!
//! It needs Debian's packages `libsrtp2-dev` and `pkg-config`.

mod ffi;

pub use ffi::{Direction, Failed, Session};
