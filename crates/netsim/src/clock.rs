use std::time::Instant;

/// The instant that virtual time counts from, for tests that need one and have none.
///
/// `std` gives no other way to make an [`Instant`]. No result may depend on which one it is: all that a network or a
/// simulation tells is a `Duration` since its start.
#[expect(clippy::disallowed_methods, reason = "the one base of virtual time: its value is never looked at")]
pub fn base() -> Instant {
    Instant::now()
}
