//! What leaves as SRTP: the caller's own bytes, protected where they are.

use std::time::{Duration, Instant};

use plenary_srtp::{MasterKey, Profile, Receiver, Segment, Sender};

use crate::{Config, DtlsRole, Error, Path, Transport};

/// How often ICE is told that media is a sign of life.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// SRTP both ways.
pub(crate) struct Media {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    /// When ICE was last told that the peer is alive.
    pub(crate) told_at: Option<Instant>,
}

impl Media {
    /// `None` if what was exported is not of the profile's length.
    pub(crate) fn new(profile: Profile, exported: &[u8], role: DtlsRole, config: &Config) -> Option<Self> {
        let (client, server) = MasterKey::from_dtls(profile, exported).ok()?;
        let (ours, theirs) = if role == DtlsRole::Client { (client, server) } else { (server, client) };
        let sender = Sender::new(ours, config.srtp_sender.clone()).ok()?;
        let receiver = Receiver::new(&theirs, config.srtp_receiver.clone()).ok()?;
        Some(Self { sender, receiver, told_at: None })
    }
}

impl Transport {
    /// The path that media goes over now; it may change with each `handle_*` call and command.
    pub const fn path(&self) -> Option<Path> {
        self.path
    }

    /// How media is protected; `None` before [`Event::Connected`](crate::Event::Connected). A packet grows by
    /// [`rtp_overhead`](Profile::rtp_overhead) or [`rtcp_overhead`](Profile::rtcp_overhead).
    pub fn profile(&self) -> Option<Profile> {
        self.media.as_ref().map(|media| media.sender.profile())
    }

    /// Protects one RTP packet in place, and answers where to send it. Its last bytes are the room that it grows by;
    /// `index` is the unwrapped sequence number, if known (see [`Sender::protect_rtp`]).
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`], [`Error::NoPath`] or [`Error::Closed`], and then no index is spent; [`Error::Srtp`].
    pub fn protect_rtp(&mut self, packet: &mut [u8], index: Option<u64>) -> Result<Path, Error> {
        let (sender, path) = self.sending()?;
        sender.protect_rtp(packet, index)?;
        Ok(path)
    }

    /// Protects RTP packets that lie one after the other, each with the room that it grows by, and answers where to
    /// send them: the bytes of a transmit, written where it is.
    ///
    /// # Errors
    ///
    /// As of [`protect_rtp`](Self::protect_rtp), and [`Error::Run`]: the packets before the one refused are spent.
    pub fn protect_rtp_run(&mut self, bytes: &mut [u8], run: &[Segment]) -> Result<Path, Error> {
        let (sender, path) = self.sending()?;
        sender.protect_rtp_run(bytes, run)?;
        Ok(path)
    }

    /// Protects one RTCP packet, as a rule a compound, in place, and answers where to send it. Its last bytes are the
    /// room that it grows by.
    ///
    /// # Errors
    ///
    /// As of [`protect_rtp`](Self::protect_rtp).
    pub fn protect_rtcp(&mut self, packet: &mut [u8]) -> Result<Path, Error> {
        let (sender, path) = self.sending()?;
        sender.protect_rtcp(packet)?;
        Ok(path)
    }

    /// The sending half of SRTP, to retire SSRCs and to ask for indexes; `None` before there are keys.
    pub fn srtp_sender(&mut self) -> Option<&mut Sender> {
        self.media.as_mut().map(|media| &mut media.sender)
    }

    /// The receiving half of SRTP, for its statistics and rollover counters; `None` before there are keys.
    pub fn srtp_receiver(&mut self) -> Option<&mut Receiver> {
        self.media.as_mut().map(|media| &mut media.receiver)
    }

    fn sending(&mut self) -> Result<(&mut Sender, Path), Error> {
        if self.closed.is_some() {
            return Err(Error::Closed);
        }
        let media = self.media.as_mut().ok_or(Error::NoKeys)?;
        Ok((&mut media.sender, self.path.ok_or(Error::NoPath)?))
    }
}
