//! Two transports, and a network between them, in virtual time.

mod arbitrary;
mod certificate;
mod handshake;
mod hostile;
mod lab;
mod life;
