//! coturn's programs as the other side: its `turnserver` for a [`Client`](plenary_turn::client::Client), its
//! `turnutils_uclient` for a [`Relay`](plenary_relay::Relay); for the tests in this package.
//!
//! Both are of Debian's package `coturn` (4.6.1). Of `turnutils_uclient` is not used:
//!
//! - `-Z`, two families at once: it writes ADDITIONAL-ADDRESS-FAMILY as 0x8032, as a draft had it. In RFC 8656 it is 0x8000, so that
//!   no server of that has a second relay for it.
//! - `-S` without `-t`, which is DTLS: the relay has none.
//! - `-R`, which spoils some of what it sends: it may wait forever for the answer.
//!
//! It draws the number of a channel from 0x4000 to 0x7fff, as RFC 5766 had it, and has no option that it does otherwise. RFC 8656 §12
//! has left 0x4000 to 0x4fff, as a first byte from 0x50 on is for others (RFC 7983), and a number beyond is a 400: it works if
//! all that it draws are in range. Send indications (`-s`) always do.

mod coturn;
mod link;
mod uclient;

pub use coturn::Coturn;
pub use link::{Heard, Link, Session};
pub use uclient::{Uclient, echo};
