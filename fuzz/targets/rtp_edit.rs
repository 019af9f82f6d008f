#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_rtp::extension::TransportSequence;
use plenary_rtp::{Error, Packet, PacketEdit, SeqNo, Ssrc};

const BEFORE: &[u8] = b"what stands before";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    operations: Vec<Operation<'a>>,
    packet: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    SetExtension { id: u8, data: &'a [u8] },
    SetZeros { id: u8, len: u16 },
    SetElement { id: u8, value: u16 },
    Remove { id: u8 },
    SetCsrcs(Vec<u32>),
    SetPadding(u8),
    SetSequenceNumber(u16),
}

/// What the packet should hold.
struct Model {
    /// Follows the packet: it is only held to refuse what must be refused.
    profile: Option<u16>,
    sequence_number: u16,
    csrcs: Vec<u32>,
    elements: Vec<(u8, Vec<u8>)>,
    payload: Vec<u8>,
    padding: u8,
}

fuzz_target!(|input: Input<'_>| {
    let mut out = [BEFORE, input.packet].concat();
    let Ok(mut edit) = PacketEdit::parse(&mut out, BEFORE.len()) else { return };
    let mut model = Model::of(&edit.as_packet());
    for operation in input.operations {
        let before = edit.as_packet().bytes().to_vec();
        let expected = model.apply(&operation);
        assert_eq!(apply(&mut edit, &operation), expected, "{operation:?}");
        let packet = edit.as_packet();
        assert_eq!(Packet::parse(packet.bytes()), Ok(packet), "what is known of it is what stands there");
        if expected.is_err() {
            assert_eq!(packet.bytes(), before);
        }
        model.check(&packet);
    }
    assert_eq!(&out[..BEFORE.len()], BEFORE);
});

fn apply(edit: &mut PacketEdit<'_>, operation: &Operation<'_>) -> Result<bool, Error> {
    match operation {
        Operation::SetExtension { id, data } => edit.set_extension(*id, data)?,
        Operation::SetZeros { id, len } => edit.set_extension(*id, &vec![0; usize::from(len % 300)])?,
        Operation::SetElement { id, value } => edit.set_element(*id, &TransportSequence(SeqNo(*value)))?,
        Operation::Remove { id } => return edit.remove_extension(*id),
        Operation::SetCsrcs(csrcs) => edit.set_csrcs(&csrcs.iter().copied().map(Ssrc).collect::<Vec<_>>())?,
        Operation::SetPadding(len) => edit.set_padding(*len),
        Operation::SetSequenceNumber(value) => edit.as_mut().set_sequence_number(SeqNo(*value)),
    }
    Ok(true)
}

impl Model {
    fn of(packet: &Packet<'_>) -> Self {
        Self {
            profile: packet.extension_profile(),
            sequence_number: packet.sequence_number().0,
            csrcs: packet.csrcs().map(|csrc| csrc.0).collect(),
            elements: packet.extensions().map(|(id, data)| (id, data.to_vec())).collect(),
            payload: packet.payload().to_vec(),
            padding: packet.padding_len(),
        }
    }

    fn apply(&mut self, operation: &Operation<'_>) -> Result<bool, Error> {
        match operation {
            Operation::SetExtension { id, data } => self.set(*id, data.to_vec())?,
            Operation::SetZeros { id, len } => self.set(*id, vec![0; usize::from(len % 300)])?,
            Operation::SetElement { id, value } => self.set(*id, value.to_be_bytes().to_vec())?,
            Operation::Remove { id } => {
                self.check_profile()?;
                let count = self.elements.len();
                self.elements.retain(|element| element.0 != *id);
                return Ok(self.elements.len() < count);
            }
            Operation::SetCsrcs(csrcs) if csrcs.len() > 15 => return Err(Error::TooLong),
            Operation::SetCsrcs(csrcs) => self.csrcs.clone_from(csrcs),
            Operation::SetPadding(len) => self.padding = *len,
            Operation::SetSequenceNumber(value) => self.sequence_number = *value,
        }
        Ok(true)
    }

    fn check_profile(&self) -> Result<(), Error> {
        match self.profile {
            None | Some(0xbede | 0x1000..=0x100f) => Ok(()),
            Some(other) => Err(Error::ExtensionProfile(other)),
        }
    }

    fn set(&mut self, id: u8, data: Vec<u8>) -> Result<(), Error> {
        if id == 0 || id == 15 {
            return Err(Error::ExtensionId(id));
        }
        if data.len() > 255 {
            return Err(Error::TooLong);
        }
        self.check_profile()?;
        let mut same_id = self.elements.iter_mut().filter(|element| element.0 == id);
        match (same_id.next(), same_id.next()) {
            (Some(element), None) if element.1.len() == data.len() => element.1 = data,
            _ => {
                self.elements.retain(|element| element.0 != id);
                self.elements.push((id, data));
            }
        }
        Ok(())
    }

    fn check(&mut self, packet: &Packet<'_>) {
        assert_eq!(packet.payload(), self.payload);
        assert_eq!((packet.padding_len(), packet.sequence_number().0), (self.padding, self.sequence_number));
        assert!(packet.csrcs().map(|csrc| csrc.0).eq(self.csrcs.iter().copied()));
        assert!(packet.extensions().eq(self.elements.iter().map(|(id, data)| (*id, &data[..]))));
        self.profile = packet.extension_profile();
    }
}
