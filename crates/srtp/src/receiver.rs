use plenary_rtp::Ssrc;
use std::time::{Duration, Instant};

use crate::cipher::{Cipher, E_FLAG};
use crate::packet::{PACKET_MAX, RTCP_HEADER_LEN, RtpHeader, rtcp_ssrc};
use crate::streams::Streams;
use crate::window::{RTP_INDEXES, Refused, Window, estimate};
use crate::{ConfigError, DropReason, Error, MasterKey, Profile, Stats};

/// How many RTCP packets behind the highest index one is still accepted: RTCP is sparse, and RFC 3711 §3.3.2 asks for
/// 64 at least.
const RTCP_WINDOW: u32 = 128;

/// The longest first packet of an SSRC that is tried at two indexes: what an MTU lets through.
const FIRST_MAX: usize = 1500;

/// What a [`Receiver`] is given beside its key.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// How many SSRCs are known at once, from 1 to 65 536. Default 256: a peer with a camera and a screen in three
    /// layers each, with repair, has 14. Each takes 76 bytes, and `window / 8` + 16 more: 56 kB at worst.
    pub ssrcs_max: usize,
    /// How many packets behind the highest of its SSRC an RTP packet is still accepted, from 64 to 32 768, rounded up
    /// to a power of two. Default 1024, over a second of a large video stream.
    pub window: u32,
    /// How long an SSRC must be silent before another may take its room, if there is no other. Default 60 s: long
    /// after a path has delivered the last of its packets. It loses its rollover counter and replay window with it.
    pub idle: Duration,
    /// Whether RTCP that is authenticated only is accepted. Default `false`; WebRTC encrypts all.
    pub accept_clear_rtcp: bool,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self { ssrcs_max: 256, window: 1024, idle: Duration::from_secs(60), accept_clear_rtcp: false }
    }
}

/// Unprotects the packets of one direction, of any number of SSRCs.
///
/// Nothing is believed before a packet's tag has been checked: a packet that is dropped changes nothing but a counter.
#[derive(Debug)]
pub struct Receiver {
    config: ReceiverConfig,
    profile: Profile,
    cipher: Cipher,
    streams: Streams<Stream>,
    /// Which SSRC had been silent longest when room was last needed, and when it was heard: none is silent for longer, as
    /// long as none is added. It spares a flood of forged SSRCs the walk over those that are known.
    longest: Option<(usize, Instant)>,
    stats: Stats,
}

#[derive(Debug)]
struct Stream {
    rtp: Window,
    rtcp: Window,
    /// The rollover counter of the first RTP packet.
    first_roc: u32,
    /// When the last packet came.
    heard: Instant,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Stream>() == 72, "what the documentation of ssrcs_max says, less the SSRC");

/// Where the state of a packet's SSRC is, or will be.
#[derive(Clone, Copy)]
enum Place {
    Known(usize),
    /// Not there yet, but there is room.
    New,
    /// Not there yet; this one is idle and has to go first.
    InsteadOf(usize),
}

impl Receiver {
    /// A receiver that knows no SSRC yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its range.
    pub fn new(master: &MasterKey, mut config: ReceiverConfig) -> Result<Self, ConfigError> {
        crate::check_limits(config.ssrcs_max, &mut config.window)?;
        Ok(Self {
            config,
            profile: master.profile(),
            cipher: Cipher::new(master),
            streams: Streams::new(),
            longest: None,
            stats: Stats::default(),
        })
    }

    /// The profile of its key.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// What it has done so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many SSRCs it knows.
    pub const fn ssrcs(&self) -> usize {
        self.streams.len()
    }

    /// Says in which 2^16 the first RTP packet of an SSRC will be, or the one before: for one that joins a stream that
    /// has long been running, and was told. Without it a new SSRC is taken to begin at 0.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySsrcs`] if there is no room, [`Error::IndexUsed`] if packets of this SSRC have come already.
    pub fn expect_rollover(&mut self, ssrc: Ssrc, roc: u32, now: Instant) -> Result<(), Error> {
        let place = self.place(ssrc, now).ok_or(Error::TooManySsrcs)?;
        if matches!(place, Place::Known(known) if self.streams.at(known).rtp.next() > 0) {
            return Err(Error::IndexUsed);
        }
        self.settle(place, ssrc, now).first_roc = roc;
        Ok(())
    }

    /// Unprotects one RTP packet in place: what comes back is the packet without its tag.
    ///
    /// # Errors
    ///
    /// [`DropReason`], which is counted too. The payload may be overwritten then.
    pub fn unprotect_rtp<'d>(&mut self, packet: &'d mut [u8], now: Instant) -> Result<&'d mut [u8], DropReason> {
        match self.open_rtp(packet, now) {
            Ok(len) => {
                self.stats.rtp_packets += 1;
                Ok(&mut packet[..len])
            }
            Err(reason) => {
                self.stats.count(reason);
                Err(reason)
            }
        }
    }

    /// Unprotects a run of RTP packets, such as the segments that came by one GRO read (`bytes.chunks_mut(segment)`),
    /// each as the iterator reaches it. The state of an SSRC is looked up when it is another than that of the packet
    /// before.
    pub fn unprotect_rtp_run<'d>(
        &mut self,
        packets: impl IntoIterator<Item = &'d mut [u8]>,
        now: Instant,
    ) -> impl Iterator<Item = Result<&'d mut [u8], DropReason>> {
        packets.into_iter().map(move |packet| self.unprotect_rtp(packet, now))
    }

    /// Unprotects one RTCP packet (as a rule a compound) in place: what comes back is the packet without its tag,
    /// E flag and index.
    ///
    /// # Errors
    ///
    /// [`DropReason`], which is counted too. All behind the first 8 bytes may be overwritten then.
    pub fn unprotect_rtcp<'d>(&mut self, packet: &'d mut [u8], now: Instant) -> Result<&'d mut [u8], DropReason> {
        match self.open_rtcp(packet, now) {
            Ok(len) => {
                self.stats.rtcp_packets += 1;
                Ok(&mut packet[..len])
            }
            Err(reason) => {
                self.stats.count(reason);
                Err(reason)
            }
        }
    }

    fn open_rtp(&mut self, packet: &mut [u8], now: Instant) -> Result<usize, DropReason> {
        let end = packet.len().checked_sub(self.profile.rtp_overhead()).ok_or(DropReason::Malformed)?;
        if packet.len() > PACKET_MAX {
            return Err(DropReason::Malformed);
        }
        let header = RtpHeader::read(&packet[..end]).ok_or(DropReason::Malformed)?;
        if let Some(known) = self.streams.find(header.ssrc) {
            let stream = self.streams.at_mut(known);
            if stream.rtp.next() > 0 {
                let index = estimate(stream.rtp.next(), header.sequence).ok_or(DropReason::TooOld)?;
                stream.rtp.check(index).map_err(DropReason::from)?;
                if index >= RTP_INDEXES {
                    return Err(DropReason::KeyExhausted);
                }
                let opened = self.cipher.unprotect_rtp(packet, &header, index);
                opened.map_err(|_| DropReason::NotAuthentic)?;
                stream.rtp.mark(index, self.config.window);
                stream.heard = stream.heard.max(now);
                return Ok(end);
            }
        }
        self.open_first(packet, &header, now)?;
        Ok(end)
    }

    /// Unprotects the first RTP packet of an SSRC.
    ///
    /// RFC 3711 §3.3.1: the rollover counter begins at 0, or where the caller says. Of a stream that began shortly before
    /// a wrap, all packets up to it may have been lost: the next counter is tried as well, since with the wrong one no
    /// packet of the stream would ever be authentic. A forged SSRC costs twice for that, and not more than that.
    #[cold]
    fn open_first(&mut self, packet: &mut [u8], header: &RtpHeader, now: Instant) -> Result<(), DropReason> {
        let place = self.place(header.ssrc, now).ok_or(DropReason::TooManySsrcs)?;
        let roc = if let Place::Known(known) = place { self.streams.at(known).first_roc } else { 0 };
        let index = u64::from(roc) << 16 | u64::from(header.sequence);
        let next = index + (1 << 16);
        // Half a turn is as far as any receiver follows.
        let has_next = header.sequence < 0x8000 && next < RTP_INDEXES;
        // Whatever is not authentic may be overwritten.
        let mut copy = [0; FIRST_MAX];
        let mut copy = copy.get_mut(..packet.len()).filter(|_| has_next);
        if let Some(copy) = &mut copy {
            copy.copy_from_slice(packet);
        }
        let index = if self.cipher.unprotect_rtp(packet, header, index).is_ok() {
            index
        } else {
            let copy = copy.ok_or(DropReason::NotAuthentic)?;
            let opened = self.cipher.unprotect_rtp(copy, header, next);
            opened.map_err(|_| DropReason::NotAuthentic)?;
            packet.copy_from_slice(copy);
            next
        };
        let window = self.config.window;
        self.settle(place, header.ssrc, now).rtp.mark(index, window);
        Ok(())
    }

    fn open_rtcp(&mut self, packet: &mut [u8], now: Instant) -> Result<usize, DropReason> {
        let end = packet.len().checked_sub(self.profile.rtcp_overhead()).ok_or(DropReason::Malformed)?;
        if end < RTCP_HEADER_LEN || packet.len() > PACKET_MAX {
            return Err(DropReason::Malformed);
        }
        let ssrc = rtcp_ssrc(packet).ok_or(DropReason::Malformed)?;
        let word = self.cipher.rtcp_word(packet);
        if word & E_FLAG == 0 && !self.config.accept_clear_rtcp {
            return Err(DropReason::NotEncrypted);
        }
        let index = u64::from(word & !E_FLAG);
        let place = self.place(ssrc, now).ok_or(DropReason::TooManySsrcs)?;
        if let Place::Known(known) = place {
            self.streams.at(known).rtcp.check(index).map_err(DropReason::from)?;
        }
        self.cipher.unprotect_rtcp(packet, ssrc, word).map_err(|_| DropReason::NotAuthentic)?;
        self.settle(place, ssrc, now).rtcp.mark(index, RTCP_WINDOW);
        Ok(end)
    }

    /// Where `ssrc` is or would be; `None` if there is no room for it. Changes nothing that can be seen.
    #[inline]
    fn place(&mut self, ssrc: Ssrc, now: Instant) -> Option<Place> {
        if let Some(place) = self.streams.find(ssrc) {
            return Some(Place::Known(place));
        }
        if self.streams.len() < self.config.ssrcs_max {
            return Some(Place::New);
        }
        let is_idle = |heard| now.saturating_duration_since(heard) >= self.config.idle;
        if let Some((place, heard)) = self.longest {
            if !is_idle(heard) {
                return None;
            }
            if self.streams.at(place).heard == heard {
                return Some(Place::InsteadOf(place));
            }
        }
        let heard = self.streams.states().map(|stream| stream.heard);
        let (place, heard) = heard.enumerate().min_by_key(|&(_, heard)| heard)?;
        self.longest = Some((place, heard));
        is_idle(heard).then_some(Place::InsteadOf(place))
    }

    /// The state at `place`, made if need be, now that the packet is known to be authentic.
    #[inline]
    fn settle(&mut self, place: Place, ssrc: Ssrc, now: Instant) -> &mut Stream {
        let place = match place {
            Place::Known(place) => place,
            Place::New => self.insert(ssrc, now),
            Place::InsteadOf(idle) => {
                self.streams.remove(idle);
                self.stats.ssrcs_evicted += 1;
                self.insert(ssrc, now)
            }
        };
        let stream = self.streams.at_mut(place);
        stream.heard = stream.heard.max(now);
        stream
    }

    fn insert(&mut self, ssrc: Ssrc, now: Instant) -> usize {
        self.longest = None;
        let stream = Stream { rtp: Window::default(), rtcp: Window::default(), first_roc: 0, heard: now };
        self.streams.insert(ssrc, stream)
    }
}

impl From<Refused> for DropReason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Used => Self::Replayed,
            Refused::TooOld => Self::TooOld,
        }
    }
}
