//! Who is in which room.

use std::time::Instant;

use super::{Room, Sfu};
use crate::Error;
use crate::ids::{RoomId, SessionId, SubscriptionId, TrackId, TransportId};
use crate::negotiation::RoomConfig;
use crate::session::Session;

impl Sfu {
    /// Makes a room.
    ///
    /// # Errors
    ///
    /// [`Error::Codecs`], or [`Error::Limit`] if there are [`rooms_max`](crate::Config::rooms_max).
    pub fn create_room(&mut self, config: RoomConfig) -> Result<RoomId, Error> {
        config.check()?;
        if self.rooms.len() >= self.config.rooms_max {
            return Err(Error::Limit("rooms_max"));
        }
        let room = Room { codecs: config.codecs, sessions: Vec::new(), tracks: Vec::new() };
        Ok(RoomId(self.rooms.insert(room)))
    }

    /// Ends a room: all sessions in it leave.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`].
    pub fn remove_room(&mut self, room: RoomId, now: Instant) -> Result<(), Error> {
        let sessions = self.rooms.get(room.0).ok_or(Error::NoRoom)?.sessions.clone();
        for session in sessions {
            self.leave(SessionId(session), now)?;
        }
        self.rooms.remove(room.0);
        Ok(())
    }

    /// The tracks that can be received in a room.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`].
    pub fn tracks(&self, room: RoomId) -> Result<impl Iterator<Item = TrackId>, Error> {
        Ok(self.rooms.get(room.0).ok_or(Error::NoRoom)?.tracks.iter().copied().map(TrackId))
    }

    /// Adds a session to a room. It is reached once it has a transport: [`add_transport`](Self::add_transport).
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`], or [`Error::Limit`] of `sessions_max` or `room_sessions_max`.
    pub fn join(&mut self, room: RoomId) -> Result<SessionId, Error> {
        let it = self.rooms.get_mut(room.0).ok_or(Error::NoRoom)?;
        if self.sessions.len() >= self.config.sessions_max {
            return Err(Error::Limit("sessions_max"));
        }
        if it.sessions.len() >= self.config.room_sessions_max {
            return Err(Error::Limit("room_sessions_max"));
        }
        let key = self.sessions.insert(Session::new(room.0));
        it.sessions.push(key);
        Ok(SessionId(key))
    }

    /// Removes a session, with what it receives and all its transports:
    /// [`remove_transport`](Self::remove_transport).
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`].
    pub fn leave(&mut self, session: SessionId, now: Instant) -> Result<(), Error> {
        let it = self.sessions.get(session.0).ok_or(Error::NoSession)?;
        let (subscriptions, transports, room) = (it.subscriptions.clone(), it.transports.clone(), it.room);
        for subscription in subscriptions {
            self.unsubscribe(SubscriptionId(subscription), now)?;
        }
        for transport in transports {
            self.remove_transport(TransportId(transport), now)?;
        }
        if let Some(room) = self.rooms.get_mut(room) {
            room.sessions.retain(|known| *known != session.0);
        }
        self.sessions.remove(session.0);
        Ok(())
    }
}
