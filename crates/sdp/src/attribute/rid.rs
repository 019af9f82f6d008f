use core::fmt;

use crate::text::number;
use crate::{Limits, Parameters, Part, PayloadType, Reason, RidId};

/// Which way an encoding goes, as seen by the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// The writer sends it.
    Send,
    /// The writer receives it.
    Recv,
}

impl RidDirection {
    /// The same, as seen by the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Recv => "recv",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Send, Self::Recv].into_iter().find(|one| one.as_str() == text)
    }
}

/// `a=rid:<id> <direction> [pt=<payload types>;<restrictions>]` (RFC 8851 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rid {
    /// The encoding's name, on packets too.
    pub id: RidId,
    /// Which way it goes.
    pub direction: RidDirection,
    /// Payload types and restrictions, as they were written.
    pub parameters: Parameters,
}

/// What an `a=rid` line bounds (RFC 8851 §5). `None`: unbounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Pixels, in the orientation in which the picture is sent.
    pub max_width: Option<u32>,
    /// Pixels, in the orientation in which the picture is sent.
    pub max_height: Option<u32>,
    /// Frames in a second, times 1,000: the line has up to three digits after a point.
    pub max_milli_fps: Option<u64>,
    /// Pixels of a frame.
    pub max_fs: Option<u64>,
    /// Bits in a second.
    pub max_br: Option<u64>,
    /// Pixels in a second.
    pub max_pps: Option<u64>,
    /// Bits of a pixel, times 10,000: the line has four digits after a point.
    pub max_bpp: Option<u64>,
    /// Encodings that must be received as well.
    pub depend: Vec<RidId>,
}

impl Rid {
    /// The payload types that the encoding may have, the preferred first; empty if any of the section.
    #[must_use]
    pub fn payload_types(&self) -> Vec<PayloadType> {
        let list = self.parameters.value("pt").unwrap_or_default();
        list.split(',').filter_map(|text| PayloadType::parse(text.trim()).ok()).collect()
    }

    /// What the line bounds. `None` if it has a restriction that is not known or malformed: RFC 8851 §6.2.2 has
    /// the answerer leave such a line out.
    #[must_use]
    pub fn restrictions(&self) -> Option<Restrictions> {
        let mut read = Restrictions::default();
        for (key, value) in self.parameters.iter() {
            let value = value?;
            // RFC 8851 §4: keys are compared as they are; browsers write them in lower case.
            match key {
                "pt" => {}
                "max-width" => read.max_width = Some(number(value)?),
                "max-height" => read.max_height = Some(number(value)?),
                "max-fps" => read.max_milli_fps = Some(decimal(value, 3)?),
                "max-fs" => read.max_fs = Some(number(value)?),
                "max-br" => read.max_br = Some(number(value)?),
                "max-pps" => read.max_pps = Some(number(value)?),
                "max-bpp" => read.max_bpp = Some(decimal(value, 4)?),
                "depend" => {
                    read.depend = value.split(',').map(RidId::new).collect::<Result<_, _>>().ok()?;
                }
                _ => return None,
            }
        }
        Some(read)
    }

    pub(crate) fn parse(value: &str, limits: &Limits) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Rid);
        let mut fields = value.splitn(3, ' ');
        let (id, direction) = fields.next().zip(fields.next()).ok_or(malformed)?;
        let id = RidId::new(id).map_err(|_| malformed)?;
        let direction = RidDirection::parse(direction).ok_or(malformed)?;
        let parameters = Parameters::new(fields.next().unwrap_or_default()).map_err(|_| malformed)?;
        if let Some(list) = parameters.value("pt") {
            for (index, text) in list.split(',').enumerate() {
                if index == limits.codecs {
                    return Err(Reason::TooMany(Part::PayloadType));
                }
                PayloadType::parse(text.trim())?;
            }
        }
        Ok(Self { id, direction, parameters })
    }
}

/// A number with up to `digits` digits after a point, times 10 to that power.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > digits {
        return None;
    }
    let scale = 10u64.checked_pow(u32::try_from(digits).ok()?)?;
    let whole = number::<u64>(whole)?.checked_mul(scale)?;
    let padded = format!("{fraction:0<digits$}");
    whole.checked_add(number(&padded)?)
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.direction.as_str())?;
        if self.parameters.is_empty() { Ok(()) } else { write!(f, " {}", self.parameters) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rid(text: &str) -> Result<Rid, Reason> {
        Rid::parse(text, &Limits::default())
    }

    #[test]
    fn a_rid_names_payload_types_and_restrictions() {
        let text = "f send pt=96,97;max-width=1280;max-height=720;max-fps=29.97;max-bpp=1.5;depend=q,h";
        let read = rid(text).unwrap();
        let numbers: Vec<_> = read.payload_types().into_iter().map(PayloadType::number).collect();
        assert_eq!(numbers, [96, 97]);
        let bounds = read.restrictions().unwrap();
        assert_eq!((bounds.max_width, bounds.max_height), (Some(1280), Some(720)));
        assert_eq!((bounds.max_milli_fps, bounds.max_bpp, bounds.max_br), (Some(29_970), Some(15_000), None));
        assert_eq!(bounds.depend, ["q", "h"]);
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn an_unknown_restriction_makes_no_restrictions() {
        assert_eq!(rid("f send max-speed=9").unwrap().restrictions(), None);
        assert_eq!(rid("f send max-width=wide").unwrap().restrictions(), None);
        assert_eq!(rid("f send max-fps=1.2345").unwrap().restrictions(), None);
        assert_eq!(rid("f send").unwrap().restrictions(), Some(Restrictions::default()));
    }

    #[test]
    fn malformed_rids_are_refused() {
        for bad in ["", "f", "f up", "~f send", "f  send"] {
            assert_eq!(rid(bad), Err(Reason::Malformed(Part::Rid)), "{bad}");
        }
        assert_eq!(rid("f send pt=128"), Err(Reason::OutOfRange(Part::PayloadType)));
        let endless = vec!["96"; 1000].join(",");
        assert_eq!(rid(&format!("f send pt={endless}")), Err(Reason::TooMany(Part::PayloadType)));
    }
}
