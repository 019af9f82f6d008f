//! Tests that drive `plenary-bwe`'s controllers by `rtc-interceptor`, which webrtc-rs is built with. A package of its own,
//! so that what they need stays out of the crate's dependencies.
