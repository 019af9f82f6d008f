//! The structure of a stream as packets bring it.

use super::{Descriptor, Layout, Structure};
use crate::{ExtendedSeqNo, ParseError};

/// The structure that the packets of one stream refer to, and its active decode targets: one for each SSRC that carries
/// media.
///
/// Packets may come late, twice, or be lost. So each comes with its place in the stream, and an old one changes
/// nothing that a later one has said.
#[derive(Clone, Debug, Default)]
pub struct StructureState {
    current: Option<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    structure: Box<Structure>,
    /// The packet that first brought the structure.
    since: ExtendedSeqNo,
    active: u32,
    /// The packet that last told the active decode targets.
    active_since: ExtendedSeqNo,
}

impl StructureState {
    /// No structure is known.
    pub const fn new() -> Self {
        Self { current: None }
    }

    /// Reads the descriptor of a packet, and keeps what it says for those after it.
    ///
    /// `sequence` is the packet's sequence number; that of a retransmission is the original's. Allocates
    /// only if a structure is attached.
    ///
    /// # Errors
    ///
    /// [`ParseError::UnknownStructure`] also if the packet is older than the one that brought the structure, as that
    /// may be another than the one it means; the others as [`Descriptor::parse`]. Nothing is kept then.
    pub fn parse(&mut self, data: &[u8], sequence: ExtendedSeqNo) -> Result<(Descriptor, Layout), ParseError> {
        let known = self.current.as_ref().filter(|current| sequence >= current.since);
        let parsed = Descriptor::parse(data, known.map(|current| &*current.structure))?;
        let mask = parsed.descriptor.active_decode_targets;
        match parsed.structure {
            Some(structure) => self.attach(structure, mask, sequence),
            None => {
                if let (Some(current), Some(mask)) = (&mut self.current, mask) {
                    current.set_active(mask, sequence);
                }
            }
        }
        Ok((parsed.descriptor, parsed.layout))
    }

    /// The structure that was last attached to a packet.
    pub fn structure(&self) -> Option<&Structure> {
        self.current.as_ref().map(|current| &*current.structure)
    }

    /// The mask of the decode targets that the newest packet with a word on it called active. `None` before a
    /// structure is known.
    ///
    /// It belongs to [`structure`](Self::structure). A packet that came late with an older one has its own targets: it is
    /// passed on with the mask that it brought, or none.
    pub fn active_decode_targets(&self) -> Option<u32> {
        self.current.as_ref().map(|current| current.active)
    }

    fn attach(&mut self, structure: Box<Structure>, mask: Option<u32>, sequence: ExtendedSeqNo) {
        // AV1 RTP §A.4: a structure without a mask makes all targets active.
        let active = mask.unwrap_or_else(|| structure.all_decode_targets());
        match &mut self.current {
            // Most key frames repeat it: the packets before them are still read with it.
            Some(current) if current.structure == structure => current.set_active(active, sequence),
            Some(current) if sequence <= current.since => {}
            current => *current = Some(Current { structure, since: sequence, active, active_since: sequence }),
        }
    }
}

impl Current {
    fn set_active(&mut self, mask: u32, sequence: ExtendedSeqNo) {
        if sequence >= self.active_since {
            self.active = mask;
            self.active_since = sequence;
        }
    }
}
