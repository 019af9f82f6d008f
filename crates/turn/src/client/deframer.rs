use plenary_stun::HEADER_LEN;

use super::StreamError;

/// Takes messages from a byte stream: STUN, and ChannelData with its padding (RFC 8656 §12.5). Each is a datagram for
/// [`Client::handle_datagram`](super::Client::handle_datagram).
///
/// It holds one message and no more, in a buffer that grows to the largest seen.
///
/// ```
/// let mut deframer = plenary_turn::client::Deframer::new(1500);
/// let mut bytes = &[0x40, 0, 0, 2, b'h', b'i', 0, 0, 0x40][..];
/// assert_eq!(deframer.take(&mut bytes)?, Some(&mut [0x40, 0, 0, 2, b'h', b'i', 0, 0][..]));
/// assert_eq!(deframer.take(&mut bytes)?, None);
/// # Ok::<(), plenary_turn::client::StreamError>(())
/// ```
#[derive(Debug)]
pub struct Deframer {
    frame: Vec<u8>,
    frame_bytes_max: usize,
    done: bool,
}

impl Deframer {
    /// `frame_bytes_max` bounds what it holds; 65,555 takes any message.
    pub const fn new(frame_bytes_max: usize) -> Self {
        Self { frame: Vec::new(), frame_bytes_max, done: false }
    }

    /// Takes bytes from the front of `bytes` up to the end of the next message, and answers it: `None` if more bytes are
    /// needed, and all were taken. Call it until it answers `None`.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; again, if it is called again.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<&mut [u8]>, StreamError> {
        if self.done {
            self.frame.clear();
            self.done = false;
        }
        loop {
            let length = self.length()?;
            let (taken, rest) = bytes.split_at(bytes.len().min(length - self.frame.len()));
            self.frame.extend_from_slice(taken);
            *bytes = rest;
            if self.frame.len() < length {
                return Ok(None);
            }
            if self.frame.len() > HEAD_LEN || self.length()? == HEAD_LEN {
                self.done = true;
                return Ok(Some(&mut self.frame));
            }
        }
    }

    /// Bytes of the message, as far as is known: those that tell it, at least.
    fn length(&self) -> Result<usize, StreamError> {
        let length = match *self.frame {
            [] => return Ok(HEAD_LEN),
            [0..=3 | 0x40..=0x4f] | [0..=3 | 0x40..=0x4f, _] | [0..=3 | 0x40..=0x4f, _, _] => return Ok(HEAD_LEN),
            [0..=3, _, high, low, ..] if low.is_multiple_of(4) => {
                HEADER_LEN + usize::from(u16::from_be_bytes([high, low]))
            }
            [0x40..=0x4f, _, high, low, ..] => {
                HEAD_LEN + usize::from(u16::from_be_bytes([high, low])).next_multiple_of(4)
            }
            _ => return Err(StreamError::NotTurn),
        };
        if length > self.frame_bytes_max { Err(StreamError::TooLong) } else { Ok(length) }
    }
}

/// Bytes that tell how long a message is.
const HEAD_LEN: usize = 4;
