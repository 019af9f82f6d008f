//! Two transports, and a network between them, in virtual time.

mod arbitrary;
mod browsers;
mod certificate;
mod data;
mod handshake;
mod hostile;
mod lab;
mod life;
mod memory;
mod oracle;
mod relay;
mod relay_paths;
