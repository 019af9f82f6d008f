//! Names of what an engine holds. Each is of one object for ever: what is gone is not mistaken for what came in its place.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident, $key:ident, $letter:literal;)*) => {
        slotmap::new_key_type! { $(pub(crate) struct $key;)* }
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $id(pub(crate) $key);

            impl $id {
                /// As a number, to be kept elsewhere: no two ever share one within an engine.
                #[must_use]
                pub fn to_bits(self) -> u64 {
                    slotmap::Key::data(&self.0).as_ffi()
                }

                /// The name that became this number.
                #[must_use]
                pub fn from_bits(bits: u64) -> Self {
                    Self(slotmap::KeyData::from_ffi(bits).into())
                }
            }

            impl fmt::Debug for $id {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($letter, "{:x}"), self.to_bits())
                }
            }
        )*
    };
}

ids! {
    /// A room.
    RoomId, RoomKey, "room ";
    /// One peer in a room.
    SessionId, SessionKey, "session ";
    /// One peer connection of a session.
    TransportId, TransportKey, "transport ";
    /// What one session publishes: a camera, a microphone, a screen.
    TrackId, TrackKey, "track ";
    /// That one session receives one track.
    SubscriptionId, SubscriptionKey, "subscription ";
}
