//! What the caller asks of data channels.

use super::dcep::Dcep;
use super::sctp::Kind;
use super::{
    Channel, ChannelConfig, ChannelError, ChannelId, ChannelState, Data, Message, MessageKind, NO_STREAM, Slot,
};
use crate::Transport;

impl Data {
    fn open(&mut self, config: ChannelConfig) -> Result<ChannelId, ChannelError> {
        if self.ended.is_some() {
            return Err(ChannelError::Ended);
        }
        if self.slots.len() >= usize::from(self.config.channels_max) {
            return Err(ChannelError::Channels);
        }
        if config.label.len() + config.protocol.len() > self.config.name_bytes_max {
            return Err(ChannelError::Name);
        }
        if matches!(config.reliability, super::Reliability::MaxLifetime(time) if time.as_millis() > u32::MAX.into()) {
            return Err(ChannelError::Lifetime);
        }
        if Dcep::open(&config).is_none() {
            return Err(ChannelError::Name);
        }
        if let Some(stream) = config.negotiated {
            let is_taken = |slot: &Slot| slot.stream == Some(stream) || slot.config.negotiated == Some(stream);
            if stream == NO_STREAM || self.slots.values().any(is_taken) || self.refused.contains(&stream) {
                return Err(ChannelError::Stream);
            }
        }
        let id = self.issue_id();
        self.slots.insert(id, Slot::new(config, None, ChannelState::Connecting));
        if self.is_up {
            self.begin(id);
        }
        Ok(id)
    }

    fn close(&mut self, id: ChannelId) -> Result<(), ChannelError> {
        let slot = self.slots.get_mut(&id).ok_or(ChannelError::NoChannel)?;
        match (slot.state, slot.stream, &mut self.sctp) {
            (ChannelState::Open, Some(stream), Some(sctp)) => {
                slot.state = ChannelState::Closing;
                sctp.reset(stream);
            }
            (ChannelState::Connecting, ..) => self.close_slot(id),
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, id: ChannelId, kind: MessageKind, bytes: &[u8]) -> Result<(), ChannelError> {
        if self.ended.is_some() {
            return Err(ChannelError::Ended);
        }
        let slot = self.slots.get(&id).ok_or(ChannelError::NoChannel)?;
        let stream = slot.stream.filter(|_| slot.state == ChannelState::Open).ok_or(ChannelError::NotOpen)?;
        let bytes_max = self.peer_bytes_max.min(self.config.send_buffer_bytes_max);
        if bytes.len() > bytes_max {
            return Err(ChannelError::MessageBytes { bytes_max });
        }
        let free_bytes = self.free_bytes(bytes.len());
        if bytes.len() > free_bytes {
            return Err(ChannelError::SendBuffer { free_bytes });
        }
        // RFC 8831 §6.6: SCTP has no empty messages.
        let (kind, bytes) = match (kind, bytes) {
            (MessageKind::Text, []) => (Kind::StringEmpty, &[0][..]),
            (MessageKind::Binary, []) => (Kind::BinaryEmpty, &[0][..]),
            (MessageKind::Text, bytes) => (Kind::String, bytes),
            (MessageKind::Binary, bytes) => (Kind::Binary, bytes),
        };
        if !self.sctp.as_mut().is_some_and(|sctp| sctp.write(stream, kind, bytes)) {
            return Err(ChannelError::NotOpen);
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.buffered += bytes.len();
        }
        Ok(())
    }

    /// The room of the send buffer, or less if it is enough.
    fn free_bytes(&mut self, enough: usize) -> usize {
        let room = |data: &Self| {
            let buffered: usize = data.slots.values().map(|slot| slot.buffered).sum();
            data.config.send_buffer_bytes_max.saturating_sub(buffered)
        };
        let free = room(self);
        if free >= enough {
            return free;
        }
        for slot in self.slots.values_mut() {
            if let (Some(stream), Some(sctp)) = (slot.stream, &mut self.sctp) {
                slot.buffered = sctp.buffered(stream);
            }
        }
        room(self)
    }

    fn channel(&mut self, id: ChannelId) -> Option<Channel<'_>> {
        let slot = self.slots.get_mut(&id)?;
        if let (Some(stream), Some(sctp)) = (slot.stream, &mut self.sctp) {
            slot.buffered = sctp.buffered(stream);
        }
        let Slot { config, stream, state, buffered, .. } = slot;
        Some(Channel { config, stream: *stream, state: *state, buffered_bytes: *buffered })
    }

    fn set_drained_at(&mut self, id: ChannelId, bytes: usize) -> Result<(), ChannelError> {
        let slot = self.slots.get_mut(&id).ok_or(ChannelError::NoChannel)?;
        slot.drained_at = bytes;
        if let (Some(stream), Some(sctp)) = (slot.stream, &mut self.sctp) {
            sctp.set_drained_at(stream, bytes);
        }
        Ok(())
    }
}

/// Data channels (RFC 8831). They exist if `Config::data` is set and the peer's description has them too; channels can be
/// opened before that is known.
impl Transport {
    /// Opens a channel. [`Event::ChannelOpened`](crate::Event::ChannelOpened) tells when messages can be sent: once there
    /// is an association, without waiting for the peer's word (RFC 8832 §6).
    ///
    /// # Errors
    ///
    /// [`NotConfigured`](ChannelError::NotConfigured), [`Ended`](ChannelError::Ended);
    /// [`Channels`](ChannelError::Channels), [`Name`](ChannelError::Name), [`Lifetime`](ChannelError::Lifetime) and
    /// [`Stream`](ChannelError::Stream), if a limit is reached. If no stream is free when there is an association, the
    /// channel is closed.
    pub fn open_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, ChannelError> {
        if self.closed.is_some() {
            return Err(ChannelError::Ended);
        }
        let limits = self.config.data.as_ref().ok_or(ChannelError::NotConfigured)?;
        self.data.get_or_insert_with(|| Box::new(Data::new(limits.clone()))).open(config)
    }

    /// Closes a channel, once all that was sent is acknowledged (RFC 8831 §6.7). What the peer still sends in it is
    /// dropped. [`Event::ChannelClosed`](crate::Event::ChannelClosed) tells when the peer has closed it too.
    ///
    /// # Errors
    ///
    /// [`NoChannel`](ChannelError::NoChannel).
    pub fn close_channel(&mut self, channel: ChannelId) -> Result<(), ChannelError> {
        self.data_mut()?.close(channel)
    }

    /// Sends a message: it is copied, and leaves with [`poll_transmit`](Self::poll_transmit) as the peer and the network
    /// take it.
    ///
    /// # Errors
    ///
    /// [`NotOpen`](ChannelError::NotOpen); [`MessageBytes`](ChannelError::MessageBytes), if it is larger than the peer
    /// takes; [`SendBuffer`](ChannelError::SendBuffer), if it does not fit now;
    /// [`Ended`](ChannelError::Ended), [`NoChannel`](ChannelError::NoChannel).
    pub fn send_message(&mut self, channel: ChannelId, kind: MessageKind, bytes: &[u8]) -> Result<(), ChannelError> {
        self.data_mut()?.send(channel, kind, bytes)
    }

    /// The next message that came, of any channel. Those of one channel come as the peer sent them, or as they arrive if
    /// it is not ordered. While they are not taken the peer is held back, so that as much as
    /// `DataConfig::receive_buffer_bytes_max` waits. Goes on after the end, until there is none.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.data.as_mut()?.poll_message()
    }

    /// A look at a channel; `None` once its [`Event::ChannelClosed`](crate::Event::ChannelClosed) was taken.
    pub fn channel(&mut self, channel: ChannelId) -> Option<Channel<'_>> {
        self.data.as_mut()?.channel(channel)
    }

    /// Sets when [`Event::ChannelDrained`](crate::Event::ChannelDrained) comes: when what is buffered for sending falls
    /// to this or below. 0 bytes by default.
    ///
    /// # Errors
    ///
    /// [`NoChannel`](ChannelError::NoChannel).
    pub fn set_channel_drained_at(&mut self, channel: ChannelId, bytes: usize) -> Result<(), ChannelError> {
        self.data_mut()?.set_drained_at(channel, bytes)
    }

    fn data_mut(&mut self) -> Result<&mut Data, ChannelError> {
        self.data.as_deref_mut().ok_or(ChannelError::NoChannel)
    }
}
