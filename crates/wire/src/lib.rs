#![doc = include_str!("../README.md")]

mod datagram;
mod kind;
mod transmit;
mod units;

pub use datagram::{Datagram, Ecn, FlowId, Handled};
pub use kind::PacketKind;
pub use transmit::{Limit, Transmit};
pub use units::{Bitrate, DataSize};

// Promises kept at compile time: these cross threads, and a batch of them stays in cache.
const _: () = {
    const fn send<T: Send>() {}
    send::<Datagram<'static>>();
    send::<Transmit>();
    assert!(size_of::<Transmit>() <= 104);
    assert!(size_of::<Handled<'static, u8>>() <= 24);
};
