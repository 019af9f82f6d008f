//! Who may be a peer: not what is near the server, in whatever form its address comes.

mod embedded;
mod policy;
mod prefix;

pub use policy::PeerPolicy;
pub use prefix::{Prefix, PrefixError};

pub(crate) use policy::Peers;
