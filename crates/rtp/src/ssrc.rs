use std::fmt;

/// A synchronization or contributing source (RFC 3550 §3).
///
/// `Display` is decimal, as in SDP's `a=ssrc`; `Debug` is hexadecimal, as in packet dumps.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssrc({:#010x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_in_sdp_and_as_in_dumps() {
        assert_eq!(format!("{0} {0:?}", Ssrc(0xabc)), "2748 Ssrc(0x00000abc)");
    }
}
