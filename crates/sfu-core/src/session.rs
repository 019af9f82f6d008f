//! One who is in a room: what is received, over whichever of the transports.

use std::collections::VecDeque;

use crate::ids::{RoomKey, SubscriptionKey, TransportKey};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) room: RoomKey,
    /// The oldest first.
    pub(crate) transports: Vec<TransportKey>,
    /// Subscriptions, in slots or waiting for one.
    pub(crate) subscriptions: Vec<SubscriptionKey>,
    pub(crate) waiting: VecDeque<SubscriptionKey>,
}

impl Session {
    pub(crate) const fn new(room: RoomKey) -> Self {
        Self { room, transports: Vec::new(), subscriptions: Vec::new(), waiting: VecDeque::new() }
    }
}
