//! OpenSSL as the peer of a [`Transport`](plenary_transport::Transport), for the tests in this package.
//!
//! It needs the program `openssl`, of Debian's package of that name.

mod bridge;
mod openssl;

pub use bridge::Bridge;
pub use openssl::{Identity, OpenSsl};
