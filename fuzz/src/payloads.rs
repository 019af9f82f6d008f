//! Payloads of one stream, for the codecs.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use plenary_rtp::SeqNo;

/// Payloads of one stream: each behind a byte by which its sequence number goes on, and a byte of length. With a length of
/// 255 it is all that is left; a step of 255 is one, before which the caller takes what was assembled.
#[derive(Arbitrary, Debug)]
pub struct Payloads<'a>(&'a [u8]);

impl<'a> Payloads<'a> {
    /// Each with its number, and whether what was assembled is taken before it.
    pub fn iter(&self) -> impl Iterator<Item = (SeqNo, bool, &'a [u8])> + use<'a> {
        let mut number = SeqNo(65_530);
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let [step, len, behind @ ..] = rest else { return None };
            let is_taken = *step == u8::MAX;
            let len = if *len == u8::MAX { behind.len() } else { behind.len().min((*len).into()) };
            let (payload, behind) = behind.split_at(len);
            rest = behind;
            number = number.wrapping_add(if is_taken { 1 } else { (*step).into() });
            Some((number, is_taken, payload))
        })
    }
}
