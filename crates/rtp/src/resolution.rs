use std::fmt;

use crate::Error;

/// The size of a picture: each side 1 to 65,536 pixels, as younger formats carry it (less one, in 16 bits).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolution {
    width_minus_one: u16,
    height_minus_one: u16,
}

impl Resolution {
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a side is 0 or above 65,536.
    pub fn new(width: u32, height: u32) -> Result<Self, Error> {
        let less_one = |side: u32| side.checked_sub(1).and_then(|side| u16::try_from(side).ok());
        match (less_one(width), less_one(height)) {
            (Some(width_minus_one), Some(height_minus_one)) => Ok(Self { width_minus_one, height_minus_one }),
            _ => Err(Error::OutOfRange),
        }
    }

    /// Pixels from left to right.
    pub const fn width(self) -> u32 {
        self.width_minus_one as u32 + 1
    }

    /// Pixels from top to bottom.
    pub const fn height(self) -> u32 {
        self.height_minus_one as u32 + 1
    }

    pub(crate) const fn from_minus_one(width_minus_one: u16, height_minus_one: u16) -> Self {
        Self { width_minus_one, height_minus_one }
    }

    /// Width and height, each less one.
    pub(crate) const fn minus_one(self) -> (u16, u16) {
        (self.width_minus_one, self.height_minus_one)
    }
}

impl fmt::Debug for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width(), self.height())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_from_1_to_65536() {
        assert_eq!(Resolution::new(1, 65_536).map(|r| (r.width(), r.height())), Ok((1, 65_536)));
        assert_eq!(Resolution::new(0, 1), Err(Error::OutOfRange));
        assert_eq!(Resolution::new(1, 65_537), Err(Error::OutOfRange));
        assert_eq!(format!("{:?}", Resolution::new(960, 540).unwrap()), "960x540");
    }
}
