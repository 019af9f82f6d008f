pub use bytes::Buf;
pub struct Kept {
    bytes: bytes::Bytes,
    pub list: Vec<u8>,
}
impl Kept {
    pub fn leak_in_return(&self) -> Option<bytes::Bytes> {
        Some(self.bytes.clone())
    }
}
pub fn leak_in_bound<T: rand_core::TryRng>(_: T) {}
pub struct Seed;
impl rand_core::TryRng for Seed {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(4)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(4)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        dst.fill(4);
        Ok(())
    }
}
impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = bytes::Bytes::new();
        f.write_str("seed")
    }
}
pub extern crate bytes as packed;
