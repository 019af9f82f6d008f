use crate::ConfigError;

/// Data channels: what is told to the peer, and what they may hold.
///
/// One peer that keeps to no rule holds 2 × `receive_buffer_bytes_max`, as much again for the overhead of small pieces,
/// `send_buffer_bytes_max`, and about 1 kB and a name for each channel: less than 6 MB with the defaults. Nothing is
/// held before DTLS is done, and nothing if either side's description has no data channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataConfig {
    /// The SCTP port that the description says (`sctp-port`), from 1. 5000 by default, as everywhere. It means nothing
    /// below DTLS, but has to be right.
    pub sctp_port: u16,
    /// Channels at once, ours and the peer's, until they are closed on both sides and the caller knows of it; from 1 to
    /// 1024. 256 by default.
    pub channels_max: u16,
    /// Bytes of a channel's label and protocol together; from 0 to 131,070. 1024 by default.
    pub name_bytes_max: usize,
    /// Bytes of the largest message that is taken: `max-message-size` of the description; from 1024 to 2^30. 256 kB by
    /// default, as browsers say. A peer that sends a larger one ends all of its data channels.
    pub message_bytes_max: usize,
    /// Bytes of messages that are accepted for sending and not yet acknowledged, of all channels together; from 1024 to
    /// 2^30. 1 MB by default: a message that no longer fits is refused. A message holds about 200 bytes more.
    pub send_buffer_bytes_max: usize,
    /// Bytes of messages that are not yet read, each with 64 more, and of what is not yet whole: the window that SCTP
    /// advertises. From twice `message_bytes_max` to 2^30. 1 MB by default.
    pub receive_buffer_bytes_max: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            sctp_port: 5000,
            channels_max: 256,
            name_bytes_max: 1024,
            message_bytes_max: 256 * 1024,
            send_buffer_bytes_max: 1024 * 1024,
            receive_buffer_bytes_max: 1024 * 1024,
        }
    }
}

impl DataConfig {
    const BYTES_MAX: usize = 1 << 30;

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bytes = |from: usize| from..=Self::BYTES_MAX;
        let all = [
            self.sctp_port != 0,
            (1..=1024).contains(&self.channels_max),
            self.name_bytes_max <= 2 * usize::from(u16::MAX),
            bytes(1024).contains(&self.message_bytes_max),
            bytes(1024).contains(&self.send_buffer_bytes_max),
            bytes(2 * self.message_bytes_max).contains(&self.receive_buffer_bytes_max),
        ];
        let fields = [
            ConfigError::SctpPort,
            ConfigError::Channels,
            ConfigError::ChannelName,
            ConfigError::MessageBytes,
            ConfigError::SendBuffer,
            ConfigError::ReceiveBuffer,
        ];
        all.into_iter().zip(fields).find(|(is_right, _)| !is_right).map_or(Ok(()), |(_, field)| Err(field))
    }
}

/// What a description says of data channels (RFC 8841): there is an `m=application` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataParameters {
    /// `sctp-port`.
    pub sctp_port: u16,
    /// `max-message-size`, the bytes of the largest message that this side takes: 0 for any size, and
    /// [`MESSAGE_BYTES_DEFAULT`](Self::MESSAGE_BYTES_DEFAULT) where the description says nothing.
    pub message_bytes_max: u64,
}

impl DataParameters {
    /// RFC 8841 §6.1: what holds if there is no `max-message-size`.
    pub const MESSAGE_BYTES_DEFAULT: u64 = 65_536;
}
