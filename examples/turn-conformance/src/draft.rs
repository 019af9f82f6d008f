use std::net::{IpAddr, SocketAddr};

use plenary_stun::{Algorithm, Attribute, Class, Key, Method, TransactionId, Writer};

/// A message that is being made, whether it makes sense or not.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    class: Class,
    method: Method,
    transaction: TransactionId,
    attributes: Vec<(Attribute, Value)>,
}

#[derive(Clone, Debug)]
enum Value {
    Bytes(Vec<u8>),
    Address(SocketAddr),
}

/// UDP in REQUESTED-TRANSPORT.
pub(crate) const UDP: [u8; 4] = [17, 0, 0, 0];

/// Draws bytes from the operating system.
pub(crate) fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("nothing here can be done without entropy");
    bytes
}

impl Draft {
    pub(crate) fn of(class: Class, method: Method) -> Self {
        Self { class, method, transaction: TransactionId(draw()), attributes: Vec::new() }
    }

    pub(crate) fn request(method: Method) -> Self {
        Self::of(Class::Request, method)
    }

    pub(crate) fn indication(method: Method) -> Self {
        Self::of(Class::Indication, method)
    }

    pub(crate) fn binding() -> Self {
        Self::request(Method::BINDING)
    }

    pub(crate) fn allocate() -> Self {
        Self::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &UDP)
    }

    pub(crate) fn refresh(seconds: u32) -> Self {
        Self::request(Method::REFRESH).with(Attribute::LIFETIME, &seconds.to_be_bytes())
    }

    pub(crate) fn permission(peer: IpAddr) -> Self {
        Self::request(Method::CREATE_PERMISSION).peer(SocketAddr::new(peer, 9))
    }

    pub(crate) fn channel(number: u16, peer: SocketAddr) -> Self {
        let [high, low] = number.to_be_bytes();
        Self::request(Method::CHANNEL_BIND).with(Attribute::CHANNEL_NUMBER, &[high, low, 0, 0]).peer(peer)
    }

    pub(crate) fn send(peer: SocketAddr, data: &[u8]) -> Self {
        Self::indication(Method::SEND).peer(peer).with(Attribute::DATA, data)
    }

    /// A request of each method that needs credentials, as far as possible right.
    pub(crate) fn authenticated(method: Method, peer: IpAddr) -> Self {
        match method {
            Method::ALLOCATE => Self::allocate(),
            Method::REFRESH => Self::refresh(600),
            Method::CREATE_PERMISSION => Self::permission(peer),
            _ => Self::channel(0x4000, SocketAddr::new(peer, 9)),
        }
    }

    pub(crate) fn transaction(mut self, transaction: [u8; 12]) -> Self {
        self.transaction = TransactionId(transaction);
        self
    }

    pub(crate) fn with(mut self, attribute: Attribute, value: &[u8]) -> Self {
        self.attributes.push((attribute, Value::Bytes(value.to_vec())));
        self
    }

    /// XOR-PEER-ADDRESS. An IPv4 address that is given inside IPv6 stays there.
    pub(crate) fn peer(mut self, peer: SocketAddr) -> Self {
        self.attributes.push((Attribute::XOR_PEER_ADDRESS, Value::Address(peer)));
        self
    }

    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    pub(crate) fn fingerprinted(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out).fingerprint();
        out
    }

    pub(crate) fn signed(&self, key: &Key<'_>, algorithm: Algorithm) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out).integrity(key, algorithm);
        out
    }

    fn write<'o>(&self, out: &'o mut Vec<u8>) -> Writer<'o> {
        let mut writer = Writer::new(self.class, self.method, self.transaction, out);
        for (attribute, value) in &self.attributes {
            match value {
                Value::Bytes(value) => writer.attribute(*attribute, &[value]),
                Value::Address(address) => writer.xor_address(*attribute, *address),
            }
        }
        writer
    }
}

/// Makes the length field say what is there.
pub(crate) fn state_length(bytes: &mut [u8]) {
    let length = (bytes.len() - plenary_stun::HEADER_LEN) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// A message with an attribute of any form behind all others, and the length to go with it.
pub(crate) fn appended(mut bytes: Vec<u8>, raw: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(raw);
    state_length(&mut bytes);
    bytes
}

/// ChannelData that says `length`, whatever is behind it (RFC 8656 §12.4).
pub(crate) fn channel_data(number: u16, length: u16, rest: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &length.to_be_bytes(), rest].concat()
}
