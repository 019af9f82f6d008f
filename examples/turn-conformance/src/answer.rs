use plenary_stun::{Attribute, Class, Message};

use crate::outcome::Stop;

/// A response, which holds together.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    /// A server's response that is malformed is a fault, whatever was asked.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, Stop> {
        match Message::parse(&bytes) {
            Ok(message) if matches!(message.class(), Class::Success | Class::Error) => Ok(Self { bytes }),
            Ok(message) => Err(Stop::Fault(format!("no response: {:?} {:?}", message.class(), message.method()))),
            Err(error) => Err(Stop::Fault(format!("a malformed response of {} bytes: {error}", bytes.len()))),
        }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("was parsed when it was read")
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn get(&self, attribute: Attribute) -> Option<&[u8]> {
        // Neither order nor integrity matter to the question what a server said.
        self.message().get(attribute)
    }

    pub(crate) fn has(&self, attribute: Attribute) -> bool {
        self.get(attribute).is_some()
    }

    pub(crate) fn u32(&self, attribute: Attribute) -> Result<u32, Stop> {
        let value = self.message().get_u32(attribute).ok().flatten();
        value.ok_or_else(|| Stop::Fault(format!("no {attribute:?} in {self}")))
    }

    pub(crate) fn address(&self, attribute: Attribute) -> Result<std::net::SocketAddr, Stop> {
        let value = self.message().get_xor_address(attribute).ok().flatten();
        value.ok_or_else(|| Stop::Fault(format!("no {attribute:?} in {self}")))
    }

    pub(crate) fn is_success(&self) -> bool {
        self.message().class() == Class::Success
    }

    /// The number of the error; 0 if it has none.
    pub(crate) fn code(&self) -> u16 {
        self.message().get_error_code().ok().flatten().map_or(0, |code| code.0)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_success() { f.write_str("success") } else { write!(f, "{}", self.code()) }
    }
}

/// What a datagram is, in words.
pub(crate) fn describe(bytes: &[u8]) -> String {
    match Message::parse(bytes) {
        Ok(message) if message.class() == Class::Error => {
            let code = message.get_error_code().ok().flatten().map_or(0, |code| code.0);
            format!("{:?} answered with {code}", message.method())
        }
        Ok(message) => format!("{:?} of {:?}", message.class(), message.method()),
        Err(_) if bytes.first().is_some_and(|byte| byte >> 6 == 1) => format!("ChannelData of {} bytes", bytes.len()),
        Err(_) => format!("{} bytes that are no message: {:02x?}…", bytes.len(), &bytes[..bytes.len().min(8)]),
    }
}
