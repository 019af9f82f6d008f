#![doc = include_str!("../README.md")]

mod cipher;
mod error;
mod key;
mod packet;
mod profile;
mod receiver;
mod sender;
mod stats;
mod streams;
#[cfg(test)]
mod testing;
mod window;

pub use error::{ConfigError, DropReason, Error, RunError};
pub use key::MasterKey;
pub use packet::PACKET_MAX;
pub use profile::Profile;
pub use receiver::{Receiver, ReceiverConfig};
pub use sender::{Segment, Sender, SenderConfig};
pub use stats::Stats;

/// Checks what both configurations have, and rounds the window up.
fn check_limits(ssrcs_max: usize, window: &mut u32) -> Result<(), ConfigError> {
    if !(1..=65_536).contains(&ssrcs_max) {
        return Err(ConfigError::SsrcsMax);
    }
    if !(64..=32_768).contains(window) {
        return Err(ConfigError::Window);
    }
    *window = window.next_power_of_two();
    Ok(())
}

const _: () = {
    const fn is_send<T: Send + Sync>() {}
    is_send::<Sender>();
    is_send::<Receiver>();
    is_send::<MasterKey>();
};
