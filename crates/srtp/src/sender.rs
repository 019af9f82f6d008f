use crate::cipher::{Cipher, E_FLAG};
use crate::packet::{PACKET_MAX, RtpHeader, rtcp_ssrc};
use crate::streams::Streams;
use crate::window::{RTP_INDEXES, Refused, Window, estimate};
use crate::{ConfigError, Error, MasterKey, Profile, RunError};
use plenary_rtp::Ssrc;

/// How many RTCP packets a key may protect (RFC 3711 §9.2); the index has 31 bits.
const RTCP_INDEXES: u32 = 1 << 31;

/// What a [`Sender`] is given beside its key.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// How many SSRCs may ever be used with the key, from 1 to 65 536. None is forgotten while the key lives: one that
    /// came back without its history could use an index twice. Default 1024, far above what a meeting's slots need;
    /// each takes 36 bytes, and `window / 8` more until it is [retired](Sender::retire): 168 kB at worst.
    pub ssrcs_max: usize,
    /// How many packets behind the highest of its SSRC one may still be protected, from 64 to 32 768, rounded up to a
    /// power of two. Default 1024: a sender has little cause to go back, but one that reads from several queues may.
    pub window: u32,
    /// Whether RTCP is encrypted, not only authenticated. Default `true`; WebRTC knows nothing else.
    pub encrypt_rtcp: bool,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self { ssrcs_max: 1024, window: 1024, encrypt_rtcp: true }
    }
}

/// One packet of a run: see [`Sender::protect_rtp_run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes of the packet, with the room for its tag.
    pub len: usize,
    /// Its index, if the caller knows it: see [`Sender::protect_rtp`].
    pub index: Option<u64>,
}

/// Protects the packets of one direction, of any number of SSRCs.
///
/// It protects an index of an SSRC once and never again: to send a packet again, send it by RTX (RFC 4588), as a new
/// packet of another SSRC, or keep the protected bytes.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    profile: Profile,
    cipher: Cipher,
    streams: Streams<Stream>,
    /// RTP packets protected with the key.
    rtp_packets: u64,
    /// RTCP packets protected with the key.
    rtcp_packets: u32,
}

#[derive(Debug, Default)]
struct Stream {
    rtp: Window,
    /// The index of the next RTCP packet.
    rtcp: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Stream>() == 32, "what the documentation of ssrcs_max says, less the SSRC");

impl Sender {
    /// A sender that has protected nothing yet. A key must have one sender only, ever: it is spent here.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its range.
    pub fn new(master: MasterKey, mut config: SenderConfig) -> Result<Self, ConfigError> {
        crate::check_limits(config.ssrcs_max, &mut config.window)?;
        Ok(Self {
            config,
            profile: master.profile(),
            cipher: Cipher::new(&master),
            streams: Streams::new(),
            rtp_packets: 0,
            rtcp_packets: 0,
        })
    }

    /// The profile of its key.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Protects one RTP packet in place. `packet` is the packet and, at its end,
    /// [`rtp_overhead`](Profile::rtp_overhead) bytes of room, whatever they hold; all of it is to be sent.
    ///
    /// `index` is the sequence number as the sender counts it, unwrapped: 48 bits, of which the header has the low
    /// 16. A sender that knows it should say so. With `None` it is the index closest to the highest so far (RFC 3711
    /// §3.3.1): a stream may skip packets, but not 2^15 of them at once, and starts with an index below 2^16.
    ///
    /// Receivers always go by the closest index, so either way a jump of 2^15 or more loses them; and a first
    /// sequence number below 2^15 keeps them from being lost when the first packets are.
    ///
    /// # Errors
    ///
    /// [`Error`]: the bytes are no RTP packet, or the index can't be used (again). Nothing is changed.
    pub fn protect_rtp(&mut self, packet: &mut [u8], index: Option<u64>) -> Result<(), Error> {
        let clear = packet.len().checked_sub(self.profile.rtp_overhead()).ok_or(Error::NoRoom)?;
        if packet.len() > PACKET_MAX {
            return Err(Error::TooLong);
        }
        let header = RtpHeader::read(&packet[..clear]).ok_or(Error::NotAPacket)?;
        if self.rtp_packets == RTP_INDEXES {
            return Err(Error::KeyExhausted);
        }
        let place = self.streams.find(header.ssrc);
        let index = match (index, place) {
            (Some(index), _) if index as u16 != header.sequence || index >= RTP_INDEXES => {
                return Err(Error::IndexMismatch);
            }
            (Some(index), _) => index,
            (None, Some(place)) => {
                let next = self.streams.at(place).rtp.next();
                estimate(next, header.sequence).ok_or(Error::IndexTooOld)?
            }
            (None, None) => u64::from(header.sequence),
        };
        if index >= RTP_INDEXES {
            return Err(Error::KeyExhausted);
        }
        let place = self.place(place, header.ssrc, |stream| match stream.rtp.check(index) {
            Ok(()) => Ok(()),
            Err(Refused::Used) => Err(Error::IndexUsed),
            Err(Refused::TooOld) => Err(Error::IndexTooOld),
        })?;
        self.streams.at_mut(place).rtp.mark(index, self.config.window);
        self.rtp_packets += 1;
        self.cipher.protect_rtp(packet, &header, index);
        Ok(())
    }

    /// Protects a run: packets that lie in `bytes` one after the other, each with room for its tag, as they go into
    /// one transmit; together they are all of `bytes`, so that none of it leaves in the clear. The state of an SSRC is
    /// looked up when it is another than that of the packet before.
    ///
    /// # Errors
    ///
    /// [`RunError`] says which packet was refused and why. Those before it are protected and spent; the rest is not
    /// changed, and a new run may begin behind it. A run that is not as long as `bytes` is refused with
    /// [`Error::RunLength`] at its packet 0: nothing of it is spent.
    pub fn protect_rtp_run(&mut self, mut bytes: &mut [u8], run: &[Segment]) -> Result<(), RunError> {
        let len = run.iter().fold(0usize, |len, segment| len.saturating_add(segment.len));
        if len != bytes.len() {
            return Err(RunError { packet: 0, error: Error::RunLength });
        }
        for (number, segment) in run.iter().enumerate() {
            let (packet, rest) = bytes.split_at_mut(segment.len);
            self.protect_rtp(packet, segment.index).map_err(|error| RunError { packet: number, error })?;
            bytes = rest;
        }
        Ok(())
    }

    /// Protects one RTCP packet (as a rule a compound) in place. `packet` is the packet and, at its end,
    /// [`rtcp_overhead`](Profile::rtcp_overhead) bytes of room, whatever they hold; all of it is to be sent.
    ///
    /// # Errors
    ///
    /// [`Error`]: the bytes are no RTCP packet, or the key is exhausted. Nothing is changed.
    pub fn protect_rtcp(&mut self, packet: &mut [u8]) -> Result<(), Error> {
        let clear = packet.len().checked_sub(self.profile.rtcp_overhead()).ok_or(Error::NoRoom)?;
        if packet.len() > PACKET_MAX {
            return Err(Error::TooLong);
        }
        let ssrc = rtcp_ssrc(&packet[..clear]).ok_or(Error::NotAPacket)?;
        // RFC 3711 §9.2: 2^31 RTCP packets under one key, of all SSRCs together; so no SSRC's index wraps.
        if self.rtcp_packets == RTCP_INDEXES {
            return Err(Error::KeyExhausted);
        }
        let place = self.streams.find(ssrc);
        let place = self.place(place, ssrc, |_| Ok(()))?;
        let stream = self.streams.at_mut(place);
        let word = if self.config.encrypt_rtcp { stream.rtcp | E_FLAG } else { stream.rtcp };
        stream.rtcp += 1;
        self.rtcp_packets += 1;
        self.cipher.protect_rtcp(packet, ssrc, word);
        Ok(())
    }

    /// Gives back most of the memory of an SSRC that is done. It still counts against `ssrcs_max`, and what it has
    /// protected stays protected once only: it may go on, but only above its highest index. Unknown SSRCs are ignored.
    pub fn retire(&mut self, ssrc: Ssrc) {
        if let Some(place) = self.streams.find(ssrc) {
            self.streams.at_mut(place).rtp.shut();
        }
    }

    /// The index of the next RTP packet of this SSRC, if it goes on without a gap; `None` before its first packet.
    pub fn next_index(&self, ssrc: Ssrc) -> Option<u64> {
        let next = self.streams.get(ssrc)?.rtp.next();
        (next > 0).then_some(next)
    }

    /// The place of the state of `ssrc` if `check` lets it pass; a new one may be made.
    #[inline]
    fn place(
        &mut self,
        place: Option<usize>,
        ssrc: Ssrc,
        check: impl FnOnce(&Stream) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        if let Some(place) = place {
            check(self.streams.at(place))?;
            return Ok(place);
        }
        if self.streams.len() == self.config.ssrcs_max {
            return Err(Error::TooManySsrcs);
        }
        Ok(self.streams.insert(ssrc, Stream::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        let master = MasterKey::new(Profile::AeadAes128Gcm, &[7; 16], &[9; 12]).unwrap();
        Sender::new(master, SenderConfig::default()).unwrap()
    }

    fn rtp(sequence: u16) -> [u8; 38] {
        let mut packet = [0x55; 38];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet
    }

    // RFC 3711 §9.2.
    #[test]
    fn a_key_protects_2_48_rtp_packets_at_most() {
        let mut sender = sender();
        sender.rtp_packets = RTP_INDEXES - 1;
        assert_eq!(sender.protect_rtp(&mut rtp(1), None), Ok(()));
        let mut packet = rtp(2);
        assert_eq!(sender.protect_rtp(&mut packet, None), Err(Error::KeyExhausted));
        assert_eq!(packet, rtp(2));
    }

    // RFC 3711 §9.2.
    #[test]
    fn a_key_protects_2_31_rtcp_packets_at_most() {
        let mut sender = sender();
        sender.rtcp_packets = RTCP_INDEXES - 1;
        let mut packet = [0x81; 28];
        assert_eq!(sender.protect_rtcp(&mut packet), Ok(()));
        assert_eq!(sender.protect_rtcp(&mut packet), Err(Error::KeyExhausted));
    }

    #[test]
    fn no_index_is_beyond_48_bits() {
        let mut sender = sender();
        assert_eq!(sender.protect_rtp(&mut rtp(0xffff), Some(RTP_INDEXES - 1)), Ok(()));
        assert_eq!(sender.protect_rtp(&mut rtp(0), None), Err(Error::KeyExhausted));
        assert_eq!(sender.protect_rtp(&mut rtp(0), Some(RTP_INDEXES)), Err(Error::IndexMismatch));
    }
}
