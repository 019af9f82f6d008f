//! Serial numbers (RFC 1982): the arithmetic of what wraps, once for all widths.

/// What a wrapping number of type `$bits` can do. `$steps` is the signed type of the same width.
macro_rules! wrapping_number {
    ($number:ident, $bits:ty, $steps:ty) => {
        impl $number {
            /// Steps from this one to `other` by the shorter way: positive if `other` is newer, the least value that
            /// there is if both ways are equally long.
            #[inline]
            pub const fn distance_to(self, other: Self) -> $steps {
                other.0.wrapping_sub(self.0).cast_signed()
            }

            /// Whether this one comes after `other`. Of two that are half a cycle apart, neither does.
            #[inline]
            pub const fn is_newer_than(self, other: Self) -> bool {
                other.distance_to(self) > 0
            }

            /// The one `steps` later.
            #[inline]
            #[must_use]
            pub const fn wrapping_add(self, steps: $bits) -> Self {
                Self(self.0.wrapping_add(steps))
            }

            /// The one `steps` earlier.
            #[inline]
            #[must_use]
            pub const fn wrapping_sub(self, steps: $bits) -> Self {
                Self(self.0.wrapping_sub(steps))
            }
        }

        $crate::serial::display_as_number!($number);
    };
}

/// What the 64-bit number that never wraps, and the unwrapper that finds it, can do. `$truncate` gives what stands in a
/// packet of `$bits` bits.
macro_rules! extended_number {
    ($extended:ident, $unwrapper:ident, $number:ident, $bits:ty, $truncate:ident) => {
        impl $extended {
            /// What stands in the packet.
            #[inline]
            pub const fn $truncate(self) -> $number {
                $number(self.0 as $bits)
            }

            /// The one nearest to this that is written `number`: less than half a cycle ahead or at most half a cycle
            /// behind, but never below zero.
            #[inline]
            #[must_use]
            pub const fn nearest(self, number: $number) -> Self {
                let distance = self.$truncate().distance_to(number);
                match self.0.checked_add_signed(distance as i64) {
                    Some(nearest) => Self(nearest),
                    None => Self(number.0 as u64),
                }
            }
        }

        $crate::serial::display_as_number!($extended);

        impl $unwrapper {
            /// An unwrapper that has seen nothing.
            pub const fn new() -> Self {
                Self { newest: None }
            }

            /// What never wraps, of a packet that has arrived.
            #[inline]
            pub fn unwrap(&mut self, number: $number) -> $extended {
                let extended = self.peek(number);
                self.newest = self.newest.max(Some(extended));
                extended
            }

            /// What [`unwrap`](Self::unwrap) would answer; remembers nothing. For packets that may still prove to be
            /// forged.
            #[inline]
            pub fn peek(&self, number: $number) -> $extended {
                match self.newest {
                    Some(newest) => newest.nearest(number),
                    None => $extended(1 << <$bits>::BITS | u64::from(number.0)),
                }
            }

            /// The newest one seen.
            #[inline]
            pub const fn newest(&self) -> Option<$extended> {
                self.newest
            }
        }
    };
}

macro_rules! display_as_number {
    ($number:ident) => {
        impl std::fmt::Display for $number {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(crate) use {display_as_number, extended_number, wrapping_number};
