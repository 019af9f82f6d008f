//! The Data Channel Establishment Protocol (RFC 8832).

use std::time::Duration;

use super::{ChannelConfig, Reliability};

/// A message of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dcep {
    Open(ChannelConfig),
    Ack,
}

/// RFC 8831 §6.4: the priority "normal". Nothing here is sent before anything else because of it.
const PRIORITY: u16 = 256;

const ACK: u8 = 2;
const OPEN: u8 = 3;

/// RFC 8832 §5.1: the bit of the channel type that says unordered.
const UNORDERED: u8 = 0x80;

impl Dcep {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes == [ACK] {
            return Some(Self::Ack);
        }
        // RFC 8832 §5.1.
        let (&[kind, channel, _, _, r0, r1, r2, r3, l0, l1, p0, p1], names) = bytes.split_first_chunk()?;
        if kind != OPEN {
            return None;
        }
        let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
        let reliability = match channel & !UNORDERED {
            0 => Reliability::Reliable,
            1 => Reliability::MaxRetransmits(parameter),
            2 => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
            _ => return None,
        };
        let (label, protocol) = names.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        if protocol.len() != usize::from(u16::from_be_bytes([p0, p1])) {
            return None;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let (label, protocol) = (text(label)?, text(protocol)?);
        let ordered = channel & UNORDERED == 0;
        Some(Self::Open(ChannelConfig { label, protocol, ordered, reliability, negotiated: None }))
    }

    /// Bytes of label and protocol that an OPEN message claims, which are not looked at.
    pub(super) fn name_bytes(bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(12)
    }

    /// `None` if a name or a lifetime does not fit.
    pub(super) fn open(config: &ChannelConfig) -> Option<Vec<u8>> {
        let (kind, parameter) = match config.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::MaxRetransmits(times) => (1, times),
            Reliability::MaxLifetime(time) => (2, u32::try_from(time.as_millis()).ok()?),
        };
        let length = |name: &str| u16::try_from(name.len()).ok();
        let mut bytes = vec![OPEN, if config.ordered { kind } else { kind | UNORDERED }];
        bytes.extend(PRIORITY.to_be_bytes());
        bytes.extend(parameter.to_be_bytes());
        bytes.extend(length(&config.label)?.to_be_bytes());
        bytes.extend(length(&config.protocol)?.to_be_bytes());
        bytes.extend(config.label.as_bytes());
        bytes.extend(config.protocol.as_bytes());
        Some(bytes)
    }

    pub(super) const fn ack() -> [u8; 1] {
        [ACK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_message_goes_through_its_bytes() {
        use Reliability::{MaxLifetime, MaxRetransmits, Reliable};
        let lifetime = MaxLifetime(Duration::from_millis(u32::MAX.into()));
        for (reliability, kind) in [(Reliable, 0), (MaxRetransmits(0), 1), (MaxRetransmits(u32::MAX), 1), (lifetime, 2)]
        {
            for ordered in [true, false] {
                let (label, protocol) = ("chät".to_string(), "raw".to_string());
                let config = ChannelConfig { label, protocol, ordered, reliability, negotiated: None };
                let bytes = Dcep::open(&config).unwrap();
                assert_eq!(bytes[1], if ordered { kind } else { kind | 0x80 });
                assert_eq!(Dcep::read(&bytes), Some(Dcep::Open(config)));
                for len in 0..bytes.len() {
                    assert_eq!(Dcep::read(&bytes[..len]), None, "{len} bytes");
                }
                assert_eq!(Dcep::read(&[&bytes[..], b"!"].concat()), None);
            }
        }
        assert_eq!(Dcep::read(&Dcep::ack()), Some(Dcep::Ack));
    }

    // RFC 8832 §5.1, byte by byte.
    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        let reliability = Reliability::MaxRetransmits(3);
        let (label, protocol) = ("ab".to_string(), "c".to_string());
        let config = ChannelConfig { label, protocol, ordered: false, reliability, negotiated: None };
        let expected = [3, 0x81, 1, 0, 0, 0, 0, 3, 0, 2, 0, 1, b'a', b'b', b'c'];
        assert_eq!(Dcep::open(&config).unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let long = ChannelConfig { label: "x".repeat(65_536), ..ChannelConfig::default() };
        assert_eq!(Dcep::open(&long), None);
        let reliability = Reliability::MaxLifetime(Duration::from_millis(1 << 32));
        assert_eq!(Dcep::open(&ChannelConfig { reliability, ..ChannelConfig::default() }), None);
    }

    #[test]
    fn garbage_is_refused() {
        let unknown = [3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let not_text = [3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff];
        for bytes in [&[][..], &[2, 0], &[1], &[4; 12], &unknown, &not_text] {
            assert_eq!(Dcep::read(bytes), None, "{bytes:?}");
        }
    }
}
