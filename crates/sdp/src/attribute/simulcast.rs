use core::fmt;

use super::rid::RidDirection;
use crate::{Limits, Part, Reason, RidId};

/// One encoding in an `a=simulcast` line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimulcastId {
    /// Its name.
    pub rid: RidId,
    /// `~`: it is not sent at first (RFC 8853 §5.1).
    pub paused: bool,
}

/// One simulcast stream: the encodings that it may have, one at a time, the preferred first.
pub type Alternatives = Vec<SimulcastId>;

/// `a=simulcast:[send <streams>] [recv <streams>]` (RFC 8853 §5.1).
///
/// Streams are in the order of the line, which is an order of preference. Rids without an `a=rid` line of the same
/// direction mean nothing: [`Media::simulcast`](crate::Media::simulcast) leaves them out. Written with `send` first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Simulcast {
    /// What the writer sends.
    pub send: Vec<Alternatives>,
    /// What the writer receives.
    pub recv: Vec<Alternatives>,
}

impl Simulcast {
    /// The streams of one direction.
    #[must_use]
    pub fn streams(&self, direction: RidDirection) -> &[Alternatives] {
        match direction {
            RidDirection::Send => &self.send,
            RidDirection::Recv => &self.recv,
        }
    }

    /// Without the encodings, and then streams, that `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(RidDirection, &RidId) -> bool) {
        for (direction, streams) in [(RidDirection::Send, &mut self.send), (RidDirection::Recv, &mut self.recv)] {
            for alternatives in &mut *streams {
                alternatives.retain(|one| keep(direction, &one.rid));
            }
            streams.retain(|alternatives| !alternatives.is_empty());
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.send.is_empty() && self.recv.is_empty()
    }

    pub(crate) fn parse(value: &str, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Simulcast);
        let mut read = Self::default();
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        while let Some(direction) = fields.next() {
            let list = fields.next().ok_or(malformed)?;
            let streams = match RidDirection::parse(direction).ok_or(malformed)? {
                RidDirection::Send => &mut read.send,
                RidDirection::Recv => &mut read.recv,
            };
            if !streams.is_empty() {
                return Err(Reason::Duplicate(Part::Simulcast));
            }
            *streams = streams_of(list, limits)?;
        }
        let mut all: Vec<_> = read.send.iter().chain(&read.recv).flatten().map(|one| &one.rid).collect();
        if all.is_empty() {
            return Err(malformed);
        }
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Reason::Duplicate(Part::Simulcast));
        }
        Ok(read)
    }
}

fn streams_of(list: &str, limits: &Limits) -> Result<Vec<Alternatives>, Reason> {
    let mut count = 0;
    let mut streams = Vec::new();
    for stream in list.split(';') {
        let mut alternatives = Vec::new();
        for id in stream.split(',') {
            count += 1;
            if count > limits.rids {
                return Err(Reason::TooMany(Part::Simulcast));
            }
            let (paused, id) = id.strip_prefix('~').map_or((false, id), |id| (true, id));
            let rid = RidId::new(id).map_err(|_| Reason::Malformed(Part::Simulcast))?;
            alternatives.push(SimulcastId { rid, paused });
        }
        streams.push(alternatives);
    }
    Ok(streams)
}

impl fmt::Display for Simulcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for direction in [RidDirection::Send, RidDirection::Recv] {
            let streams = self.streams(direction);
            if streams.is_empty() {
                continue;
            }
            write!(f, "{before}{} ", direction.as_str())?;
            before = " ";
            for (index, alternatives) in streams.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ";" })?;
                for (index, one) in alternatives.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let tilde = if one.paused { "~" } else { "" };
                    write!(f, "{comma}{tilde}{}", one.rid)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulcast(text: &str) -> Result<Simulcast, Reason> {
        Simulcast::parse(text, &Limits::default())
    }

    #[test]
    fn alternatives_and_paused_encodings_are_read() {
        let text = "send 1,~4;2;3 recv c;d";
        let read = simulcast(text).unwrap();
        assert_eq!(read.send.len(), 3);
        let first: Vec<_> = read.send[0].iter().map(|one| (one.rid.as_str(), one.paused)).collect();
        assert_eq!(first, [("1", false), ("4", true)]);
        assert_eq!(read.recv.len(), 2);
        assert_eq!(read.to_string(), text);
        assert_eq!(simulcast("recv c;d  send 1,~4;2;3"), Ok(read));
    }

    #[test]
    fn malformed_and_repeated_rids_are_refused() {
        for bad in ["", "send", "up a", "send ;a", "send a;", "send a,", "send ~~a", "send rid=a", "send a recv"] {
            assert_eq!(simulcast(bad), Err(Reason::Malformed(Part::Simulcast)), "{bad}");
        }
        for twice in ["send a;a", "send a,~a", "send a recv a", "send a send b"] {
            assert_eq!(simulcast(twice), Err(Reason::Duplicate(Part::Simulcast)), "{twice}");
        }
    }

    #[test]
    fn an_endless_list_is_refused() {
        let many: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
        for separator in [";", ","] {
            let text = format!("send {}", many.join(separator));
            assert_eq!(simulcast(&text), Err(Reason::TooMany(Part::Simulcast)));
        }
        assert!(simulcast(&format!("send {}", many[..16].join(";"))).is_ok());
        assert!(simulcast(&format!("send {}", many[..17].join(";"))).is_err());
    }
}
