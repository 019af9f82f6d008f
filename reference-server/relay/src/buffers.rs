use quinn_udp::{BATCH_SIZE, RecvMeta};

/// What GRO hands over at once is no longer than a datagram can be.
const BUFFER_BYTES: usize = 65_535;

/// Where messages come in, and lie until what is relayed of them has left: 2 MB.
#[derive(Debug)]
pub(crate) struct Buffers {
    bytes: Vec<[u8; BUFFER_BYTES]>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![[0; BUFFER_BYTES]; BATCH_SIZE], metas: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Room for messages, and for what is said of those that are received at once.
    pub(crate) fn parts(&mut self) -> (&mut [[u8; BUFFER_BYTES]], &mut [RecvMeta]) {
        (&mut self.bytes, &mut self.metas)
    }
}
