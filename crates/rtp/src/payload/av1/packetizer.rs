use super::{AggregationHeader, Obu, ObuType, Obus};
use crate::bits::{leb128_len, write_leb128};
use crate::{Error, ParseError};

/// The most elements of a packet that says how many it has.
const COUNTED_MAX: u8 = 3;
/// No OBU begins in a packet with fewer bytes than this: its header stays whole, so that an SFU can read the layer.
const FIRST_ELEMENT_LEN_MIN: usize = 2;

/// Makes AV1 payloads of a temporal unit, one at a time.
///
/// Temporal delimiters and tile lists are left out, sizes are taken off the OBUs, and no packet carries two layers
/// (§5 of the payload format). Set the RTP marker on the packet after which [`is_done`](Self::is_done).
#[derive(Clone, Debug)]
pub struct Packetizer<'a> {
    /// The OBUs behind `current`, checked.
    obus: Obus<'a>,
    current: Option<Obu<'a>>,
    /// Bytes of `current` that are sent.
    sent: usize,
    payload_bytes_max: usize,
    starts_sequence: bool,
}

/// What goes into the next packet.
struct Plan {
    elements: usize,
    /// Bytes of the last element.
    last_len: usize,
    is_continued: bool,
}

impl<'a> Packetizer<'a> {
    /// Makes payloads of at most `payload_bytes_max` bytes of `temporal_unit`, which is in the low-overhead format (AV1
    /// specification §5.2: the OBUs one after the other, each with its size). `starts_sequence` says that it is a key
    /// frame with its sequence header.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `temporal_unit` is not of that format, [`Error::NoRoom`] if `payload_bytes_max` is below 4.
    pub fn new(temporal_unit: &'a [u8], payload_bytes_max: usize, starts_sequence: bool) -> Result<Self, Error> {
        if payload_bytes_max < 1 + 1 + FIRST_ELEMENT_LEN_MIN {
            return Err(Error::NoRoom);
        }
        let checked: Result<(), ParseError> = Obus::new(temporal_unit).try_for_each(|obu| obu.map(|_| ()));
        checked.map_err(|_| Error::OutOfRange)?;
        let mut obus = Obus::new(temporal_unit);
        let current = next_sent(&mut obus);
        Ok(Self { obus, current, sent: 0, payload_bytes_max, starts_sequence })
    }

    /// Everything has been written.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.current.is_none()
    }

    /// Appends the next payload, and says how long it is. `None` when done.
    pub fn write_next(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.current?;
        let plan = self.plan();
        let start = out.len();
        let counted = plan.elements <= usize::from(COUNTED_MAX);
        let header = AggregationHeader {
            continues: self.sent > 0,
            is_continued: plan.is_continued,
            element_count: if counted { plan.elements as u8 } else { 0 },
            starts_sequence: self.starts_sequence,
        };
        self.starts_sequence = false;
        out.push(header.to_byte().expect("a sequence never starts in the middle of an OBU"));
        for index in 1..=plan.elements {
            let Some(obu) = self.current else { break };
            let last = index == plan.elements;
            let len = if last { plan.last_len } else { obu.element_len() - self.sent };
            if !(counted && last) {
                let mut length = [0; 8];
                let length_len = write_leb128(len as u64, &mut length);
                out.extend_from_slice(&length[..length_len]);
            }
            obu.write_element(self.sent, self.sent + len, out);
            if last && plan.is_continued {
                self.sent += len;
            } else {
                self.current = next_sent(&mut self.obus);
                self.sent = 0;
            }
        }
        Some(out.len() - start)
    }

    fn plan(&self) -> Plan {
        let mut plan = Plan { elements: 0, last_len: 0, is_continued: false };
        let mut space = self.payload_bytes_max - 1;
        let mut layer = None;
        let mut sent = self.sent;
        let mut obus = self.obus.clone();
        let mut current = self.current;
        while let Some(obu) = current {
            let other_layer = layer.is_some() && obu.header.layer.is_some() && layer != obu.header.layer;
            if other_layer {
                break;
            }
            layer = layer.or(obu.header.layer);
            let rest = obu.element_len() - sent;
            if leb128_len(rest as u64) + rest > space {
                // It ends the packet: without a length if the elements are few enough to be counted.
                let room = if plan.elements < usize::from(COUNTED_MAX) { space } else { room_behind_length(space) };
                let len = rest.min(room);
                let least = if plan.elements == 0 { 1 } else { FIRST_ELEMENT_LEN_MIN };
                if len >= least.min(rest).max(1) {
                    plan = Plan { elements: plan.elements + 1, last_len: len, is_continued: len < rest };
                }
                break;
            }
            space -= leb128_len(rest as u64) + rest;
            plan.elements += 1;
            plan.last_len = rest;
            sent = 0;
            current = next_sent(&mut obus);
        }
        plan
    }
}

/// How many bytes fit behind their own length.
fn room_behind_length(space: usize) -> usize {
    (0..space).rev().find(|&len| leb128_len(len as u64) + len <= space).unwrap_or(0)
}

fn next_sent<'a>(obus: &mut Obus<'a>) -> Option<Obu<'a>> {
    obus.filter_map(Result::ok)
        .find(|obu| !matches!(obu.header.obu_type, ObuType::TemporalDelimiter | ObuType::TileList))
}
