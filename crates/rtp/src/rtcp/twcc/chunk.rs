use crate::ParseError;

pub(super) const CHUNK_LEN: usize = 2;

/// The longest run that a chunk can say: 13 bits.
pub(super) const RUN_MAX: u16 = 0x1fff;
/// Symbols of a vector of one bit each: not received, or received with a small delta.
pub(super) const SHORT_LEN: u16 = 14;
/// Symbols of a vector of two bits each.
pub(super) const LONG_LEN: u16 = 7;

/// A packet status symbol (§3.1.1), which is also how many bytes its delta has.
pub(super) const LOST: u8 = 0;
pub(super) const SMALL: u8 = 1;
pub(super) const LARGE: u8 = 2;
const RESERVED: u8 = 3;

/// A packet chunk (§3.1.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum StatusChunk {
    Run {
        symbol: u8,
        len: u16,
    },
    /// The symbols from the top of the 16 bits.
    Short(u16),
    Long(u16),
}

impl StatusChunk {
    pub(super) const EMPTY: Self = Self::Run { symbol: LOST, len: 0 };

    pub(super) const fn from_word(word: u16) -> Self {
        match word >> 14 {
            0b10 => Self::Short(word << 2),
            0b11 => Self::Long(word << 2),
            _ => Self::Run { symbol: (word >> 13) as u8, len: word & RUN_MAX },
        }
    }

    pub(super) const fn to_word(self) -> u16 {
        match self {
            Self::Run { symbol, len } => (symbol as u16) << 13 | len,
            Self::Short(symbols) => 0x8000 | symbols >> 2,
            Self::Long(symbols) => 0xc000 | symbols >> 2,
        }
    }

    /// How many symbols it can tell.
    pub(super) const fn len(self) -> u16 {
        match self {
            Self::Run { len, .. } => len,
            Self::Short(_) => SHORT_LEN,
            Self::Long(_) => LONG_LEN,
        }
    }

    /// Takes the next symbol. The caller counts them.
    #[inline]
    pub(super) const fn take_symbol(&mut self) -> u8 {
        match self {
            Self::Run { symbol, .. } => *symbol,
            Self::Short(symbols) => {
                let symbol = (*symbols >> 15) as u8;
                *symbols <<= 1;
                symbol
            }
            Self::Long(symbols) => {
                let symbol = (*symbols >> 14) as u8;
                *symbols <<= 2;
                symbol
            }
        }
    }

    /// Sets the symbol at `index` of a vector, where there was none.
    pub(super) const fn set_symbol(&mut self, index: u16, symbol: u8) {
        match self {
            Self::Run { .. } => {}
            Self::Short(symbols) => *symbols |= (symbol as u16) << (15 - index),
            Self::Long(symbols) => *symbols |= (symbol as u16) << (14 - 2 * index),
        }
    }

    /// Bytes of the deltas of its first `count` symbols. Those behind are not looked at.
    pub(super) const fn deltas_len(self, count: u16) -> Result<usize, ParseError> {
        let len = self.len();
        let count = if count < len { count } else { len };
        match self {
            Self::Run { symbol: RESERVED, len: 1.. } => Err(ParseError::Reserved),
            Self::Run { symbol, .. } => Ok(symbol as usize * count as usize),
            Self::Short(symbols) => Ok((symbols & !(0xffff_u32 >> count) as u16).count_ones() as usize),
            Self::Long(symbols) => {
                let symbols = symbols & !(0xffff_u32 >> (2 * count)) as u16;
                let (large, small) = (symbols >> 1 & 0x5555, symbols & 0x5555);
                if large & small != 0 {
                    return Err(ParseError::Reserved);
                }
                Ok(2 * large.count_ones() as usize + small.count_ones() as usize)
            }
        }
    }
}
